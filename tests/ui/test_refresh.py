"""When a screen looks at its session: at a pace, and not for a terminal that takes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from textual.message_pump import MessagePump

from tests.ui.fakes import FakeSession
from tui_trainer.runs.events import Event, RunEnded, StateChanged, StepsTaken, ValidationEnded
from tui_trainer.sessions.event_log import KEPT_STEPS
from tui_trainer.ui.run.refresh import UNSEEN_S, RefreshRate, RefreshTimer


class Clock:
    """The timers of a screen, which a test lets run out."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def set_timer(self, delay_s: float, act: Callable[[], None]) -> None:
        self.waiting.append((delay_s, act))

    def set_interval(self, delay_s: float, act: Callable[[], None], *, pause: bool) -> None:
        assert pause

    def run_out(self) -> float:
        """Let the one timer that waits run out; how long it had."""
        ((delay_s, act),) = self.waiting
        self.waiting.clear()
        act()
        return delay_s


class Watch:
    """A session that is looked at, and what was shown of it."""

    def __init__(self) -> None:
        self.session = FakeSession()
        self.unseen = False
        self.shown: list[Sequence[Event] | None] = []
        self.clock = Clock()
        self.looking = RefreshTimer(
            self.session,
            RefreshRate(2.0, lambda: 0.0),
            self.shown.append,
            lambda: False,
            lambda: self.unseen,
        )
        self.looking.begin(cast(MessagePump, self.clock))

    def next_look(self) -> None:
        """From the end of a look to that of the next."""
        self.clock.run_out()
        self.clock.run_out()


RUNNING = StateChanged(1, "running", "")
PAUSED = StateChanged(2, "paused", "")
ENDED = RunEnded(3, "finished", "", 1, "", 0.0, 0)


def test_each_look_shows_what_came_since_the_last() -> None:
    watch = Watch()
    watch.session.push(RUNNING)
    watch.next_look()
    watch.next_look()
    assert watch.shown == [None, [RUNNING], None]


def test_nothing_is_drawn_while_the_terminal_takes_nothing_and_nothing_is_missed() -> None:
    watch = Watch()
    watch.next_look()
    watch.shown.clear()
    watch.unseen = True
    watch.session.push(RUNNING)
    watch.next_look()
    watch.session.push(PAUSED)
    delays = [watch.clock.run_out() for _ in range(20)]
    assert watch.shown == []
    assert delays == [UNSEEN_S] * 20
    watch.unseen = False
    watch.clock.run_out()
    assert watch.shown == [[RUNNING, PAUSED]]


def test_the_end_of_a_run_is_taken_in_though_nobody_sees_it() -> None:
    watch = Watch()
    watch.unseen = True
    watch.session.push(RUNNING, ENDED)
    watch.next_look()
    assert watch.shown == [None, [RUNNING, ENDED]]
    assert watch.clock.waiting == [], "nothing more can come of it"


def test_what_the_log_shows_outlasts_the_numbers_of_steps_while_nothing_is_drawn() -> None:
    watch = Watch()
    watch.next_look()
    watch.unseen = True
    validation = ValidationEnded(1, 1, 1.0, {"loss": 1.0}, 0.1, True, 0)
    watch.session.push(validation)
    watch.next_look()
    numbers = (0.5,) * KEPT_STEPS
    for step in (2, 3):
        watch.session.push(StepsTaken(step, 1, 1.0, numbers, numbers, numbers, 1.0, 0.0))
        watch.clock.run_out()
    watch.session.push(PAUSED)
    watch.unseen = False
    watch.clock.run_out()
    assert watch.shown[-1] == [validation, PAUSED]
