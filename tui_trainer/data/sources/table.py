"""The `table` source: a CSV table with a header; numbers standardised, categories one-hot.

Layer: data. Means, deviations and categories come from the training rows only. A category found
only in other rows is encoded as all zeros, and counted in the notes. The other kinds of columns
are in `column_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.base.augment import augment_numbers
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.files.columns import Column, RequestedKind, Table
from tui_trainer.data.files.csv import no_column
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import NewRequests
from tui_trainer.data.files.tables import OpenTable, open_table, with_normal_names, without_index
from tui_trainer.data.sources.column_inputs import column_notes, encode_all, fit_all, width_of
from tui_trainer.data.sources.column_kinds import (
    LEFT_OUT,
    kinds_setting,
    read_kinds,
    requested_kinds,
)
from tui_trainer.data.sources.column_marks import read_marked_table
from tui_trainer.data.sources.row_groups import divide_table
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.sources.table_targets import read_targets
from tui_trainer.data.splits.division import Division
from tui_trainer.data.tokenizers.tokenizer_choice import BYTES, TokenizerChoice, choose_tokenizer
from tui_trainer.problems.signature import NUMBERS, Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

Rows = NDArray[np.int64]
GAPS = {"NA", "na", "Na"}
"""Names of classes that stand for a missing value elsewhere."""


@dataclass(frozen=True, slots=True)
class TableSource:
    """The rows of a table that are kept; implements `Source`."""

    noun: ClassVar[str] = "row"

    section: TableSection
    name: str
    sha256: str
    columns: dict[str, Column]
    kinds: dict[str, str]
    """Of the columns, and of those left out."""
    target: Target
    rows: Rows
    notes: tuple[str, ...]
    division: Division
    contents: str
    tokenizer: TokenizerChoice
    """Reads the texts among the inputs."""

    @property
    def kind(self) -> Kind:
        return "tokens" if "text" in self.kinds.values() else "features"

    @property
    def layout(self) -> dict[str, str]:
        kinds = {f"column {name}": kind for name, kind in self.kinds.items()}
        return {"target": ", ".join(self.section.targets), **kinds, **self.tokenizer.layout}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: Rows) -> dict[str, Any]:
        columns = {name: column.take(train) for name, column in self.columns.items()}
        return fit_all(columns, self.kinds, self.section, self.name, self.tokenizer)

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        encoded = encode_all(self.columns, fitted, self.name)
        notes = [
            note
            for name, settings in fitted.items()
            if name not in self.section.kinds
            for note in column_notes(name, self.columns[name], settings)
        ]
        return replace(encoded, notes=[*encoded.notes, *notes])

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        numbers = self._numbers(fitted)
        if not numbers:
            return None
        field = NUMBERS if self.kind == "tokens" else "input"
        return augment_numbers(self.section, numbers, self._mixed_classes, field)

    @property
    def _mixed_classes(self) -> int:
        """The number of classes whose shares are mixed; labels are mixed as they are."""
        return len(self.target.classes) if self.target.problem == "classification" else 0

    def _numbers(self, fitted: dict[str, Any]) -> tuple[bool, ...]:
        """Return which of the inputs are numbers, rather than part of a category; texts have no
        such inputs.
        """
        are_numbers: list[bool] = []
        for settings in fitted.values():
            are_numbers += [settings["kind"] == "number"] * width_of(settings)
        return tuple(are_numbers)


def read_rows(
    section: TableSection, wanted: str, older: Mapping[str, Any] | None = None
) -> TableSource:
    """Read the file of a section, for a problem or `auto`.

    `older` is the preprocessing of a checkpoint: what a version before 0.2 read otherwise is read
    as it was.

    Raises:
        BadInput: names the line, column or setting that is wrong.
    """
    opened = open_table(section, older=older)
    file, header = opened.file, opened.header
    section = with_normal_names(section, opened)
    if opened.split:
        section = section.model_copy(update={"split": opened.split})
    _check_settings(section, file, header)
    kinds = _requested_kinds(section, wanted, header, (older or {}).get("layout", {}))
    # Versions before 0.2 took NA for a gap always.
    classes = "" if older and not GAPS & {*older["classes"]} else section.targets[0]
    marks = section.missing_values_by_column
    new = _requests_when_new(section, wanted, header) if older else None
    table = read_marked_table(file, header, kinds, marks, classes=classes, new=new)
    table, index_notes = without_index(table, opened, section.targets)
    table, input_kinds, kind_notes = read_kinds(section, file.name, header, table, older)
    tokenizer = _tokenizer(section, input_kinds, older)
    kept_rows, notes = select_rows(section, file, table)
    target, said = read_targets(section, wanted, file.name, table, kept_rows)
    division, columns, split_notes = divide_table(
        section, table, kept_rows, input_kinds, older, file.name
    )
    from_file = (*opened.notes, *table.notes, *index_notes, *kind_notes)
    return TableSource(
        section,
        file.name,
        tokenizer.sum_with(file.sha256),
        columns,
        input_kinds,
        target,
        kept_rows,
        (*said, *from_file, *notes, *split_notes),
        division,
        _contents(opened, table),
        tokenizer,
    )


def _tokenizer(
    section: TableSection, kinds: Mapping[str, str], older: Mapping[str, Any] | None
) -> TokenizerChoice:
    """Return the tokenizer of the texts among the inputs; without one it is of no use.

    Raises:
        ConfigError: a setting asks for changes that a text cannot have.
    """
    texts = [name for name, kind in kinds.items() if kind == "text"]
    if not texts:
        return TokenizerChoice("bytes", 0, BYTES)
    _check_changes(section, texts, has_numbers={*kinds.values()} - {"text", LEFT_OUT} != set())
    columns = (older or {}).get("inputs", {}).values()
    saved = next((fitted["tokenizer"] for fitted in columns if "tokenizer" in fitted), None)
    return choose_tokenizer(section, saved)


def _contents(opened: OpenTable, table: Table) -> str:
    """Return the size of a table, how it is written, and how much of it is missing."""
    parts = [counted(len(table.lines), "row"), counted(len(opened.header), "column")]
    if opened.file.style.separator != ",":
        parts.append(f"separator {opened.file.style.separator!r}")
    missing = float(np.mean([column.missing.mean() for column in table.columns.values()]))
    if missing:
        share = max(100 * missing, 0.1)
        parts.append(f"{share:.{0 if share >= 10 else 1}f} % of the cells empty")
    return ", ".join(parts)


def _check_settings(section: TableSection, file: DataFile, header: Sequence[str]) -> None:
    """Raise ConfigError with every setting that does not fit the header."""
    named_columns = [("target", name) for name in section.targets]
    named_columns += [("categorical", name) for name in section.categorical]
    named_columns += [("drop", name) for name in section.drop]
    named_columns += [("kinds", name) for name in section.kinds]
    by_column = "missing_values_by_column"
    named_columns += [(by_column, name) for name in section.missing_values_by_column]
    special = {key: getattr(section, key) for key in ("group", "split", "time")}
    named_columns += [(key, name) for key, name in special.items() if name is not None]
    problems = [
        Problem(no_column(name, file, header), f"dataset.{key}")
        for key, name in named_columns
        if name not in header
    ]
    problems += [
        Problem(f"'{clean(name, 80)}' is named twice", "dataset.target")
        for name in dict.fromkeys(section.targets)
        if section.targets.count(name) > 1
    ]
    if {*section.targets} & {*section.drop}:
        problems.append(Problem("the target cannot be dropped", "dataset.drop"))
    special_names = {name for name in special.values() if name is not None}
    for name in section.kinds:
        if name in {*section.targets, *section.drop, *section.categorical, *special_names}:
            message = (
                f"'{clean(name, 80)}' is in dataset.categorical too; state its kind in one of them"
                if name in section.categorical
                else f"'{clean(name, 80)}' is not an input; leave it out of dataset.kinds"
            )
            problems.append(Problem(message, "dataset.kinds"))
    for key, name in special.items():
        if name in section.targets:
            problems.append(Problem("is the target; name another column", f"dataset.{key}"))
    if section.label_separator is not None and len(section.targets) > 1:
        problems.append(
            Problem("is for one column; name one in dataset.target", "dataset.label_separator")
        )
    if not problems and not {*header} - {*section.targets, *section.drop, *special.values()}:
        problems.append(Problem(f"{file.name} has no column left to predict from", "dataset.drop"))
    if problems:
        raise ConfigError(problems)


def _check_changes(section: TableSection, texts: Sequence[str], *, has_numbers: bool) -> None:
    """Raise ConfigError for changes of numbers that texts cannot have."""
    words = kinds_setting(dict.fromkeys(texts, "words"))
    where = "an input" if has_numbers else "the only input"
    message = f"is for numbers, and {where} is a text; {words} makes numbers of it"
    # Noise can be added to the numbers beside a text, but two texts cannot be mixed.
    keys = ("mixup",) if has_numbers else ("noise", "mixup")
    problems = [Problem(message, f"dataset.{key}") for key in keys if getattr(section, key)]
    if problems:
        raise ConfigError(problems)


def _requested_kinds(
    section: TableSection, wanted: str, header: Sequence[str], older: Mapping[str, Any]
) -> dict[str, RequestedKind]:
    # More texts mean a gap among numbers than in older versions, whose columns stay what they are.
    kinds = requested_kinds(section, header, older)
    for column in (section.group, section.split):
        if column is not None:
            kinds[column] = "category"
    if section.time is not None:
        kinds[section.time] = "auto_rounded"
    for name in section.targets:
        if wanted == "classification" or section.label_separator is not None:
            kinds[name] = "category"
        elif wanted != "auto" or len(section.targets) > 1:
            kinds[name] = "number"
        elif name not in section.categorical:
            kinds[name] = "auto_target"
    return kinds


def _requests_when_new(section: TableSection, wanted: str, header: Sequence[str]) -> NewRequests:
    ways = [_requested_kinds(section, then, header, {}) for then in {wanted, "auto"}]
    return NewRequests(ways, section.targets[0])


def select_rows(section: TableSection, file: DataFile, table: Table) -> tuple[Rows, list[str]]:
    """Return the rows that are kept under `dataset.missing`, and notes on those left out."""
    incomplete = {name: column.missing for name, column in table.columns.items()}
    if section.label_separator is not None:
        # An empty cell has no labels.
        incomplete[section.targets[0]] = np.zeros(len(table.lines), dtype=np.bool_)
    if section.missing == "error":
        _refuse_missing(file, table, incomplete)
        return np.arange(len(table.lines)), []
    left_out = np.any([incomplete[name] for name in section.targets], axis=0)
    notes = _left_out_note(left_out, f"without a value of {' or '.join(section.targets)}")
    if section.missing == "drop":
        gappy = np.any(list(incomplete.values()), axis=0) & ~left_out
        notes += _left_out_note(gappy, "with missing values")
        left_out = left_out | gappy
    if left_out.all():
        raise BadInput(
            f"{file.name}: no row is left, because each has a missing value in the target, or "
            "in some column under dataset.missing=drop; name such columns in dataset.drop"
        )
    return np.flatnonzero(~left_out), notes


def _refuse_missing(file: DataFile, table: Table, incomplete: dict[str, NDArray[np.bool_]]) -> None:
    gappy = np.any(list(incomplete.values()), axis=0)
    if not gappy.any():
        return
    row = int(gappy.argmax())
    name = next(name for name, missing in incomplete.items() if missing[row])
    count = int(gappy.sum())
    others = f" (and {count - 1} more rows have missing values)" if count > 1 else ""
    raise BadInput(
        f"{file.name}:{table.lines[row]}: column '{clean(name, 80)}' has no value{others}; "
        "set dataset.missing=mean or dataset.missing=drop"
    )


def _left_out_note(rows: NDArray[np.bool_], reason: str) -> list[str]:
    count = int(rows.sum())
    noun = "row" if count == 1 else "rows"
    return [f"{count} {noun} {clean(reason, 120)} left out"] if count else []
