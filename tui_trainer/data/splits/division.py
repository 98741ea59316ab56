"""The rules by which rows are divided, and the `Division` of a source, which follows one.

Layer: data. Sources make a `Division`, because only they know what a row is. Runs of versions that
kept no record of their split follow `position`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import DatasetSection, ForecastSection, SequencesSection
from tui_trainer.data.splits.row_keys import Keys
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable, ConfigError, Problem
from tui_trainer.text.format import any_of, counted

Rule = Literal["identity", "column", "files", "folders", "group", "time", "position"]

COPIES = "copies"
"""In an older checkpoint, the rule `position` with rows of equal inputs kept together."""

_RULES: dict[str, tuple[Rule, ...]] = {
    "pixels": ("identity", "position"),
    "table": ("identity", "column", "group", "time", "position"),
    "huggingface": ("identity", "column", "group", "time", "position"),
    "sequences": ("identity", "column", "position"),
    "arrays": ("identity", "files", "position"),
    "forecast": ("time",),
    "pictures": ("identity", "column", "folders"),
    "text": ("files", "position"),
    "text_folders": ("files", "position"),
    "tokens": ("position",),
}
"""The rules of each type of data; the first is the usual one."""
_OF_PLUGINS: tuple[Rule, ...] = ("identity", "position")
_COLUMNS: dict[Rule, str] = {"column": "split", "group": "group", "time": "time"}
"""Rules that need a column, and the setting that names it."""


def rule_of(section: DatasetSection) -> Rule:
    """Return the rule that the settings ask for.

    Raises:
        ConfigError: the data have no such rule, or the settings contradict each other.
    """
    rules = _RULES.get(section.type, _OF_PLUGINS)
    if isinstance(section, ForecastSection) and section.split_by in ("auto", "time"):
        # Without a column of times, the rows of the file follow each other in time.
        return "time"
    named = [rule for rule, key in _COLUMNS.items() if getattr(section, key, None) is not None]
    if section.split_by == "auto":
        if len(named) > 1:
            keys = " and ".join(f"dataset.{_COLUMNS[rule]}" for rule in named)
            message = (
                f"{keys} ask for different splits; name one, and the other column in dataset.drop"
            )
            raise ConfigError([Problem(message, f"dataset.{_COLUMNS[named[1]]}")])
        return named[0] if named else rules[0]
    rule = section.split_by
    if rule not in rules:
        message = f"{section.type} can be split by {any_of([*rules])}, not by {rule}"
        raise ConfigError([Problem(message, "dataset.split_by")])
    if rule in _COLUMNS and rule not in named:
        message = f"needs a column: dataset.{_COLUMNS[rule]}=NAME"
        raise ConfigError([Problem(message, "dataset.split_by")])
    ignored = [name for name in named if rule not in (name, "position")]
    if ignored:
        key = f"dataset.{_COLUMNS[ignored[0]]}"
        message = f"{key} is not used by dataset.split_by={rule}; leave out one of them"
        raise ConfigError([Problem(message, key)])
    return rule


def rule_for(section: DatasetSection, fitted: Mapping[str, Any] | None) -> Rule:
    """Return the rule of a new run, or the one that a checkpoint's preprocessing was fitted by."""
    if fitted is None:
        return rule_of(section)
    saved = fitted.get("split", COPIES)
    return "position" if saved == COPIES else cast(Rule, saved)


def check_has_no_record(fitted: Mapping[str, Any]) -> None:
    """Raise CheckpointUnusable if a run must have had a record of its split."""
    if fitted.get("split", COPIES) != COPIES:
        raise CheckpointUnusable(
            "the run's file splits, which says what rows it was trained on, is missing; restore "
            "it from a copy"
        )


def summary_of(rule: Rule, section: DatasetSection, *, stratified: bool) -> str:
    """Describe in a few words how the rows are split, for the lines about the data."""
    column = getattr(section, _COLUMNS.get(rule, ""), None)
    what = {
        "identity": "identity",
        "column": f"the column {column}" if column is not None else "the splits of the data set",
        "files": "array" if section.type == "arrays" else "file",
        "folders": "the folders train, val and test",
        "group": f"group, the column {column}" if column is not None else "group",
        "time": f"time, the column {column}" if column else "time, the order of the rows",
        "position": "position",
    }[rule]
    if rule == "identity" and isinstance(section, SequencesSection):
        what = f"the id in {section.sequence}"
    return f"split by {clean(what, 100)}{', stratified' if stratified else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The rule that splits the rows, and what it has to know of them."""

    rule: Rule
    identities: Keys
    """(N,) what a row is known by; rows with the same identity are in one split."""
    contents: Keys
    """(N,) hashes of all that is read of a row, except its target."""
    test: NDArray[np.bool_] | None = None
    """(N,) rows that the data assign to the test split."""
    val: NDArray[np.bool_] | None = None
    """(N,) rows that the data assign to the validation split; only together with `test`."""
    groups: NDArray[np.int64] | None = None
    """(N,) for `position`: the group of each row; a group stays in one split."""
    times: NDArray[np.float64] | None = None
    """(N,) for `time`."""
    left_out: NDArray[np.bool_] | None = None
    """(N,) rows that are in no split; only together with `val`."""

    @property
    def shortage(self) -> str:
        """Say what there are too few of if a split is empty."""
        if self.times is not None:
            times = counted(len(np.unique(self.times)), "different time")
            return f"only {times} in it, and rows of one are in the same split"
        if self.rule == "group":
            groups = counted(len(np.unique(self.identities)), "group")
            return f"only {groups} in it, and rows of one are in the same split"
        return "more rows are needed"
