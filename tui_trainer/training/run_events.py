"""`RunEvents`: how the parts of a training say what happens, and the state that the run is in.

Layer: training. It belongs to the trainer thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tui_trainer.runs.events import Event, Notice, RunState, StateChanged
from tui_trainer.training.progress import Progress

Emit = Callable[[Event], None]


class RunEvents:
    """Emits events, at the step that the training has reached."""

    def __init__(self, emit: Emit, progress: Progress) -> None:
        self.emit = emit
        self._progress = progress
        self._state: RunState = "starting"

    def note(self, text: str, level: Literal["note", "warning", "error"] = "note") -> None:
        """Tell the person who watches the run something."""
        self.emit(Notice(self._progress.step, text, level))

    def enter(self, state: RunState, reason: str = "", *, freed_bytes: int = 0) -> None:
        """Enter a state; `freed_bytes` of the device's memory were given back for it."""
        if state != self._state:
            self._state = state
            self.emit(StateChanged(self._progress.step, state, reason, freed_bytes))
