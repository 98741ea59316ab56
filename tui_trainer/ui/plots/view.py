"""`Viewing`: the views of a run's panels, as the keys change them.

Layer: ui. All panels share the x axis, the window and the crosshair; each panel has its own choice
of a logarithmic y axis.
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
        """Return the view of the panel with that title."""
        return replace(self._view, is_log=title in self._logs)

    def state(self, title: str) -> list[str]:
        """Return a panel's view in terms of the keys that change it, the most important first."""
        view = self.of(title)
        parts = [f"S {view.smoothing:g}", f"y {'log' if view.is_log else 'lin'}", f"x {view.x}"]
        parts += [f"w {view.window}", *(["o cut"] if view.cuts_outliers else [])]
        return [*parts, *(["m all"] if view.has_all_marks else [])]

    @property
    def has_cursor(self) -> bool:
        """Whether the crosshair is shown."""
        return self._view.cursor is not None

    def smooth_more(self) -> None:
        """Switch to the next stronger smoothing, and after the strongest to none."""
        now = self._view.smoothing
        stronger = next((s for s in SMOOTHINGS if s > now + 1e-9), SMOOTHINGS[0])
        self._view = replace(self._view, smoothing=stronger)

    def turn_log(self, title: str) -> None:
        """Switch a panel's y axis between linear and logarithmic."""
        self._logs ^= {title}

    def turn_x(self) -> None:
        """Switch between step, epoch and time; the crosshair keeps its place on the screen."""
        self._view = replace(self._view, x=NEXT_X[self._view.x])

    def turn_window(self) -> None:
        """Switch between the newest steps and the whole run."""
        self._view = replace(self._view, window=NEXT_WINDOW[self._view.window])

    def turn_outliers(self) -> None:
        """Leave outliers off the y axis, or include them again."""
        self._view = replace(self._view, cuts_outliers=not self._view.cuts_outliers)

    def turn_marks(self) -> None:
        """Mark all checkpoints, or only those that were asked for."""
        self._view = replace(self._view, has_all_marks=not self._view.has_all_marks)

    def turn_cursor(self) -> None:
        """Show a crosshair at the newest values, or remove it."""
        self.point(None if self.has_cursor else 1.0)

    def point(self, share: float | None) -> None:
        """Put the crosshair at a share of the x axis, or remove it for None."""
        self._view = replace(self._view, cursor=share)

    def move_cursor(self, columns: int, width: int) -> None:
        """Move the crosshair by columns of a canvas `width` columns wide."""
        if self._view.cursor is not None and width > 0:
            at = min(int(self._view.cursor * width), width - 1) + columns
            self.point((min(max(at, 0), width - 1) + 0.5) / width)
