"""Evaluating a run's checkpoint on a split, after the training.

Layer: training. The data is prepared as the checkpoint recorded it, not fitted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.baselines import baselines, left_out
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.metrics import measure
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.start import bitwise_notes
from tui_trainer.training.state import check_fits
from tui_trainer.training.task import build


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one checkpoint on one split."""

    step: int
    split: str
    metrics: dict[str, float]
    baseline: dict[str, dict[str, float]]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "split": self.split,
            **self.metrics,
            "baseline": self.baseline,
        }


def evaluate(
    run: RunDirectory, experiment: Experiment, device: torch.device, split: str, which: str
) -> Evaluation:
    """Measure the `which` checkpoint (last, best or a step) of a run on train, val or test.

    Raises:
        CheckpointUnusable: it cannot be read, or is of another model.
        BadInput: there is no such step, or the data cannot be read.
    """
    checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.path.name)
    data = checkpoint.data
    task = build(experiment, SingleRank(), device, data.preprocessing)
    check_fits(task.model, data.state.model)
    task.model.load_state_dict(data.state.measured)
    chosen = {"train": task.dataset.train, "val": task.dataset.val, "test": task.dataset.test}[
        split
    ]
    with task.loading.workers():
        found = measure(
            task.forward, chosen, task.dataset, task.criterion.measure, task.eval_batch_size
        )
    assert found is not None, "nobody can interrupt this one"
    changed = [note for note in bitwise_notes(task, data.origin) if "data changed" in note]
    return Evaluation(
        checkpoint.manifest.step,
        split,
        found.metrics,
        baselines(task.dataset, chosen) if split != "train" else {},
        (*notes, *changed, *(left_out(task.dataset, chosen) if split != "train" else ())),
    )
