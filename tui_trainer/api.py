"""The library: what a Python program uses of runs. `import tui_trainer as tt; tt.load_run("last")`.

It stands above all layers. torch is imported only inside of functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.runs.directory import RunDirectory, default_runs_dir
from tui_trainer.runs.lookup import find_run

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Run:
    """A run on the disk."""

    path: Path
    """Its directory."""

    @property
    def name(self) -> str:
        return self.path.name

    def model(self, which: str = "", device: str = "cpu") -> nn.Module:
        """Return the model of a checkpoint, in evaluation mode, and its mean weights if it has any.

        Args:
            which: `best`, `last` or a step; empty: the best, or else the last.
            device: as `training.device`.

        Raises:
            BadInput: the run needs a plugin that is not loaded.
            CheckpointUnusable: there is no such checkpoint.
        """
        from tui_trainer.sessions.trained_model import best_or_last, open_predictor

        run = RunDirectory(self.path)
        predictor, _ = open_predictor(run, which or best_or_last(run), device)
        return predictor.model


def load_run(name: str = "last", *, runs_dir: str | Path | None = None) -> Run:
    """Return a run by its name, the beginning of one, `last`, or the path of its directory.

    Raises:
        BadInput: there is none, or more than one.
    """
    folder = Path(runs_dir) if runs_dir is not None else default_runs_dir()
    return Run(find_run(name, folder).path)
