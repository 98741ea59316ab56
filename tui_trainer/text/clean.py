"""Makes foreign text safe for terminals and names safe for file systems; suggests near misses.

Layer: text. Every string that we did not write ourselves (labels, file names, exception texts, run
names) goes through `clean` where it enters a message, and is never read as markup. What is printed
goes through `harmless`, and what the app paints goes through `masked`, whether it was cleaned
before or not. Their results are for display: they are not file names, and they cannot be turned
back.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator

# Controls, format characters, surrogates, private and unassigned ones, line separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_MOST_MARKS = 4
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}
)
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def clean(text: str, limit: int = 500, *, multiline: bool = False) -> str:
    """Return the text with controls, escapes and bidi marks visible, cut at `limit` characters.

    A line break is shown as `\\n` unless `multiline`. Emoji and every script stay as they are.
    Where marks are piled on one character, the fifth and later ones are shown as escapes too.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        # Nearly every text; the rest looks at each character.
        return text
    if multiline:
        text = text.replace("\r\n", "\n")
    shown: list[str] = []
    length = 0
    for char, is_shown in _visibility(text):
        shown.append(char if is_shown or (multiline and char == "\n") else _escape(char))
        length += len(shown[-1])
        if length > limit:
            return _cut(shown, limit)
    return "".join(shown)


def harmless(text: str) -> str:
    """Return the whole text on one line, with everything that could steer a terminal escaped.

    Tabs stay. This is for output, where `clean` has been or should have been: nothing is cut.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if is_shown or char == "\t" else _escape(char) for char, is_shown in _visibility(text)
    )


def harmless_block(text: str) -> str:
    """Like `harmless`, but keeps the line breaks."""
    return "\n".join(map(harmless, text.split("\n")))


def typed(text: str) -> str:
    """Return the text as it could have been typed: tabs become spaces, invisible characters go."""
    return "".join(char for char, is_shown in _visibility(text.replace("\t", " ")) if is_shown)


def masked(text: str) -> str:
    """Return the text with a replacement character for each one that `clean` would escape."""
    return "".join(char if is_shown else "\ufffd" for char, is_shown in _visibility(text))


def _visibility(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, and whether a terminal may receive it as it is."""
    marks = 0
    for index, char in enumerate(text):
        marks = marks + 1 if unicodedata.category(char) in _MARKS else 0
        joins = char in _JOINERS and _joins(text, index)
        yield char, joins or (marks <= _MOST_MARKS and _is_visible(char))


def _is_visible(char: str) -> bool:
    return char not in _FILLERS and unicodedata.category(char) not in _HIDDEN


def _joins(text: str, index: int) -> bool:
    """Whether a joiner is inside an emoji, or inside a word of a script that needs it."""
    around = text[index - 1 : index] + text[index + 1 : index + 2]
    return len(around) == 2 and not any(char.isascii() or not _is_visible(char) for char in around)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _cut(shown: list[str], limit: int) -> str:
    """Return the first whole characters and escapes that leave room for the ellipsis."""
    pieces = shown[:]
    length = sum(map(len, pieces))
    while pieces and length > limit - 1:
        length -= len(pieces.pop())
    # A joiner at the end would merge the ellipsis with the character before it.
    return "".join(pieces).rstrip("".join(_JOINERS)) + "…" if limit > 0 else ""


def slug(text: str, limit: int = 60) -> str:
    """Make a lower-case file name of [a-z0-9._-] from a text; never empty, hidden or a device."""
    folded = unicodedata.normalize("NFKD", text[:1000].casefold())
    plain = folded.encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain)
    name = re.sub(r"\.{2,}", ".", name).strip("-.")[:limit].strip("-.")
    if name.split(".")[0] in _DEVICES:
        name = f"run-{name}"[:limit].strip("-.")
    return name or "run"


def is_safe_name(name: str) -> bool:
    """Whether a name can be used as a path component, unchanged, on every system."""
    stem = name.split(".", maxsplit=1)[0].lower()
    return bool(_SAFE.fullmatch(name)) and stem not in _DEVICES and not name.endswith(".")


def suggest(word: str, options: Iterable[str]) -> str:
    """Return ` (did you mean 'adamw'?)` for the nearest option, or an empty string.

    Dotted keys are compared as a whole first, and then by their last part alone: `lr` and
    `optim.lr` both mean `optimizer.lr`.
    """
    by_lower = {option.lower(): option for option in options if option != word}
    lowered = word[:200].lower()
    matches = difflib.get_close_matches(lowered, by_lower, n=1, cutoff=0.6)
    if not matches:
        by_part = {option.rpartition(".")[2]: option for option in reversed(by_lower)}
        last_part = lowered.rpartition(".")[2]
        matches = [
            by_part[p] for p in difflib.get_close_matches(last_part, by_part, n=1, cutoff=0.7)
        ]
    return f" (did you mean '{clean(by_lower[matches[0]], 80)}'?)" if matches else ""
