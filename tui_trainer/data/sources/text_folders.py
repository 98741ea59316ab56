"""The `text_folders` source: text files, whole or in passages; their folder is their class.

Layer: data. All passages of a file are in the same split, or the test split would contain texts
that were partly trained on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.text_datasets import TextFoldersSection
from tui_trainer.data.base.random import seeded
from tui_trainer.data.files.disk import open_file
from tui_trainer.data.files.folders import open_folder
from tui_trainer.data.files.texts import Text, Texts, read_folder
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.division import COPIES, Division, rule_for
from tui_trainer.data.splits.row_keys import text_keys
from tui_trainer.data.tokenizers.token_rows import encode_rows, fit_rows, pad_texts
from tui_trainer.data.tokenizers.tokenizer_choice import BYTES, TokenizerChoice, choose_tokenizer
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Ints = NDArray[np.int64]

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class PassageSource:
    """The passages of a folder; implements `Source`."""

    kind: ClassVar[Kind] = "tokens"

    name: str
    sha256: str
    passages: tuple[bytes, ...]
    noun: str
    """The noun for a sample: passage or file."""
    tokenizer: TokenizerChoice
    target: Target
    division: Division
    notes: tuple[str, ...]

    @property
    def rows(self) -> Ints:
        return np.arange(len(self.passages))

    @property
    def contents(self) -> str:
        return counted(len(self.passages), self.noun)

    @property
    def layout(self) -> dict[str, str]:
        return self.tokenizer.layout

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: Ints) -> dict[str, Any]:
        if self.tokenizer.kind == "bytes":
            return {}
        return fit_rows(self.tokenizer, [self.passages[row] for row in train.tolist()])

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        return _encoded(self.passages, fitted)

    def augment(self, fitted: dict[str, Any]) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Passage:
    content: bytes
    label: int
    file: int


def read_passages(
    section: TextFoldersSection, older: Mapping[str, Any] | None = None, *, whole: bool = False
) -> PassageSource:
    """Read the folder of a section.

    `older` is the preprocessing of a checkpoint. If the run has a record of its rows, all passages
    are read, and not as many as the settings allow: those of the run are among them. With `whole`
    every folder is a class and no passage is left out for balance, as for a folder that is only
    measured.

    Raises:
        BadInput: it cannot be read, or has fewer than two classes with enough files.
    """
    if whole:
        limits = ("max_passages_file", "max_passages_class")
        section = section.model_copy(update={"min_files": 1, **dict.fromkeys(limits, sys.maxsize)})
    folder = open_folder(section.path)
    texts = read_folder(folder, section.patterns, section.max_file_bytes)
    if older is not None and (older.get("split") or COPIES) != COPIES:
        section = section.model_copy(update={"min_files": 1, "max_passages_class": 2**62})
    classes, notes = _classes(section, texts, least=1 if whole else 2)
    passages, passage_notes = _passages(section, texts.texts, classes)
    notes += [*passage_notes, _counts_note(passages, classes, _noun(section))]
    tokenizer = choose_tokenizer(section, (older or {}).get("inputs", {}).get("tokenizer"))
    return PassageSource(
        texts.name,
        tokenizer.sum_with(texts.sha256),
        tuple(passage.content for passage in passages),
        _noun(section),
        tokenizer,
        Target(classes, np.array([passage.label for passage in passages], dtype=np.int64)),
        _division(section, texts.texts, passages, older),
        (*texts.notes, *notes),
    )


def _noun(section: TextFoldersSection) -> str:
    return section.samples.removesuffix("s")


def _division(
    section: TextFoldersSection,
    texts: Sequence[Text],
    passages: Sequence[_Passage],
    older: Mapping[str, Any] | None,
) -> Division:
    files = np.array([passage.file for passage in passages], dtype=np.int64)
    identities = text_keys(text.name for text in texts)[files]
    contents = text_keys(passage.content for passage in passages)
    return Division(rule_for(section, older), identities, contents, groups=files)


def _classes(
    section: TextFoldersSection, texts: Texts, least: int
) -> tuple[tuple[str, ...], list[str]]:
    """Return the folders with enough files, by name, and notes on the others.

    Raises:
        BadInput: they are fewer than `least`.
    """
    counts = Counter(text.name.partition("/")[0] for text in texts.texts if "/" in text.name)
    classes = tuple(sorted(name for name, count in counts.items() if count >= section.min_files))
    few = sorted(name for name in counts if name not in classes)
    beside = len(texts.texts) - sum(counts.values())
    notes = []
    if few:
        names = clean(", ".join(few[:_MOST_NAMED]), 200)
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        notes.append(
            f"{len(few)} folders with fewer than {section.min_files} files left out: {names}{more}"
        )
    if beside:
        notes.append(f"{beside} files outside of the folders left out")
    if not counts:
        raise BadInput(
            f"{texts.name}: there are texts but no folders; put the texts of each class into a "
            "folder of their own"
        )
    if len(classes) < least:
        lower = "lower dataset.min_files, or " if section.min_files > 1 else ""
        raise BadInput(
            f"{texts.name}: {len(classes)} of {len(counts)} folders have {section.min_files} "
            f"texts or more, but at least two classes are needed; {lower}check "
            "dataset.patterns and dataset.path" + "".join(f"; {note}" for note in texts.notes)
        )
    return classes, notes


def _passages(
    section: TextFoldersSection, texts: Sequence[Text], classes: Sequence[str]
) -> tuple[list[_Passage], list[str]]:
    """Return the passages of all classes, without duplicates, and notes."""
    by_class: list[list[_Passage]] = [[] for _ in classes]
    position = {name: index for index, name in enumerate(classes)}
    contents: set[bytes] = set()
    copies = 0
    for file, text in enumerate(texts):
        folder, between, _ = text.name.partition("/")
        if not between or folder not in position:
            continue
        label = position[folder]
        for content in _samples_of(text.content, section):
            if content in contents:
                copies += 1
                continue
            contents.add(content)
            by_class[label].append(_Passage(content, label, file))
    chosen = []
    for name, passages in zip(classes, by_class, strict=True):
        if not passages:
            raise BadInput(
                f"the class '{clean(name, 80)}' has only texts that are blank or also in another "
                "class; remove it"
            )
        is_limited = section.samples == "passages"
        chosen += _limit_class(section, position[name], passages) if is_limited else passages
    most, noun = section.max_passage_bytes, _noun(section)
    cut = sum(len(passage.content) > most for passage in chosen)
    notes = [f"{copies:,} duplicate {noun}s left out"] if copies else []
    if cut:
        behind = f"after dataset.max_passage_bytes {most:,}"
        notes.append(f"{cut:,} of {len(chosen):,} {noun}s cut off {behind}")
    return [replace(passage, content=passage.content[:most]) for passage in chosen], notes


def _encoded(passages: Sequence[bytes], fitted: Mapping[str, Any]) -> Encoded:
    if "tokenizer" in fitted:
        rows = encode_rows(fitted, passages)
        return Encoded(rows.inputs, rows.notes(), rows.lengths, vocabulary=rows.vocabulary)
    padded, lengths = pad_texts(passages)
    return Encoded(padded, (), lengths, vocabulary=BYTES.vocabulary)


def read_new_passages(
    section: TextFoldersSection, fitted: Mapping[str, Any] | None, path: str
) -> Unseen:
    """Read passages of a text file like those of training, which also are one whole.

    Raises:
        BadInput: it cannot be read, or is blank.
    """
    file = open_file(path)
    lines, contents, places = section.passage_lines, [], []
    all_lines = file.content[:].splitlines(keepends=True)
    if section.samples == "files" and not file.content[:].isspace() and len(file.content):
        return _unseen([file.content[: section.max_passage_bytes]], [""], fitted)
    for start in range(0, len(all_lines), lines):
        content = b"".join(all_lines[start : start + lines])
        if not content.isspace():
            contents.append(content[: section.max_passage_bytes])
            places.append(f"lines {start + 1}-{min(start + lines, len(all_lines))}")
    if not contents:
        raise BadInput(f"{file.name}: there is no text in it")
    return _unseen(contents, places, fitted)


def read_passages_to_measure(
    section: TextFoldersSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read the texts of a folder, whose folders are their classes.

    Raises:
        BadInput: it cannot be read, or has no classes.
    """
    # The tokenizer is that of the checkpoint; its file is not needed.
    moved = section.model_copy(update={"path": path, "tokenizer": "bytes"})
    return LabelledRows.of(read_passages(moved, whole=True), preprocessing)


def _unseen(
    contents: Sequence[bytes], places: Sequence[str], fitted: Mapping[str, Any] | None
) -> Unseen:
    encoded = _encoded(contents, fitted or {})
    notes = tuple(encoded.notes)
    return Unseen(encoded.inputs, tuple(places), notes, encoded.lengths, is_one=True)


def _samples_of(content: bytes, section: TextFoldersSection) -> list[bytes]:
    """Return the samples of a file: it as a whole unless it is blank, or some of its passages."""
    if section.samples == "files":
        return [] if content.isspace() else [content]
    return _spread_passages(_split(content, section.passage_lines), section)


def _split(content: bytes, lines: int) -> list[bytes]:
    """Cut a text into passages of `lines` lines, and drop blank ones.

    A last passage of fewer lines is dropped too, unless the file has no other.
    """
    all_lines = content.splitlines(keepends=True)
    used = len(all_lines) // lines * lines or len(all_lines)
    passages = [b"".join(all_lines[start : start + lines]) for start in range(0, used, lines)]
    return [passage for passage in passages if not passage.isspace()]


def _spread_passages(passages: list[bytes], section: TextFoldersSection) -> list[bytes]:
    """Return at most `max_passages_file` passages, spread evenly over the file."""
    count, most = len(passages), section.max_passages_file
    if count <= most:
        return passages
    return [passages[index * count // most] for index in range(most)]


def _limit_class(
    section: TextFoldersSection, label: int, passages: list[_Passage]
) -> list[_Passage]:
    """Return at most `max_passages_class` passages, taken from the files in turn, so that small
    files keep theirs.
    """
    if len(passages) <= section.max_passages_class:
        return passages
    generator = seeded("cpu", section.split_seed, "passages", label)
    order = torch.randperm(len(passages), generator=generator).tolist()
    turns: Counter[int] = Counter()
    ranked = []
    for rank, index in enumerate(order):
        file = passages[index].file
        ranked.append((turns[file], rank, index))
        turns[file] += 1
    chosen = sorted(index for _, _, index in sorted(ranked)[: section.max_passages_class])
    return [passages[index] for index in chosen]


def _counts_note(passages: Sequence[_Passage], classes: Sequence[str], noun: str) -> str:
    counts = Counter(passage.label for passage in passages)
    files = f" of {len({passage.file for passage in passages}):,} files" if noun != "file" else ""
    fewest, most = min(counts.values()), max(counts.values())
    each = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{len(passages):,} {noun}s{files} in {len(classes)} classes, {each} per class"
