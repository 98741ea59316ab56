"""`Choices`: the theme and the look of plots that the user last chose, kept between starts.

Layer: config, without Textual. They are in a JSON file in the user's state directory, apart from
`config.yaml`, which is the user's own; a setting there takes precedence at every start. No choice
is worth an error: a damaged file counts as none, and what cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import platformdirs

from tui_trainer.config.preferences import THEMES
from tui_trainer.text.clean import clean

XAxis = Literal["step", "epoch", "time"]
MOST_BYTES = 2**16
MOST_LOG_AXES = 64
CLOSING_S = 1.0


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices; None for those that were never made."""

    theme: str | None = None
    smoothing: float | None = None
    x: XAxis | None = None
    log_axes: tuple[str, ...] = ()
    """The titles of the plots whose y axis is logarithmic."""
    all_marks: bool = False
    """Whether plots mark the checkpoints that were saved on schedule."""


def choices_path(env: Mapping[str, str] = os.environ) -> Path:
    """Return `app.json` in $XDG_STATE_HOME/tui-trainer, or in the platform's place for it."""
    given = env.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):
        return Path(given) / "tui-trainer" / "app.json"
    return Path(platformdirs.user_state_dir("tui-trainer")) / "app.json"


def _is_valid(name: str, value: object) -> bool:
    """Return whether a choice can have this value; the file may contain anything."""
    match name, value:
        case "theme", str():
            return value in THEMES
        case "smoothing", int() | float():
            return not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 1
        case "x", str():
            return value in get_args(XAxis)
        case "log_axes", list():
            return len(value) <= MOST_LOG_AXES and all(isinstance(it, str) for it in value)
        case "all_marks", bool():
            return True
    return False


def _read(path: Path) -> dict[str, Any]:
    """Read the file; empty if there is none. Raises OSError, or ValueError if it is damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(data) > MOST_BYTES:
        raise ValueError("too large")
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def load_choices(path: Path) -> tuple[Choices, str]:
    """Read the choices, and a line that says what is wrong with their file, or an empty one."""
    shown = clean(str(path))
    try:
        found = _read(path)
    except OSError as error:
        return Choices(), f"{shown}: cannot be read: {error.strerror}; using the defaults"
    except (ValueError, RecursionError):
        return Choices(), f"{shown}: damaged; using the defaults, and the next choice replaces it"
    names = [own.name for own in fields(Choices) if found.get(own.name) is not None]
    wrong = [name for name in names if not _is_valid(name, found[name])]
    values = {name: found[name] for name in names if name not in wrong}
    if "log_axes" in values:
        values["log_axes"] = tuple(values["log_axes"])
    problem = f"{shown}: {', '.join(wrong)}: not a valid choice; using the default"
    return Choices(**values), problem if wrong else ""


def write_choices(path: Path, changes: Mapping[str, object]) -> None:
    """Change some choices in the file, and leave those of other apps alone; raises OSError.

    The file is replaced as a whole, so that apps that write at once cannot damage it.
    """
    try:
        found = _read(path)
    except (ValueError, RecursionError):
        found = {}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".app-", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({**found, **changes}, file, indent=1)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class RememberedChoices:
    """The choices in force. A change is written in a thread, because a home may be on a slow disk.

    Without a path, choices are forgotten when the app is closed.
    """

    def __init__(self, path: Path | None = None, settled: Collection[str] = ()) -> None:
        """Read the file; `settled` are the names of choices that `config.yaml` has made."""
        self.values, self.problem = (Choices(), "") if path is None else load_choices(path)
        dropped: dict[str, Any] = dict.fromkeys({"theme", "smoothing"} & set(settled))
        self.values = replace(self.values, **dropped)
        self.complain: Callable[[str], object] = str
        """Called once, in another thread, with the reason why choices cannot be kept."""
        self._path = path
        self._unwritten: dict[str, object] = {}
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self._has_failed = False

    def keep(self, **changes: Any) -> None:
        """Take over some choices, and write them to the file soon."""
        self.values = replace(self.values, **changes)
        if self._path is None:
            return
        with self._lock:
            self._unwritten.update({name: asdict(self.values)[name] for name in changes})
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="choices", daemon=True)
                self._writer.start()

    def close(self) -> None:
        """Wait until everything is written, but not for long."""
        if (writer := self._writer) is not None:
            writer.join(CLOSING_S)

    def _write(self) -> None:
        while True:
            with self._lock:
                changes, self._unwritten = self._unwritten, {}
                if not changes or self._path is None:
                    self._writer = None
                    return
            try:
                write_choices(self._path, changes)
            except OSError as error:
                self._fail(self._path, error)

    def _fail(self, path: Path, error: OSError) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        reason = error.strerror or type(error).__name__
        # The app may have ended.
        with contextlib.suppress(RuntimeError):
            self.complain(
                f"{clean(str(path))}: cannot be written: {reason}; "
                "what you choose lasts until you quit"
            )
