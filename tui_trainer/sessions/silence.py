"""`Silence`: says once that a run that lives writes nothing, and once that it does again.

Layer: sessions, for who watches a run. On a full disk a run trains on, and cannot tell anybody.
"""

from __future__ import annotations

from tui_trainer.runs.status import LOST_AFTER_S


class Silence:
    """Is asked at each look; the answer is a text for the log, or empty."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, unheard_s: float, *, lives: bool) -> str:
        """`lives`: the process is there and not suspended, as far as the system knows."""
        if lives and unheard_s >= LOST_AFTER_S and not self._is_told:
            self._is_told = True
            return (
                f"the run lives, and has written nothing for {unheard_s:.0f} s: is its disk full? "
                "What is shown here is from before that"
            )
        if unheard_s == 0 and self._is_told:
            self._is_told = False
            return "the run writes again"
        return ""
