"""Free text in columns of a table: its tokens, or counts of its words.

Layer: data. Counts are hashed with a sign, as in Weinberger et al., "Feature Hashing for Large
Scale Multitask Learning" (ICML 2009), so that two words in one input cancel out on average. A word
that occurs n times counts 1 + log(n), and each text has the length 1 (Manning, Raghavan and
Schütze, "Introduction to Information Retrieval", 6.4.1 and 6.3.1).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.files.columns import TextColumn
from tui_trainer.data.sources.hashed_columns import check_buckets, hash_of
from tui_trainer.data.sources.source import MOST_BYTES, Encoded
from tui_trainer.data.tokenizers.token_rows import encode_rows, longest_of, pad_texts
from tui_trainer.data.tokenizers.tokenizer import dtype_for, start_of
from tui_trainer.data.tokenizers.tokenizer_choice import BYTES, TokenizerChoice, tokenizer_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted, size_text

_MANY_WORDS = 6
"""Texts with at least so many words on average are free text; names of people have fewer."""
_LOOKED_AT = 1000
_LONGEST = "max_joined"
"""The setting of the first of several texts that says how long all of them are together."""

# A character of Chinese or Japanese is a word here: they have no spaces between words.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


def is_free_text(column: TextColumn) -> bool:
    """Whether the texts are long, and most rows have one of their own."""
    texts = column.texts[:_LOOKED_AT]
    if 2 * len(column.texts) <= int((~column.missing).sum()):
        return False
    return sum(len(_WORD.findall(text)) for text in texts) >= _MANY_WORDS * len(texts)


def fit_words(train: TextColumn, buckets: int) -> dict[str, Any]:
    """Return the settings of a column as counts of words; a gap has an input of its own."""
    return {"kind": "words", "buckets": buckets, "missing": train.gap_count > 0}


def encode_words(
    name: str, column: TextColumn, fitted: dict[str, Any]
) -> tuple[NDArray[np.float32], list[str]]:
    """Return the inputs (N, buckets), or one more for gaps: counts of the words of each row."""
    buckets = check_buckets(fitted["buckets"])
    places: dict[str, tuple[int, float]] = {}
    # The last row stands for a missing value, whose code is -1.
    by_text = np.zeros((len(column.texts) + 1, buckets + int(fitted["missing"])), dtype=np.float32)
    for row, text in enumerate(column.texts):
        for word, count in Counter(_WORD.findall(text.lower())).items():
            if word not in places:
                number = hash_of(word)
                places[word] = (number % buckets, 1.0 if number >> 63 else -1.0)
            place, sign = places[word]
            by_text[row, place] += sign * (1 + math.log(count))
    lengths = np.linalg.norm(by_text, axis=1, keepdims=True)
    by_text /= np.where(lengths == 0, 1, lengths)
    if fitted["missing"]:
        by_text[-1, -1] = 1.0
    notes = []
    missing = column.gap_count
    if missing:
        notes.append(f"{clean(name, 80)}: {counted(missing, 'missing text')} as zeros")
    return by_text[column.codes], notes


def fit_texts(
    train: Mapping[str, TextColumn], most: int, choice: TokenizerChoice, file: str
) -> dict[str, dict[str, Any]]:
    """Return the settings of columns that are read token by token.

    Each has the length of its longest text, of which at most `most` bytes are used; others are cut
    off after it. The first one keeps the tokenizer, which all have, and the tokens of the longest
    row.
    """
    fitted = _fit_each(train, most, choice)
    first = next(iter(fitted))
    if len(fitted) > 1:
        lengths = _joined(*_encode_each(train, fitted, file)).lengths
        assert lengths is not None, "texts have lengths"
        fitted[first][_LONGEST] = int(lengths.max())
    return fitted


def _fit_each(
    train: Mapping[str, TextColumn], most: int, choice: TokenizerChoice
) -> dict[str, dict[str, Any]]:
    contents = {name: [_bytes_of(text) for text in own.texts] for name, own in train.items()}
    if choice.kind == "bytes":
        longest = {name: max(map(len, own), default=1) for name, own in contents.items()}
        return {
            name: {"kind": "text", "max_bytes": min(length, most)}
            for name, length in longest.items()
        }
    # As often as they are there, because the most frequent words have tokens.
    rows = {
        name: [contents[name][code][:most] for code in own.codes[~own.missing].tolist()]
        for name, own in train.items()
    }
    tokenizer = choice.fit([content for own in rows.values() for content in own])
    fitted: dict[str, dict[str, Any]] = {}
    for name, own in rows.items():
        saved = {} if fitted else {"tokenizer": tokenizer.saved()}
        sizes = {"max_bytes": most, "max_tokens": longest_of(tokenizer, own)}
        fitted[name] = {"kind": "text", **saved, **sizes}
    return fitted


def encode_texts(
    columns: Mapping[str, TextColumn], fitted: Mapping[str, dict[str, Any]], file: str
) -> Encoded:
    """Return the tokens (N, T) of all rows, their lengths, and notes.

    T is the same for all data. Several texts of a row follow each other in the order of `fitted`,
    with the token between them that stands before a text.

    Raises:
        BadInput: they take too much memory.
    """
    parts, start = _encode_each(columns, fitted, file)
    if len(parts) == 1:
        return parts[0]
    whole = _joined(parts, start)
    assert whole.lengths is not None, "texts have lengths"
    most = int(next(iter(fitted.values()))[_LONGEST])
    notes = [*whole.notes]
    if cut := int((whole.lengths > most).sum()):
        notes.append(
            f"{counted(cut, 'row')} of texts cut off after {most:,} tokens, the most in training"
        )
    inputs, lengths = whole.inputs[:, :most], whole.lengths.clamp(max=most)
    return replace(whole, inputs=inputs, lengths=lengths, notes=notes)


def _encode_each(
    columns: Mapping[str, TextColumn], fitted: Mapping[str, dict[str, Any]], file: str
) -> tuple[list[Encoded], int]:
    """Return the tokens of each column, and the token that stands before a text."""
    saved = next((own["tokenizer"] for own in fitted.values() if "tokenizer" in own), None)
    tokenizer = tokenizer_of(saved)
    longest = {
        name: int(own["max_bytes" if saved is None else "max_tokens"])
        for name, own in fitted.items()
    }
    rows = len(next(iter(columns.values())).codes)
    total = rows * (sum(longest.values()) + len(longest) - 1)
    size = total * np.dtype(dtype_for(tokenizer.vocabulary)).itemsize
    if size > MOST_BYTES:
        name = max(longest, key=longest.__getitem__)
        raise BadInput(
            f"{file}: {rows:,} rows of texts take {size_text(size)}; the longest has "
            f"{longest[name]:,} {tokenizer.unit}s, in the column '{clean(name, 80)}': lower "
            "dataset.max_text_bytes, or add it to dataset.drop"
        )
    shared = {} if saved is None else {"tokenizer": saved}
    parts = [encode_text(name, columns[name], {**own, **shared}) for name, own in fitted.items()]
    return parts, start_of(tokenizer)


def _joined(parts: Sequence[Encoded], start: int) -> Encoded:
    """Return texts that follow each other, with a token between them."""
    rows = len(parts[0].inputs)
    width = sum(part.inputs.shape[1] + 1 for part in parts) - 1
    inputs = torch.zeros((rows, width), dtype=parts[0].inputs.dtype)
    ends = torch.zeros(rows, dtype=torch.int64)
    for place, part in enumerate(parts):
        assert part.lengths is not None, "texts have lengths"
        if place:
            inputs[torch.arange(rows), ends] = start
            ends += 1
        steps = torch.arange(part.inputs.shape[1])
        row, step = (steps < part.lengths[:, None]).nonzero(as_tuple=True)
        inputs[row, ends[row] + step] = part.inputs[row, step]
        ends += part.lengths
    notes = [note for part in parts for note in part.notes]
    return Encoded(inputs, notes, ends, vocabulary=parts[0].vocabulary)


def encode_text(name: str, column: TextColumn, fitted: dict[str, Any]) -> Encoded:
    """Return the tokens (N, T) of all rows, their lengths, and notes.

    T is the same for all data. A missing text is a single zero, or the token before a text.
    """
    most, shown = int(fitted["max_bytes"]), clean(name, 80)
    contents = [_bytes_of(text) for text in column.texts]
    is_long = np.array([*(len(content) > most for content in contents), False])
    codes = np.where(column.missing, len(contents), column.codes)
    notes = []
    gap = "zero byte" if "tokenizer" not in fitted else "token, the one before each text"
    cut, missing = int(is_long[codes].sum()), column.gap_count
    if cut:
        notes.append(
            f"{shown}: {cut:,} of {len(codes):,} texts cut off after {most:,} bytes, the most in "
            "training (dataset.max_text_bytes)"
        )
    if missing:
        notes.append(f"{shown}: {counted(missing, 'missing text')} as a single {gap}")
    short = [content[:most] for content in contents]
    if "tokenizer" in fitted:
        rows = encode_rows(fitted, [*short, b""]).at(torch.from_numpy(codes))
        notes += [f"{shown}: {note}" for note in rows.notes()]
        return Encoded(rows.inputs, notes, rows.lengths, vocabulary=rows.vocabulary)
    # The one before the last stands for a missing text; the last one only makes T.
    padded, lengths = pad_texts([*short, b"\0", bytes(most)])
    return Encoded(padded[codes], notes, lengths[codes], vocabulary=BYTES.vocabulary)


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
