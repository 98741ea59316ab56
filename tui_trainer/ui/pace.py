"""`Pace`: how long the run screen rests between two looks, by what a look costs.

Layer: ui. The cost is time of the UI's thread, not of the wall: a look that waits for the trainer
to hand over the interpreter has cost the trainer nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

DEAR_S = 0.004
"""What a look may cost at the rate asked for: 0.8 % of a core at two looks a second."""
LONGEST_REST_S = 3.0


class Pace:
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
