"""The only module that prints lines, as text or as JSON.

Layer: text, below everything that prints. Whatever a caller forgot to clean is cleaned here, so
that no value and no name in a file from elsewhere can steer the terminal. Nothing is cut.
`tests/test_ways_out.py` reads the source and finds any other place that prints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import IO

from tui_trainer.text.clean import harmless, harmless_block
from tui_trainer.text.strict_json import strict_json


def print_line(text: str = "") -> None:
    """Print one line on stdout; raises OSError, as print does."""
    print(harmless(text))


def print_block(text: str) -> None:
    """Print text with its line breaks on stdout; raises OSError."""
    print(harmless_block(text))


def print_json(value: object) -> None:
    """Print a value as one line of JSON on stdout; raises OSError."""
    print(strict_json(value, default=str))


def print_error(text: str) -> None:
    """Print text with its line breaks on stderr; raises OSError."""
    print(harmless_block(text), file=sys.stderr)


def ask(question: str) -> bool:
    """Ask a question on stderr; False without a terminal to answer on, or unless it is a yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{harmless(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


_COLOURS = {"muted": "2", "accent": "36", "success": "32", "warning": "33", "error": "31"}
"""Select Graphic Rendition (ECMA-48) by what the colour is for."""


class Stream:
    """A text stream that goes quiet for good once its reader is gone."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file

    @property
    def closed(self) -> bool:
        """Whether the stream has no reader any more."""
        return self._file is None

    @property
    def has_colours(self) -> bool:
        """Whether it is a terminal, and the user wants colours (no-color.org)."""
        try:
            is_terminal = self._file is not None and self._file.isatty()
        except ValueError:
            return False
        return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def can_write(self, text: str) -> bool:
        """Return whether its encoding has all characters of a text."""
        try:
            text.encode(getattr(self._file, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def line(self, text: str) -> None:
        """Write one line and flush it."""
        self._write(harmless(text))

    def coloured(self, parts: Iterable[tuple[str, str]]) -> None:
        """Write one line of texts, each with the role of its colour or an empty string."""
        shown = [(harmless(text), _COLOURS.get(role, "")) for text, role in parts]
        if not self.has_colours:
            shown = [(text, "") for text, _ in shown]
        self._write("".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for text, code in shown))

    def block(self, text: str) -> None:
        """Write text with its line breaks and flush it."""
        self._write(harmless_block(text))

    def json(self, value: object) -> None:
        """Write a value as one line of JSON and flush it."""
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
    """Return a stream to the current stdout, for a program that may outlive its reader."""
    return Stream(sys.stdout)


def error_stream() -> Stream:
    """Return a stream to the current stderr."""
    return Stream(sys.stderr)
