"""`Viewing`: how the panels of a run are looked at, as the keys change it.

Layer: ui. All panels share the x axis, the window and the crosshair; whether the y axis is
logarithmic is each panel's own.
"""

from __future__ import annotations

from dataclasses import replace

from tui_trainer.runs.history import Window, XAxis
from tui_trainer.ui.plots.panels import View

SMOOTHINGS = (0.0, 0.3, 0.6, 0.9, 0.99)
NEXT_X: dict[XAxis, XAxis] = {"step": "epoch", "epoch": "time", "time": "step"}
NEXT_WINDOW: dict[Window, Window] = {"all": "recent", "recent": "all"}


class Viewing:
    """The view of each panel, by its title."""

    def __init__(self, smoothing: float) -> None:
        self._view = View(smoothing=smoothing)
        self._logs: set[str] = set()

    def of(self, title: str) -> View:
        """How the panel with that title is looked at."""
        return replace(self._view, is_log=title in self._logs)

    def state(self, title: str) -> list[str]:
        """How a panel is looked at, by the keys that change it; the first is missed the most."""
        view = self.of(title)
        parts = [f"S {view.smoothing:g}", f"y {'log' if view.is_log else 'lin'}", f"x {view.x}"]
        return [*parts, f"w {view.window}", *(["o cut"] if view.cuts_outliers else [])]

    @property
    def has_cursor(self) -> bool:
        """Whether there is a crosshair."""
        return self._view.cursor is not None

    def smooth_more(self) -> None:
        """The next stronger smoothing, then none."""
        now = self._view.smoothing
        stronger = next((s for s in SMOOTHINGS if s > now + 1e-9), SMOOTHINGS[0])
        self._view = replace(self._view, smoothing=stronger)

    def turn_log(self, title: str) -> None:
        """A logarithmic y axis for a panel, or a linear one again."""
        self._logs ^= {title}

    def turn_x(self) -> None:
        """Step, epoch or time. The crosshair stays where it is on the screen."""
        self._view = replace(self._view, x=NEXT_X[self._view.x])

    def turn_window(self) -> None:
        """The newest steps, or all of the run."""
        self._view = replace(self._view, window=NEXT_WINDOW[self._view.window])

    def turn_outliers(self) -> None:
        """Leave outliers out of the y axis, or take them in again."""
        self._view = replace(self._view, cuts_outliers=not self._view.cuts_outliers)

    def turn_cursor(self) -> None:
        """A crosshair at the newest values, or none."""
        self.point(None if self.has_cursor else 1.0)

    def point(self, share: float | None) -> None:
        """Put the crosshair at a share of the x axis."""
        self._view = replace(self._view, cursor=share)

    def move_cursor(self, columns: int, width: int) -> None:
        """Move the crosshair by columns of a canvas that is so wide."""
        if self._view.cursor is not None and width > 0:
            at = min(int(self._view.cursor * width), width - 1) + columns
            self.point((min(max(at, 0), width - 1) + 0.5) / width)
