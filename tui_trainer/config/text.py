"""Foreign text made harmless for a terminal, names made safe for a file system, and near misses.

Layer: config. Every string that we did not write ourselves (labels, file names, exception texts,
run names) passes `clean` before it reaches a terminal, and is never read as markup.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

# Format characters that lay out emoji and scripts; all others of their category can mislead.
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}
)
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def clean(text: str, limit: int = 500, *, multiline: bool = False) -> str:
    """The text with controls, escapes and bidi marks made visible, at most `limit` characters.

    A line break is shown as `\\n` unless `multiline`.
    """
    shown = "".join(_visible(char, multiline) for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: max(limit - 1, 0)] + "…"


def _visible(char: str, multiline: bool) -> str:
    if multiline and char == "\n":
        return char
    if char in _JOINERS or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def slug(text: str, limit: int = 60) -> str:
    """A lower-case file name of [a-z0-9._-] made from a text; never empty, hidden or a device."""
    plain = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain)
    name = re.sub(r"\.{2,}", ".", name).strip("-.")[:limit].strip("-.")
    if not name:
        return "run"
    return f"{name}-run" if name.split(".")[0] in _DEVICES else name


def is_safe_name(name: str) -> bool:
    """Whether a name can be one component of a path as it is, on every system."""
    stem = name.split(".", maxsplit=1)[0].lower()
    return bool(_SAFE.fullmatch(name)) and stem not in _DEVICES and not name.endswith(".")


def suggest(word: str, options: Iterable[str]) -> str:
    """` (did you mean 'adamw'?)` for the nearest option, or nothing."""
    by_lower = {option.lower(): option for option in options}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    if not found and "." not in word:
        parts = {option.rpartition(".")[2]: option for option in by_lower}
        found = [parts[p] for p in difflib.get_close_matches(word.lower(), parts, n=1, cutoff=0.7)]
    return f" (did you mean '{by_lower[found[0]]}'?)" if found else ""
