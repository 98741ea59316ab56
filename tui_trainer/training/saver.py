"""`Saver`: decides when a checkpoint is due, fills it, and handles failed saves.

Layer: training. The trainer copies its state to the host and continues; the writer thread does the
rest. Only a save on request, a pause, a stop and the end wait until the file is published.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace

import torch

from tui_trainer.config.plugin_loader import plugin_lines
from tui_trainer.data.base.augment import version_of_moves
from tui_trainer.runs.events import CheckpointSaved, SaveFailed
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.changes import sizes_of
from tui_trainer.training.checkpoint_data import CheckpointData, Origin
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recorder import Diverged, Recorder
from tui_trainer.training.state import State
from tui_trainer.training.step import Stepper
from tui_trainer.training.task import Task
from tui_trainer.training.writer import SaveJob, SaveResult, Writer


class Saver(Part):
    """Saves the state of a training, and holds the best state until it is on the disk."""

    def __init__(
        self,
        shared: Shared,
        task: Task,
        state: State,
        writer: Writer,
        recorder: Recorder,
        stepper: Stepper,
        saved: CheckpointData | None = None,
    ) -> None:
        """Make a saver; `saved` is the checkpoint that the training starts from."""
        super().__init__(shared)
        self._task = task
        self._state = state
        self._writer = writer
        self._recorder = recorder
        self._stepper = stepper
        self._dataset = task.dataset.info.to_dict()
        self._origin = origin_of(task)
        self.best_weights = None if saved is None else saved.best_weights
        """The weights of the best validation so far."""
        self.failure: Exception | None = None
        """Why the newest save did not succeed."""
        self.step_failed = False
        """Whether a step failed half-way, when it may already have drawn random numbers."""
        self._best_job: SaveJob | None = None
        """The best state so far, while it is not on the disk yet."""
        self._protected = frozenset(() if saved is None else {shared.progress.step})
        """The step that a resume started from; `checkpoint.keep_last` does not remove it."""
        self._saved = None if saved is None else self._here
        """The step and the validated step of the newest checkpoint."""
        self._saved_at_s = shared.progress.elapsed_s
        self._saved_epoch = shared.progress.epoch
        self._failing_since_s: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether the settings ask for a checkpoint at this step.

        A checkpoint that is due by time waits while the writer is still busy with the one before;
        those due by steps or epochs do not.
        """
        settings, progress = self._settings.experiment.checkpoint, self._progress
        if self._saved is not None and self._saved[0] == progress.step:
            return False
        if settings.every_steps and progress.step > 0 and progress.step % settings.every_steps == 0:
            return True
        done = progress.epoch - self._saved_epoch
        if settings.every_epochs and progress.batch == 0 and done >= settings.every_epochs:
            return True
        return self._watch.elapsed_s() >= self.due_s and not self._writer.busy

    @property
    def due_s(self) -> float:
        """When a checkpoint is due by time, in seconds of training; infinity if never."""
        return self._saved_at_s + (self._settings.experiment.checkpoint.every_seconds or math.inf)

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way, or has a result that was not handled yet."""
        return self._writer.busy

    def save(self) -> None:
        """Hand the current state to the writer, after the best state if that is still unsaved."""
        self._recorder.report()
        if self._writer.busy:
            # At most one save at a time is under way, which bounds the copies of the state that
            # wait in memory for a slow disk.
            self.drain()
        # Made first: if it raises `Diverged`, the best state is still held for `publish_best`.
        current = self._job()
        if self._best_job is not None and self._best_job.step != self._progress.step:
            self._writer.save(self._best_job)
        self._writer.save(current)
        self._best_job = None
        self._saved = self._here
        self._saved_at_s, self._saved_epoch = self._progress.elapsed_s, self._progress.epoch

    def save_and_wait(self) -> bool:
        """Save the state at this step unless it is saved already; False if that failed."""
        self.drain()
        if self._saved != self._here:
            self.save()
            self.drain()
        return self.failure is None

    def hold_best(self) -> None:
        """Copy the state at the best validation; the next save publishes it."""
        self.best_weights = None
        self._best_job = self._job()
        self.best_weights = self._best_job.data.state.measured

    def publish_best(self) -> None:
        """Write the best state if it is only in memory; for a run whose last state is unusable."""
        if self._best_job is not None:
            self._writer.save(self._best_job)
            self._best_job = None
        self.drain()

    def mark_as_best(self, metrics: dict[str, float]) -> None:
        """Mark the checkpoint of this step, which is the newest, as the best."""
        try:
            self._writer.mark_as_best(self._progress.step, metrics)
        except CannotWrite as error:
            self._events.note(f"the best checkpoint could not be marked: {error}", "warning")

    def drain(self) -> None:
        """Wait until the writer has finished everything; raises like `handle_results`."""
        self._handle(self._writer.drain())

    def handle_results(self) -> None:
        """Emit the results of the saves that have ended; never waits.

        Raises:
            CannotWrite: no save succeeded for `checkpoint.give_up_s`.
        """
        self._handle(self._writer.results())

    def start_over(self) -> None:
        """Start over in a run directory that was created again: nothing is saved there yet."""
        self._writer.drain()
        self._progress.metrics_bytes = self._writer.reopen()
        self._saved = None
        # Saves that failed because the directory was missing say nothing about the new one.
        self._failing_since_s = self.failure = None

    @property
    def _here(self) -> tuple[int, int]:
        return self._progress.step, self._progress.validated_step

    def _handle(self, results: list[SaveResult]) -> None:
        for result in results:
            if result.manifest is not None:
                self._failing_since_s = self.failure = None
                self._events.emit(
                    CheckpointSaved(
                        step=result.job.step,
                        file=result.manifest.file,
                        size_bytes=result.manifest.size_bytes,
                        duration_s=result.duration_s,
                        best=result.job.is_best,
                    )
                )
                continue
            self.failure = result.error
            # Forget it, so that `save_and_wait` tries this step again.
            self._saved = None
            # Hold the best state again for the next save, unless there is a newer best one.
            if result.job.is_best:
                self._best_job = self._best_job or result.job
            if self._failing_since_s is None:
                self._failing_since_s = self._clock()
            self._events.emit(SaveFailed(result.job.step, clean(str(result.error), 400)))
        give_up_s = self._settings.experiment.checkpoint.give_up_s
        if self._failing_since_s is not None and self._clock() - self._failing_since_s > give_up_s:
            raise CannotWrite(f"no checkpoint could be written for {give_up_s:g} s: {self.failure}")

    def _job(self) -> SaveJob:
        """Return a job that saves the state as it is now.

        Raises:
            Diverged: a parameter is not finite, so the state is not worth keeping.
        """
        progress, task = self._progress, self._task
        progress.elapsed_s = self._watch.elapsed_s()
        state = self._state.snapshot()
        # The reported loss and gradient belong to the weights before the last update, so they do
        # not show whether that update left finite weights.
        if name := self._state.not_finite(state.model):
            self._recorder.write_held_line()
            raise Diverged(progress.step, progress.shown_epoch, f"{name} is not finite", ())
        if self.best_weights is None and self._best_job is not None:
            self.best_weights = self._best_job.data.state.measured
        carry, left_out = self._stepper.carry, task.dataset.left_out
        is_best = progress.best is None or progress.best.step == progress.step
        data = CheckpointData(
            state=state,
            carry=None if carry is None else tuple(part.to("cpu", copy=True) for part in carry),
            stream=task.batches.state(progress.epoch, progress.batch),
            progress=copy(progress),
            best=None if is_best else self.best_weights,
            preprocessing=task.dataset.preprocessing,
            dataset=self._dataset,
            left_out=None if left_out is None else left_out.to_list(),
            origin=replace(self._origin, broken=self.step_failed),
        )
        keep_last = self._settings.experiment.checkpoint.keep_last
        return SaveJob(data, keep_last, self._protected)


def origin_of(task: Task) -> Origin:
    """Return the origin that a checkpoint of this task has if it is made in this process."""
    return Origin(
        device=task.device.type,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        world=task.ranks.world,
        fingerprint=task.dataset.fingerprint.value,
        plugins=plugin_lines(),
        samples=sizes_of(task),
        helpers="" if task.recipe is None else task.recipe.helpers,
        arithmetic=task.experiment.training.arithmetic,
        moves=version_of_moves(task.experiment.dataset),
        cuda_graphs=task.experiment.training.cuda_graphs,
    )
