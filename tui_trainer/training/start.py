"""The start of a training: set newer results aside, load the checkpoint, build the parts.

Layer: training. Newer results are set aside only after the checkpoint was verified and the task was
built, so a resume that is refused before that leaves the run as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.models.summary import count_parameters
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.discarded import cut_metrics, set_aside
from tui_trainer.runs.edits import in_force
from tui_trainer.runs.events import RunStarted, StageStarted
from tui_trainer.runs.files import Files
from tui_trainer.runs.manifests import manifest_path, read_manifests
from tui_trainer.runs.paths import exists, size_of
from tui_trainer.runs.tail import records_from
from tui_trainer.training.average import Average
from tui_trainer.training.changes import resume_notes
from tui_trainer.training.checkpoint_data import CheckpointData, Origin
from tui_trainer.training.command_handler import CommandHandler, edits_before
from tui_trainer.training.directory_watch import DirectoryWatch
from tui_trainer.training.forward import RecurrentState
from tui_trainer.training.frozen_groups import FrozenGroups
from tui_trainer.training.loss_scaler import LossScaler
from tui_trainer.training.optimizers import retune, set_part_factors
from tui_trainer.training.part import Emit, LiveSettings, RunEvents, Shared
from tui_trainer.training.previews import Previews
from tui_trainer.training.progress import Progress, Stopwatch
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.saver import Saver, origin_of
from tui_trainer.training.start_point import FromCheckpoint, StartPoint
from tui_trainer.training.state import State
from tui_trainer.training.step import Stepper
from tui_trainer.training.step_buffer import StepBuffer
from tui_trainer.training.task import Task
from tui_trainer.training.training import Training
from tui_trainer.training.validation import Validator
from tui_trainer.training.writer import Writer


def load_state(task: Task, start: StartPoint) -> State:
    """Return the state at the start: before the first step, or that of the checkpoint.

    Raises:
        CheckpointUnusable: the checkpoint belongs to another model, or cannot be loaded.
    """
    state = state_of(task)
    if isinstance(start, FromCheckpoint):
        state.load(start.checkpoint.data.state)
    return state


def discard_after(
    run: RunDirectory, start: StartPoint, files: Files, *, is_trained: bool = False
) -> None:
    """Move newer checkpoints and later lines of metrics into discarded/.

    Call it only when nothing can refuse the start any more. `is_trained`: the run has all its steps
    and is only tested again, so the line of its last step is no result to keep: the checkpoint has
    it, and it is written again.
    """
    later = read_manifests(run.checkpoints)
    length = 0
    if isinstance(start, FromCheckpoint):
        chosen = start.checkpoint.manifest
        # A step can be saved twice, before and after its validation: the later attempt is newer.
        later = [m for m in later if (m.step, m.attempt) > (chosen.step, chosen.attempt)]
        length = start.checkpoint.data.progress.metrics_bytes
        if is_trained and not later and _has_only_line_of(run, chosen.step, length):
            cut_metrics(run, length, files)
            return
    elif not exists(run.metrics):
        return
    paths = [
        path
        for manifest in later
        for path in (manifest_path(run.checkpoints, manifest.file), run.checkpoints / manifest.file)
    ]
    set_aside(run, paths, length, files)


def _has_only_line_of(run: RunDirectory, step: int, offset: int) -> bool:
    """Whether there is nothing after the offset in the metrics but a line of this step."""
    if not exists(run.metrics):
        return False
    records, end = records_from(run.metrics, offset)
    return [record.get("step") for record in records] == [step] and end == size_of(run.metrics)


def begin(
    task: Task,
    start: StartPoint,
    state: State,
    control: Control,
    emit: Emit,
    run: RunDirectory,
    writer: Writer,
    clock: Callable[[], float],
) -> Training:
    """Build the parts of a training around its state, and emit `RunStarted`."""
    saved = start.checkpoint.data if isinstance(start, FromCheckpoint) else None
    notes = task.dataset.notes
    if saved is not None:
        if saved.stream:
            task.batches.restore(saved.stream)
        if saved.left_out and task.dataset.left_out is not None:
            task.dataset.left_out.restore(saved.left_out)
        notes += bitwise_notes(task, saved.origin, run)
    shared = _shared(task, start, emit, clock)
    buffer, measured = StepBuffer(), task.forward.of(state.measured)
    recorder = Recorder(shared, buffer, task.batches, writer, state)
    stepper = Stepper(shared, task, state, recorder, _carry_of(saved, task.device))
    saver = Saver(shared, task, state, writer, recorder, stepper, saved)
    previews = Previews(shared, task, run, measured)
    validator = Validator(shared, task, measured, recorder, saver, previews)
    commands = CommandHandler(
        shared, control, run.edits, state, recorder, saver, validator, start.edits
    )
    training = Training(
        task=task,
        run=run,
        generation=start.generation,
        shared=shared,
        state=state,
        recorder=recorder,
        stepper=stepper,
        saver=saver,
        validator=validator,
        commands=commands,
        directory=DirectoryWatch(shared, run, recorder, saver, commands),
        frozen_groups=FrozenGroups(shared, state),
    )
    # Both were built without the edits that are in force at this step.
    shared.settings.apply_to(lambda experiment: retune(state.optimizer, experiment.optimizer))
    shared.settings.apply_to(lambda experiment: _use_own(task, experiment))
    task.model.train()
    training.events.emit(_started(training, notes))
    training.events.emit(StageStarted(shared.progress.step, "first step"))
    return training


def _shared(task: Task, start: StartPoint, emit: Emit, clock: Callable[[], float]) -> Shared:
    """Return what the parts share, with the progress and the edits of the start point."""
    progress = Progress()
    if isinstance(start, FromCheckpoint):
        progress = deepcopy(start.checkpoint.data.progress)
    early = edits_before(start.edits, progress.step)
    return Shared(
        progress=progress,
        settings=LiveSettings(in_force(task.experiment, early), task.steps_per_epoch, progress),
        watch=Stopwatch(clock, progress.elapsed_s),
        clock=clock,
        events=RunEvents(emit, progress),
    )


def state_of(task: Task) -> State:
    """Return the state of a task before its first step."""
    training = task.experiment.training
    average = scaler = None
    if training.ema_decay is not None:
        average = Average(task.model, training.ema_decay)
    if training.precision == "fp16":
        scaler = LossScaler(task.device)
    recipe = task.recipe
    parts = recipe.parts if recipe is not None and recipe.takes_steps else None
    return State(
        task.model,
        task.optimizer,
        task.device,
        average=average,
        scaler=scaler,
        parts=parts,
        arithmetic=training.arithmetic,
    )


def _use_own(task: Task, experiment: Experiment) -> None:
    """Let the loss or the recipe of a plugin use the settings in force."""
    if task.criterion is not None:
        task.criterion.use(experiment.loss)
    if task.transform is not None:
        task.transform.use(experiment.transform)
    if task.recipe is not None:
        task.recipe.use(experiment.recipe)
        if task.recipe.takes_steps:
            set_part_factors(task.optimizer, task.recipe.lr_factors())


def _carry_of(saved: CheckpointData | None, device: torch.device) -> RecurrentState:
    """Return the recurrent state saved in the middle of an epoch, moved to `device`, or None."""
    if saved is None or saved.carry is None:
        return None
    return tuple(part.to(device) for part in saved.carry)


def _started(training: Training, notes: tuple[str, ...]) -> RunStarted:
    task, progress = training.task, training.progress
    return RunStarted(
        step=progress.step,
        epoch=progress.shown_epoch,
        run=training.run.path.name,
        device=str(task.device),
        parameters=count_parameters(task.model),
        trained_parameters=_count_trained(task),
        samples=len(task.dataset.train),
        steps_per_epoch=task.steps_per_epoch,
        total_steps=training.shared.settings.horizon,
        generation=training.generation,
        notes=notes,
        better=task.directions,
        split=task.dataset.split_summary,
    )


def _count_trained(task: Task) -> int:
    """Return the number of parameters that are trained at some time; shared ones count once."""
    groups = task.optimizer.param_groups
    return sum(parameter.numel() for group in groups for parameter in group["params"])


def bitwise_notes(task: Task, origin: Origin, run: RunDirectory) -> tuple[str, ...]:
    """Return why this resume may not be bit for bit the same as an uninterrupted run."""
    notes = []
    if differing := origin.differences(origin_of(task)):
        notes.append(f"not bitwise: {'; '.join(differing)}")
    notes += resume_notes(task, origin, run)
    if origin.broken:
        notes.append("not bitwise: the step after this one had already begun when it failed")
    if task.device.type == "cuda" and not task.experiment.training.deterministic:
        notes.append("not bitwise on CUDA without training.deterministic=true")
    return tuple(notes)


@contextmanager
def process_settings(training: TrainingSection) -> Iterator[None]:
    """Apply the settings for threads, determinism and TF32 to the process during a training.

    Call it in the trainer thread: OpenMP keeps a number of threads for each calling thread. The
    old settings are restored at the end, so that a process can run several trainings in turn.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if training.deterministic:
        # cuBLAS reads this variable when a CUDA context creates its first handle.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # Set explicitly even for fp32, because cuDNN uses TF32 by default.
    torch.backends.cuda.matmul.allow_tf32 = training.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = training.precision == "tf32"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        # Only if it was changed: the call alone imports torch's compiler, which takes a second.
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
