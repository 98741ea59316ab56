"""`Validator`: decides when a validation is due, and updates the best value and the patience.

Layer: training. A validation on demand has no effect on the run: it counts neither for early
stopping nor as the best, and adds nothing to metrics.jsonl, so that watching a run does not change
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tui_trainer.config.sections.metrics import METRICS, better
from tui_trainer.config.sections.plateau import after_validation
from tui_trainer.config.sections.schedules import PlateauSection
from tui_trainer.runs.events import ValidationEnded, ValidationStarted
from tui_trainer.training.forward import Forward
from tui_trainer.training.measurement import measure_task
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.previews import Previews
from tui_trainer.training.progress import Best
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.saver import Saver
from tui_trainer.training.task import Task


class Validator(Part):
    """Measures the validation split, and keeps track of the best value and the patience."""

    def __init__(
        self,
        shared: Shared,
        task: Task,
        measured: Forward,
        recorder: Recorder,
        saver: Saver,
        previews: Previews,
    ) -> None:
        super().__init__(shared)
        self._previews = previews
        self.measured = measured
        """The model that is validated and tested."""
        self._task = task
        self._recorder = recorder
        self._saver = saver

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to validate on."""
        return len(self._task.dataset.val) > 0

    @property
    def is_due(self) -> bool:
        """Whether the settings ask for a validation at this step that was not done yet."""
        progress = self._progress
        every = self._settings.experiment.training.validate_every_steps
        if not self.has_rows or progress.step in (0, progress.validated_step):
            return False
        return progress.step % every == 0 if every is not None else progress.batch == 0

    def validate(self, interrupted: Callable[[], bool], *, on_demand: bool = False) -> bool:
        """Validate this step; False if a stop interrupted it before anything was decided."""
        # Raises `Diverged` before a bad state can become the best.
        self._recorder.report_before_validation()
        began_s = self._clock()
        metrics = self.measure(interrupted)
        if metrics is None:
            return False
        duration_s = self._clock() - began_s
        if on_demand:
            self._tell(metrics, duration_s, improved=False, on_demand=True)
            return True
        improved = self._judge(metrics)
        self._follow(metrics)
        self._progress.validated_step = self._progress.step
        # Before the copy of the state, which records the length of metrics.jsonl with this line.
        self._recorder.write_held_line(_named(metrics))
        if improved:
            self._saver.hold_best()
        self._tell(metrics, duration_s, improved=improved)
        self._previews.keep()
        return True

    def validate_end(self, interrupted: Callable[[], bool]) -> bool:
        """Validate the last step of a run after its checkpoint was written; False if interrupted.

        The step may become the best. Nothing else changes that a resume would continue with.
        """
        began_s = self._clock()
        metrics = self.measure(interrupted)
        if metrics is None:
            return False
        self._recorder.write_held_line(_named(metrics))
        duration_s = self._clock() - began_s
        improved = self._take_best(metrics)
        if improved:
            # Before it is told: whoever resumes after a kill must find what others were told.
            self._saver.mark_as_best(metrics)
        self._tell(metrics, duration_s, improved=improved)
        return True

    def measure(self, interrupted: Callable[[], bool]) -> dict[str, float] | None:
        """Return the metrics of the validation split, or None if a stop interrupted it."""
        task = self._task
        batches = task.dataset.val.count(task.eval_batch_size)
        self._events.emit(ValidationStarted(self._progress.step, batches))
        found = measure_task(task, self.measured, task.dataset.val, interrupted)
        self._events.note_left_out(task.dataset.left_out)
        return None if found is None else found.metrics

    def _judge(self, metrics: dict[str, float]) -> bool:
        """Update the best and the patience; True if this is the best so far, which NaN never is."""
        progress, experiment = self._progress, self._settings.experiment
        name = experiment.checkpoint.monitor
        progress.last_metrics = metrics
        if name not in metrics:
            # A recipe measures no loss: there is no best step, and the last one is taken.
            return False
        value, reference = metrics[name], progress.reference
        if not math.isfinite(value):
            told = f"validation: {name} is {value}; it cannot become the best"
            if math.isnan(value):
                # It is neither better nor worse than another value.
                told += ", and is not counted for early_stopping.patience"
            else:
                progress.stale += 1
            self._events.note(told, "warning")
            return False
        if reference is None or better(name, value, reference, experiment.early_stopping.min_delta):
            progress.reference = value
            progress.stale = 0
        else:
            progress.stale += 1
        return self._take_best(metrics)

    def _take_best(self, metrics: dict[str, float]) -> bool:
        """Record the metrics as the best if they are the best; return whether they are."""
        progress, name = self._progress, self._settings.experiment.checkpoint.monitor
        value = metrics.get(name, math.nan)
        if not math.isfinite(value):
            return False
        if progress.best is not None and not better(name, value, progress.best.value):
            return False
        progress.best = Best(name, value, progress.step, progress.shown_epoch, dict(metrics))
        return True

    def _follow(self, metrics: dict[str, float]) -> None:
        """Lower the learning rate on a plateau, if the schedule follows the monitored metric."""
        experiment, progress = self._settings.experiment, self._progress
        schedule, name = experiment.schedule, experiment.checkpoint.monitor
        value = metrics.get(name, math.nan)
        if not isinstance(schedule, PlateauSection) or math.isnan(value):
            return
        before = self._settings.lr()
        upwards = METRICS[name].higher_is_better
        old = progress.plateau
        progress.plateau = after_validation(schedule, old, value, higher_is_better=upwards)
        if progress.plateau.factor < old.factor:
            self._events.note(
                f"plateau: no better {name} in {old.stale + 1} validations; the learning rate "
                f"falls from {before:.4g} to {self._settings.lr():.4g} after step {progress.step}"
            )

    def _tell(
        self,
        metrics: dict[str, float],
        duration_s: float,
        *,
        improved: bool,
        on_demand: bool = False,
    ) -> None:
        self._events.emit(
            ValidationEnded(
                step=self._progress.step,
                epoch=self._progress.shown_epoch,
                elapsed_s=self._watch.elapsed_s(),
                metrics=metrics,
                duration_s=duration_s,
                improved=improved,
                stale=self._progress.stale,
                on_demand=on_demand,
            )
        )


def _named(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics under their names in metrics.jsonl."""
    return {f"val/{name}": value for name, value in metrics.items()}
