"""`StateLabel`: the state of a run in words and signs, for the heading. Also its progress line.

Layer: ui. A request is shown before the run has confirmed it, so that a key has a visible effect
at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.events import (
    ENDED_STATES,
    CommandApplied,
    Event,
    RunEnded,
    StateChanged,
    ValidationEnded,
    ValidationStarted,
)
from tui_trainer.runs.states import sign_in
from tui_trainer.runs.view import RunView
from tui_trainer.text.cells import cut_middle
from tui_trainer.text.clean import clean
from tui_trainer.text.format import duration

NARROW = 70
"""In fewer cells, the heading leaves out the step, and during a pause the name."""
LEAST_NAME = 14
VALIDATING_S = 0.5
"""The age from which a validation is said to be under way."""

Wish = Literal["", "pausing", "resuming", "stopping"]

_UNHEARD = ("suspended", "lost?", "unreachable", "deleted")
"""States in which a run does not receive requests."""
_FULFILLED = {"pausing": "paused", "resuming": "running"}


class StateLabel:
    """The state of the run, and what it was asked for but has not done yet."""

    def __init__(self, *, plain: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.plain = plain
        self.wish: Wish = ""
        self._clock = clock
        self._validating_since_s: float | None = None

    def add(self, event: Event) -> None:
        """Update the label with an event."""
        match event:
            case ValidationStarted():
                self._validating_since_s = event.at_s
            case ValidationEnded():
                self._validating_since_s = None
            case StateChanged():
                self._validating_since_s = None
                if event.state == _FULFILLED.get(self.wish) or event.state in ENDED_STATES:
                    self.wish = ""
            case CommandApplied() if event.refused and event.command in ("pause", "resume", "stop"):
                self.wish = ""
            case RunEnded():
                self.wish = ""
            case _:
                pass

    def is_pausing(self, view: RunView) -> bool:
        """Return whether the run is paused or about to be, so that the pause key resumes it."""
        return self.wish == "pausing" or (
            self.wish != "resuming" and view.state in ("pausing", "paused")
        )

    def texts(
        self,
        view: RunView,
        experiment: Experiment | None,
        width: int,
        *,
        pause_key: str = "p",
    ) -> tuple[str, str]:
        """Return both sides of a heading `width` cells wide: name and state; epoch, step and ETA.

        During a pause the state says what to do next, so the name is shortened or left out first.
        """
        name = clean(view.name, 80) or (clean(experiment.name, 80) if experiment else "run")
        sign = sign_in(view.state, plain=self.plain)
        dot = "-" if self.plain else "·"
        words = self.words(view, pause_key)
        is_paused, narrow = view.state == "paused", width < NARROW
        right = f" {dot} ".join(self._counts(view, experiment, narrow=narrow or is_paused))
        if is_paused:
            room = width - cell_len(f"{sign}  {dot} {words}  {right}")
            name = cut_middle(name, max(room, LEAST_NAME))
        return (
            f"{sign} {words}" if narrow and is_paused else f"{sign} {name} {dot} {words}"
        ), right

    def words(self, view: RunView, pause_key: str = "p") -> str:
        """Return the state in words; for a pause, also what the key does."""
        state = view.state
        if state == "paused" and not self.wish:
            # The log has the whole reason.
            saved = clean(view.reason.partition(";")[0], 40)
            return f"paused{', ' * bool(saved)}{saved}; {pause_key} resumes"
        if self.wish and state not in (*ENDED_STATES, *_UNHEARD, "stopping"):
            return self.wish
        if state == "testing" and (share := view.final_test.share) is not None:
            return f"testing {share * 100:.0f} %"
        return "validating" if state == "running" and self._is_validating else state

    @property
    def _is_validating(self) -> bool:
        """Whether a validation has lasted so long that it is worth a word: most are over at once,
        and the heading would change its words from one look to the next.
        """
        since_s = self._validating_since_s
        return since_s is not None and self._clock() - since_s >= VALIDATING_S

    def _counts(self, view: RunView, experiment: Experiment | None, *, narrow: bool) -> list[str]:
        if view.is_starting and not view.step:
            return []
        epochs = experiment.training.epochs if experiment is not None else None
        epoch = f"{view.epoch:,}/{epochs:,}" if epochs else f"{view.epoch:,}"
        total = f"{view.total_steps:,}" if view.total_steps else ""
        step = f"{view.step:>{len(total)},}/{total}" if total else f"{view.step:,}"
        counts = [f"epoch {epoch}"] if narrow else [f"epoch {epoch}", f"step {step}"]
        if view.state == "paused":
            return counts[:1]
        if not view.ended and view.eta_s is not None:
            # The first word of a part: `validation split`, `test split`, `baseline gzip`.
            part = clean(view.final_test.part, 20).partition(" ")[0]
            word = f"{part} done in" if view.state == "testing" else "ETA"
            counts.append(f"{word} {duration(view.eta_s)}")
        return counts


# How far the run and its epoch are, and the time taken. The bars are text of a fixed width: they
# move with the steps, and are never animated.


def bar(share: float, width: int, *, plain: bool = False) -> tuple[str, str]:
    """Return the finished and the remaining part of a bar, together `width` cells."""
    done = min(max(round(share * width), 0), width)
    full, rest = ("#", ".") if plain else ("━", "─")
    return full * done, rest * (width - done)


def run_share(view: RunView) -> float | None:
    """Return the share of the run that is done, or None if its length is unknown."""
    if not view.total_steps:
        return None
    return min(view.step / view.total_steps, 1.0)


def epoch_share(view: RunView) -> float:
    """Return the share of the epoch that is done; 1 right after its last step."""
    if not view.steps_per_epoch or not view.step:
        return 0.0
    return ((view.step - 1) % view.steps_per_epoch + 1) / view.steps_per_epoch


class ProgressLine(Static):
    """One line: the bar of the epoch, the bar of the run, and the time taken."""

    DEFAULT_CSS = """
    ProgressLine { height: 1; padding: 0 1; }
    """

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self._plain = plain
        self._view = RunView()
        self._shown: tuple[object, ...] = ()

    def look(self, view: RunView) -> bool:
        """Show the progress; return whether anything changed."""
        self._view = view
        width = self.content_size.width
        share = run_share(view)
        percent = "      " if share is None else f"{share * 100:4.0f} %"
        shown = (view.step, view.elapsed_s, percent, width)
        if shown == self._shown:
            return False
        self._shown = shown
        epoch = min(20, max(width // 5, 4))
        tail = f" {percent}  {duration(view.elapsed_s):>8}"
        rest = max(width - epoch - len(tail) - len("epoch   run "), 4)
        done, left = bar(epoch_share(view), epoch, plain=self._plain)
        parts = [("epoch ", "$foreground-muted"), (done, "$accent"), (left, "$foreground-muted")]
        if share is not None:
            done, left = bar(share, rest, plain=self._plain)
            parts += [
                ("  run ", "$foreground-muted"),
                (done, "$primary"),
                (left, "$foreground-muted"),
            ]
        else:
            parts += [("  run length unknown".ljust(rest + 6)[: rest + 6], "$foreground-muted")]
        self.update(Content.assemble(*parts, tail), layout=False)
        return True

    def on_resize(self) -> None:
        self.look(self._view)
