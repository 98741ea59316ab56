"""Resumes a run: its checkpoint, its edits, and the settings that may change with the resume.

Layer: sessions. Everything is decided before anything is written, so that a resume that is refused
leaves the run as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.config_file import facts_of_settings, read_config
from tui_trainer.runs.directory import RunDirectory, check_run, check_writable
from tui_trainer.runs.limits import limit_reached, trained_on
from tui_trainer.runs.manifests import checkpoint_files, read_manifests
from tui_trainer.runs.outcome import last_end
from tui_trainer.runs.status import read_status
from tui_trainer.runs.takeover import take_over
from tui_trainer.sessions.prepared_run import (
    PreparedRun,
    build_task,
    record_provenance,
    warnings_of,
)
from tui_trainer.sessions.requests import ResumeRun
from tui_trainer.sessions.resume_settings import EditPlan, live_overrides, plan_edits, with_runtime
from tui_trainer.sessions.split_records import record_split, split_to_resume
from tui_trainer.sessions.startup import Startup

if TYPE_CHECKING:
    from tui_trainer.machine.devices import DeviceChoice
    from tui_trainer.runs.lock import RunLock
    from tui_trainer.runs.view import RunView
    from tui_trainer.training.checkpoints import Checkpoint
    from tui_trainer.training.task import Task


def prepare_resume(
    run: RunDirectory,
    request: ResumeRun,
    argv: Sequence[str],
    startup: Startup | None = None,
    *,
    origin: str = "resume",
) -> PreparedRun:
    """Read the checkpoint, build the task, and record the overrides as edits at its step.

    They hold until the next live edit: recorded edits of the same settings at later steps are not
    repeated. `run` is the one that is requested, and `origin` the command that makes the edits.

    Raises:
        BadInput: another process holds the run, or an override is for a setting that is not live.
        CheckpointUnusable: there are checkpoints but none can be used, or it is of another model,
            or rows of the run are gone or changed.
    """
    startup = startup or Startup()
    check_run(run, writing=True)
    check_writable(run.path)
    config = read_config(run)
    startup.name(run, config)
    overrides = live_overrides(run, config, request.overrides)
    experiment = with_runtime(config, overrides)
    lock = take_over(run, force=request.force)
    try:
        loaded = _load(run, experiment, request, startup)
        drop = request.drop_edits
        plan = plan_edits(run, experiment, overrides, loaded.step, drop_later=drop, origin=origin)
        prepared = _prepared(run, lock, experiment, loaded, plan)
        if not prepared.nothing_to_do:
            startup.commit()
            _record(run, argv, loaded, plan)
        return prepared
    except BaseException:
        lock.release()
        raise


def _record(run: RunDirectory, argv: Sequence[str], loaded: _Loaded, plan: EditPlan) -> None:
    """Write what changes with this start: edits, sides of the rows, and where the run goes on."""
    plan.write(run)
    record_split(run, loaded.task)
    record_provenance(run, argv, loaded.task, loaded.device, facts_of_settings(run))


class _Loaded(NamedTuple):
    """The checkpoint to continue from, None for a run that never published one, and the task."""

    checkpoint: Checkpoint | None
    task: Task
    device: DeviceChoice
    notes: list[str]

    @property
    def step(self) -> int:
        return self.checkpoint.manifest.step if self.checkpoint else 0


def _load(
    run: RunDirectory, experiment: Experiment, request: ResumeRun, startup: Startup
) -> _Loaded:
    """Read the checkpoint, and build the task with the preprocessing in it."""
    startup.use_torch()
    startup.enter("read the checkpoint")
    from tui_trainer.data.load import load
    from tui_trainer.training.changes import check_model, load_whole

    checkpoint, notes = _choose(run, request.which)
    startup.step = checkpoint.manifest.step if checkpoint else 0
    fitted = checkpoint.data.preprocessing if checkpoint else None
    experiment, record = split_to_resume(run, experiment, is_fitted=fitted is not None)
    read = load if request.accept_data else load_whole
    task, device = build_task(experiment, fitted, record, startup=startup, read=read)
    if checkpoint is not None:
        checkpoint = checkpoint.with_marked_best(experiment.checkpoint.monitor)
        check_model(task.model, checkpoint.data)
    return _Loaded(checkpoint, task, device, notes)


def _prepared(
    run: RunDirectory, lock: RunLock, experiment: Experiment, loaded: _Loaded, plan: EditPlan
) -> PreparedRun:
    """Put the run together, and say so if there is nothing left to train or test."""
    from tui_trainer.training.start_point import FromCheckpoint, FromScratch

    checkpoint, status = loaded.checkpoint, read_status(run.status)
    generation = (status.generation if status else 0) + 1
    hint = ""
    has_test = len(loaded.task.dataset.test) > 0
    if checkpoint is not None and _is_tested(run, status, has_test=has_test):
        hint = _nothing_to_do(run, checkpoint, plan.in_force)
    return PreparedRun(
        run=run,
        lock=lock,
        asked=experiment,
        task=loaded.task,
        start=(
            FromCheckpoint(checkpoint, plan.edits, generation)
            if checkpoint
            else FromScratch(plan.edits, generation)
        ),
        device=loaded.device,
        warnings=(*loaded.notes, *plan.notes, *warnings_of(loaded.device, lock)),
        nothing_to_do=hint,
        step=loaded.step,
        epoch=checkpoint.manifest.epoch if checkpoint else 0,
    )


def _choose(run: RunDirectory, which: str) -> tuple[Checkpoint | None, list[str]]:
    """Return the checkpoint to continue from, with notes; None if the run never published one."""
    from tui_trainer.training.checkpoints import choose_checkpoint

    # A checkpoint whose manifest cannot be read is no reason to begin at step 0.
    if read_manifests(run.checkpoints) or which != "last" or checkpoint_files(run.checkpoints):
        return choose_checkpoint(run.checkpoints, which, run.command("resume"))
    return None, ["no checkpoint was ever published; the run starts again from step 0"]


def _is_tested(run: RunDirectory, status: RunView | None, *, has_test: bool) -> bool:
    """Whether the run is finished and no part of its test was skipped."""
    if status is None or status.state != "finished":
        return False
    if has_test and status.scores.test is None:
        return False
    end = last_end(run)
    return end is None or not end.is_test_cut


def _nothing_to_do(run: RunDirectory, checkpoint: Checkpoint, experiment: Experiment) -> str:
    """Say which limit would end a finished run immediately, or return an empty string."""
    done = checkpoint.data.progress.done()
    limit = limit_reached(experiment, done)
    if limit is None or checkpoint.manifest.step != read_manifests(run.checkpoints)[-1].step:
        return ""
    on = run.command("resume", trained_on(limit, experiment, done))
    return f"{limit.reason}; to train on: {on}"
