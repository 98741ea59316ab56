"""Curves of several runs over each other, as one history that a plot can show.

Layer: ui. Each run keeps its own buckets: it is the shapes that are compared.
"""

from __future__ import annotations

from collections.abc import Mapping

from tui_trainer.runs.history import History
from tui_trainer.text.cells import cut_middle
from tui_trainer.ui.plots.canvas import OTHER, TRAIN, VAL
from tui_trainer.ui.plots.panels import PanelCurve, PanelSpec

LOOKS = ((TRAIN, "1"), (VAL, "2"), (OTHER, "3"), (TRAIN, "4"), (VAL, "5"), (OTHER, "6"))
"""Inks and beads: enough to tell six runs apart, also without colour and where they are equal."""
LABEL_CELLS = 16
"""A run's name begins with what was run and ends with when, so both ends are kept."""
COLUMNS = 400


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
