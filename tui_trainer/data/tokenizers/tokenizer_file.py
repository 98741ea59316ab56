"""Tokenizers from the JSON files that the package `tokenizers` writes, as `tokenizer.json`.

Layer: data. The package is imported only here and only when such a file is used. The whole file is
kept in a checkpoint, so that the run needs it no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from tui_trainer.data.tokenizers.tokenizer import BETWEEN_TEXTS, Tokens, dtype_for
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

MOST_FILE_BYTES = 64 << 20
_AT_ONCE_BYTES = 1 << 20
"""A longer text is encoded in parts, because each token takes some hundred bytes meanwhile."""
_STARTS = (
    *("<|endoftext|>", "<|begin_of_text|>", "<|startoftext|>", "<s>", "<bos>", "[BOS]"),
    *("[CLS]", "</s>", "<eos>", "[EOS]"),
)
"""Tokens that stand between texts, by usual names; the first that a file has is taken."""


@dataclass(frozen=True, slots=True)
class FileTokenizer:
    """A tokenizer made elsewhere; implements `Tokenizer`."""

    unit: ClassVar[str] = "token"

    content: str = field(repr=False)
    """The JSON file."""
    vocabulary: int
    start: int | None
    unknown: int | None
    _tokenizer: Any = field(repr=False, compare=False)

    def encode(self, contents: Sequence[bytes]) -> list[Tokens]:
        dtype = dtype_for(self.vocabulary)
        return [
            np.concatenate([np.empty(0, dtype), *(self._encoded(part) for part in _parts(content))])
            for content in contents
        ]

    def _encoded(self, part: bytes) -> Tokens:
        text = part.decode("utf-8", "replace")
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return np.array(ids, dtype=dtype_for(self.vocabulary))

    def decode(self, tokens: Sequence[int]) -> str:
        texts: list[list[int]] = [[]]
        known = self._tokenizer.get_vocab_size(with_added_tokens=True)
        for token in tokens:
            # A start that is none of the file's own cannot be decoded by it.
            if token == self.start and token >= known:
                texts.append([])
            else:
                texts[-1].append(token)
        decode = self._tokenizer.decode
        return BETWEEN_TEXTS.join(decode(part, skip_special_tokens=False) for part in texts)

    def count_bytes(self, tokens: Sequence[int]) -> int:
        """Return the bytes of the text that tokens stand for; special tokens stand for none."""
        return len(self._tokenizer.decode(tokens, skip_special_tokens=True).encode())

    def saved(self) -> dict[str, Any]:
        return {"type": "file", "json": self.content, "vocabulary": self.vocabulary}

    def of_tokens(self) -> FileTokenizer:
        """Return the tokenizer for files that are tokens already, so that it adds none."""
        known = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        start = self.start if self.start is not None and self.start < known else None
        return replace(self, vocabulary=known, start=start)

    def with_vocabulary(self, size: int) -> FileTokenizer:
        """Return the tokenizer with more tokens than its file has, or fewer."""
        return replace(self, vocabulary=size)


def tokenizer_of_json(content: str, name: str) -> FileTokenizer:
    """Return the tokenizer of a JSON file; `name` is for messages.

    Raises:
        BadInput: the package is missing, or the file is no tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BadInput(
            f"{name}: a tokenizer file needs the package tokenizers, which cannot be imported "
            f"({clean(str(error), 120)}); install it: pip install 'tui-trainer[text]'"
        ) from error
    try:
        tokenizer = Tokenizer.from_str(content)
        model = json.loads(content)["model"]
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    except Exception as error:
        # The package raises nothing more special.
        raise BadInput(
            f"{name}: is not a tokenizer of the package tokenizers ({clean(str(error), 120)}); "
            "name a tokenizer.json, or bytes, characters or words"
        ) from error
    if not vocabulary:
        raise BadInput(f"{name}: the tokenizer has no tokens; train it first")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = max(vocabulary.values()) + 1
    start = next((vocabulary[text] for text in _STARTS if text in vocabulary), size)
    unknown = vocabulary.get(model.get("unk_token"), model.get("unk_id"))
    return FileTokenizer(content, max(size, start + 1), start, unknown, tokenizer)


def _parts(content: bytes) -> Iterator[bytes]:
    """Yield a text in parts that end with a line, as long as there is one."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start + _AT_ONCE_BYTES) + 1 or len(content)
        yield content[start:end]
        start = end
