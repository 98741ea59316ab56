"""`NumberTokenizer`: stands in for the tokenizer of a token file, if that is not known.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tui_trainer.data.tokenizers.tokenizer import Tokens, dtype_for
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


@dataclass(frozen=True, slots=True)
class NumberTokenizer:
    """Tokens as numbers with spaces between them; implements `Tokenizer`."""

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
