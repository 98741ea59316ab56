"""plotext behind one function: what it must give us, and what it must never be given."""

from __future__ import annotations

import math
import subprocess
import sys
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.ui.plots import figure
from tui_trainer.ui.plots.axes import Axis, x_axis, y_axis
from tui_trainer.ui.plots.canvas import Line, LineDrawing, LineText
from tui_trainer.ui.plots.figure import draw, preload
from tui_trainer.ui.plots.frame import MARGIN, y_scale
from tui_trainer.ui.plots.markers import Markers, markers_for
from tui_trainer.ui.plots.ticks import clock

BLANK_BRAILLE = "\u2800"


def drawing(
    *lines: Line, width: int = 8, height: int = 3, markers: Markers = "braille"
) -> LineDrawing:
    return LineDrawing(width, height, lines, Axis(0, 1), Axis(0, 1), markers)


def merged(layers: list[LineText]) -> list[str]:
    """The layers on each other, the last one in front."""
    rows = [list(row) for row in layers[0].rows]
    for layer in layers[1:]:
        for at, row in enumerate(layer.rows):
            rows[at] = [new if new != " " else old for old, new in zip(rows[at], row, strict=True)]
    return ["".join(row) for row in rows]


def test_a_line_goes_from_corner_to_corner() -> None:
    (layer,) = draw(drawing(Line((0.0, 1.0), (0.0, 1.0))))
    assert all(len(row) == 8 for row in layer.rows)
    assert [row.strip() != "" for row in layer.rows] == [True, True, True]
    assert layer.rows[2][0] != " "
    assert layer.rows[0][7] != " "
    assert layer.rows[0][0] == layer.rows[2][7] == " "
    assert all("\u2800" < char < "\u2900" for row in layer.rows for char in row if char != " ")


@pytest.mark.parametrize(
    ("markers", "characters"), [("block", "▀▄█▌▐"), ("ascii", "#"), ("braille", None)]
)
def test_only_characters_of_the_chosen_kind_are_used(
    markers: Markers, characters: str | None
) -> None:
    (layer,) = draw(drawing(Line((0.0, 0.4, 1.0), (0.1, 1.0, 0.0)), markers=markers))
    used = {char for row in layer.rows for char in row} - {" "}
    assert used
    assert all(char in characters if characters else char > BLANK_BRAILLE for char in used)


def test_no_colour_and_no_escape_comes_back() -> None:
    for layer in draw(drawing(Line((0.0, 1.0), (0.0, 1.0)), Line((0.0, 1.0), (1.0, 0.0)))):
        assert "\x1b" not in "".join(layer.rows)


def test_lines_that_cross_stay_apart() -> None:
    rising, falling = Line((0.0, 1.0), (0.0, 1.0), "t"), Line((0.0, 1.0), (1.0, 0.0), "v")
    alone, both = draw(drawing(rising)), draw(drawing(rising, falling))
    assert [layer.ink for layer in both] == ["t", "v"]
    assert both[0] == alone[0]


def test_a_faint_line_has_the_capital_ink() -> None:
    assert draw(drawing(Line((0.0, 1.0), (0.0, 1.0), "t", faint=True)))[0].ink == "T"


def test_a_line_is_interrupted_at_a_gap_and_where_a_value_is_not_finite() -> None:
    xs, ys = (0.0, 0.3, 0.6, 1.0), (0.5, 0.5, 0.5, 0.5)
    whole = merged(draw(drawing(Line(xs, ys), width=40)))
    gap = merged(draw(drawing(Line(xs, ys, gaps=(0.45,)), width=40)))
    missing = merged(draw(drawing(Line(xs, (0.5, 0.5, math.nan, 0.5)), width=40)))
    assert " " not in whole[1]
    assert gap[1][16:20].isspace()
    assert gap[1][5] != " "
    assert missing[1][16:36].isspace()


def test_a_growing_line_is_drawn_as_if_it_had_always_been_whole() -> None:
    xs = [i / 99 for i in range(100)]
    ys = [0.5 + 0.4 * math.sin(9 * x) for x in xs]
    for length in range(1, 101, 7):
        draw(drawing(Line(tuple(xs[:length]), tuple(ys[:length])), width=60, height=12))
    grown = draw(drawing(Line(tuple(xs), tuple(ys)), width=60, height=12))
    figure._drawn.clear()
    assert draw(drawing(Line(tuple(xs), tuple(ys)), width=60, height=12)) == grown
    assert all(row.strip() for row in merged(grown)[1:-1])


def test_what_leaves_the_axis_is_cut_and_not_drawn_elsewhere() -> None:
    outside = Line((0.0, 0.5, 1.0), (0.5, 50.0, 0.5), "t")
    inside = Line((0.0, 1.0), (0.0, 0.0), "v")
    layers = draw(drawing(outside, inside, width=20, height=6))
    assert all(row.isspace() for row in layers[1].rows[:5])
    assert layers[0].rows[5].isspace()
    assert layers[0].rows[0].strip()


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_canvas_without_cells_has_no_layers(size: tuple[int, int]) -> None:
    assert draw(drawing(Line((0.0,), (0.0,)), width=size[0], height=size[1])) == []


def test_a_canvas_of_one_cell_shows_a_dot() -> None:
    (layer,) = draw(drawing(Line((0.5,), (0.5,)), width=1, height=1))
    assert len(layer.rows) == 1
    assert layer.rows[0].strip()


def test_what_is_remembered_is_bounded() -> None:
    for at in range(3 * figure.REMEMBERED):
        draw(drawing(Line((0.0, 1.0), (0.0, at / 1000))))
    assert len(figure._drawn) <= figure.REMEMBERED


anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(anything, anything), max_size=40),
    st.booleans(),
    st.integers(1, 40),
    st.integers(1, 12),
)
def test_no_value_ends_the_process(
    points: list[tuple[float, float]], log: bool, width: int, height: int
) -> None:
    xs, ys = tuple(x for x, _ in points), tuple(y for _, y in points)
    finite = [x for x in xs if math.isfinite(x)]
    x = x_axis(min(finite, default=0.0), max(finite, default=1.0), "linear")
    y = y_axis(ys, log=log)
    for layer in draw(LineDrawing(width, height, (Line(xs, ys, gaps=xs[::3]),), x, y)):
        assert [len(row) for row in layer.rows] == [width] * height
    assert all(len(tick.label) < 24 for tick in (*y.scale(5).ticks, *x.scale(5).ticks))


def test_calls_of_the_kernel_keep_the_gil() -> None:
    preload()
    from plotext._kernel import tools

    keeps_the_gil = 4  # FUNCFLAG_PYTHONAPI
    functions = [f for name, f in vars(tools.clink).items() if name.startswith("signal_")]
    assert len(functions) > 20
    assert all(function._flags_ & keeps_the_gil for function in functions)


def test_plotext_is_imported_at_the_first_drawing_and_can_be_in_another_thread() -> None:
    program = (
        "import sys, threading\n"
        "import tui_trainer.ui.plots.plots, tui_trainer.ui.compose.schedule\n"
        "from tui_trainer.ui.plots.figure import preload\n"
        "assert 'plotext' not in sys.modules\n"
        "thread = threading.Thread(target=preload); thread.start(); thread.join()\n"
        "assert 'plotext' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_a_figure_prepared_in_a_thread_draws_in_this_one() -> None:
    thread = Thread(target=preload)
    thread.start()
    thread.join(300)
    assert draw(drawing(Line((0.0, 1.0), (0.0, 0.01))))[0].rows[2].strip()


# Axes.


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.05, 2.31, ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        (1e-4, 3e-3, ["0", "1e-3", "2e-3", "3e-3"]),
        (0.0, 161234.0, ["0", "50k", "100k", "150k"]),
        (1.0, 1.0, ["0.90", "0.95", "1.00", "1.05", "1.10"]),
        (-1e300, 1e300, ["-1.0e300", "-0.5e300", "0", "0.5e300", "1.0e300"]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, labels: list[str]) -> None:
    assert [tick.label for tick in y_axis([low, high], log=False).scale(5).ticks] == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1e-4, 30.0, ["1e-4", "1e-3", "0.01", "0.1", "1", "10"]),
        (1.5, 1.8, ["1.5", "1.6", "1.7", "1.8"]),
    ],
)
def test_a_log_axis_has_decades_or_round_numbers(
    low: float, high: float, labels: list[str]
) -> None:
    assert [tick.label for tick in y_axis([low, high], log=True).scale(6).ticks] == labels


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.12, 0.75, ["0.2", "0.5"]),
        (3e-5, 8e-5, ["4e-5", "8e-5"]),
        (0.4, 0.45, ["0.40", "0.45"]),
        (0.3, 40.0, ["1", "10"]),
    ],
)
def test_a_log_axis_of_a_small_plot_has_two_ticks(
    low: float, high: float, labels: list[str]
) -> None:
    assert [tick.label for tick in y_scale(y_axis([low, high], log=True), 8).ticks] == labels


spans = st.floats(-9, 12).map(lambda power: 10.0**power)


@settings(max_examples=300)
@given(st.floats(1e-90, 1e80), spans, st.integers(4, 40), st.booleans())
def test_every_axis_has_two_short_labels_that_differ(
    low: float, span: float, height: int, log: bool
) -> None:
    y = y_axis([low, low * (1 + span)], log=log)
    ticks = y_scale(y, height).ticks
    labels = [tick.label for tick in ticks]
    assert len({round(y.share(tick.value) * height) for tick in ticks}) >= 2
    assert len(set(labels)) == len(labels) <= max(height // 3, 2)
    assert max(map(len, labels)) <= MARGIN


def test_labels_of_values_that_hardly_differ_are_differences_from_one_of_them() -> None:
    scale = y_scale(y_axis([0.6931471, 0.6931473], log=False), 9)
    assert [tick.label for tick in scale.ticks] == ["+0", "+1e-7", "+2e-7"]
    assert scale.base == "0.6931471"


def test_shares_are_labelled_in_percent_up_to_a_hundred() -> None:
    axis = y_axis([0.31, 0.998], log=False, is_share=True)
    assert [tick.label for tick in axis.scale(4).ticks] == ["40 %", "60 %", "80 %", "100 %"]
    constant = y_axis([1.0], log=False, is_share=True)
    assert constant.high == 1.0
    assert [tick.label for tick in constant.scale(2).ticks] == ["90 %", "100 %"]


def test_epochs_are_whole_and_times_are_clocks() -> None:
    assert [t.label for t in x_axis(0, 2.5, "integer").scale(6).ticks] == ["0", "1", "2", "3"]
    assert [t.label for t in x_axis(0, 100, "time").scale(5).ticks] == [
        "0:00",
        "0:30",
        "1:00",
        "1:30",
    ]
    assert clock(3723) == "1:02:03"


def test_limits_stay_while_a_run_grows_a_little() -> None:
    assert len({x_axis(0, last, "integer") for last in range(1001, 1051)}) == 1
    assert y_axis([0.1, 2.01], log=False) == y_axis([0.1, 2.04], log=False)


def test_outliers_can_be_left_out_of_the_limits() -> None:
    values = [1.0 + i / 100 for i in range(100)] + [1e6]
    assert y_axis(values, log=False).high >= 1e6
    assert y_axis(values, log=False, within=0.96).high < 3


@pytest.mark.parametrize(
    ("choice", "env", "encoding", "expected"),
    [
        ("auto", {"TERM": "xterm-256color", "LANG": "C.UTF-8"}, "ascii", "braille"),
        ("auto", {"TERM": "xterm", "LANG": "en_US.utf8@euro"}, "ascii", "braille"),
        ("auto", {"TERM": "xterm"}, "utf-8", "braille"),
        ("auto", {"TERM": "linux", "LANG": "C.UTF-8"}, "utf-8", "block"),
        ("auto", {"TERM": "linux", "LANG": "C"}, "utf-8", "ascii"),
        ("auto", {"TERM": "dumb"}, "utf-8", "ascii"),
        ("auto", {"TERM": "xterm", "LC_ALL": "de_DE.ISO-8859-1"}, "utf-8", "ascii"),
        ("auto", {"TERM": "xterm", "LC_ALL": "", "LANG": "en_US.UTF-8"}, "ascii", "braille"),
        ("ascii", {"TERM": "xterm", "LANG": "C.UTF-8"}, "utf-8", "ascii"),
        ("braille", {"TERM": "linux"}, "ascii", "braille"),
    ],
)
def test_markers_are_what_the_terminal_can_show(
    choice: Markers, env: dict[str, str], encoding: str, expected: str
) -> None:
    assert markers_for(choice, env, encoding) == expected
