"""Characters and words as tokens: the most frequent ones of the training texts.

Layer: data. Token 0 stands between texts and token 1 for all others. What occurs only once in
training counts as one of those, or a model would never learn what to do with them. Both kinds
give back every text whose characters or words have tokens: white space is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from tui_trainer.data.tokenizers.tokenizer import BETWEEN_TEXTS, Tokens, dtype_for, to_text

LEAST_COUNT = 2
"""Characters and words that occur less often in training have no token of their own."""
_OTHERS = ("", "")
"""The tokens that no text is written with: between texts, and unknown."""
_UNKNOWN = 1
_UNKNOWN_TEXT = "\ufffd"
_CODE_POINTS = 0x110000
_MARKS_END = 0x20000
"""Behind it there are no marks that combine with letters, but for variants of their shape."""

Kind = Literal["characters", "words"]


@dataclass(frozen=True, slots=True)
class LearnedTokenizer:
    """Characters or words; implements `Tokenizer`."""

    kind: Kind
    known: tuple[str, ...]
    """The characters or words with tokens of their own, from token 2 on, most frequent first."""
    _places: Mapping[str, int] = field(repr=False, compare=False)

    @property
    def unit(self) -> str:
        return "character" if self.kind == "characters" else "word"

    @property
    def vocabulary(self) -> int:
        return len(_OTHERS) + len(self.known)

    @property
    def start(self) -> int | None:
        return 0

    @property
    def unknown(self) -> int | None:
        return _UNKNOWN

    def encode(self, contents: Sequence[bytes]) -> list[Tokens]:
        dtype = dtype_for(self.vocabulary)
        if self.kind == "words":
            find = self._places.get
            return [
                np.array([find(word, _UNKNOWN) for word in split_words(content)], dtype=dtype)
                for content in contents
            ]
        table = np.full(_CODE_POINTS, _UNKNOWN, dtype=dtype)
        for text, place in self._places.items():
            table[ord(text)] = place
        return [table[code_points(content)] for content in contents]

    def decode(self, tokens: Sequence[int]) -> str:
        texts = [self._text_of(token) for token in tokens]
        if self.kind == "words":
            texts = _spaced(texts)
        # Bytes that were not UTF-8 become bytes again, and may make a character together.
        return "".join(texts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def _text_of(self, token: int) -> str:
        if token < len(_OTHERS):
            return _UNKNOWN_TEXT if token == _UNKNOWN else BETWEEN_TEXTS
        return self.known[token - len(_OTHERS)]

    def saved(self) -> dict[str, Any]:
        return {"type": self.kind, "known": list(self.known)}


def learned(kind: Kind, known: Sequence[str]) -> LearnedTokenizer:
    """Return the tokenizer of these characters or words, in the order of their tokens."""
    places = {text: place for place, text in enumerate(known, len(_OTHERS))}
    if kind == "words":
        # A word is found with the space that a word follows, too.
        places |= {f"{word} ": place for word, place in places.items() if _is_spaced(word)}
    return LearnedTokenizer(kind, tuple(known), places)


def learn(kind: Kind, contents: Iterable[bytes], limit: int) -> LearnedTokenizer:
    """Return the tokenizer of the characters or words that are most frequent in training texts.

    Those that are equally frequent are taken in the order of their code points.
    """
    counts = _count_words(contents) if kind == "words" else _count_characters(contents)
    frequent = [(-count, text) for text, count in counts.items() if count >= LEAST_COUNT]
    return learned(kind, [text for _, text in sorted(frequent)[:limit]])


def code_points(content: bytes) -> Tokens:
    """Return the code points of a text, (T,) uint32."""
    return np.frombuffer(to_text(content).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def split_words(content: bytes) -> list[str]:
    """Return the words of a text, and its signs and white space; joined they are the text.

    A word before a single space and another word ends with that space. A character of Chinese or
    Japanese is a word, because they have no spaces between words.
    """
    return _words().findall(to_text(content))


def _count_characters(contents: Iterable[bytes]) -> dict[str, int]:
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    for content in contents:
        points, times = np.unique(code_points(content), return_counts=True)
        counts[points] += times
    return {chr(point): int(counts[point]) for point in np.flatnonzero(counts).tolist()}


def _count_words(contents: Iterable[bytes]) -> dict[str, int]:
    pieces: Counter[str] = Counter()
    for content in contents:
        pieces.update(split_words(content))
    words: Counter[str] = Counter()
    for piece, count in pieces.items():
        is_followed = piece[-1] == " " and _is_spaced(piece[:-1])
        words[piece[:-1] if is_followed else piece] += count
    return words


# The parts of a text.


_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@lru_cache(maxsize=1)
def _word_pattern() -> str:
    """Return the regular expression of a word.

    Marks that combine with letters, as vowels of Hindi, are parts of words, unlike in `\\w`.
    """
    marks = "".join(
        chr(point)
        for point in range(0x300, _MARKS_END)
        if unicodedata.category(chr(point)).startswith("M")
    )
    return rf"(?:[^\W{_IDEOGRAPHS}]++|[{marks}\u200c\u200d]++)++"


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    word = _word_pattern()
    return re.compile(rf"{word}(?: (?={word}))?|\n|[^\S\n]+|.", re.DOTALL)


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(_word_pattern())


def _is_spaced(text: str) -> bool:
    """Whether a text is a word, with a space between it and the next one."""
    return _word().fullmatch(text) is not None


def _spaced(texts: Sequence[str]) -> list[str]:
    """Return texts with a space between two words that follow each other."""
    are_words = [text == _UNKNOWN_TEXT or _is_spaced(text) for text in texts]
    followed = [*are_words[1:], False]
    return [
        f"{text} " if is_word and followed[place] else text
        for place, (text, is_word) in enumerate(zip(texts, are_words, strict=True))
    ]
