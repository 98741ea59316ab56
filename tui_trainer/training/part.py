"""`Part`: one part of a training, and what all parts share.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui_trainer.training.live_settings import LiveSettings
from tui_trainer.training.progress import Progress, Stopwatch
from tui_trainer.training.run_events import RunEvents

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shared:
    """What every part of one training uses."""

    progress: Progress
    """The counters. The stepper counts steps, the validator what validations decide."""
    settings: LiveSettings
    watch: Stopwatch
    """Seconds of training; pauses do not count."""
    clock: Clock
    """Seconds that go on in a pause."""
    events: RunEvents


class Part:
    """A part of a training, in the trainer thread."""

    def __init__(self, shared: Shared) -> None:
        self._progress = shared.progress
        self._settings = shared.settings
        self._watch = shared.watch
        self._clock = shared.clock
        self._events = shared.events
