"""The key `problem` in a data set, which then need not be in each experiment, and its older name.

Layer: config. The data set of a preset may know that its numbers are classes. Until version 0.1
tables and sequences had the setting `dataset.task` for this, and older files and runs have it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tui_trainer.config.experiment import Tree
from tui_trainer.config.overrides import Override
from tui_trainer.config.sections.datasets import DATASETS

_TYPES_WITH_TASK = ("table", "sequences")


def renamed(tree: Tree, override: Override) -> Override:
    """Return an override with its present key, given the values that it will change."""
    if override.key in ("task", "dataset.task") and "task" in _keys(tree.values.get("dataset")):
        return replace(override, section="problem", field="type")
    return override


def move_problem(tree: Tree) -> None:
    """Move the problem out of the data set; one that the experiment names takes precedence."""
    dataset = tree.values.get("dataset")
    if not isinstance(dataset, dict):
        return
    keys = _keys(dataset)
    given = {key: dataset[key] for key in keys if key in dataset}
    tree.values["dataset"] = {key: value for key, value in dataset.items() if key not in given}
    is_named = any(path[0] == "problem" for path in tree.places if path)
    if is_named or not given:
        return
    key, value = next(iter(given.items()))
    tree.values["problem"] = value if isinstance(value, dict) else {"type": value}
    for path, place in list(tree.places.items()):
        if path[:2] == ("dataset", key):
            tree.places[("problem", *path[2:])] = place


def _keys(dataset: Any) -> tuple[str, ...]:
    """Return the keys by which a data set may name its problem; a plugin's own are not among them."""
    kind = dataset.get("type") if isinstance(dataset, dict) else None
    spec = DATASETS.find(kind)
    keys = ("problem", "task") if kind in _TYPES_WITH_TASK else ("problem",)
    return tuple(key for key in keys if spec is None or key not in spec.params.model_fields)
