"""One panel: what is drawn of a history, what is said of it, and how little is sent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tests.ui.curves import FakeHistory, falling
from tui_trainer.runs.history import History
from tui_trainer.ui.plots.markers import Markers
from tui_trainer.ui.plots.panels import PanelSpec, View, panels_of
from tui_trainer.ui.plots.picture import picture
from tui_trainer.ui.plots.plot import WAITING, Plot

CROSS = "\u00d7"
LOSS = panels_of(["train/loss"])[0]


def spec_of(history: FakeHistory, title: str = "loss") -> PanelSpec:
    return next(spec for spec in panels_of(history.names) if spec.title == title)


class WatchedPlot(Plot):
    """Remembers what it asked to be painted again."""

    def __init__(self, spec: PanelSpec, markers: Markers) -> None:
        super().__init__(spec, markers)
        self.asked: list[tuple[Region, ...]] = []

    def refresh(self, *regions: Region, **options: bool) -> WatchedPlot:
        self.asked.append(regions)
        super().refresh(*regions, **options)
        return self


class Host(App[None]):
    def __init__(self, spec: PanelSpec, markers: Markers = "braille") -> None:
        super().__init__()
        self.plot = WatchedPlot(spec, markers)

    def compose(self) -> ComposeResult:
        yield self.plot


def shown(plot: Plot) -> list[str]:
    return [plot.render_line(y).text for y in range(plot.size.height)]


def drive(
    host: Host, use: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (60, 16)
) -> None:
    async def run() -> None:
        async with host.run_test(size=size) as pilot:
            await pilot.pause()
            await use(pilot)

    asyncio.run(run())


def text_of(
    history: FakeHistory, view: View, title: str = "loss", size: tuple[int, int] = (60, 16)
) -> str:
    """A panel as text, drawn once."""
    host = Host(spec_of(history, title))
    found: list[str] = []

    async def use(pilot: Pilot[None]) -> None:
        host.plot.look(history, view)
        found.extend(shown(host.plot))

    drive(host, use, size)
    return "\n".join(found)


def test_it_says_that_it_waits_before_the_first_step() -> None:
    history = FakeHistory()
    host = Host(PanelSpec("", ()))

    async def use(pilot: Pilot[None]) -> None:
        assert host.plot.look(history, View())
        assert WAITING in "\n".join(shown(host.plot))

    drive(host, use)


def test_train_and_validation_are_on_one_plot_by_name() -> None:
    text = text_of(falling(), View())
    assert "── train" in text
    assert "─•─ val" in text
    assert text.count("•") > 4


def test_the_raw_line_is_faint_behind_the_smooth_one() -> None:
    history = falling()
    shot = picture(history, spec_of(history), View(smoothing=0.6), 80, 20, "braille")
    assert shot is not None
    assert [(line.ink, line.faint) for line in shot.drawing.lines] == [
        ("t", True),
        ("t", False),
        ("v", False),
    ]
    plain = picture(history, spec_of(history), View(smoothing=0), 80, 20, "braille")
    assert plain is not None
    assert not any(line.faint for line in plain.drawing.lines)


def test_validation_and_the_learning_rate_are_not_smoothed() -> None:
    history = falling()
    for spec in panels_of(history.names):
        picture(history, spec, View(smoothing=0.9), 80, 20, "braille")
    smoothed = {name for name, smoothing in history.asked if smoothing}
    assert smoothed == {"train/loss", "grad_norm", "samples_per_s"}


def test_nothing_is_painted_again_when_nothing_changed() -> None:
    history = falling()
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        assert host.plot.look(history, View())
        host.plot.asked.clear()
        assert not host.plot.look(history, View())
        assert host.plot.asked == []

    drive(host, use)


def test_only_the_cells_that_changed_are_painted_again() -> None:
    history = falling(50)
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        host.plot.look(history, View())
        host.plot.asked.clear()
        steps, values = history.given["train/loss"]
        history.have("train/loss", [*values[:-1], 0.9])
        assert host.plot.look(history, View())
        (regions,) = host.plot.asked
        assert regions
        assert all(region.height == 1 for region in regions)
        assert sum(region.area for region in regions) < host.plot.size.area / 8
        assert len(steps) == 50

    drive(host, use)


def test_what_is_painted_in_parts_equals_what_is_painted_at_once() -> None:
    grown, whole = falling(30), falling(64)
    first, second = Host(spec_of(whole)), Host(spec_of(whole))
    lines: list[list[str]] = []

    async def grow(pilot: Pilot[None]) -> None:
        for steps in range(30, 65, 2):
            grown.given = falling(steps).given
            grown.version += 1
            first.plot.look(grown, View())
            await pilot.pause()
        lines.append([s.text for s in first.screen._compositor.render_strips()])

    async def once(pilot: Pilot[None]) -> None:
        second.plot.look(whole, View())
        await pilot.pause()
        lines.append([s.text for s in second.screen._compositor.render_strips()])

    drive(first, grow)
    drive(second, once)
    assert lines[0] == lines[1]


def test_a_resize_draws_again_without_a_look() -> None:
    history = falling()
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        host.plot.look(history, View())
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        lines = shown(host.plot)
        assert [len(line) for line in lines] == [100] * 30
        assert "┬" in lines[-2]

    drive(host, use)


def test_values_that_are_not_finite_are_a_gap_with_a_mark() -> None:
    history = FakeHistory()
    values = [0.5] * 20 + [math.nan, math.inf] * 5 + [0.5] * 20
    history.have("train/loss", values)
    text = text_of(history, View(smoothing=0))
    line = next(row for row in text.splitlines() if row.count("⠤") + row.count("⠒") > 10)
    assert "   " in line[10:].strip()
    assert CROSS in text.splitlines()[-2]
    assert f"{CROSS} not finite" in text


def test_a_series_that_is_never_finite_is_drawn_without_a_line() -> None:
    history = FakeHistory()
    history.have("train/loss", [math.nan] * 5)
    assert CROSS in text_of(history, View())


@pytest.mark.parametrize(
    "values",
    [[1.0], [0.0], [3.0] * 9, [1e-300, 2e-300], [-1e300, 1e300], [1e308, -1e308], [5e-324, 0.0]],
    ids=str,
)
@pytest.mark.parametrize("is_log", [False, True])
def test_extreme_values_are_drawn(values: list[float], is_log: bool) -> None:
    history = FakeHistory()
    history.have("train/loss", values)
    for size in ((60, 16), (20, 5), (1, 1)):
        assert text_of(history, View(is_log=is_log), size=size)


def test_a_log_axis_says_what_it_cannot_show() -> None:
    history = FakeHistory()
    history.have("train/loss", [1.0, 0.1, 0.0, -1.0, 0.01])
    assert "0 and below left out" in text_of(history, View(is_log=True))
    assert "left out" not in text_of(falling(), View(is_log=True))


def test_cut_outliers_are_said_to_be_cut() -> None:
    history = FakeHistory()
    history.have("train/loss", [1.0 + i / 100 for i in range(99)] + [1e4])
    assert "k┤" in text_of(history, View(smoothing=0)).replace("0┤", "k┤")
    cut = text_of(history, View(smoothing=0, cuts_outliers=True))
    assert "cut above" in cut
    assert "10k" not in cut


def test_marks_of_a_run_are_on_the_axis_and_the_best_on_its_line() -> None:
    history = falling()
    history.happened = [("save", 10), ("edit", 30), ("pause", 40), ("best", 50)]
    lines = text_of(history, View(), size=(80, 16)).splitlines()
    for sign in "◆▲‖":
        assert sign in lines[-2]
    assert any("★" in line for line in lines[1:-2])
    assert "★ best" in lines[0]


def test_checkpoints_that_nobody_asked_for_are_marked_where_they_are_wanted() -> None:
    history = falling()
    history.happened = [("checkpoint", step) for step in range(2, 61, 2)]
    history.happened += [("save", 20), ("edit", 30)]
    axis = text_of(history, View()).splitlines()[-2]
    assert (axis.count("◇"), axis.count("◆"), axis.count("▲")) == (0, 1, 1)
    axis = text_of(history, View(has_all_marks=True)).splitlines()[-2]
    assert (axis.count("◆"), axis.count("▲")) == (1, 1)
    assert 20 < axis.count("◇") < 29
    assert "◇◇" not in axis


def test_the_crosshair_reads_raw_smooth_and_validation() -> None:
    history = falling()
    text = text_of(history, View(cursor=34), size=(80, 16)).splitlines()
    value = history.given["train/loss"][1][33]
    assert f"── train {value:.4f} (smooth {value / 2:.4f})  ─•─ val 0.7000 at 30" in text[0]
    assert sum("│" in line[8:] for line in text[1:-2]) > 5
    at = text[3].index("│", 8)
    assert "step 34" in text[-1][at - 5 : at + 6]
    assert "step 34, epoch 1.70" in text_of(history, View(cursor=34, x="epoch"), size=(80, 16))


@pytest.mark.parametrize(
    ("title", "value"),
    [
        ("accuracy", "accuracy  91.67 %"),
        ("lr", "lr  0.001"),
        ("samples/s", "samples/s  12,059"),
        ("grad norm", "grad norm  2.500"),
    ],
)
def test_a_value_at_the_crosshair_has_its_name_and_unit(title: str, value: str) -> None:
    text = text_of(falling(), View(cursor=60, smoothing=0), title, (40, 12))
    assert text.splitlines()[0].strip() == value


def test_values_at_the_crosshair_are_shortened_where_there_is_little_room() -> None:
    def title(width: int) -> str:
        shot = text_of(falling(), View(cursor=34), size=(width, 12))
        return shot.splitlines()[0].strip()

    assert title(62) == "loss  ── train 0.4651 (smooth 0.2326)  ─•─ val 0.7000 at 30"
    assert title(50) == "loss  ── train 0.4651  ─•─ val 0.7000 at 30"
    assert title(36) == "loss  train 0.4651  val 0.7000"


def test_an_edit_at_the_crosshair_says_what_was_edited() -> None:
    history = History()
    history.put("train/loss", range(1, 61), [1.0 / step for step in range(1, 61)])
    history.mark("edit", 30, "optimizer.lr 0.003 -> 0.002")
    shots = [picture(history, LOSS, View(cursor=step), 80, 20, "braille") for step in (30, 40)]
    assert [shot.around.notes for shot in shots if shot] == [("optimizer.lr 0.003 -> 0.002",), ()]


def test_no_size_is_too_small_or_too_large() -> None:
    history = falling()
    for size in ((1, 1), (2, 3), (20, 5), (26, 6), (500, 200)):
        rows = text_of(history, View(cursor=20), size=size).splitlines()
        assert [len(row) for row in rows] == [size[0]] * size[1]


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
def test_the_lines_are_told_apart_in_every_theme(theme: str) -> None:
    history = falling()
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        host.theme = theme
        await pilot.pause()
        host.plot.look(history, View())
        inks = host.plot._inks()
        colours = {inks[ink].color for ink in ("t", "T", "v", "a")}
        assert len(colours) == 4

    drive(host, use)


def test_without_colour_the_lines_are_told_apart_by_beads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    history = falling()
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        assert host.no_color
        host.plot.look(history, View())
        await pilot.pause()
        assert "•" in "\n".join(s.text for s in host.screen._compositor.render_strips())

    drive(host, use)


def test_a_change_of_theme_changes_the_colours() -> None:
    history = falling()
    host = Host(spec_of(history))

    async def use(pilot: Pilot[None]) -> None:
        host.plot.look(history, View())
        dark = host.plot.render_line(0)
        host.theme = "textual-light"
        await pilot.pause()
        assert host.plot.render_line(0) != dark
        assert host.plot.render_line(0).text == dark.text

    drive(host, use)


def test_panels_are_the_loss_other_metrics_and_then_the_rest() -> None:
    names = ["lr", "grad_norm", "val/accuracy", "val/loss", "train/loss", "train/accuracy"]
    panels = panels_of(names)
    assert [panel.title for panel in panels] == ["loss", "accuracy", "lr", "grad norm"]
    assert [series.name for series in panels[1].series] == ["train/accuracy", "val/accuracy"]


def test_a_name_from_elsewhere_cannot_steer_the_terminal() -> None:
    history = FakeHistory()
    history.have("val/\x1b[31mevil[/]", [1.0, 2.0])
    text = text_of(history, View(), title=panels_of(history.names)[0].title)
    assert "\x1b" not in text
    assert "[31mevil[/]" in text


def test_the_axis_of_a_part_of_an_epoch_is_as_long_as_that_part() -> None:
    history = FakeHistory()
    history.have("train/loss", [2.0, 1.5, 1.2, 1.1, 1.0, 0.9])
    axis = text_of(history, View(x="epoch")).splitlines()[-1]
    assert axis.split()[-1] == "0.3"
    history.have("train/loss", [1.0] * 60)
    assert text_of(history, View(x="epoch")).splitlines()[-1].split()[-1] == "3"
