"""The test at the end of a run: the best weights on the test split, and baselines beside them.

Layer: training. The run is saved before it, and everything here can be measured again. A stop skips
what is left: it is looked for between two batches and between two parts of a fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from tui_trainer.data.base.split import BatchLost, Split
from tui_trainer.runs.events import MeasurementAdvanced
from tui_trainer.text.format import counted
from tui_trainer.training.baseline_costs import choose_baselines
from tui_trainer.training.baselines import Baseline, Metrics
from tui_trainer.training.measurement import measure_task
from tui_trainer.training.metrics import Measurement
from tui_trainer.training.training import Training

TELL_S = 0.3
"""The least time between two reports of progress."""


@dataclass(slots=True)
class FinalResults:
    """The results at the end of a run, complete or cut short by a stop."""

    validated: bool = False
    """Whether the last step is validated."""
    measured: Measurement | None = None
    baselines: dict[str, Metrics] = field(default_factory=dict)
    skipped: str = ""
    """What a stop has skipped, and the command that measures it; empty if nothing was."""


class Skipped(Exception):
    """A stop asks to skip the rest of the test."""


class _Meter:
    """Reports the progress of one part after the other, and looks for a stop."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._clock = training.shared.clock
        self._part = self._unit = self._following = ""
        self._began_s = self._told_s = -math.inf

    def begin(self, part: str, unit: str, following: str, total: int | None = None) -> None:
        """Begin a part of the test; `total` is None if its size is not known."""
        self._part, self._unit, self._following = part, unit, following
        self._began_s, self._told_s = self._clock(), -math.inf
        self.tick(0, total)

    def tick(self, done: int, total: int | None) -> None:
        """Report the progress of this part if that is due.

        Raises:
            Skipped: there is a stop.
        """
        if self._training.commands.execute_while_testing():
            raise Skipped
        now_s = self._clock()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self._training.events.emit(
                MeasurementAdvanced(
                    step=self._training.progress.step,
                    part=self._part,
                    done=done,
                    total=total,
                    unit=self._unit,
                    elapsed_s=now_s - self._began_s,
                    following=self._following,
                )
            )

    def batches(self, part: str, split: Split, size: int, following: str) -> Callable[[], bool]:
        """Begin the measurement of a split; the function returned is called before each batch."""
        samples, count, done = len(split), split.count(size), 0
        self.begin(part, "samples", following, samples)

        def before_batch() -> bool:
            nonlocal done
            self.tick(samples * min(done, count) // count, samples)
            done += 1
            # Never an interruption: for a stop, `tick` raises `Skipped`.
            return False

        return before_batch


def run_test(training: Training) -> FinalResults:
    """Validate the last step unless that was done, test the best weights, compute the baselines."""
    task, steps = training.task, training.progress.step
    is_validated = training.progress.validated_step == steps or not training.validator.has_rows
    results = FinalResults(is_validated)
    chosen: list[Baseline] = []
    notes: list[str] = []
    if len(task.dataset.test):
        chosen, notes = choose_baselines(task, task.dataset.test, steps, training.run)
    elif is_validated:
        training.recorder.write_held_line()
        return results
    training.commands.refuse_from_now(
        f"the run is testing: its {steps:,} steps are all done and saved; "
        "stop skips the rest of the test"
    )
    training.events.enter("testing", _plan(training, chosen, results))
    for note in notes:
        training.events.note(note)
    meter = _Meter(training)
    try:
        _measure(training, meter, chosen, results)
    except Skipped:
        results.skipped = _skipped(training, chosen, results)
    except BatchLost as fault:
        # A signal may kill the workers of the loader before it asks for the stop.
        training.commands.await_stop(fault)
        if training.commands.stop is None:
            raise
        results.skipped = _skipped(training, chosen, results)
    finally:
        training.recorder.write_held_line()
    return results


def _measure(
    training: Training, meter: _Meter, chosen: list[Baseline], results: FinalResults
) -> None:
    """Take all measurements, in an order in which each depends only on those before it."""
    task, progress, validator = training.task, training.progress, training.validator
    size, then = task.eval_batch_size, _then(chosen)
    if not results.validated:
        before_batch = training.commands.execute_while_testing
        # Without a test this is no part of one, which readers would believe to be missing.
        if len(task.dataset.test):
            following = f"then the test{then.replace(', then', ' and')}"
            before_batch = meter.batches("validation split", task.dataset.val, size, following)
        if not validator.validate_end(before_batch):
            raise Skipped
        results.validated = True
    training.recorder.write_held_line()
    if not len(task.dataset.test):
        return
    if progress.best is not None and progress.best.step != progress.step:
        best_weights = training.saver.best_weights
        assert best_weights is not None, "the best weights are kept since they were found"
        # They stay in the model: the last state is saved, and no step follows.
        training.state.load_measured(best_weights)
    results.measured = measure_task(
        task,
        validator.measured,
        task.dataset.test,
        meter.batches("test split", task.dataset.test, size, then.removeprefix(", ")),
        with_result=True,
    )
    for index, one in enumerate(chosen):
        following = _then(chosen[index + 1 :]).removeprefix(", ")
        meter.begin(f"baseline {one.name.replace('_', ' ')}", one.unit, following)
        with torch.inference_mode():
            results.baselines[one.name] = one.compute(meter.tick)


def _samples(training: Training) -> str:
    return counted(len(training.task.dataset.test), "sample")


def _then(baselines: list[Baseline]) -> str:
    return f", then {counted(len(baselines), 'baseline')}" if baselines else ""


def _plan(training: Training, chosen: list[Baseline], results: FinalResults) -> str:
    dataset = training.task.dataset
    if not len(dataset.test):
        return f"the validation split alone: there are no {dataset.noun}s for a test"
    first = "" if results.validated else "; the last step is validated first"
    return f"{_samples(training)}{_then(chosen)}{first}"


def _skipped(training: Training, chosen: list[Baseline], results: FinalResults) -> str:
    """Say what is missing, and which command measures it."""
    stop, run = training.commands.stop, training.run
    by = f" by {stop.origin}" if stop is not None else ""
    if results.measured is not None:
        left = [one.name for one in chosen if one.name not in results.baselines]
        what = f"baseline{'s' * (len(left) > 1)} {', '.join(left).replace('_', ' ')}"
        return f"{what} skipped{by}; {run.command('evaluate', '--baselines')} computes all of them"
    if not results.validated:
        what = " and the test" if len(training.task.dataset.test) else ""
        return (
            f"the validation of the last step{what} skipped{by}; "
            f"{run.command('resume')} makes up for {'them' if what else 'it'}"
        )
    return f"test skipped{by}; {run.command('evaluate')} measures it"
