"""Says what changed since a checkpoint was written: the data, or the code of the plugins.

Layer: training. The two are told apart, because they call for different remedies: other data is
seldom intended, and other code often is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import nn

from tui_trainer.config.plugin_loader import LOADED, plugin_lines
from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.problems import ProblemSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.splits.record import RowChanges, SplitRecord
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.plugin_copies import find_copy
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable
from tui_trainer.text.format import counted
from tui_trainer.training.checkpoint_data import CheckpointData, Origin, check_fits
from tui_trainer.training.task import Task


def sizes_of(task: Task) -> list[int]:
    """Return the numbers of training, validation and test samples."""
    data = task.dataset
    return [len(split) for split in (data.train, data.val, data.test)]


def load_whole(
    section: DatasetSection,
    fitted: dict[str, Any] | None,
    problem: ProblemSection,
    record: SplitRecord | None,
) -> Dataset:
    """Load the data of a run, like `load`, if all of its rows are there as they were.

    Raises:
        CheckpointUnusable: some are not; counts them.
    """
    dataset = load(section, fitted, problem, record)
    changes = dataset.changes
    if changes is not None and changes.gone:
        raise CheckpointUnusable(
            f"{_gone_text(dataset.noun, changes)}; restore the data, or continue without what is "
            "missing (--accept-data), which is not bit for bit the same"
        )
    return dataset


def _gone_text(noun: str, changes: RowChanges) -> str:
    gone, total = changes.gone, counted(changes.total, noun)
    text = f"{gone:,} of {total} of the run {_are(gone)} gone or changed"
    return f"{text}, and {_new_text(noun, changes)}" if changes.new else text


def _new_text(noun: str, changes: RowChanges) -> str:
    return f"{counted(changes.new, noun)} {_are(changes.new)} new and left out"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def growth_notes(task: Task) -> list[str]:
    """Return a note on rows that came after the run began, if all of its own are still there."""
    changes = task.dataset.changes
    if changes is None or changes.gone or not changes.new:
        return []
    new = _new_text(task.dataset.noun, changes)
    return [f"{new}: the data grew since the run began"]


def resume_notes(task: Task, origin: Origin, run: RunDirectory) -> list[str]:
    """Return notes on changed data and plugins, and what they mean for a resume."""
    data, plugins = data_change(task, origin), plugin_changes(origin, run)
    notes = [f"not bitwise: {data}"] if data else growth_notes(task)
    for change in plugins:
        same = "" if data else "; the data are the same by their version and size"
        notes.append(
            f"bitwise only if the changed lines do not take part in the training: {change}{same}"
        )
    return notes


def evaluation_notes(task: Task, origin: Origin, run: RunDirectory) -> list[str]:
    """Return notes on changed data and plugins, and what they mean for an evaluation."""
    changes = [data_change(task, origin), *plugin_changes(origin, run)]
    doubts = [
        f"the run itself may have measured other values: {change}" for change in changes if change
    ]
    return [*doubts, *growth_notes(task)]


def prediction_notes(origin: Origin, run: RunDirectory) -> list[str]:
    """Return notes on changed plugins; predictions do not read the data of the run."""
    changes = plugin_changes(origin, run)
    return [f"the run itself may predict other values: {change}" for change in changes]


def check_model(model: nn.Module, data: CheckpointData) -> None:
    """Check that the weights of a checkpoint fit a model.

    Raises:
        CheckpointUnusable: they do not; the message names the plugins that changed since.
    """
    try:
        check_fits(model, data.state.model)
    except CheckpointUnusable as error:
        told = "; ".join([str(error), *plugin_changes(data.origin)])
        way = "use the code that the run was trained with, or train a new run"
        raise CheckpointUnusable(f"{told}; {way}") from error


def data_change(task: Task, origin: Origin) -> str:
    """Describe how the data changed since the checkpoint, or return an empty string."""
    changes, fingerprint = task.dataset.changes, task.dataset.fingerprint
    # Items of a plugin are known by their names alone, and its version may say that they differ.
    is_known_by_name = bool(fingerprint.by_second_rule)
    if changes is not None and (changes.gone or changes.new or not is_known_by_name):
        # The rows are compared one by one, so a file that grew or was sorted has the same data.
        gone = _gone_text(task.dataset.noun, changes)
        return f"the data changed: {gone}" if changes.gone else ""
    if fingerprint.is_same(origin.fingerprint):
        return ""
    if origin.samples is None:
        # Older checkpoints have one sum over the data and all plugins.
        what = "data or a plugin" if plugin_lines() else "data"
        return f"the {what} changed since the checkpoint was written"
    text = "the data changed since the checkpoint was written: "
    if list(origin.samples) == sizes_of(task):
        return f"{text}there are as many samples as before, with other values or settings"
    return f"{text}{_listed(origin.samples)} then, {_listed(sizes_of(task))} now"


def plugin_changes(origin: Origin, run: RunDirectory | None = None) -> list[str]:
    """Describe each plugin whose file changed since the checkpoint, and by how many lines.

    With the run that the checkpoint is of, its copy of the file as it was is named.
    """
    changes = []
    for name, lines in plugin_lines().items():
        saved = (origin.plugins or {}).get(name)
        if saved is None or list(saved) == lines:
            continue
        before, now = Counter(saved), Counter(lines)
        added, removed = (now - before).total(), (before - now).total()
        how = f"{counted(added, 'line')} added, {removed:,} removed"
        if added == removed == 0:
            how = "lines in another order"
        copy = None if run is None else find_copy(run, name, saved)
        is_plugin = any(plugin.name == name for plugin in LOADED.values())
        if copy is not None:
            option = "--plugin " if is_plugin else ""
            how += f" (as it was: {option}{clean(str(copy), 300)})"
        what = "plugin" if is_plugin else "file beside the plugin"
        text = f"the {what} {clean(name, 100)} changed since the checkpoint was written: {how}"
        changes.append(text)
    return changes


def _listed(sizes: Sequence[int]) -> str:
    train, val, test = sizes
    return f"{train:,} training, {val:,} validation and {test:,} test samples"
