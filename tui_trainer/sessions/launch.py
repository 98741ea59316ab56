"""From what a user asked for to a task and a run directory, ready for `train`.

Layer: sessions. Called in the trainer thread, where torch may be imported. Whatever can be refused
is refused before a directory is made or touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment, Tree, places_of, resolve
from tui_trainer.config.live import edited, with_value
from tui_trainer.config.overrides import Override
from tui_trainer.config.plugins import missing_plugins, plugin_facts
from tui_trainer.config.settings import LoaderSection
from tui_trainer.config.writing import to_yaml
from tui_trainer.machine.devices import DeviceChoice, choose_device, default_threads
from tui_trainer.runs.atomic import Files, sweep_temporaries, write_atomically
from tui_trainer.runs.commands import new_id
from tui_trainer.runs.configured import read_config_file
from tui_trainer.runs.directory import (
    RunDirectory,
    check_run,
    check_writable,
    create_run,
    open_run,
)
from tui_trainer.runs.edits import Edit, in_force, read_edits, record_edit, rewrite_edits
from tui_trainer.runs.folder import remove_tree
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.mailbox import Mailbox
from tui_trainer.runs.manifests import (
    checkpoint_files,
    manifest_files,
    read_manifests,
    unpublished_files,
)
from tui_trainer.runs.provenance import collect, read_provenance, write_provenance
from tui_trainer.runs.status import read_status
from tui_trainer.runs.takeover import fence, gone_host
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError

if TYPE_CHECKING:
    from tui_trainer.training.checkpoints import Checkpoint
    from tui_trainer.training.start_point import StartPoint
    from tui_trainer.training.task import Task

RUNTIME = (
    *("training.device", "training.threads", "training.on_hangup"),
    *("training.preempt_signals", "training.preempt_exit_code"),
    *(f"loader.{name}" for name in LoaderSection.model_fields),
)
"""Settings of where and how a run runs: they can be others at a resume, and are no edits."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is locked and ready; whoever holds it releases the lock."""

    run: RunDirectory
    lock: RunLock
    asked: Experiment
    """The configuration as it was asked for; the task's says besides how many threads it takes."""
    task: Task
    start: StartPoint
    device: DeviceChoice
    warnings: tuple[str, ...] = ()
    nothing_to_do: str = ""
    step: int = 0
    epoch: int = 0

    @property
    def generation(self) -> int:
        return self.start.generation

    @property
    def in_force(self) -> Experiment:
        """The configuration at the first step, the edits up to it included."""
        edits = [edit for edit in self.start.edits if edit.apply_at_step <= self.step]
        return in_force(self.asked, edits)


def read_config(run: RunDirectory) -> Experiment:
    """The configuration of a run as it was started; ConfigError when it cannot be read."""
    document = read_config_file(run)
    tree = Tree(document.data, places_of(document.places, run.config))
    try:
        return resolve(tree, run.path.name)
    except ConfigError as error:
        if missing := missing_plugins(read_provenance(run.provenance)):
            words = " ".join(f"--plugin {clean(path)}" for path in missing)
            raise BadInput(f"{run.path.name} needs its own code: add {words}") from error
        raise


def prepare_new(experiment: Experiment, runs_dir: Path, name: str, argv: Sequence[str]) -> Prepared:
    """Build the task of a new run and make its directory."""
    check_writable(runs_dir)
    experiment = located(experiment, runs_dir)
    task, device = _build(experiment)
    run = create_run(runs_dir, name or experiment.name)
    lock: RunLock | None = None
    try:
        lock = RunLock.acquire(run.lock)
        plain = to_yaml(experiment.to_dict())
        write_atomically(run.config, plain.encode())
        _write_provenance(run, argv, task, device)
    except BaseException:
        # Half a run would be the `last` one from here on.
        if lock is not None:
            lock.release()
        with contextlib.suppress(OSError):
            remove_tree(run.path)
        raise
    from tui_trainer.training.start_point import FromScratch

    return Prepared(run, lock, experiment, task, FromScratch(), device, _warnings(device, lock))


def located(experiment: Experiment, runs_dir: Path) -> Experiment:
    """The experiment with the name of a run in `training.init_from` as its directory.

    Raises:
        BadInput: it is neither a path nor a run there.
    """
    given = experiment.training.init_from
    if not given or Path(given).exists():
        return experiment
    try:
        run = open_run(Path(given).name, runs_dir)
    except BadInput as error:
        raise BadInput(f"training.init_from: no file {clean(given, 200)}, and {error}") from error
    training = experiment.training.model_copy(update={"init_from": str(run.path)})
    return replace(experiment, training=training)


def prepare_resume(
    run: RunDirectory,
    overrides: Sequence[Override],
    argv: Sequence[str],
    *,
    which: str = "last",
    drop_edits: bool = False,
    force: bool = False,
) -> Prepared:
    """Read the checkpoint, build the task, and take the overrides as edits at its step.

    They hold until somebody edits anew: later edits of the same settings are not repeated.
    `force` takes a run over from another host that has not been heard of for a while.

    Raises:
        BadInput: another process holds the run, or an override is of a setting that is not live.
        CheckpointUnusable: there are checkpoints and none can be used, or it is of another model.
    """
    check_run(run, writing=True)
    check_writable(run.path)
    experiment = _with_runtime(read_config(run), overrides)
    gone = gone_host(run, force=force)
    lock = RunLock.acquire(run.lock, gone=gone)
    try:
        if gone or lock.note:
            # Nothing but silence says that the process before this one is dead.
            fence(run)
        _check_not_lost(run)
        _tidy(run)
        return _resumed(run, lock, experiment, overrides, argv, which, drop_edits)
    except BaseException:
        lock.release()
        raise


def _resumed(
    run: RunDirectory,
    lock: RunLock,
    experiment: Experiment,
    overrides: Sequence[Override],
    argv: Sequence[str],
    which: str,
    drop_edits: bool,
) -> Prepared:
    from tui_trainer.training.checkpoints import choose_checkpoint
    from tui_trainer.training.loop import limit_at
    from tui_trainer.training.start_point import FromCheckpoint, FromScratch
    from tui_trainer.training.state import check_fits

    notes: list[str] = []
    checkpoint: Checkpoint | None = None
    if read_manifests(run.checkpoints) or which != "last" or _has_checkpoint_files(run):
        checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.path.name)
    else:
        notes = ["no checkpoint was ever published; the run starts again from step 0"]
    step = checkpoint.manifest.step if checkpoint else 0
    task, device = _build(experiment, checkpoint.data.preprocessing if checkpoint else None)
    if checkpoint is not None:
        check_fits(task.model, checkpoint.data.state.model)
    kept = [edit for edit in read_edits(run.edits) if not drop_edits or edit.apply_at_step <= step]
    new = _as_edits(experiment, kept, overrides, step)
    kept, superseded = _superseded(kept, new, step)
    notes = [*notes, *(_superseded_note(edit) for edit in superseded)]
    edits = (*(e for e in kept if e.apply_at_step <= step), *new)
    edits += tuple(e for e in kept if e.apply_at_step > step)
    try:
        in_force_at_last = in_force(experiment, edits)
    except BadInput as error:
        # Better said now than when the training comes to its step.
        hint = "--drop-edits leaves out the edits that come later"
        raise BadInput(f"an edit of this run no longer fits: {error}; {hint}") from error
    status = read_status(run.status)
    generation = (status.generation if status else 0) + 1
    start: StartPoint = FromScratch(edits, generation)
    if checkpoint is not None:
        start = FromCheckpoint(checkpoint, edits, generation)
    epoch = checkpoint.manifest.epoch if checkpoint else 0
    warnings = (*notes, *_warnings(device, lock))
    prepared = Prepared(run, lock, experiment, task, start, device, warnings, "", step, epoch)
    if checkpoint is not None and status is not None and status.state == "finished":
        limit = limit_at(checkpoint, in_force_at_last)
        newest = read_manifests(run.checkpoints)[-1].step
        if limit is not None and step == newest:
            hint = f"{limit.reason}; change the limit to go on, as in {limit.setting}=N"
            return replace(prepared, nothing_to_do=hint)
    if drop_edits or superseded:
        # Dropped for good: the next resume must not bring them back.
        rewrite_edits(run.edits, (*kept, *new))
    else:
        for edit in new:
            record_edit(run.edits, edit)
    _write_provenance(run, argv, task, device)
    return prepared


def _check_not_lost(run: RunDirectory) -> None:
    """Refuse a run whose checkpoints were saved and are gone: step 0 would overwrite the rest."""
    status = read_status(run.status)
    saved = status.saved_step if status else None
    if saved is not None and not manifest_files(run.checkpoints):
        raise CheckpointUnusable(
            f"{run.checkpoints}: step {saved} was saved, and no manifest of a checkpoint is there "
            f"now; put the folder back, or begin anew: tui-trainer train {run.config}"
        )


def _tidy(run: RunDirectory) -> None:
    """Under the lock: remove what a killed process left half written, and its unread mail."""
    for folder in (run.path, run.checkpoints):
        sweep_temporaries(folder)
    for name in unpublished_files(run.checkpoints):
        # Killed between the file and its manifest: it was never published.
        with contextlib.suppress(OSError):
            Files().unlink(run.checkpoints / name)
    Mailbox(run.control).clear()


def _build(
    experiment: Experiment, fitted: dict[str, Any] | None = None
) -> tuple[Task, DeviceChoice]:
    """The task of an experiment on the device it asks for."""
    import torch

    from tui_trainer.training.ranks import SingleRank
    from tui_trainer.training.task import build, warm_up

    device = choose_device(experiment.training.device)
    threads = experiment.training.threads or default_threads()
    training = experiment.training.model_copy(update={"threads": threads})
    placed = replace(experiment, training=training)
    warm_up()
    return build(placed, SingleRank(), torch.device(device.torch_name), fitted), device


def _warnings(device: DeviceChoice, lock: RunLock) -> tuple[str, ...]:
    return tuple(text for text in (device.warning, lock.note) if text)


def _has_checkpoint_files(run: RunDirectory) -> bool:
    """Whether there is a checkpoint file with a manifest that cannot be read."""
    return bool(checkpoint_files(run.checkpoints))


def _with_runtime(experiment: Experiment, overrides: Sequence[Override]) -> Experiment:
    """The experiment with the overrides that say where it runs."""
    for override in overrides:
        if override.key in RUNTIME:
            experiment = with_value(experiment, override.key, override.value)
    return experiment


def _as_edits(
    experiment: Experiment, edits: Sequence[Edit], overrides: Sequence[Override], step: int
) -> list[Edit]:
    """Overrides of a resume as edits at the step of its checkpoint."""
    now = in_force(experiment, [edit for edit in edits if edit.apply_at_step <= step])
    made = []
    for override in overrides:
        if override.key in RUNTIME:
            continue
        changed = edited(now, override.key, override.value)
        old, new = now.get(override.key), changed.get(override.key)
        made.append(Edit(new_id(), step, override.key, old, new, "resume"))
        now = changed
    return made


def _superseded(
    kept: Sequence[Edit], new: Sequence[Edit], step: int
) -> tuple[list[Edit], list[Edit]]:
    """The edits that stay, and the later ones of settings that the resume itself gives."""
    given = {edit.key for edit in new}
    gone = [edit for edit in kept if edit.apply_at_step > step and edit.key in given]
    return [edit for edit in kept if edit not in gone], gone


def _superseded_note(edit: Edit) -> str:
    return (
        f"{edit.key} is given by this resume: its edit to {edit.new} at step "
        f"{edit.apply_at_step:,} is not repeated"
    )


def _write_provenance(
    run: RunDirectory, argv: Sequence[str], task: Task, device: DeviceChoice
) -> None:
    facts = collect(
        argv,
        device=device.label,
        threads=task.experiment.training.threads or 0,
        extra={"data_fingerprint": task.dataset.fingerprint.value, "plugins": plugin_facts()},
    )
    write_provenance(run.provenance, facts)
