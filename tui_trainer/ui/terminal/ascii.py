"""Finds out which characters a terminal can show, and replaces the others by ASCII ones.

Layer: ui. It is needed before the first paint, so it does not import Textual. When Python runs in
UTF-8 mode, as it does with `LC_ALL=C`, the encoding of its streams says nothing about the terminal;
the locale does.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping

PLAIN_LETTERS = "plain-letters"
"""The `errors` handler that replaces characters an encoding lacks by similar ASCII ones."""
REPLACEMENTS = {
    **dict.fromkeys("●◆★•▪", "*"),
    **dict.fromkeys("→▸▶❯", ">"),
    **dict.fromkeys("━─╺╸", "-"),
    **dict.fromkeys("│┃▌▐█", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘", "+"),
    **{"×": "x", "·": "-", "…": ".", "▾": "v", "↵": "<"},
    **{"○": "o", "✓": "+", "✗": "x", "■": "#", "‖": "="},
    **dict.fromkeys("▁▂▃▄▅▆▇▔▀", " "),
    **{"←": "<", "↑": "^", "↓": "v", "≤": "<", "≥": ">", "🔎": " "},
}


def in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Error handler for `str.encode`: return ASCII replacements for what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(REPLACEMENTS.get(sign, "?") for sign in lacking), error.end


codecs.register_error(PLAIN_LETTERS, in_plain_letters)


def encoding_of(env: Mapping[str, str], encoding: str) -> str:
    """Return the encoding that the locale names, or `encoding` if it names none."""
    locale = next((env[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(key)), "")
    named = locale.partition(".")[2].partition("@")[0]
    named = named or ("ascii" if locale in ("C", "POSIX") else encoding)
    try:
        return codecs.lookup(named).name
    except LookupError:
        return encoding
