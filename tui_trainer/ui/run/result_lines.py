"""More about a test than its metrics: confusions, labels, areas, or predicted against true numbers.

Layer: ui. Pure functions. The numbers come from a run's files, so any of them may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from tui_trainer.runs.events import RunEnded
from tui_trainer.text.cells import cut_middle, padded
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted, measured
from tui_trainer.ui.run.test_results import aligned, confusion_lines

MOST_LABELS = 100
_WIDEST_LABEL = 24
_COLUMNS, _LINES = 48, 14
_DENSITY = " ·:+#"
"""One sample, two, up to four, more."""


def result_lines(ending: RunEnded) -> list[Content]:
    """Return what is known about the test besides its metrics; nothing if there is no more."""
    areas = area_lines(ending.areas, ending.classes) if ending.areas else []
    if ending.confusion:
        space = [Content("")] if areas else []
        return [*areas, *space, *confusion_lines(ending.confusion, ending.classes)]
    if areas:
        return areas
    if ending.labels:
        return label_lines(ending.labels, ending.classes)
    pairs = [_halves(point) for point in ending.scatter or ()]
    return scatter_lines([pair for pair in pairs if pair is not None], ending.classes)


def label_lines(rows: Sequence[Sequence[int]], labels: Sequence[str]) -> list[Content]:
    """Return a table of the labels, given for each how many samples have it, for how many it is
    predicted, and for how many both.
    """
    head = ["label", "samples", "predicted", "precision", "recall", "F1", ""]
    table = [
        [*cells, _share(2 * right, true + predicted), ""]
        for cells, (true, predicted, right) in _counted(rows, labels)
    ]
    title = "Labels: how many test samples have them, and for how many they are predicted"
    return _table(title, head, table)


def area_lines(rows: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Content]:
    """Return a table of the classes of pixels, given for each how many pixels have it, for how many
    it is predicted, and for how many both.
    """
    head = ["class", "pixels", "predicted", "precision", "recall", "IoU", ""]
    table = [
        [*cells, _share(right, true + predicted - right), ""]
        for cells, (true, predicted, right) in _counted(rows, classes)
    ]
    title = "Classes: how many test pixels have them, and for how many they are predicted"
    return _table(title, head, table)


def _counted(
    rows: Sequence[Sequence[int]], names: Sequence[str]
) -> list[tuple[list[str], tuple[int, int, int]]]:
    """Return the first cells of each row, up to the recall, and its three counts."""
    counted_rows = []
    for index, row in enumerate(rows[:MOST_LABELS]):
        if len(row) != 3:
            continue
        name = clean(names[index], 200) if index < len(names) else str(index)
        true, predicted, right = row
        shares = _share(right, predicted), _share(right, true)
        cells = [cut_middle(name, _WIDEST_LABEL), f"{true:,}", f"{predicted:,}", *shares]
        counted_rows.append((cells, (true, predicted, right)))
    return counted_rows


def _table(title: str, head: list[str], table: list[list[str]]) -> list[Content]:
    above, *body = aligned([head, *table])
    return [Content(title), Content.styled(above, "$foreground-muted"), *map(Content, body)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


Pair = tuple[tuple[float, ...], tuple[float, ...]]


def _halves(point: Sequence[float]) -> Pair | None:
    """Return the true and the predicted numbers of a point, or None if they are not finite."""
    middle = len(point) // 2
    if not point or len(point) % 2 or not all(map(math.isfinite, point)):
        return None
    return tuple(point[:middle]), tuple(point[middle:])


def scatter_lines(pairs: Sequence[Pair], names: Sequence[str] = ()) -> list[Content]:
    """Return a plot of predicted against true numbers, or a table if samples have several."""
    count = min((len(true) for true, _ in pairs), default=0)
    samples = counted(len(pairs), "test sample")
    if count == 0:
        return []
    if count == 1:
        points = [(true[0], predicted[0]) for true, predicted in pairs]
        return [Content(f"Predicted (up) against true numbers of {samples}"), *_grid(points)]
    table = [["number", "true from", "to", "mean error", "largest", ""]]
    for index in range(count):
        wanted = [true[index] for true, _ in pairs]
        errors = [abs(predicted[index] - true[index]) for true, predicted in pairs]
        numbers = (min(wanted), max(wanted), sum(errors) / len(errors), max(errors))
        name = clean(names[index], 200) if index < len(names) else str(index)
        table.append([cut_middle(name, _WIDEST_LABEL), *map(measured, numbers), ""])
    head, *body = aligned(table)
    title = Content(f"Numbers predicted for {samples}, and their absolute errors")
    return [title, Content.styled(head, "$foreground-muted"), *map(Content, body)]


def _grid(points: Sequence[tuple[float, float]]) -> list[Content]:
    """Draw points (x, y) with equal axes, and the line on which a prediction is right."""
    low = min(min(point) for point in points)
    high = max(max(point) for point in points)
    # Halves, because the difference of two numbers may be too large.
    span = (high / 2 - low / 2) or 1.0
    counts: dict[tuple[int, int], int] = {}
    for x, y in points:
        place = _place(y, low, span, _LINES), _place(x, low, span, _COLUMNS)
        counts[place] = counts.get(place, 0) + 1
    bottom, top = measured(low), measured(high)
    left = max(cell_len(bottom), cell_len(top))
    lines = []
    for row in reversed(range(_LINES)):
        cells = [_cell(counts, row, column) for column in range(_COLUMNS)]
        label = top if row == _LINES - 1 else bottom if row == 0 else ""
        lines.append(Content.assemble(padded(label, left, right=True), " │", *cells))
    axis = f"{' ' * left} └{'─' * _COLUMNS}"
    ends = f"{' ' * (left + 2)}{bottom}{top.rjust(_COLUMNS - cell_len(bottom))}"
    return [*lines, Content(axis), Content(ends)]


def _place(value: float, low: float, span: float, count: int) -> int:
    return min(int((value / 2 - low / 2) / span * count), count - 1)


def _cell(counts: dict[tuple[int, int], int], row: int, column: int) -> tuple[str, str]:
    if number := counts.get((row, column)):
        return _DENSITY[min((number - 1).bit_length() + 1, len(_DENSITY) - 1)], "$text"
    is_right = column * _LINES // _COLUMNS == row
    return ("/" if is_right else " "), "$foreground-muted"
