"""The `tokens` data set: files of token numbers, made by another program, for language modelling.

Layer: data. The files are mapped and never copied, so that they may be larger than the memory. One
file is cut in three, at places that the checkpoint keeps; in a folder each split is a file.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tui_trainer.config.sections.text_datasets import TokensSection
from tui_trainer.data.base.dataset import Dataset, DataSummary, check_same, identity, shares_text
from tui_trainer.data.base.fingerprint import fingerprint_of
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.files.disk import NoSuchData
from tui_trainer.data.files.token_files import TokenFile, open_token_file
from tui_trainer.data.sources.file_samples import Labelled
from tui_trainer.data.splits.division import rule_for
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.data.tokenizers.tokenizer import NumberTokenizer, Tokenizer
from tui_trainer.data.tokenizers.tokenizer_choice import read_tokenizer, tokenizer_of
from tui_trainer.data.tokenizers.tokenizer_file import FileTokenizer
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Signature
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError, Problem
from tui_trainer.text.format import counted, size_text

NAMES = {
    "train": ("train.bin",),
    "val": ("val.bin", "valid.bin", "validation.bin"),
    "test": ("test.bin",),
}
"""The names of the file of each split in a folder."""
_DECODED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The part of a file that is one split."""

    file: TokenFile | None
    start: int = 0
    end: int = 0

    def __len__(self) -> int:
        return self.end - self.start

    def cut(self, most: int | None) -> _Stretch:
        """Return at most so many of the tokens, the first."""
        if most is None or len(self) <= most:
            return self
        return _Stretch(self.file, self.start, self.start + most)


def load_tokens(
    section: TokensSection, fitted: dict[str, Any] | None, record: SplitRecord | None
) -> Dataset:
    """Map and split the files of a section; raises the same errors as `load`."""
    if record is not None:
        message = "a file of tokens is cut in three, and takes no split of another run"
        raise ConfigError([Problem(message, "dataset.split_from")])
    own_identity = identity(section.type, "language_modelling", (), {})
    name = clean(section.path, 200)
    if fitted is not None:
        check_same(own_identity, fitted, name)
    rule = rule_for(section, fitted)
    files = _files(section)
    parts, notes = _stretches(section, files, fitted)
    tokenizer, vocabulary_note = _tokenizer(section, files, fitted)
    for file in files.values():
        file.check_below(tokenizer.vocabulary)
    measured = (parts[0], parts[1].cut(section.val_tokens), parts[2].cut(section.test_tokens))
    train, val, test = (_split(section, tokenizer, part) for part in measured)
    val, test = (_with_bytes(split, tokenizer) for split in (val, test))
    if train.size < section.sequence_length:
        raise BadInput(
            f"{name}: the training split has {len(parts[0]):,} tokens, less than one row of "
            f"dataset.sequence_length {section.sequence_length}; make it smaller, or add tokens"
        )
    size = tokenizer.vocabulary
    signature = Signature("tokens", (section.sequence_length,), size, size, "step", causal=True)
    if fitted is None:
        ends = [part.end for part in parts] if len(files) == 1 else []
        saved = {**tokenizer.saved(), "is_of_tokens": True}
        fitted = {**own_identity, "split": rule, "tokenizer": saved, "ends": ends}
    return Dataset(
        train=train,
        val=val,
        test=test,
        info=DatasetInfo(signature, "language_modelling", ()),
        preprocessing=fitted,
        augment=None,
        fingerprint=fingerprint_of(section, _sum(files)),
        notes=(*notes, vocabulary_note, *_limit_notes(parts, measured)),
        split_summary="split by file" if len(files) > 1 else "split by the position in the file",
        summary=_summary(section, files, parts),
    )


def read_tokens_to_measure(
    section: TokensSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    """Map a file of tokens of its own, all of it, for a model of a run.

    Raises:
        BadInput: it cannot be read, or has tokens that the run does not know.
    """
    file = open_token_file(path, section.token_dtype)
    tokenizer = tokenizer_of(preprocessing.get("tokenizer"))
    file.check_below(tokenizer.vocabulary)
    if len(file.tokens) < 2:
        raise BadInput(f"{file.name}: one token, from which nothing can be predicted")
    split = _split(section, tokenizer, _Stretch(file, 0, len(file.tokens)))
    count = counted(len(file.tokens), "token")
    return Labelled(_with_bytes(split, tokenizer), file.name, count, ())


def _files(section: TokensSection) -> dict[str, TokenFile]:
    """Return the file of each split; a single one is called `all`."""
    dtype = section.token_dtype
    if not os.path.isdir(section.path):
        return {"all": open_token_file(section.path, dtype)}
    folder = Path(section.path)
    files = {}
    for split, names in NAMES.items():
        path = next((folder / name for name in names if (folder / name).exists()), None)
        if path is not None:
            files[split] = open_token_file(str(path), dtype)
    shown = clean(section.path, 200)
    if "train" not in files:
        raise NoSuchData(f"{shown}: there is no train.bin in this folder")
    if "val" not in files and section.val_fraction > 0:
        raise BadInput(
            f"{shown}: there is no val.bin beside train.bin; add it, name {shown}/train.bin, which "
            "is cut in three, or set dataset.val_fraction=0"
        )
    return files


def _stretches(
    section: TokensSection, files: Mapping[str, TokenFile], fitted: Mapping[str, Any] | None
) -> tuple[tuple[_Stretch, _Stretch, _Stretch], list[str]]:
    """Return the training, the validation and the test tokens, and notes."""
    if "all" not in files:
        found = [files.get(split) for split in NAMES]
        train, val, test = (
            _Stretch(file, 0, 0 if file is None else len(file.tokens)) for file in found
        )
        notes = [] if test.file else ["no test.bin in the folder, so there is no test"]
        return (train, val, test), notes
    file = files["all"]
    total = len(file.tokens)
    ends = _ends(section, total)
    if fitted is not None and fitted.get("ends"):
        # A run keeps its places: what was added at the end of the file since is left out.
        train_end, val_end, test_end = (int(end) for end in fitted["ends"])
        ends = train_end, val_end, test_end
        if not 0 <= train_end <= val_end <= test_end <= total:
            raise CheckpointUnusable(
                f"{file.name}: {total:,} tokens, and the run was trained on {ends[-1]:,}; restore "
                "the file, or train a new run"
            )
    parts = (
        _Stretch(file, 0, ends[0]),
        _Stretch(file, ends[0], ends[1]),
        _Stretch(file, ends[1], ends[2]),
    )
    wanted = (True, section.val_fraction > 0, section.test_fraction > 0)
    if any(len(part) < 2 for part, is_wanted in zip(parts, wanted, strict=True) if is_wanted):
        raise BadInput(
            f"{file.name}: {total:,} tokens are too few to be cut into a training, a validation "
            "and a test share"
        )
    last = "the test" if len(parts[2]) else "validation"
    return parts, [f"{file.name} is one file: its first part is for training, its last for {last}"]


def _ends(section: TokensSection, total: int) -> tuple[int, int, int]:
    """Return where the shares for training, validation and the test end."""
    test = math.ceil(total * section.test_fraction)
    val = round((total - test) * section.val_fraction)
    return total - test - val, total - test, total


def _tokenizer(
    section: TokensSection, files: Mapping[str, TokenFile], fitted: Mapping[str, Any] | None
) -> tuple[Tokenizer, str]:
    """Return what knows the tokens, and a note on how many there are."""
    if fitted is not None:
        known = tokenizer_of(fitted.get("tokenizer"))
        return known, f"a vocabulary of {known.vocabulary:,} tokens, as in the checkpoint"
    if section.tokenizer is not None:
        own = read_tokenizer(section.tokenizer).of_tokens()
        wider = own.with_vocabulary(section.vocabulary or own.vocabulary)
        return wider, f"a vocabulary of {wider.vocabulary:,} tokens (dataset.tokenizer)"
    if section.vocabulary is not None:
        size = section.vocabulary
        return NumberTokenizer(size), f"a vocabulary of {size:,} tokens (dataset.vocabulary)"
    size = max(2, 1 + max(file.largest for file in files.values()))
    return NumberTokenizer(size), (
        f"a vocabulary of {size:,} tokens, because the largest in the files is {size - 1:,}; "
        "dataset.vocabulary says otherwise"
    )


def _split(section: TokensSection, tokenizer: Tokenizer, part: _Stretch) -> TextSplit:
    width = section.sequence_length
    if part.file is None or len(part) < 2:
        return TextSplit(torch.zeros(1, dtype=torch.int32), (0,), (), width, "token", math.nan)
    tokens = part.file.tokens[part.start : part.end]
    return TextSplit(
        torch.from_numpy(tokens),
        # The last token has none after it, and is only predicted.
        (0, len(part) - 1),
        (0,),
        width,
        "token",
        math.nan,
        file=part.file,
    )


def _with_bytes(split: TextSplit, tokenizer: Tokenizer) -> TextSplit:
    """Return a split to measure on with the bytes per token, if the tokenizer is known."""
    if not (isinstance(tokenizer, FileTokenizer) and split.rows):
        return split
    tokens = split.data[1 : split.size]
    count = sum(
        tokenizer.count_bytes(tokens[start : start + _DECODED_AT_ONCE].tolist())
        for start in range(0, len(tokens), _DECODED_AT_ONCE)
    )
    return replace(split, bytes_per_token=count / max(len(tokens), 1) or math.nan)


def _limit_notes(parts: tuple[_Stretch, ...], measured: tuple[_Stretch, ...]) -> list[str]:
    subjects = (("validation", "val_tokens", 1), ("the test", "test_tokens", 2))
    return [
        f"{subject} uses {len(measured[place]):,} of the {len(parts[place]):,} tokens held out for "
        f"it (dataset.{key})"
        for subject, key, place in subjects
        if len(measured[place]) < len(parts[place])
    ]


def _sum(files: Mapping[str, TokenFile]) -> str:
    if "all" in files:
        return files["all"].sha256
    listed = " ".join(f"{split} {file.sha256}" for split, file in files.items())
    return hashlib.sha256(listed.encode()).hexdigest()


def _summary(
    section: TokensSection, files: Mapping[str, TokenFile], parts: tuple[_Stretch, ...]
) -> DataSummary:
    total = sum(len(file.tokens) for file in files.values())
    size = size_text(sum(file.tokens.nbytes for file in files.values()))
    where = f"{section.token_dtype} in {counted(len(files), 'file')}, {size}"
    train, val, test = map(len, parts)
    return DataSummary(
        contents=f"{total:,} tokens of {where}",
        target="the next token",
        inputs=f"tokens in pieces of {section.sequence_length}",
        split=shares_text((train, val, test)),
        sizes=(train, val, test),
    )
