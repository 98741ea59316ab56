"""`prepare`: makes the run that a request asks for, locked and ready to train.

Layer: sessions; imports torch only inside `prepare`, which is called in the trainer thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.lookup import find_run
from tui_trainer.runs.paths import exists
from tui_trainer.sessions.requests import ForkRun, NewRun, RunRequest
from tui_trainer.text.clean import clean

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.sessions.prepared_run import PreparedRun
    from tui_trainer.sessions.startup import Startup


def prepare(
    request: RunRequest,
    runs_dir: Path,
    argv: Sequence[str],
    library: PresetLibrary,
    startup: Startup,
) -> PreparedRun:
    """Return the run, locked and ready to train; raises what `prepare_new` and its like raise."""
    from tui_trainer.sessions.fork import prepare_fork
    from tui_trainer.sessions.new_run import prepare_new
    from tui_trainer.sessions.resume import prepare_resume

    if isinstance(request, NewRun):
        base = request.base or request.experiment.name
        startup.tell_changes(library, base, request.experiment)
        experiment, name, now = request.experiment, request.name, request.asked_at
        prepared = prepare_new(experiment, runs_dir, name, argv, startup, now=now)
        notes = _notes_on_new_rule(Path(base), experiment)
        return replace(prepared, warnings=(*prepared.warnings, *notes))
    run = find_run(str(request.path), runs_dir)
    if isinstance(request, ForkRun):
        return prepare_fork(run, runs_dir, request, argv, startup)
    return prepare_resume(run, request, argv, startup)


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
