"""The tables at the end of a run: the test results next to the baselines, and the confusions.

Layer: ui. Pure functions. A number alone says little, so each one is shown next to what would be
reached without training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from textwrap import wrap

from rich.cells import cell_len
from textual.content import Content

from tui_trainer.config.sections.metrics import METRICS, Direction, metric_label, metric_text
from tui_trainer.text.cells import cut_end, cut_middle, padded
from tui_trainer.text.clean import clean

MOST_CLASSES = 40
"""With more classes, the most frequent confusions are listed instead of a table."""
MOST_CONFUSIONS = 20
_WIDEST_LABEL = 16
_WIDEST_HEAD = 6
_LEAST_HEAD = 9


def verdict(
    name: str, value: float, baselines: Sequence[float], direction: Direction | None = None
) -> str:
    """Say whether a metric is better than the baselines, which need no training.

    `direction` is what the run says of the metric; runs of older versions do not.
    """
    if not baselines:
        return ""
    is_known = name in METRICS and METRICS[name].higher_is_better
    higher = direction == "higher" if direction is not None else is_known
    if value == (best := max(baselines) if higher else min(baselines)):
        return "equal to the best"
    return "better than all" if (value > best) == higher else "WORSE than one"


def results_table(
    test: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    better: Mapping[str, Direction] | None = None,
) -> list[list[str]]:
    """Return rows of cells: a header, then each metric with the run's value and the baselines'.

    `better` is the direction of each metric, if the run says it.
    """
    names = list(baselines)
    rows = [["test split", "this run", *(clean(name).replace("_", " ") for name in names), ""]]
    for key, value in test.items():
        others = [baselines[name][key] for name in names if key in baselines[name]]
        cells = [metric_text(key, baselines[name].get(key)) for name in names]
        label, own = metric_label(key), metric_text(key, value)
        rows.append([label, own, *cells, verdict(key, value, others, (better or {}).get(key))])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Join rows into lines: first and last column aligned left, the others right."""
    widths = [max(map(cell_len, column)) for column in zip_longest(*rows, fillvalue="")]
    lines = []
    for row in rows:
        cells = [
            padded(cell, width, right=0 < index < len(widths) - 1)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def fitted(rows: Sequence[Sequence[str]], width: int) -> tuple[list[str], list[str]]:
    """Return the lines of the header and of the rows below it.

    If they are wider than `width`, the names in the header take several lines.
    """
    heads = [list(rows[0])]
    if max(map(cell_len, aligned(rows))) > width:
        heads = _wrapped(rows)
    lines = aligned([*heads, *rows[1:]])
    return lines[: len(heads)], lines[len(heads) :]


def _wrapped(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the header in lines, in which the name of a baseline is broken between its words."""
    columns = [[rows[0][0]], [rows[0][1]]]
    for head, *cells in islice(zip_longest(*rows, fillvalue=""), 2, None):
        longest = max(map(cell_len, [*head.split(), *cells]))
        columns.append(wrap(head, max(longest, _LEAST_HEAD)))
    height = max(map(len, columns))
    above = [[""] * (height - len(lines)) + lines for lines in columns]
    return [list(line) for line in zip(*above, strict=True)]


def confusion_lines(table: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Content]:
    """Return counts by true class (rows) and predicted class (columns), with errors in brackets.

    If the shortened names above the columns are not unique, rows and columns are numbered.
    """
    names = [clean(name, 40) for name in classes]
    names += [str(index) for index in range(len(names), len(table))]
    if len(table) > MOST_CLASSES:
        return _confusions(table, names)
    short = [cut_middle(name, _WIDEST_LABEL) for name in names]
    digits = max(len(str(count)) for row in table for count in row)
    width = max(digits + 2, min(max(map(cell_len, short)), _WIDEST_HEAD))
    heads = [cut_end(name, width) for name in names]
    if len(set(heads)) < len(heads):
        numbers = len(str(len(names) - 1))
        short = [f"{index:>{numbers}} {name}" for index, name in enumerate(short)]
        heads = [str(index) for index in range(len(names))]
        width = max(digits + 2, numbers)
    left = max([*map(cell_len, short), 4])
    above = " ".join(padded(head, width, right=True) for head in heads)
    lines = [
        Content("Confusion: rows are true classes, columns predicted, [n] is wrong"),
        Content.styled(f"{' ' * left}  {above}", "$foreground-muted"),
    ]
    for index, row in enumerate(table):
        cells = [_count(count, width, wrong=index != at) for at, count in enumerate(row)]
        label = Content.styled(padded(short[index], left), "$foreground-muted")
        lines.append(Content.assemble(label, "  ", Content(" ").join(cells)))
    return lines


def _count(count: int, width: int, *, wrong: bool) -> Content:
    if not count:
        return Content.styled("· ".rjust(width), "$foreground-muted")
    if wrong:
        return Content.styled(f"[{count}]".rjust(width), "bold $text-error")
    return Content(f"{count} ".rjust(width))


def _confusions(table: Sequence[Sequence[int]], names: Sequence[str]) -> list[Content]:
    """Return the most frequently confused pairs of classes."""
    pairs = [
        (count, true, guess)
        for true, row in enumerate(table)
        for guess, count in enumerate(row)
        if count and guess != true
    ]
    pairs.sort(key=lambda pair: -pair[0])
    wrong, total = sum(pair[0] for pair in pairs), sum(map(sum, table))
    lines = [Content(f"Confusion: {wrong:,} of {total:,} wrong; the most frequent:")]
    for count, true, guess in pairs[:MOST_CONFUSIONS]:
        lines.append(Content(f"  {count:>6,}  {names[true]} taken for {names[guess]}"))
    return lines
