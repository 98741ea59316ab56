"""The one door through which lines leave the program, as text or as JSON.

Layer: text, below everything that prints. Whatever a caller forgot to clean is cleaned here: no
field of a file that somebody else wrote, neither a value nor a name, can steer the terminal.
Nothing is cut. `tests/test_ways_out.py` reads the source, and finds whoever prints elsewhere.
"""

from __future__ import annotations

import sys
from typing import IO

from tui_trainer.text.clean import harmless, harmless_block
from tui_trainer.text.strict_json import strict_json


def print_line(text: str = "") -> None:
    """Print one line on stdout; raises OSError, as print does."""
    print(harmless(text))


def print_block(text: str) -> None:
    """Print text whose line breaks are meant on stdout; raises OSError."""
    print(harmless_block(text))


def print_json(value: object) -> None:
    """Print a value as one line of JSON on stdout; raises OSError."""
    print(strict_json(value, default=str))


def print_error(text: str) -> None:
    """Print text whose line breaks are meant on stderr; raises OSError."""
    print(harmless_block(text), file=sys.stderr)


class Stream:
    """A text stream that goes quiet for good once its reader is gone."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file

    @property
    def closed(self) -> bool:
        """Whether nobody reads it any more."""
        return self._file is None

    def line(self, text: str) -> None:
        """Write one line at once."""
        self._write(harmless(text))

    def block(self, text: str) -> None:
        """Write text whose line breaks are meant at once."""
        self._write(harmless_block(text))

    def json(self, value: object) -> None:
        """Write a value as one line of JSON at once."""
        self._write(strict_json(value))

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except (OSError, ValueError):
            self._file = None


def output_stream() -> Stream:
    """What stdout is now, for a program that goes on when nobody reads it."""
    return Stream(sys.stdout)


def error_stream() -> Stream:
    """What stderr is now."""
    return Stream(sys.stderr)
