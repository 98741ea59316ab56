"""Writes words of a command line so that a shell reads back exactly these words.

Layer: text. The result is safe to show and to paste: no character in it is invisible.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from tui_trainer.text.clean import harmless


def shell_line(words: Iterable[str]) -> str:
    """Return the words as one line, each quoted if needed."""
    return " ".join(map(_quoted, words))


def program_line(*words: str) -> str:
    """Return a command line of this program, as messages suggest it."""
    return shell_line(("tui-trainer", *words))


def _quoted(word: str) -> str:
    if is_plain(word):
        return shlex.quote(word)
    # Quotes with escapes, as bash, zsh and POSIX.1-2024 read them.
    return "$'" + "".join(map(_escaped, word)) + "'"


def is_plain(text: str) -> bool:
    """Whether every character of a text is visible, so that it can be written as it is."""
    return "\t" not in text and harmless(text) == text


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isascii() and char.isprintable():
        return char
    # Octal, which always takes three digits: a hexadecimal escape would take following digits too.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))
