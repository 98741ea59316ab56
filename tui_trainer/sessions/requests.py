"""The requests for a run (a new one, a resumed one, a fork), and their preparation.

Layer: sessions; imports torch only inside `prepare`. Requests are made before torch is imported,
and `prepare` is called in the trainer thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.runs.directory import RunDirectory, find_run
from tui_trainer.runs.edits import settings_of
from tui_trainer.runs.names import free_name
from tui_trainer.runs.paths import exists
from tui_trainer.text.clean import clean

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.sessions.prepare import PreparedRun
    from tui_trainer.sessions.startup import Startup


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
    """`resume RUN`; `which` is `last`, `best` or a step; the flags are those of the command."""

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


def prepare(
    request: RunRequest,
    runs_dir: Path,
    argv: Sequence[str],
    library: PresetLibrary,
    startup: Startup,
) -> PreparedRun:
    """Return the run, locked and ready to train; raises what `prepare_new` and its like raise."""
    from tui_trainer.sessions.fork import prepare_fork
    from tui_trainer.sessions.prepare import prepare_new
    from tui_trainer.sessions.resume import prepare_resume

    if isinstance(request, NewRun):
        base = request.base or request.experiment.name
        startup.tell_changes(library, base, request.experiment)
        experiment, name, now = request.experiment, request.name, request.asked_at
        prepared = prepare_new(experiment, runs_dir, name, argv, startup, now=now)
        notes = _notes_on_new_rule(Path(base), experiment)
        return replace(prepared, warnings=(*prepared.warnings, *notes))
    run = find_run(str(request.path), runs_dir)
    which, overrides, accept = request.which, request.overrides, request.accept_data
    if isinstance(request, ForkRun):
        return prepare_fork(
            run,
            runs_dir,
            overrides,
            argv,
            startup,
            which=which,
            name=request.name,
            accept_data=accept,
            now=request.asked_at,
        )
    return prepare_resume(
        run,
        overrides,
        argv,
        startup,
        which=which,
        drop_edits=request.drop_edits,
        force=request.force,
        accept_data=accept,
    )


def _notes_on_new_rule(base: Path, experiment: Experiment) -> tuple[str, ...]:
    """Return a note if a new run from the configuration of an older one has other rows.

    `base` is the file that the experiment was made from.
    """
    older = RunDirectory.at(base.parent)
    is_of_run = base.name == older.config.name and exists(older.provenance)
    spec = DATASETS.find(experiment.dataset.type)
    if not is_of_run or exists(older.splits) or spec is None or spec.origin:
        return ()
    if experiment.dataset.split_by != "auto":
        return ()
    return (
        f"{clean(older.path.name)} was split by position, and this run is split again: other rows "
        "are its test; dataset.split_by=position keeps those of the old one",
    )
