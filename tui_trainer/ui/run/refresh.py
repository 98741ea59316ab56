"""`RefreshTimer`: decides when a screen polls its session.

Layer: ui. The rate follows what a poll costs, and is higher while the user waits for the run's
answer. Asking whether there is an answer costs almost nothing, but drawing does: nothing is drawn
for a terminal that has not yet accepted the last frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from textual.message_pump import MessagePump

from tui_trainer.machine.usage import Usage
from tui_trainer.runs.events import CommandApplied, Event, RunEnded, StateChanged, StepsTaken
from tui_trainer.sessions.event_log import KEPT_EVENTS
from tui_trainer.sessions.session import Session

GLANCE_S = 0.1
UNSEEN_S = 0.2
"""Delay after which something new is drawn once the terminal has caught up."""
_ANSWERS = (CommandApplied, StateChanged, RunEnded)


class RefreshTimer:
    """Polls until the run has ended, and continues after that if another process holds the run.

    `show` gets the new events of each poll, or None if nothing changed at all; `awaits_answer` says
    whether the user still waits for an answer, `is_unseen` whether a frame would not be shown now.
    """

    def __init__(
        self,
        session: Session,
        pace: RefreshRate,
        show: Callable[[Sequence[Event] | None], None],
        awaits_answer: Callable[[], bool],
        is_unseen: Callable[[], bool],
    ) -> None:
        self._session = session
        self._pace = pace
        self._show = show
        self._awaits_answer = awaits_answer
        self._is_unseen = is_unseen
        self._missed = False
        self._over = False
        self._cursor = 0
        self._usage: Usage | None = None
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        """Events from while nothing was drawn; a session keeps no more than its newest."""

    def begin(self, pump: MessagePump) -> None:
        """Poll now, and from now on by the timers of a screen."""
        self._pump = pump
        self._glances = pump.set_interval(GLANCE_S, self._glance, pause=True)
        self._tick()

    def hurry(self) -> None:
        """Poll as soon as the run has answered."""
        self._glances.resume()

    def look(self) -> None:
        """Poll now."""
        fresh = self._session.refresh() or self._missed
        self._missed = False
        new, self._cursor = self._session.events(self._cursor)
        if self._kept:
            new = [*self._kept, *new]
            self._kept.clear()
        changed = fresh or bool(new) or self._session.usage != self._usage
        self._usage = self._session.usage
        self._show(new if changed else None)
        self._over = self._session.view.ending is not None

    def _glance(self) -> None:
        if not self._awaits_answer():
            self._glances.pause()
        new, _ = self._session.events(self._cursor)
        if any(isinstance(event, _ANSWERS) for event in new):
            self.look()

    def _tick(self) -> None:
        if self._is_unseen() and not self._has_news_of_end():
            self._keep_events()
            self._pump.set_timer(UNSEEN_S, self._tick)
            return
        self._pace.begin()
        self.look()
        if self._session.view.ending is None or self._session.is_elsewhere:
            self._pump.set_timer(self._pace.settle_s, self._rest)

    def _keep_events(self) -> None:
        """Take the events that the log will show; the numbers of steps are in the curves."""
        new, self._cursor = self._session.events(self._cursor)
        self._kept += [event for event in new if not isinstance(event, StepsTaken)]

    def _has_news_of_end(self) -> bool:
        """Return whether the run has ended since the last poll: then the app may have to leave."""
        self._missed = self._session.refresh() or self._missed
        return self._session.view.ending is not None and not self._over

    def _rest(self) -> None:
        self._pump.set_timer(self._pace.rest_s(), self._tick)


# How long the run screen waits between two polls, from what a poll costs. The cost is CPU time of
# the UI thread, not wall time: a poll that waits for the trainer to hand over the interpreter has
# cost the trainer nothing.


DEAR_S = 0.003
"""CPU seconds a poll may cost at the requested rate: 0.6 % of a core at two polls per second."""
LONGEST_REST_S = 4.0


class RefreshRate:
    """Spaces polls; above `DEAR_S` the interval grows in proportion to their cost."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._interval_s = 1 / fps
        self._clock = clock
        self._began = clock()
        # The median ignores one expensive poll: the first plot, a resized window.
        self._costs: deque[float] = deque([0.0, 0.0], maxlen=5)
        self.settle_s = min(0.1, self._interval_s / 2)
        """Seconds after a poll at which to call `rest_s`: by then its changes are painted."""

    def begin(self) -> None:
        """Mark the beginning of a poll."""
        self._began = self._clock()

    def rest_s(self) -> float:
        """Return the seconds until the next poll; painting is most of what a poll costs."""
        cost_s = max(self._clock() - self._began, 0.0)
        self._costs.append(cost_s)
        wanted_s = self._interval_s * max(1.0, median(self._costs) / DEAR_S)
        longest_s = max(LONGEST_REST_S, self._interval_s)
        return max(min(wanted_s, longest_s) - cost_s - self.settle_s, 0.001)
