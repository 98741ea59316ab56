"""The requests for a run: a new one, a resumed one, a fork.

Layer: sessions. They are made before torch is imported; `requested_run.prepare` answers them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.runs.config_file import settings_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.names import free_name


@dataclass(frozen=True, slots=True)
class NewRun:
    """`train EXPERIMENT`; the run's name begins with `name`, or else with the experiment's."""

    experiment: Experiment
    name: str = ""
    base: str = ""
    """The preset or file that the experiment was made from; by default the preset of its name."""
    asked_at: datetime = field(default_factory=datetime.now, compare=False)
    """The time in the run's name, which is shown before the run is there, see `free_name`."""


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """`resume RUN`; `which` is `last`, `best` or a step.

    `drop_edits` leaves out edits after that step, `force` takes the run over from another host that
    has been silent for a while, and `accept_data` goes on with data that lack rows of the run.
    """

    path: Path
    overrides: tuple[Override, ...] = ()
    which: str = "last"
    drop_edits: bool = False
    force: bool = False
    accept_data: bool = False


@dataclass(frozen=True, slots=True)
class ForkRun:
    """`fork RUN`: a new run that continues from a checkpoint of another one."""

    path: Path
    overrides: tuple[Override, ...] = ()
    which: str = "last"
    name: str = ""
    accept_data: bool = False
    asked_at: datetime = field(default_factory=datetime.now, compare=False)
    """The time in the run's name, as for a new run."""


RunRequest = NewRun | ResumeRun | ForkRun


def planned_name(request: RunRequest, runs_dir: Path) -> str:
    """Return the name that the run would get now, or that it has."""
    match request:
        case NewRun(experiment, name):
            return free_name(runs_dir, name or experiment.name, request.asked_at)
        case ForkRun(path, name=name):
            own = settings_of(RunDirectory(path)).get("name", path.name)
            return free_name(runs_dir, name or str(own), request.asked_at)
        case ResumeRun(path):
            return path.name
