"""The key `problem` in a data set, which then need not be in each experiment, and its older name.

Layer: config. The data set of a preset may know that its numbers are classes. Until version 0.1
tables and sequences had the setting `dataset.task` for this, and older files and runs have it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from tui_trainer.config.sections.datasets import DATASETS

Place = TypeVar("Place")
_TYPES_WITH_TASK = ("table", "sequences")


def present_key(key: str, dataset: Any) -> str:
    """Return the present name of a key, given the values of the data set."""
    is_older = key in ("task", "dataset.task") and "task" in _keys(dataset)
    return "problem.type" if is_older else key


def move_problem(values: dict[str, Any], places: dict[tuple[str | int, ...], Place]) -> None:
    """Move the problem out of the data set, in values by section and in the places they are from.

    One that the experiment names takes precedence.
    """
    dataset = values.get("dataset")
    if not isinstance(dataset, dict):
        return
    given = {key: dataset[key] for key in _keys(dataset) if key in dataset}
    if not given:
        return
    values["dataset"] = {key: value for key, value in dataset.items() if key not in given}
    if any(path[:1] == ("problem",) for path in places):
        return
    key, value = next(iter(given.items()))
    values["problem"] = value if isinstance(value, dict) else {"type": value}
    for path in [path for path in places if path[:2] == ("dataset", key)]:
        places[("problem", *path[2:])] = places[path]


def _keys(dataset: Any) -> tuple[str, ...]:
    """Return the keys by which a data set may name its problem.

    A plugin's own settings are not among them.
    """
    kind = dataset.get("type") if isinstance(dataset, dict) else None
    spec = DATASETS.find(kind)
    keys = ("problem", "task") if kind in _TYPES_WITH_TASK else ("problem",)
    return tuple(key for key in keys if spec is None or key not in spec.params.model_fields)
