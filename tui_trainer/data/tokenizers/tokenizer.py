"""`Tokenizer`: writes texts as numbers, and numbers as text; and the two simplest of them.

Layer: data. A tokenizer is kept in a checkpoint as plain values, `saved`, and made from them again,
so that a run reads new texts as it read its own, without any other file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

Tokens = NDArray[Any]
"""(T,) integers, in the smallest of the types that `dtype_for` returns."""

BETWEEN_TEXTS = "\0"
"""Stands in a decoded text for the token between two texts."""


class Tokenizer(Protocol):
    """Encodes texts and decodes tokens."""

    @property
    def unit(self) -> str:
        """The noun for a token: byte, character, word or token."""
        ...

    @property
    def vocabulary(self) -> int:
        """Tokens are below this."""
        ...

    @property
    def start(self) -> int | None:
        """The token that stands before each text, from which its first token is predicted.

        Only a tokenizer of token files may have none.
        """
        ...

    @property
    def unknown(self) -> int | None:
        """The token for what has none of its own; None if there is no such."""
        ...

    def encode(self, contents: Sequence[bytes]) -> list[Tokens]:
        """Return the tokens of each text."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of some tokens; what is not UTF-8 becomes U+FFFD."""
        ...

    def saved(self) -> dict[str, Any]:
        """Return plain values from which the tokenizer can be made again."""
        ...


def dtype_for(vocabulary: int) -> Any:
    """Return the smallest integer type that torch computes with and that holds all tokens."""
    if vocabulary <= 1 << 8:
        return np.uint8
    return np.int16 if vocabulary <= 1 << 15 else np.int32


@dataclass(frozen=True, slots=True)
class ByteTokenizer:
    """Bytes; implements `Tokenizer`. NUL is in no text, and stands before each."""

    unit: ClassVar[str] = "byte"
    vocabulary: ClassVar[int] = 256
    start: ClassVar[int | None] = 0
    unknown: ClassVar[int | None] = None

    def encode(self, contents: Sequence[bytes]) -> list[Tokens]:
        return [np.frombuffer(content, dtype=np.uint8) for content in contents]

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode("utf-8", "replace")

    def saved(self) -> dict[str, Any]:
        return {"type": "bytes"}


def to_text(content: bytes) -> str:
    """Return a text; a byte that is not UTF-8 becomes a lone surrogate, as in a file name."""
    return content.decode("utf-8", "surrogateescape")


def start_of(tokenizer: Tokenizer) -> int:
    """Return the token that stands before each text, of a tokenizer that has one."""
    assert tokenizer.start is not None, "only tokenizers of token files have none"
    return tokenizer.start


def count_unknown(tokenizer: Tokenizer, tokens: Tokens) -> int:
    """Return how many tokens stand for something that has none of its own."""
    return 0 if tokenizer.unknown is None else int(np.count_nonzero(tokens == tokenizer.unknown))


def continuation(tokenizer: Tokenizer, prompt: Sequence[int], following: Sequence[int]) -> str:
    """Return the text of tokens that follow a prompt.

    A space between two words, or half of a character, may be in neither of the two alone.
    """
    if tokenizer.unit == "byte":
        return tokenizer.decode(following)
    before, whole = tokenizer.decode(prompt), tokenizer.decode([*prompt, *following])
    if whole.startswith(before):
        return whole[len(before) :]
    return tokenizer.decode(following)


@dataclass(frozen=True, slots=True)
class NumberTokenizer:
    """Tokens as numbers with spaces between them; implements `Tokenizer`.

    It stands in for the tokenizer of a token file, if that is not known.
    """

    unit: ClassVar[str] = "token"
    start: ClassVar[int | None] = None
    unknown: ClassVar[int | None] = None

    vocabulary: int

    def encode(self, contents: Sequence[bytes]) -> list[Tokens]:
        return [self._numbers(content) for content in contents]

    def _numbers(self, content: bytes) -> Tokens:
        words = content.decode("utf-8", "replace").split()
        for word in words:
            if not (word.isascii() and word.isdigit() and int(word[:20]) < self.vocabulary):
                raise BadInput(
                    f"{clean(word, 40)} is not a token from 0 to {self.vocabulary - 1}; the run "
                    "was trained on token numbers, so write the prompt as such numbers, like "
                    "'12 7'; a run with dataset.tokenizer takes texts"
                )
        return np.array([int(word) for word in words], dtype=dtype_for(self.vocabulary))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(f" {token}" for token in tokens)

    def saved(self) -> dict[str, Any]:
        return {"type": "numbers", "vocabulary": self.vocabulary}
