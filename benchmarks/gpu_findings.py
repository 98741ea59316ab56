"""What the parts of the GPU check find out, and how they tell it; gpu_parts.py names them."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SKIPPED = 3


class Wrong(Exception):
    """A part of the check found something wrong; the message is one line."""


class Findings:
    """Tells what is found out, and remembers whether any of it is wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.right = 0

    def tell(self, text: str) -> None:
        print(f"* {text}")

    @contextmanager
    def about(self, name: str) -> Iterator[list[str]]:
        """One thing to try; a failure is told with where it happened, and does not end the part.

        What is put into the list is told when it succeeds.
        """
        figures: list[str] = []
        begun_s = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                yield figures
        except Exception as error:
            if not isinstance(error, Wrong):
                traceback.print_exc()
            self.wrong.append(name)
            self.tell(f"{name}: FAILED: {in_a_line(error)}")
            return
        self.right += 1
        seconds = time.monotonic() - begun_s
        if seconds > 0.05:
            figures.append(f"{seconds:.1f} s")
        self.tell(f"{name}: {'; '.join(figures)}")
        for text in dict.fromkeys(in_a_line(one.message) for one in warned):
            self.tell(f"{name}: warned: {text}")

    def end(self, figures: str = "") -> int:
        """Tell the figures of the row; returns the exit status."""
        parts = [f"{self.right} right", figures]
        if self.wrong:
            parts.insert(1, f"{len(self.wrong)} wrong: {', '.join(self.wrong)}")
        print("= " + "; ".join(part for part in parts if part))
        return 1 if self.wrong else 0


def in_a_line(error: BaseException | Warning | str) -> str:
    """An error in one line, with the last line of this project it came through."""
    text = " ".join(str(error).split())[:240]
    if not isinstance(error, BaseException) or isinstance(error, Wrong | Warning):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "tui_trainer" in frame.filename]
    where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in [*ours[-1:], *frames[-1:]]]
    return f"{type(error).__name__}: {text} at {' < '.join(dict.fromkeys(reversed(where)))}"


def needs_a_gpu(what: str = "a GPU") -> int:
    print(f"= needs {what}")
    return SKIPPED
