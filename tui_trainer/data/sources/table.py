"""The `table` source: a CSV table with a header; numbers standardised, categories one-hot.

Layer: data. Means, deviations and categories come from the training rows only. A category found
only in other rows is encoded as all zeros, and counted in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.base.augment import combine_augments, number_augments
from tui_trainer.data.base.to_device import Augment
from tui_trainer.data.files.columns import (
    Column,
    RequestedKind,
    Table,
    read_table,
)
from tui_trainer.data.files.csv import no_column
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.tables import open_table, with_normal_names, without_index
from tui_trainer.data.sources.encoding import doubt_notes, encode_column, fit_column
from tui_trainer.data.sources.row_groups import divide_table
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.sources.table_targets import read_targets
from tui_trainer.data.splits.division import Division
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableSource:
    """The rows of a table that are kept; implements `Source`."""

    kind: ClassVar[Kind] = "features"
    vocabulary: ClassVar[int] = 0

    section: TableSection
    name: str
    sha256: str
    columns: dict[str, Column]
    target: Target
    rows: Rows
    notes: tuple[str, ...]
    division: Division

    @property
    def layout(self) -> dict[str, str]:
        kinds = {f"column {name}": column.kind for name, column in self.columns.items()}
        return {"target": ", ".join(self.section.targets), **kinds}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: Rows) -> dict[str, Any]:
        return {
            name: fit_column(name, column.take(train), self.name)
            for name, column in self.columns.items()
        }

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        blocks: list[NDArray[np.float32]] = []
        notes: list[str] = []
        for name, settings in fitted.items():
            block, column_notes = encode_column(name, self.columns[name], settings)
            blocks.append(block)
            notes += column_notes + doubt_notes(name, self.columns[name], settings)
        return Encoded(torch.from_numpy(np.concatenate(blocks, axis=1)), notes)

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        return combine_augments(
            number_augments(self.section, self._numbers(fitted), self._mixed_classes)
        )

    @property
    def _mixed_classes(self) -> int:
        """The number of classes whose shares are mixed; labels are mixed as they are."""
        return len(self.target.classes) if self.target.problem == "classification" else 0

    def _numbers(self, fitted: dict[str, Any]) -> tuple[bool, ...]:
        """Return which of the inputs are numbers, rather than part of a category."""
        are_numbers: list[bool] = []
        for settings in fitted.values():
            if settings["kind"] == "number":
                are_numbers.append(True)
            else:
                are_numbers += [False] * (len(settings["categories"]) + int(settings["missing"]))
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
    _check_settings(section, file, header)
    kinds = _requested_kinds(section, wanted, header, (older or {}).get("layout", {}))
    # Versions before 0.2 took NA for a gap always.
    classes = "" if older and not {"NA", "na", "Na"} & {*older["classes"]} else section.targets[0]
    table = read_table(file, header, kinds, classes=classes)
    table, index_notes = without_index(table, opened, section.targets)
    kept_rows, notes = _select_rows(section, file, table)
    target, said = read_targets(section, wanted, file.name, table, kept_rows)
    columns = {
        name: column.take(kept_rows)
        for name, column in table.columns.items()
        if name not in section.targets
    }
    division, columns, split_notes = divide_table(
        section, columns, table.lines[kept_rows], older, file.name
    )
    all_notes = (*said, *opened.notes, *table.notes, *index_notes, *notes, *split_notes)
    return TableSource(
        section, file.name, file.sha256, columns, target, kept_rows, all_notes, division
    )


def _check_settings(section: TableSection, file: DataFile, header: Sequence[str]) -> None:
    """Raise ConfigError with every setting that does not fit the header."""
    named_columns = [("target", name) for name in section.targets]
    named_columns += [("categorical", name) for name in section.categorical]
    named_columns += [("drop", name) for name in section.drop]
    special = {key: getattr(section, key) for key in ("group", "split", "time")}
    named_columns += [(key, name) for key, name in special.items() if name is not None]
    problems = [
        Problem(no_column(name, file, header), f"dataset.{key}")
        for key, name in named_columns
        if name not in header
    ]
    if {*section.targets} & {*section.drop}:
        problems.append(Problem("the target cannot be dropped", "dataset.drop"))
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


def _requested_kinds(
    section: TableSection, wanted: str, header: Sequence[str], older: Mapping[str, Any]
) -> dict[str, RequestedKind]:
    kinds: dict[str, RequestedKind] = {
        name: "category" if name in section.categorical else "auto"
        for name in header
        if name not in section.drop
    }
    # More texts mean a gap among numbers than in older versions, whose columns stay what they are.
    kinds |= {name: "category" for name in kinds if older.get(f"column {name}") == "category"}
    for column in (section.group, section.split):
        if column is not None:
            kinds[column] = "category"
    if section.time is not None:
        kinds[section.time] = "auto"
    for name in section.targets:
        if wanted == "classification" or section.label_separator is not None:
            kinds[name] = "category"
        elif wanted != "auto" or len(section.targets) > 1:
            kinds[name] = "number"
        elif name not in section.categorical:
            kinds[name] = "auto_target"
    return kinds


def _select_rows(section: TableSection, file: DataFile, table: Table) -> tuple[Rows, list[str]]:
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
