"""Draws lines as characters with plotext; no other module of the app uses plotext.

Layer: ui. plotext's C++ kernel ends the process on a value that is not finite, so `draw` lets none
through. Only the UI thread draws; any thread may `preload`.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tui_trainer.ui.plots.canvas import ASCII_MARKS, Line, LineDrawing, LineText, places
from tui_trainer.ui.plots.markers import Markers

MARKS: dict[Markers, str] = {"braille": "braille", "block": "hd", "ascii": "*"}
FAINT_ASCII = "."
STRETCH = 20
"""Points drawn at once: with fewer there are more calls, with more each redraw is larger."""
# Quarter blocks are missing from the fonts that miss braille; halves are in all of them.
HALVES = str.maketrans("▘▝▖▗▚▞▙▛▜▟", "▀▀▄▄██████")
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Stretch:
    """Points in cells, each connected to the one before unless its index is in `apart`."""

    mark: str
    points: tuple[tuple[float, float], ...]
    apart: tuple[int, ...]


_drawn: dict[tuple[tuple[int, int], Stretch], tuple[str, ...]] = {}
"""The newest stretches by the size of their canvas, oldest first."""


def preload() -> None:
    """Import plotext, which takes at least 0.1 s; call it in a background thread."""
    _figure()


def draw(drawing: LineDrawing) -> list[LineText]:
    """Draw the lines as layers of text, back to front; none for a canvas without cells.

    Each line is a layer of its own, because plotext would merge the dots of crossing lines, and a
    smooth line in front of a noisy one could not be followed. Lines are drawn in stretches, because
    only the last stretch of a growing line is new.
    """
    if drawing.width < 1 or drawing.height < 1:
        return []
    size = (drawing.width, drawing.height)
    owners, stretches = [], []
    for index, line in enumerate(drawing.lines):
        for stretch in _stretches(drawing, line):
            owners.append((line.ink.upper() if line.faint else line.ink, index))
            stretches.append(stretch)
    new = [s for s in dict.fromkeys(stretches) if (size, s) not in _drawn]
    for together in _groups(new, drawing.height):
        _remember(size, together, _build(*size, together))
    layers = [
        LineText(ink, _drawn[size, stretch], index)
        for (ink, index), stretch in zip(owners, stretches, strict=True)
    ]
    while len(_drawn) > max(REMEMBERED, len(layers)):
        del _drawn[next(iter(_drawn))]
    return layers


def _stretches(drawing: LineDrawing, line: Line) -> Iterator[Stretch]:
    """Split the line into stretches; each begins with the last point of the one before."""
    shown = [
        (x, y)
        for x, y in zip(line.xs, line.ys, strict=False)
        if math.isfinite(x) and drawing.y.shows(y)
    ]
    xs = [x for x, _ in shown]
    points = places(drawing, xs, [y for _, y in shown])
    breaks = set(_interruptions(xs, line, drawing))
    mark = _mark(drawing, line)
    for start in range(0, len(points), STRETCH):
        first = max(start - 1, 0)
        stretch = tuple(points[first : start + STRETCH])
        yield Stretch(mark, stretch, tuple(i for i in range(len(stretch)) if first + i in breaks))


def _interruptions(xs: list[float], line: Line, drawing: LineDrawing) -> Iterator[int]:
    """Yield the points not connected to the one before, because of a gap or a left-out y."""
    left_out = (x for x, y in zip(line.xs, line.ys, strict=False) if not drawing.y.shows(y))
    gaps = sorted((*line.gaps, *left_out))
    at = 0
    for index in range(1, len(xs)):
        while at < len(gaps) and gaps[at] <= xs[index - 1]:
            at += 1
        if at < len(gaps) and gaps[at] <= xs[index]:
            yield index


def _groups(stretches: list[Stretch], height: int) -> Iterator[list[Stretch]]:
    """Group the stretches to build at once, as a build costs more than its points.

    Stretches that leave the canvas are built alone, because they would run into their neighbours.
    """
    inside: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        if all(0 <= y <= height for _, y in stretch.points):
            inside.setdefault(stretch.mark, []).append(stretch)
        else:
            yield [stretch]
    yield from inside.values()


def _remember(size: tuple[int, int], stretches: list[Stretch], rows: list[str]) -> None:
    for index, stretch in enumerate(stretches):
        _drawn[size, stretch] = tuple(rows[index * size[1] : (index + 1) * size[1]])


def _build(width: int, height: int, stretches: list[Stretch]) -> list[str]:
    """Draw stretches of one mark on canvases below each other; return the rows of all of them."""
    tall = height * len(stretches)
    figure = _figure()
    figure.clear.data()
    figure.plot_size(width, tall)
    # plotext puts the limits at the centres of the outermost cells, so positions are in cells.
    figure.ruler("x").lim(0.5, width - 0.5)
    figure.ruler("y").lim(0.5, tall - 0.5)
    xs: list[float] = []
    ys: list[float] = []
    apart: list[int] = []
    for index, stretch in enumerate(stretches):
        apart += [len(xs), *(len(xs) + point for point in stretch.apart)]
        below = tall - (index + 1) * height
        xs += [x for x, _ in stretch.points]
        ys += [below + y for _, y in stretch.points]
    if not all(map(math.isfinite, (*xs, *ys))):
        raise ValueError("an axis has limits that are not finite")
    signal = figure.signal(xs, ys, marker=stretches[0].mark)
    signal.lines()
    for point in apart:
        signal.line(point, False)
    figure.draw(signal)
    text = figure.build().string(colorless=True)
    if stretches[0].mark == MARKS["block"]:
        text = text.translate(HALVES)
    rows = [row.ljust(width)[:width] for row in text.split("\n")]
    return rows[:tall] + [" " * width] * (tall - len(rows))


def _mark(drawing: LineDrawing, line: Line) -> str:
    if drawing.markers != "ascii":
        return MARKS[drawing.markers]
    return FAINT_ASCII if line.faint else ASCII_MARKS.get(line.ink, "+")


@functools.cache
def _figure() -> Any:
    """Return plotext's single figure; each build sets all of it that matters."""
    import plotext

    _hold_the_gil()
    plotext.terminal.limit(False, False)  # the size of a plot is not the terminal's
    figure = plotext.figure
    figure.axes(False)
    figure.canvas("default")
    figure.ruler("x").frequency(0)
    figure.ruler("y").frequency(0)
    return figure


def _hold_the_gil() -> bool:
    """Bind the kernel's functions so that calls keep the GIL; return whether that was possible.

    A plot makes thousands of calls of a microsecond each. After every call that releases the GIL,
    it may take 5 ms to get it back from a training thread that runs Python, which adds up to
    seconds per plot.
    """
    from plotext._kernel import tools

    try:
        held = ctypes.PyDLL(tools.kernel._name)
        registry = tools.clink
        for name, function in list(vars(registry).items()):
            if getattr(function, "__name__", None) == name:
                bound = getattr(held, name)
                bound.argtypes, bound.restype = function.argtypes, function.restype
                setattr(registry, name, bound)
    except (AttributeError, OSError):
        return False  # another version of plotext: slower beside a busy thread, but correct
    return True
