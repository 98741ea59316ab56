"""`Progress`: the counters of a training, plain numbers that go into every checkpoint.

Layer: training. `epoch` counts completed epochs, and `batch` the micro-batches taken in the current
epoch, so that an epoch ends with `batch == 0`. Users see `shown_epoch`, which starts at 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tui_trainer.config.sections.plateau import Plateau
from tui_trainer.runs.bounds import is_count, is_number, is_text
from tui_trainer.runs.limits import Done
from tui_trainer.text.errors import CheckpointUnusable


@dataclass(frozen=True, slots=True)
class Best:
    """The best validation so far."""

    metric: str
    value: float
    step: int
    epoch: int
    metrics: dict[str, float]


@dataclass(slots=True)
class Progress:
    """The counters of the loop, of early stopping and of the journal.

    What the fields refer to is replaced and never changed, so a shallow copy keeps its values.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    skipped_steps: int = 0
    """Steps that changed no weights, because their fp16 gradients overflowed."""
    elapsed_s: float = 0.0
    validated_step: int = 0
    """The last step whose scheduled validation is done."""
    reference: float | None = None
    """The value that early stopping compares the next validation with."""
    stale: int = 0
    """The number of validations since the last improvement by more than min_delta."""
    best: Best | None = None
    held_line: dict[str, Any] | None = None
    """The newest line of metrics, held back because a validation may still add to it."""
    metrics_bytes: int = 0
    """The length of metrics.jsonl up to this state."""
    last_metrics: dict[str, float] = field(default_factory=dict)
    plateau: Plateau = field(default_factory=Plateau)
    """The state of a schedule that follows the validation metric."""

    @property
    def shown_epoch(self) -> int:
        """The epoch of the last step, from 1."""
        return self.epoch + 1 if self.batch > 0 or self.epoch == 0 else self.epoch

    @property
    def updates(self) -> int:
        """The steps that updated the weights; the learning-rate schedule counts these."""
        return self.step - self.skipped_steps

    def done(self, elapsed_s: float | None = None) -> Done:
        """Return how far the training has come, in the units of its limits.

        `elapsed_s` is the time now, if that is later than when this was saved.
        """
        best = self.best
        # The best of a closing validation counts from the next scheduled validation on: until
        # then, a run that is trained on takes the same steps as an uncut one.
        counts = best is not None and best.step <= self.validated_step
        return Done(
            step=self.step,
            epochs=self.epoch,
            elapsed_s=self.elapsed_s if elapsed_s is None else elapsed_s,
            stale=self.stale,
            best=(best.metric, best.value) if best is not None and counts else None,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Progress:
        """Read the progress of a checkpoint.

        Raises:
            CheckpointUnusable: it is something else.
        """
        try:
            best = plain["best"]
            # Older checkpoints have none: there were no such schedules.
            plateau = Plateau(**plain.get("plateau", {}))
            given = {"best": None if best is None else Best(**best), "plateau": plateau}
            progress = Progress(**{**plain, **given})
            missing = [name for name in ("step", "metrics_bytes") if name not in plain]
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointUnusable(
                f"the checkpoint's progress cannot be read: {error}"
            ) from error
        if odd := [*missing, *_odd_fields(progress)]:
            raise CheckpointUnusable(f"the checkpoint's progress has an odd {', '.join(odd)}")
        return progress


def _odd_fields(progress: Progress) -> list[str]:
    """Return the names of the fields whose values no training can have reached."""
    best: Any = progress.best
    reference: Any = progress.reference
    counts = ("step", "epoch", "batch", "validated_step", "stale", "metrics_bytes")
    fits = {
        **{name: is_count(getattr(progress, name)) for name in counts},
        "skipped_steps": is_count(progress.step)
        and is_count(progress.skipped_steps)
        and progress.updates >= 0,
        "elapsed_s": is_number(progress.elapsed_s),
        "reference": reference is None or isinstance(reference, float | int),
        "held_line": isinstance(progress.held_line, dict | None),
        "last_metrics": isinstance(progress.last_metrics, dict),
        "best": best is None
        or (
            is_text(best.metric)
            and isinstance(best.value, float | int)
            and is_count(best.step)
            and is_count(best.epoch)
            and isinstance(best.metrics, dict)
        ),
    }
    return [name for name, is_right in fits.items() if not is_right]


class Stopwatch:
    """Measures the seconds of training with a monotonic clock; pauses are not counted."""

    def __init__(self, clock: Any, elapsed_s: float = 0.0) -> None:
        self._clock = clock
        self._base = elapsed_s
        self._since: float | None = clock()

    def elapsed_s(self) -> float:
        return self._base + (0.0 if self._since is None else self._clock() - self._since)

    def pause(self) -> None:
        self._base = self.elapsed_s()
        self._since = None

    def resume(self) -> None:
        if self._since is None:
            self._since = self._clock()
