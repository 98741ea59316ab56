"""Free text in a column of a table: tokens if it is the only input, else hashed counts of words.

Layer: data. Counts are hashed with a sign, as in Weinberger et al., "Feature Hashing for Large
Scale Multitask Learning" (ICML 2009), so that two words in one input cancel out on average. A word
that occurs n times counts 1 + log(n), and each text has the length 1 (Manning, Raghavan and
Schütze, "Introduction to Information Retrieval", 6.4.1 and 6.3.1).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.files.columns import TextColumn
from tui_trainer.data.sources.hashed_columns import check_buckets, hash_of
from tui_trainer.data.sources.source import Encoded
from tui_trainer.data.sources.text_folders import pad_texts
from tui_trainer.data.tokenizers.choice import BYTES, TokenizerChoice
from tui_trainer.data.tokenizers.rows import encode_rows, fit_rows
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

_MANY_WORDS = 6
"""Texts with at least so many words on average are free text; names of people have fewer."""
_LOOKED_AT = 1000

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
    return {"kind": "words", "buckets": buckets, "missing": bool(train.missing.any())}


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
    missing = int(column.missing.sum())
    if missing:
        notes.append(f"{clean(name, 80)}: {counted(missing, 'missing text')} as zeros")
    return by_text[column.codes], notes


def fit_text(train: TextColumn, most: int, choice: TokenizerChoice) -> dict[str, Any]:
    """Return the settings of a text that is the only input: its tokenizer, and the length of the
    longest text, of which at most `most` bytes are used; others are cut off after it.
    """
    contents = [_bytes_of(text) for text in train.texts]
    if choice.kind == "bytes":
        return {"kind": "text", "max_bytes": min(max(map(len, contents), default=1), most)}
    # As often as they are there, because the most frequent words have tokens.
    rows = [contents[code][:most] for code in train.codes[~train.missing].tolist()]
    return {"kind": "text", "max_bytes": most, **fit_rows(choice, rows)}


def encode_text(name: str, column: TextColumn, fitted: dict[str, Any]) -> Encoded:
    """Return the tokens (N, T) of all rows, their lengths, and notes.

    T is the same for all data. A missing text is a single zero, or the token before a text.
    """
    most, shown = int(fitted["max_bytes"]), clean(name, 80)
    contents = [_bytes_of(text) for text in column.texts]
    is_long = np.array([*(len(content) > most for content in contents), False])
    codes = np.where(column.missing, len(contents), column.codes)
    notes = []
    gap = "zero byte" if "tokenizer" not in fitted else "token, that before a text"
    cut, missing = int(is_long[codes].sum()), int(column.missing.sum())
    if cut:
        notes.append(f"{shown}: {cut:,} of {len(codes):,} texts cut off after {most:,} bytes")
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
