"""Texts that are a row each, as tokens: padded, and at most as long as in training.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.data.tokenizers.tokenizer import (
    Tokenizer,
    Tokens,
    count_unknown,
    dtype_for,
    start_of,
)
from tui_trainer.data.tokenizers.tokenizer_choice import TokenizerChoice, tokenizer_of


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The tokens of some texts."""

    inputs: Tensor
    """(N, T), zeros after the end of a text."""
    lengths: Tensor
    """(N,) int64, at least 1."""
    vocabulary: int
    is_cut: Tensor
    """(N,) bool: whether the end of a text is left out."""
    unknown: Tensor
    """(N,) int64: the tokens of each text that have none of their own."""
    unit: str

    def at(self, rows: Tensor) -> TokenRows:
        """Return the texts at these positions."""
        return replace(
            self,
            inputs=self.inputs[rows],
            lengths=self.lengths[rows],
            is_cut=self.is_cut[rows],
            unknown=self.unknown[rows],
        )

    def notes(self) -> list[str]:
        """Return notes on texts cut off and on unknown tokens."""
        cut, unknown = int(self.is_cut.sum()), int(self.unknown.sum())
        units = f"{self.unit}s"
        notes = []
        if cut:
            longest = f"{self.inputs.shape[1]:,} {units}, the most in training"
            notes.append(f"{cut:,} of {len(self.lengths):,} texts cut off after {longest}")
        if unknown:
            notes.append(unknown_note(self.unit, unknown, int(self.lengths.sum())))
        return notes


def unknown_note(unit: str, unknown: int, total: int, where: str = "") -> str:
    """Return a note on tokens that stand for something with none of its own."""
    setting = "" if unit == "token" else " (dataset.vocabulary)"
    return (
        f"{unknown:,} of {total:,} {unit}s{where} ({100 * unknown / max(total, 1):.2g} %) have no "
        f"token of their own and are read as unknown{setting}"
    )


def fit_rows(choice: TokenizerChoice, train: Sequence[bytes]) -> dict[str, Any]:
    """Return the tokenizer of the training texts and the tokens of the longest, as plain values."""
    tokenizer = choice.fit(train)
    return {"tokenizer": tokenizer.saved(), "max_tokens": longest_of(tokenizer, train)}


def longest_of(tokenizer: Tokenizer, contents: Sequence[bytes]) -> int:
    """Return the tokens of the longest text, at least 1."""
    return max((len(tokens) for tokens in tokenizer.encode(contents)), default=1) or 1


def encode_rows(fitted: Mapping[str, Any], contents: Sequence[bytes]) -> TokenRows:
    """Return the tokens of texts by what `fit_rows` returned.

    A text without a token becomes the one token that stands before a text.
    """
    tokenizer, most = tokenizer_of(fitted["tokenizer"]), int(fitted["max_tokens"])
    encoded = tokenizer.encode(contents)
    kept = [_one_at_least(tokens[:most], tokenizer) for tokens in encoded]
    padded = np.zeros((len(kept), most), dtype=dtype_for(tokenizer.vocabulary))
    for row, tokens in enumerate(kept):
        padded[row, : len(tokens)] = tokens
    return TokenRows(
        torch.from_numpy(padded),
        torch.tensor([len(tokens) for tokens in kept], dtype=torch.int64),
        tokenizer.vocabulary,
        torch.tensor([len(tokens) > most for tokens in encoded]),
        torch.tensor([count_unknown(tokenizer, tokens) for tokens in kept], dtype=torch.int64),
        tokenizer.unit,
    )


def _one_at_least(tokens: Tokens, tokenizer: Tokenizer) -> Tokens:
    return tokens if len(tokens) else np.array([start_of(tokenizer)], dtype=tokens.dtype)


def pad_texts(contents: Sequence[bytes]) -> tuple[Tensor, Tensor]:
    """Return the bytes of texts (N, T) uint8, zeros after their end, and lengths (N,) int64."""
    longest = max(map(len, contents))
    joined = bytearray(b"".join(content.ljust(longest, b"\0") for content in contents))
    lengths = torch.tensor([len(content) for content in contents])
    return torch.frombuffer(joined, dtype=torch.uint8).view(-1, longest), lengths
