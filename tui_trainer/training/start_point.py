"""The two starting points of a training: step 0, or a checkpoint.

Layer: training.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.runs.edits import Edit
from tui_trainer.training.checkpoints import Checkpoint


@dataclass(frozen=True, slots=True)
class FromScratch:
    """Start at step 0. `edits` are replayed at their steps; `generation` counts the resumes."""

    edits: tuple[Edit, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class FromCheckpoint:
    """Start at a checkpoint. `edits` are all the edits of the run, in order."""

    checkpoint: Checkpoint
    edits: tuple[Edit, ...] = ()
    generation: int = 1


StartPoint = FromScratch | FromCheckpoint
