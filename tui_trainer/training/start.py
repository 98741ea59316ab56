"""What comes before the first step: setting aside, loading, and the context of the loop.

Layer: training. Setting aside comes after everything that can refuse the checkpoint, so that a
refused resume leaves the run as it was.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from tui_trainer.models.summary import count_parameters
from tui_trainer.runs.atomic import Files
from tui_trainer.runs.configured import config_bytes
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, set_aside
from tui_trainer.runs.edits import in_force
from tui_trainer.runs.events import RunStarted
from tui_trainer.runs.folder import exists
from tui_trainer.runs.manifests import manifest_path, read_manifests
from tui_trainer.training.average import Average
from tui_trainer.training.checkpoint_data import CheckpointData, Origin
from tui_trainer.training.context import Clock, Context, Emit, Resume, Start
from tui_trainer.training.forward import Carry
from tui_trainer.training.optimizers import retune
from tui_trainer.training.progress import Progress, Stopwatch
from tui_trainer.training.saver import origin_of
from tui_trainer.training.state import State
from tui_trainer.training.step_buffer import Numbers
from tui_trainer.training.task import Task
from tui_trainer.training.writer import Writer


def set_aside_later(run: RunDirectory, start: Start, files: Files) -> None:
    """Move into discarded/ what lies after the start: newer checkpoints, later lines."""
    later = read_manifests(run.checkpoints)
    length = 0
    if isinstance(start, Resume):
        chosen = start.checkpoint.manifest
        later = [m for m in later if (m.step, m.attempt) > (chosen.step, chosen.attempt)]
        length = start.checkpoint.data.progress.metrics_bytes
    elif not exists(run.metrics):
        return
    paths = [
        path
        for manifest in later
        for path in (manifest_path(run.checkpoints, manifest.file), run.checkpoints / manifest.file)
    ]
    set_aside(run, paths, length, files)


def begin(
    task: Task,
    start: Start,
    control: Control,
    emit: Emit,
    run: RunDirectory,
    writer: Writer,
    clock: Clock,
) -> Context:
    """The context at the start, with the state of the checkpoint if there is one; tells of it.

    Raises:
        CheckpointUnusable: the checkpoint is of another model.
    """
    state = state_of(task)
    progress, notes = Progress(), task.dataset.notes
    resumed = isinstance(start, Resume)
    if isinstance(start, Resume):
        saved = start.checkpoint.data
        progress = deepcopy(saved.progress)
        state.load(saved.state)
        if saved.stream:
            task.batches.restore(saved.stream)
        notes += bitwise_notes(task, saved.origin)
    # Edits at this very step come after a validation that is still due at it, so they are replayed.
    early = [edit for edit in start.edits if edit.apply_at_step < progress.step]
    t = Context(
        task=task,
        state=state,
        measuring=task.forward.of(state.measured),
        carry=carry_of(start.checkpoint.data, task.device) if isinstance(start, Resume) else None,
        progress=progress,
        experiment=in_force(task.experiment, early),
        control=control,
        emit=emit,
        run=run,
        writer=writer,
        watch=Stopwatch(clock, progress.elapsed_s),
        numbers=Numbers(task.device),
        generation=start.generation,
        replay=[edit for edit in start.edits if edit.apply_at_step >= progress.step],
        edits=early,
        best_weights=start.checkpoint.data.best_weights if isinstance(start, Resume) else None,
        saved=(progress.step, progress.validated_step) if resumed else None,
        saved_at_s=progress.elapsed_s,
        saved_epoch=progress.epoch,
        reported_at_s=progress.elapsed_s,
        protected=frozenset({progress.step} if resumed else ()),
        clock=clock,
        config=config_bytes(run),
    )
    retune(state.optimizer, t.experiment.optimizer)
    task.model.train()
    emit(_started(t, notes))
    return t


def state_of(task: Task) -> State:
    """The state of a task before its first step."""
    training = task.experiment.training
    average = scaler = None
    if training.ema_decay is not None:
        average = Average(task.model, training.ema_decay)
    if training.precision == "fp16":
        scaler = torch.amp.GradScaler(task.device.type)
    return State(task.model, task.optimizer, task.device, average=average, scaler=scaler)


def carry_of(saved: CheckpointData, device: torch.device) -> Carry:
    """What a recurrent model had carried over at a checkpoint in the middle of an epoch."""
    return None if saved.carry is None else tuple(part.to(device) for part in saved.carry)


def _started(t: Context, notes: tuple[str, ...]) -> RunStarted:
    return RunStarted(
        step=t.progress.step,
        epoch=t.progress.shown_epoch,
        run=t.run.path.name,
        device=str(t.task.device),
        parameters=count_parameters(t.task.model),
        samples=len(t.task.dataset.train),
        steps_per_epoch=t.task.steps_per_epoch,
        total_steps=t.horizon,
        generation=t.generation,
        notes=notes,
    )


def bitwise_notes(task: Task, origin: Origin) -> tuple[str, ...]:
    """Why this resume will not be bit for bit what an uncut run would be; empty when it will."""
    notes = []
    if differing := origin.differences(origin_of(task)):
        notes.append(f"not bitwise: {'; '.join(differing)}")
    if not task.dataset.fingerprint.is_same(origin.fingerprint):
        notes.append("not bitwise: the data changed since the checkpoint was written")
    if origin.broken:
        notes.append("not bitwise: the step after this one failed when it had begun")
    if task.device.type == "cuda" and not task.experiment.training.deterministic:
        notes.append("not bitwise on CUDA without training.deterministic=true")
    return tuple(notes)
