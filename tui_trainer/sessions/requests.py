"""The requests for a run (a new one, a resumed one, a fork), and their preparation.

Layer: sessions; imports torch only inside `prepare`. Requests are made before torch is imported,
and `prepare` is called in the trainer thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.runs.directory import find_run

if TYPE_CHECKING:
    from tui_trainer.sessions.prepare import PreparedRun


@dataclass(frozen=True, slots=True)
class NewRun:
    """`train EXPERIMENT`; the run's name begins with `name`, or else with the experiment's."""

    experiment: Experiment
    name: str = ""


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """`resume RUN`; `which` is `last`, `best` or a step; the flags are those of the command."""

    path: Path
    overrides: tuple[Override, ...] = ()
    which: str = "last"
    drop_edits: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class ForkRun:
    """`fork RUN`: a new run that continues from a checkpoint of another one."""

    path: Path
    overrides: tuple[Override, ...] = ()
    which: str = "last"
    name: str = ""


RunRequest = NewRun | ResumeRun | ForkRun


def prepare(request: RunRequest, runs_dir: Path, argv: Sequence[str]) -> PreparedRun:
    """Return the run, locked and ready to train; raises what `prepare_new` and its like raise."""
    from tui_trainer.sessions.fork import prepare_fork
    from tui_trainer.sessions.prepare import prepare_new
    from tui_trainer.sessions.resume import prepare_resume

    if isinstance(request, NewRun):
        return prepare_new(request.experiment, runs_dir, request.name, argv)
    run = find_run(str(request.path), runs_dir)
    which, overrides = request.which, request.overrides
    if isinstance(request, ForkRun):
        return prepare_fork(run, runs_dir, overrides, argv, which=which, name=request.name)
    drop, force = request.drop_edits, request.force
    return prepare_resume(run, overrides, argv, which=which, drop_edits=drop, force=force)
