"""`RefreshTimer`: when a screen looks at its session.

Layer: ui. At a pace that follows what a look costs; and sooner, while somebody waits for an answer
of the run. To ask whether there is one costs next to nothing, to draw what is new does not: nothing
is drawn for a terminal that has not yet taken what was drawn before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from textual.message_pump import MessagePump

from tui_trainer.machine.usage import Usage
from tui_trainer.runs.events import CommandApplied, Event, RunEnded, StateChanged
from tui_trainer.sessions.session import Session

GLANCE_S = 0.1
UNSEEN_S = 0.2
"""How soon after the terminal has caught up there is something new on it."""
_ANSWERS = (CommandApplied, StateChanged, RunEnded)


class RefreshTimer:
    """Looks until the run has ended, and at one that another process holds beyond that.

    `show` gets the new events of each look, or None where nothing at all is new; `awaits_answer`
    says whether somebody still waits, `is_unseen` whether a picture would not get to anybody now.
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

    def begin(self, pump: MessagePump) -> None:
        """Look now, and from now on, by the timers of a screen."""
        self._pump = pump
        self._glances = pump.set_interval(GLANCE_S, self._glance, pause=True)
        self._tick()

    def hurry(self) -> None:
        """Look as soon as the run has answered."""
        self._glances.resume()

    def look(self) -> None:
        """Look now."""
        fresh = self._session.refresh() or self._missed
        self._missed = False
        new, self._cursor = self._session.events(self._cursor)
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
            self._pump.set_timer(UNSEEN_S, self._tick)
            return
        self._pace.begin()
        self.look()
        if self._session.view.ending is None or self._session.is_elsewhere:
            self._pump.set_timer(self._pace.settle_s, self._rest)

    def _has_news_of_end(self) -> bool:
        """Whether the run has ended since the last look: then the app may have to leave."""
        self._missed = self._session.refresh() or self._missed
        return self._session.view.ending is not None and not self._over

    def _rest(self) -> None:
        self._pump.set_timer(self._pace.rest_s(), self._tick)


# `RefreshRate`: how long the run screen rests between two looks, by what a look costs.
#
# The cost is time of the UI's thread, not of the wall: a look that waits for the trainer to hand
# over the interpreter has cost the trainer nothing.


DEAR_S = 0.004
"""What a look may cost at the rate asked for: 0.8 % of a core at two looks a second."""
LONGEST_REST_S = 3.0


class RefreshRate:
    """Spaces looks: in proportion the further apart, the more each costs above `DEAR_S`."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._interval_s = 1 / fps
        self._clock = clock
        self._began = clock()
        # The median forgives one dear look: the first plot, a resized window.
        self._costs: deque[float] = deque([0.0, 0.0], maxlen=5)
        self.settle_s = min(0.1, self._interval_s / 2)
        """How long after a look `rest_s` is to be called: by then what changed is painted."""

    def begin(self) -> None:
        """A look begins."""
        self._began = self._clock()

    def rest_s(self) -> float:
        """Seconds until the next look; painting is most of what a look costs."""
        cost_s = max(self._clock() - self._began, 0.0)
        self._costs.append(cost_s)
        wanted_s = self._interval_s * max(1.0, median(self._costs) / DEAR_S)
        longest_s = max(LONGEST_REST_S, self._interval_s)
        return max(min(wanted_s, longest_s) - cost_s - self.settle_s, 0.001)
