"""`Saver`: when a checkpoint is due, what goes into it, and what a failed save means.

Layer: training. The trainer copies its state to the host and goes on; the writer thread does the
rest. Only a pause, a stop and the end wait until the file is published.
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch

from tui_trainer.runs.events import CheckpointSaved, SaveFailed
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.checkpoint_data import CheckpointData, Origin
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recorder import Diverged, Recorder
from tui_trainer.training.state import State
from tui_trainer.training.step import Stepper
from tui_trainer.training.task import Task
from tui_trainer.training.writer import SaveJob, SaveResult, Writer


class Saver(Part):
    """Saves the state of a training, and holds the best one until it is on the disk."""

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
        """`saved` is the checkpoint that the training starts from."""
        super().__init__(shared)
        self._task = task
        self._state = state
        self._writer = writer
        self._recorder = recorder
        self._stepper = stepper
        self.best_weights = None if saved is None else saved.best_weights
        """The weights of the best validation so far."""
        self.failure: Exception | None = None
        """Why the newest save did not succeed."""
        self.step_failed = False
        """Whether a step failed half-way, after it may have drawn random numbers."""
        self._best_job: SaveJob | None = None
        """The best state so far, while it is not on the disk yet."""
        self._protected = frozenset(() if saved is None else {shared.progress.step})
        """The step that a resume started from stays, whatever `checkpoint.keep_last` says."""
        self._saved = None if saved is None else self._here
        """Step and validated step of the newest checkpoint."""
        self._saved_at_s = shared.progress.elapsed_s
        self._saved_epoch = shared.progress.epoch
        self._failing_since_s: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether the settings want a checkpoint at this step.

        One that is due by time is left out while the writer is at the one before; those by steps
        and epochs never are.
        """
        settings, progress = self._settings.experiment.checkpoint, self._progress
        if self._saved is not None and self._saved[0] == progress.step:
            return False
        if settings.every_steps and progress.step > 0 and progress.step % settings.every_steps == 0:
            return True
        done = progress.epoch - self._saved_epoch
        if settings.every_epochs and progress.batch == 0 and done >= settings.every_epochs:
            return True
        due_s = self._saved_at_s + (settings.every_seconds or math.inf)
        return self._watch.elapsed_s() >= due_s and not self._writer.busy

    @property
    def is_busy(self) -> bool:
        """Whether a save is under way, or its result was not handled yet."""
        return self._writer.busy

    def save(self) -> None:
        """Hand the state at this step to the writer, and before it the best one if that is due."""
        self._recorder.report()
        if self._writer.busy:
            # No more than one state at a time waits in memory for the disk.
            self.drain()
        current = self._job()
        if self._best_job is not None and self._best_job.step != self._progress.step:
            self._writer.save(self._best_job)
        self._writer.save(current)
        self._best_job = None
        self._saved = self._here
        self._saved_at_s, self._saved_epoch = self._progress.elapsed_s, self._progress.epoch

    def save_and_wait(self) -> bool:
        """Save the state at this step unless it is saved already; False when that failed."""
        self.drain()
        if self._saved != self._here:
            self.save()
            self.drain()
        return self.failure is None

    def hold_best(self) -> None:
        """Hold the state at the best validation until the next save publishes it."""
        self.best_weights = None
        self._best_job = self._job()
        self.best_weights = self._best_job.data.state.measured

    def publish_best(self) -> None:
        """Write the best state if it is only in memory; for an end whose own is not worth it."""
        if self._best_job is not None:
            self._writer.save(self._best_job)
            self._best_job = None
        self.drain()

    def drain(self) -> None:
        """Wait until everything handed to the writer is done; raises what `handle_results` does."""
        self._handle(self._writer.drain())

    def handle_results(self) -> None:
        """Tell what became of the saves that have ended; never waits.

        Raises:
            CannotWrite: none succeeded for `checkpoint.give_up_s`.
        """
        self._handle(self._writer.results())

    def start_over(self) -> None:
        """Begin anew in a directory that was made anew: nothing is saved, and nothing failed."""
        self._writer.drain()
        self._progress.metrics_bytes = self._writer.reopen()
        self._saved = None
        # Saves that failed for want of the directory say nothing of the one that is there now.
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
            self._saved = None
            if result.job.is_best:
                self._best_job = self._best_job or result.job
            if self._failing_since_s is None:
                self._failing_since_s = self._clock()
            self._events.emit(SaveFailed(result.job.step, clean(str(result.error), 400)))
        give_up_s = self._settings.experiment.checkpoint.give_up_s
        if self._failing_since_s is not None and self._clock() - self._failing_since_s > give_up_s:
            raise CannotWrite(f"no checkpoint could be written for {give_up_s:g} s: {self.failure}")

    def _job(self) -> SaveJob:
        """A checkpoint of the state as it is now.

        Raises:
            Diverged: a parameter is not finite, so that it is not worth keeping.
        """
        progress, task = self._progress, self._task
        progress.elapsed_s = self._watch.elapsed_s()
        state = self._state.snapshot()
        # Loss and gradient of the last step are those of the weights before it.
        if name := self._state.not_finite(state.model):
            self._recorder.write_held_line()
            raise Diverged(progress.step, progress.shown_epoch, f"{name} is not finite", ())
        if self.best_weights is None and self._best_job is not None:
            self.best_weights = self._best_job.data.state.measured
        carry = self._stepper.carry
        is_best = progress.best is None or progress.best.step == progress.step
        data = CheckpointData(
            state=state,
            carry=None if carry is None else tuple(part.to("cpu", copy=True) for part in carry),
            stream=task.batches.state(progress.epoch, progress.batch),
            progress=deepcopy(progress),
            best=None if is_best else self.best_weights,
            preprocessing=task.dataset.preprocessing,
            dataset=task.dataset.outline().to_dict(),
            origin=origin_of(task, broken=self.step_failed),
        )
        keep_last = self._settings.experiment.checkpoint.keep_last
        return SaveJob(data, keep_last, self._protected)


def origin_of(task: Task, *, broken: bool = False) -> Origin:
    """Where a task is trained now."""
    return Origin(
        device=task.device.type,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        world=task.ranks.world,
        fingerprint=task.dataset.fingerprint.value,
        broken=broken,
    )
