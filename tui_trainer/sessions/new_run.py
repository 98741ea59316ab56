"""Prepares a new run: from an experiment to a directory and a task, ready for `train`.

Layer: sessions. Called in the trainer thread, where torch may be imported. Whatever can be refused
is refused before a directory is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.runs.config_file import write_config
from tui_trainer.runs.directory import check_writable, create_run
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.lookup import find_run
from tui_trainer.sessions.prepared_run import (
    PreparedRun,
    build_task,
    record_provenance,
    warnings_of,
)
from tui_trainer.sessions.split_records import record_split, split_of_other
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


def prepare_new(
    experiment: Experiment,
    runs_dir: Path,
    name: str,
    argv: Sequence[str],
    startup: Startup | None = None,
    *,
    now: datetime | None = None,
) -> PreparedRun:
    """Make the directory of a new run and build its task; if that fails, nothing is left of it.

    The directory comes first, so that the start can be watched from elsewhere too.
    """
    startup = startup or Startup()
    check_writable(runs_dir)
    experiment = resolve_runs(experiment, runs_dir)
    other = split_of_other(experiment)
    run = startup.claim(lambda: create_run(runs_dir, name or experiment.name, now))
    try:
        startup.name(run, experiment)
        # Before others are shown the run: killed from here on, it can be resumed.
        settings = write_config(run, experiment)
        lock = RunLock.acquire(run.lock)
        startup.show(run, lock)
        task, device = build_task(experiment, record=other, startup=startup)
        record_split(run, task)
        # Those that were written, because the file takes long to read.
        record_provenance(run, argv, task, device, settings)
    except BaseException:
        startup.undo()
        raise
    from tui_trainer.training.start_point import FromScratch

    return PreparedRun(
        run, lock, experiment, task, FromScratch(), device, warnings_of(device, lock)
    )


def resolve_runs(experiment: Experiment, runs_dir: Path) -> Experiment:
    """Replace names of runs in `training.init_from` and `dataset.split_from` by directories.

    Raises:
        BadInput: one is neither a path nor a run there.
    """
    for key in ("training.init_from", "dataset.split_from"):
        given = experiment.get(key)
        if not given or Path(given).exists():
            continue
        try:
            run = find_run(Path(given).name, runs_dir)
        except BadInput as error:
            raise BadInput(f"{key}: no file {clean(given, 200)}, and {error}") from error
        experiment = with_value(experiment, key, str(run.path))
    return experiment
