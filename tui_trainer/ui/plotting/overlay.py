"""Curves of several runs over each other, as one history that a plot can show.

Layer: ui. A run's own buckets are taken as they are: what is compared is their shape.
"""

from __future__ import annotations

from collections.abc import Mapping

from tui_trainer.runs.history import History
from tui_trainer.text.cells import cut_middle
from tui_trainer.ui.plotting.drawing import OTHER, TRAIN, VAL
from tui_trainer.ui.plotting.panels import PanelSpec, Series

LOOKS = ((TRAIN, False), (VAL, False), (OTHER, False), (TRAIN, True), (VAL, True), (OTHER, True))
"""Inks, and whether points have beads: six runs are told apart."""
LABEL_CELLS = 16
"""A name begins with what was run, and ends with when: both ends are kept."""
COLUMNS = 400


def overlay(histories: Mapping[str, History]) -> tuple[History, PanelSpec]:
    """The loss of each run under its label; of validation where all have it, else of training."""
    name = "loss"
    for kind in ("val", "train"):
        name = f"{kind}/loss"
        if all(name in history.names for history in histories.values()):
            break
    together = History()
    series = []
    for (label, history), (ink, beads) in zip(histories.items(), LOOKS, strict=False):
        curve = history.curve(name, x="step", window="all", columns=COLUMNS, smoothing=0.0)
        steps = [round(x) for x in curve.xs]
        kept = [n for n, step in enumerate(steps) if not n or step > steps[n - 1]]
        together.put(label, [steps[n] for n in kept], [curve.means[n] for n in kept])
        shown = cut_middle(label, LABEL_CELLS)
        series.append(Series(label, shown, ink, is_smoothed=False, beads=beads))
    return together, PanelSpec(f"{'val' if name[0] == 'v' else 'train'} loss", tuple(series))
