"""Decides which series share a plot.

Layer: ui. A training metric and the same validation metric share one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui_trainer.config.sections.metrics import METRICS, metric_label
from tui_trainer.runs.history import Window, XAxis
from tui_trainer.runs.numbers import CURVES
from tui_trainer.text.clean import clean
from tui_trainer.ui.plots.canvas import DOT, OTHER, TRAIN, VAL

TITLES = {number.key: number.title for number in CURVES if number.title}


@dataclass(frozen=True, slots=True)
class PanelCurve:
    """A curve of the history, by its name there, and how it is drawn."""

    name: str
    label: str
    ink: str
    is_smoothed: bool
    bead: str = ""


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """The series of one plot; their labels are shown if there are several."""

    title: str
    series: tuple[PanelCurve, ...]
    is_share: bool = False
    """Whether the values are shown as percentages."""


@dataclass(frozen=True, slots=True)
class View:
    """The view of a panel; `cursor` is the step of the crosshair."""

    smoothing: float = 0.6
    x: XAxis = "step"
    window: Window = "all"
    is_log: bool = False
    cuts_outliers: bool = False
    has_all_marks: bool = False
    """Whether checkpoints that were saved on schedule are marked as well."""
    cursor: int | None = None


def panels_of(names: Iterable[str]) -> list[PanelSpec]:
    """Return the plots for these series: the loss, other metrics, then all other series."""
    given = list(names)
    metrics = [name.partition("/")[2] for name in given if "/" in name]
    ordered = sorted(set(metrics), key=lambda metric: (metric != "loss", metrics.index(metric)))
    panels = []
    for metric in ordered:
        series = [
            PanelCurve(name, kind, ink, is_smoothed=kind == "train", bead=bead)
            for kind, ink, bead in (("train", TRAIN, ""), ("val", VAL, DOT))
            if (name := f"{kind}/{metric}") in given
        ]
        if series:
            is_share = metric in METRICS and METRICS[metric].is_share
            panels.append(PanelSpec(metric_label(metric), tuple(series), is_share))
    rest = [name for name in (*TITLES, *given) if name in given and "/" not in name]
    for name in dict.fromkeys(rest):
        series = [PanelCurve(name, "", OTHER, is_smoothed=name != "lr")]
        panels.append(PanelSpec(TITLES.get(name, clean(name, 40)), tuple(series)))
    return panels
