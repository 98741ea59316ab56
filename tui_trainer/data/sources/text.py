"""The `text` data set: files predicted token by token, split by file; one file is cut in three.

Layer: data. A tokenizer learns from the training texts only; that of bytes has nothing to learn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tui_trainer.config.sections.datasets import BUILTIN, STDLIB
from tui_trainer.config.sections.text_datasets import TextSection
from tui_trainer.data.base.dataset import Dataset, DataSummary, check_same, identity, shares_text
from tui_trainer.data.base.fingerprint import fingerprint_of
from tui_trainer.data.base.random import seeded
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.files.folders import open_folder
from tui_trainer.data.files.texts import Text, Texts, in_bytes, read_file, read_folder
from tui_trainer.data.sources.file_samples import Labelled
from tui_trainer.data.sources.text_table import read_text_table
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.division import (
    Division,
    Rule,
    check_has_no_record,
    rule_for,
    summary_of,
)
from tui_trainer.data.splits.position import SplitRows
from tui_trainer.data.splits.record import RowChanges, SplitRecord
from tui_trainer.data.splits.row_keys import joined, text_keys
from tui_trainer.data.splits.row_split import (
    RowSplit,
    find_rows,
    new_split,
    position_split,
    split_like,
    split_of_run,
)
from tui_trainer.data.splits.strata import number_strata
from tui_trainer.data.tokenizers.token_rows import unknown_note
from tui_trainer.data.tokenizers.tokenizer import Tokenizer, count_unknown
from tui_trainer.data.tokenizers.tokenizer_choice import BYTES, choose_tokenizer, tokenizer_of
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

_LEAST_FILES = 3
_NEAR_BYTES = 1000
"""A file is cut at the end of a line if there is one within this distance."""


def load_text(
    section: TextSection, fitted: dict[str, Any] | None, record: SplitRecord | None
) -> Dataset:
    """Read and split the texts of a section; raises the same errors as `load`."""
    texts = read_texts(section)
    saved = None if fitted is None else fitted.get("tokenizer")
    choice = choose_tokenizer(section, saved)
    own_identity = identity(section.type, "language_modelling", (), choice.layout)
    if fitted is not None:
        check_same(own_identity, fitted, texts.name)
        if record is None:
            check_has_no_record(fitted)
    rule = rule_for(section, fitted)
    if len(texts.texts) == 1:
        texts, split = _cut_file(section, texts, rule, record)
    else:
        split = _split_files(section, texts, rule, fitted, record)
    parts = split.parts
    notes = [*texts.notes, _sizes_note(texts, parts)]
    train, val, test = (
        _texts_of(texts, rows.tolist()) for rows in (parts.train, parts.val, parts.test)
    )
    val, limit_notes = _limit_validation(section, val)
    tokenizer = (
        choice.fit(content for _, content in train) if fitted is None else tokenizer_of(saved)
    )
    splits = [
        _split(section, tokenizer, part, is_train=part is train) for part in (train, val, test)
    ]
    _check_length(section, texts.name, splits[0])
    size = tokenizer.vocabulary
    signature = Signature("tokens", (section.sequence_length,), size, size, "step", causal=True)
    if fitted is None:
        own = {} if choice.kind == "bytes" else {"tokenizer": tokenizer.saved()}
        fitted = {**own_identity, "split": rule, **own}
    return Dataset(
        train=splits[0],
        val=splits[1],
        test=splits[2],
        info=DatasetInfo(signature, "language_modelling", ()),
        preprocessing=fitted,
        augment=None,
        fingerprint=fingerprint_of(section, choice.sum_with(texts.sha256)),
        notes=(*notes, *limit_notes, *_tokenizer_notes(tokenizer, splits)),
        noun="text",
        split_record=split.record,
        changes=split.changes,
        split_summary=_split_summary(section, rule, split),
        summary=_summary(section, texts, parts, tokenizer),
    )


def _tokenizer_notes(tokenizer: Tokenizer, splits: Sequence[TextSplit]) -> list[str]:
    """Return notes on a tokenizer other than bytes, and on what it does not know."""
    if tokenizer is BYTES:
        return []
    train, *others = splits
    unit = f"{tokenizer.unit}s"
    notes = [
        f"a vocabulary of {tokenizer.vocabulary:,} {unit}; {train.bytes_per_token:.3g} bytes per "
        f"{tokenizer.unit} in the training texts (dataset.tokenizer)"
    ]
    names = ("training", "validation", "test")
    for name, split in zip(names, (train, *others), strict=True):
        unknown = count_unknown(tokenizer, split.data.numpy())
        if unknown:
            where = f" of the {name} split"
            notes.append(unknown_note(tokenizer.unit, unknown, split.size - len(split.rows), where))
    if len(notes) > 1:
        notes.append("bits per byte leave out which characters or words the unknown ones are")
    return notes


def _split_summary(section: TextSection, rule: Rule, split: RowSplit) -> str:
    if split.record is not None and split.record.extents:
        return "split by the position in the file"
    if section.column is not None:
        return "split by row, stratified by length"
    return summary_of(rule, section, stratified=True)


def _summary(
    section: TextSection, texts: Texts, parts: SplitRows, tokenizer: Tokenizer
) -> DataSummary:
    train, val, test = (
        sum(len(texts.texts[index].content) for index in rows)
        for rows in (parts.train, parts.val, parts.test)
    )
    return DataSummary(
        contents=f"{in_bytes(train + val + test)} of text",
        target=f"the next {tokenizer.unit}",
        inputs=f"texts in pieces of {section.sequence_length} {tokenizer.unit}s",
        split=shares_text((train, val, test)),
        sizes=(train, val, test),
    )


def read_texts(section: TextSection) -> Texts:
    """Read the file, the folder or the column of a section; raises BadInput if there is no text."""
    if section.column is not None:
        return read_text_table(section, section.column)
    is_file = section.path.startswith(BUILTIN) or os.path.isfile(section.path)
    if is_file and not section.path.startswith(STDLIB):
        return read_file(section.path, section.max_bytes)
    return read_folder(
        open_folder(section.path),
        section.patterns,
        section.max_file_bytes,
        section.max_bytes,
        section.split_seed,
    )


def read_texts_to_measure(
    section: TextSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    """Read texts to be predicted token by token, all of them; raises BadInput if there are none."""
    texts = read_texts(section.model_copy(update={"path": path}))
    contents = [text.content for text in texts.texts]
    tokenizer = tokenizer_of(preprocessing.get("tokenizer"))
    numbers = range(len(contents))
    split = TextSplit.encoded(tokenizer, contents, numbers, section.sequence_length)
    size = sum(map(len, contents))
    count = f"{counted(len(contents), texts.noun)}, {counted(size, 'byte')}"
    return Labelled(split, texts.name, count, texts.notes)


def _split_files(
    section: TextSection,
    texts: Texts,
    rule: Rule,
    fitted: Mapping[str, Any] | None,
    record: SplitRecord | None,
) -> RowSplit:
    """Split by file or row, stratified by size."""
    count = len(texts.texts)
    if count < _LEAST_FILES:
        raise BadInput(
            f"{texts.name}: {count} {texts.noun}s cannot be split into three; add {texts.noun}s, "
            "or join them into one file, which is cut into three shares"
        )
    names = text_keys(text.name for text in texts.texts)
    contents = joined(names, text_keys(text.content for text in texts.texts))
    if record is not None and not record.is_of_another_run:
        return split_of_run(record, names, contents)
    sizes = np.array([len(text.content) for text in texts.texts], dtype=np.float64)
    division = Division(rule, names, contents)
    if record is not None:
        return split_like(record, division, number_strata(sizes, record.cuts.edges))
    strata = number_strata(sizes)
    if fitted is not None:
        return RowSplit(position_split(section, division, strata))
    return new_split(section, division, strata)


def _cut_file(
    section: TextSection, texts: Texts, rule: Rule, record: SplitRecord | None
) -> tuple[Texts, RowSplit]:
    """Cut one file into three texts, at ends of lines if possible; the test is at its end.

    A run keeps its places: what was added at the end of the file since is left out.
    """
    if record is not None and record.is_of_another_run:
        message = "a single text is cut in three, and takes no split of another run"
        raise ConfigError([Problem(message, "dataset.split_from")])
    content = texts.texts[0].content
    ends = record.extents if record is not None and record.extents else _ends(section, content)
    shares = (content[: ends[0]], content[ends[0] : ends[1]], content[ends[1] : ends[2]])
    wanted = (True, section.val_fraction > 0, section.test_fraction > 0)
    if not all(share or not is_wanted for share, is_wanted in zip(shares, wanted, strict=True)):
        raise BadInput(
            f"{texts.name}: {len(content)} bytes are too few to be cut into a training, a "
            "validation and a test share"
        )
    three = tuple(Text(texts.texts[0].name, share) for share in shares)
    last = "the test" if shares[2] else "validation"
    note = f"{texts.name} is one file: its first part is for training, its last for {last}"
    if not any(shares[1:]):
        note = f"{texts.name} is one file, and all of it is for training"
    cut = Texts(texts.name, three, texts.sha256, (*texts.notes, note))
    train, val, test = (np.array([place] if shares[place] else [], int) for place in range(3))
    parts = SplitRows(train, val, test)
    keys = text_keys(shares)
    if record is not None:
        gone = int((find_rows(record.contents, keys) < 0).sum())
        changes = RowChanges(gone, int(len(content) > ends[2]), len(record.contents))
        return cut, RowSplit(parts, record, changes)
    sides = np.array([TRAIN, VAL, TEST], dtype=np.int8)
    made = SplitRecord(rule, section.split_seed, keys, keys, sides, extents=ends)
    return cut, RowSplit(parts, made)


def _ends(section: TextSection, content: bytes) -> tuple[int, int, int]:
    """Return where the shares for training, validation and the test end."""
    test = math.ceil(len(content) * section.test_fraction)
    val = round((len(content) - test) * section.val_fraction)
    train_end = _line_end(content, len(content) - test - val)
    val_end = _line_end(content, max(len(content) - test, train_end)) if val else train_end
    return train_end, val_end if test else len(content), len(content)


def _line_end(content: bytes, position: int) -> int:
    """Return the next end of a line if it is near and not the end of the text, else `position`."""
    line_end = content.find(b"\n", position, position + _NEAR_BYTES) + 1
    return line_end if 0 < line_end < len(content) else position


def _texts_of(texts: Texts, rows: Sequence[int]) -> list[tuple[int, bytes]]:
    """Return the texts of a split, with their numbers."""
    return [(index, texts.texts[index].content) for index in rows]


def _limit_validation(
    section: TextSection, val: list[tuple[int, bytes]]
) -> tuple[list[tuple[int, bytes]], list[str]]:
    """Draw at most `val_bytes` of the validation texts by the split's seed, and return a note.

    The last text drawn is cut to fit.
    """
    total = sum(len(content) for _, content in val)
    if section.val_bytes is None or total <= section.val_bytes:
        return val, []
    order = torch.randperm(len(val), generator=seeded("cpu", section.split_seed, "val_bytes"))
    remaining = section.val_bytes
    selected = []
    for index in order.tolist():
        number, content = val[index]
        if remaining > 0:
            selected.append((number, content[:remaining]))
            remaining -= len(content)
    note = (
        f"validation uses {in_bytes(section.val_bytes)} of the {in_bytes(total)} held out for it "
        "(dataset.val_bytes); the test uses all of its data"
    )
    return sorted(selected), [note]


def _check_length(section: TextSection, name: str, train: TextSplit) -> None:
    size = train.size - len(train.rows)
    if size < section.sequence_length:
        raise BadInput(
            f"{name}: the training split has {size} {train.unit}s, less than one row of "
            f"dataset.sequence_length {section.sequence_length}; make it smaller, or add text"
        )


def _split(
    section: TextSection,
    tokenizer: Tokenizer,
    texts: Sequence[tuple[int, bytes]],
    *,
    is_train: bool,
) -> TextSplit:
    contents, numbers = [content for _, content in texts], [number for number, _ in texts]
    width = section.sequence_length
    # Those to measure on are compressed for the baselines.
    return TextSplit.encoded(tokenizer, contents, numbers, width, keeps_texts=not is_train)


def _sizes_note(texts: Texts, parts: SplitRows) -> str:
    shares = []
    for name, rows in (
        ("to train on", parts.train),
        ("to validate", parts.val),
        ("to test", parts.test),
    ):
        size = sum(len(texts.texts[index].content) for index in rows)
        files = f" in {len(rows)} {texts.noun}s" if len(texts.texts) > 3 or len(rows) > 1 else ""
        shares.append(f"{in_bytes(size)}{files} {name}")
    return ", ".join(shares)
