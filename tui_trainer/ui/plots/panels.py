"""Decides which series share a plot: those of one run, or the losses of several runs.

Layer: ui. A training metric and the same validation metric share one. Several runs keep their own
buckets, because it is the shapes of their curves that are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tui_trainer.config.sections.metrics import METRICS, metric_label
from tui_trainer.runs.history import History, Window, XAxis
from tui_trainer.runs.step_numbers import CURVES
from tui_trainer.text.cells import cut_middle
from tui_trainer.text.clean import clean
from tui_trainer.ui.plots.canvas import DOT, OTHER, TRAIN, VAL

LOOKS = ((TRAIN, "1"), (VAL, "2"), (OTHER, "3"), (TRAIN, "4"), (VAL, "5"), (OTHER, "6"))
"""Inks and beads: enough to tell six runs apart, also without colour and where they are equal."""
LABEL_CELLS = 16
"""A run's name begins with what was run and ends with when, so both ends are kept."""
COLUMNS = 400

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


def overlay(histories: Mapping[str, History]) -> tuple[History, PanelSpec]:
    """Put each run's loss under its label: validation if all runs have it, else training."""
    name = "loss"
    for kind in ("val", "train"):
        name = f"{kind}/loss"
        if all(name in history.names for history in histories.values()):
            break
    together = History()
    series = []
    for (label, history), (ink, bead) in zip(histories.items(), LOOKS, strict=False):
        curve = history.curve(name, x="step", window="all", columns=COLUMNS, smoothing=0.0)
        steps = [round(x) for x in curve.xs]
        kept = [n for n, step in enumerate(steps) if not n or step > steps[n - 1]]
        together.put(label, [steps[n] for n in kept], [curve.means[n] for n in kept])
        shown = cut_middle(label, LABEL_CELLS)
        series.append(PanelCurve(label, shown, ink, is_smoothed=False, bead=bead))
    return together, PanelSpec(f"{'val' if name[0] == 'v' else 'train'} loss", tuple(series))
