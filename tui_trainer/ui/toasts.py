"""`Toasts`: short messages over the screen, each only while it cannot be read already.

Layer: ui. A key that is held down would otherwise cover the screen with copies of one text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.notifications import SeverityLevel
from textual.screen import Screen

TOAST_S = 5.0


class Toasts:
    """What one screen notifies of."""

    def __init__(self, screen: Screen[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._until_s: dict[str, float] = {}
        """When each text that was shown goes away."""

    def tell(self, text: str, *, warn: bool = False) -> None:
        """Notify, unless just that can be read already."""
        now_s = self._clock()
        self._until_s = {it: until_s for it, until_s in self._until_s.items() if until_s > now_s}
        if text not in self._until_s:
            self._until_s[text] = now_s + TOAST_S
            severity: SeverityLevel = "warning" if warn else "information"
            self._screen.notify(text, severity=severity, markup=False, timeout=TOAST_S)
