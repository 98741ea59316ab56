"""`Viewing`: the views of a run's panels, as the keys change them.

Layer: ui. All panels share the x axis, the window and the crosshair; each panel has its own choice
of a logarithmic y axis.
"""

from __future__ import annotations

from dataclasses import replace

from tui_trainer.config.remembered_choices import MOST_LOG_AXES, RememberedChoices
from tui_trainer.runs.history import Window, XAxis
from tui_trainer.ui.plots.panels import View

SMOOTHINGS = (0.0, 0.3, 0.6, 0.9, 0.99)
NEXT_X: dict[XAxis, XAxis] = {"step": "epoch", "epoch": "time", "time": "step"}
NEXT_WINDOW: dict[Window, Window] = {"all": "recent", "recent": "all"}


class Viewing:
    """The view of each panel, by its title; begins with what the user chose last."""

    def __init__(self, smoothing: float, choices: RememberedChoices) -> None:
        self._choices, last = choices, choices.values
        self._view = View(
            smoothing=smoothing if last.smoothing is None else last.smoothing,
            x=last.x or "step",
            has_all_marks=last.all_marks,
        )
        self._logs = set(last.log_axes)

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
        self._choices.keep(smoothing=stronger)

    def turn_log(self, title: str) -> None:
        """Switch a panel's y axis between linear and logarithmic."""
        self._logs ^= {title}
        self._choices.keep(log_axes=tuple(sorted(self._logs))[:MOST_LOG_AXES])

    def turn_x(self) -> None:
        """Switch between step, epoch and time; the crosshair keeps its step."""
        self._view = replace(self._view, x=NEXT_X[self._view.x])
        self._choices.keep(x=self._view.x)

    def turn_window(self) -> None:
        """Switch between the newest steps and the whole run."""
        self._view = replace(self._view, window=NEXT_WINDOW[self._view.window])

    def turn_outliers(self) -> None:
        """Leave outliers off the y axis, or include them again."""
        self._view = replace(self._view, cuts_outliers=not self._view.cuts_outliers)

    def turn_marks(self) -> None:
        """Mark all checkpoints, or only those that were asked for."""
        self._view = replace(self._view, has_all_marks=not self._view.has_all_marks)
        self._choices.keep(all_marks=self._view.has_all_marks)

    def point(self, step: int | None) -> None:
        """Put the crosshair at a step, or remove it for None."""
        self._view = replace(self._view, cursor=step)
