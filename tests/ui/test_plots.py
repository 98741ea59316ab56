"""The panels of a run together: which are shown, what the keys do, what is drawn."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import Button, Footer

from tests.ui.curves import FakeHistory, falling
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.ui.plots.plot import WAITING, Plot
from tui_trainer.ui.plots.plots import Plots, PlotTabs, fitted

SMALL, LARGE = (80, 14), (120, 40)


class Host(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "log", "Log")]
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        history: FakeHistory | None = None,
        smoothing: float = 0.6,
        choices: RememberedChoices | None = None,
    ) -> None:
        super().__init__()
        self.history = history or falling()
        self.plots = Plots(Preferences(markers="braille", smoothing=smoothing), choices)
        self.logs = 0

    def compose(self) -> ComposeResult:
        yield self.plots
        yield Button("after")
        yield Footer()

    def action_log(self) -> None:
        self.logs += 1

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    @property
    def titles(self) -> list[str]:
        return [plot.spec.title for plot in self.query(Plot) if plot.display]

    @property
    def tabs(self) -> str:
        return str(self.query_one(PlotTabs).content)


def drive(
    host: Host, use: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = SMALL
) -> None:
    async def run() -> None:
        async with host.run_test(size=size) as pilot:
            host.plots.focus()
            await pilot.pause()
            host.plots.look(host.history)
            await pilot.pause()
            await use(pilot)

    asyncio.run(run())


def test_it_waits_for_the_first_step_and_then_has_panels() -> None:
    host = Host(FakeHistory())

    async def use(pilot: Pilot[None]) -> None:
        assert WAITING in host.text
        host.history.have("train/loss", [2.0, 1.0])
        assert host.plots.look(host.history)
        await pilot.pause()
        assert WAITING not in host.text
        assert host.titles == ["loss"]

    drive(host, use)


def test_little_room_has_one_panel_and_tabs() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        assert host.titles == ["loss"]
        assert host.tabs.startswith(" 1 loss  2 accuracy  3 lr  4 grad  5 samples/s  ")
        assert host.tabs.rstrip().endswith("S 0.6  y lin  x step  w all")
        await pilot.press("2")
        assert host.titles == ["accuracy"]
        assert "2 accuracy" in host.tabs
        await pilot.press("9")
        assert host.titles == ["accuracy"]

    drive(host, use)


@pytest.mark.parametrize("chosen", range(5))
@pytest.mark.parametrize("width", [48, 60, 72, 80, 100])
def test_every_tab_has_a_name_and_the_chosen_one_its_whole_name(width: int, chosen: int) -> None:
    titles = ["loss", "accuracy", "lr", "grad norm", "samples/s"]
    state = ["S 0.6", "y lin", "x step", "w recent", "o cut"]
    names, shown = fitted(titles, chosen, state, width)
    assert names[chosen] == f"{chosen + 1} {titles[chosen]}"
    for index, name in enumerate(names):
        digit, _, short = name.partition(" ")
        assert digit == str(index + 1)
        assert short[:2] == titles[index][:2] or short == "speed"
    assert 1 + sum(cell_len(name) + 2 for name in names) + cell_len(shown) < width
    assert width < 60 or shown.startswith("S 0.6  y lin")
    assert width < 80 or "w recent" in shown


def test_tabs_without_any_room_are_digits() -> None:
    titles = ["loss", *(f"metric {n}" for n in range(8))]
    names, shown = fitted(titles, 1, ["S 0"], 40)
    assert (names[:3], shown) == (["1", "2 metric 0", "3"], "")


def test_a_name_that_is_cut_says_so() -> None:
    names, _ = fitted(["loss", "top-5 accuracy of all", "lr"], 0, [], 26)
    assert names[1] == "2 top-5…"
    names, _ = fitted(["loss", "bits per byte", "perplexity"], 0, [], 26)
    assert names == ["1 loss", "2 bits", "3 ppl"], "or has a short name"


def test_much_room_has_a_large_loss_and_small_others() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        assert host.titles == ["loss", "accuracy", "lr", "grad norm", "samples/s"]
        loss, *others = [plot.size for plot in host.query(Plot)]
        assert all(loss.width > size.width and loss.height > size.height for size in others)
        assert len({size.height for size in others}) == 1

    drive(host, use, LARGE)


def test_a_chosen_panel_that_has_no_place_takes_one() -> None:
    history = falling()
    history.have("val/recall", [0.1, 0.2])
    host = Host(history)

    async def use(pilot: Pilot[None]) -> None:
        assert "samples/s" not in host.titles
        await pilot.press("6")
        assert "samples/s" in host.titles
        assert len(host.titles) == 5

    drive(host, use, (84, 36))


def test_full_screen_shows_the_chosen_panel_and_goes_back() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("3", "f")
        await pilot.pause()
        assert host.titles == ["lr"]
        assert next(p for p in host.query(Plot) if p.display).size.height > LARGE[1] - 4
        await pilot.press("f")
        await pilot.pause()
        assert len(host.titles) == 5
        await pilot.press("f", "escape")
        await pilot.pause()
        assert len(host.titles) == 5

    drive(host, use, LARGE)


def test_tab_goes_through_the_panels_and_then_on() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("tab", "tab")
        assert host.titles == ["lr"]
        await pilot.press("shift+tab")
        assert host.titles == ["accuracy"]
        await pilot.press("tab", "tab", "tab", "tab")
        assert isinstance(host.focused, Button)

    drive(host, use)


def test_keys_change_how_the_curves_are_looked_at() -> None:
    host = Host(smoothing=0.3)

    async def use(pilot: Pilot[None]) -> None:
        for key, state in (
            ("S", "S 0.6  y lin  x step  w all"),
            ("y", "S 0.6  y log  x step  w all"),
            ("x", "S 0.6  y log  x epoch  w all"),
            ("x", "S 0.6  y log  x time  w all"),
            ("w", "S 0.6  y log  x time  w recent"),
            ("o", "S 0.6  y log  x time  w recent  o cut"),
            ("o", "S 0.6  y log  x time  w recent"),
            ("m", "S 0.6  y log  x time  w recent  m all"),
        ):
            await pilot.press(key)
            assert host.plots.state == state
            assert state in host.tabs

    drive(host, use)


def test_plots_begin_as_they_were_looked_at_last(tmp_path: Path) -> None:
    last = RememberedChoices(tmp_path / "app.json")

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("S", "y", "x", "m", "w", "o")

    drive(Host(choices=last), use)
    last.close()
    host = Host(choices=RememberedChoices(tmp_path / "app.json"))

    async def look(pilot: Pilot[None]) -> None:
        assert host.plots.state == "S 0.9  y log  x epoch  w all  m all"

    drive(host, look)


def test_smoothing_goes_round() -> None:
    host = Host(smoothing=0.5)

    async def use(pilot: Pilot[None]) -> None:
        seen = []
        for _ in range(5):
            await pilot.press("S")
            seen.append(host.plots.state.split()[1])
        assert seen == ["0.6", "0.9", "0.99", "0", "0.3"]

    drive(host, use)


def test_a_logarithmic_axis_is_the_chosen_panels_own() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("y", "2")
        assert "y lin" in host.plots.state
        await pilot.press("1")
        assert "y log" in host.plots.state

    drive(host, use)


def test_the_recent_window_shows_the_newest_steps_only() -> None:
    host = Host(falling(200))

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("w")
        await pilot.pause()
        lines = host.text.splitlines()
        axis = next(at for at, line in enumerate(lines) if "└" in line)
        assert lines[axis + 1].split()[0] == "150"

    drive(host, use)


def readings(host: Host) -> list[str]:
    """The titles of the plots that are shown, which have the values at the crosshair."""
    return [plot.render_line(0).text.strip() for plot in host.query(Plot) if plot.display]


def test_the_crosshair_moves_from_step_to_step_and_leaves_its_keys_to_others_when_off() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("l")
        assert host.logs == 1
        await pilot.press("c")
        assert "step 60" in host.text
        await pilot.press("left", "h", "left")
        assert "step 57" in host.text
        await pilot.press("right", "l", "l", "l")
        assert "step 60" in host.text
        assert host.logs == 1
        await pilot.press("H")
        assert "step 5" in host.text
        await pilot.press("escape", "l")
        assert host.logs == 2
        assert "step 5" not in host.text

    drive(host, use)


@pytest.mark.parametrize("key", ["left", "right"])
def test_an_arrow_shows_the_crosshair_at_the_newest_values(key: str) -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        assert "step 60" in host.text
        await pilot.press("left")
        assert "step 59" in host.text

    drive(host, use)


def test_all_plots_are_read_at_one_step() -> None:
    host = Host(smoothing=0.0)

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("2", "c", "left")
        assert readings(host) == [
            "loss  ── train 0.3390  ─•─ val 0.4200",
            "accuracy  90.00 %",
            "lr  0.001",
            "grad norm  1.500",
            "samples/s  12,049",
        ]
        assert host.text.count("step 50") == 5

    drive(host, use, LARGE)


def test_the_crosshair_prefers_steps_at_which_all_curves_of_a_plot_have_a_value() -> None:
    host = Host(falling(400))

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("c", "left", "left")
        assert "step 390" in host.text
        assert "(" in readings(host)[0]
        assert " at " not in readings(host)[0]

    drive(host, use)


def test_the_crosshair_stays_at_its_step_while_the_run_grows() -> None:
    host = Host(falling(60))

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("c", "left", "left", "x")
        before = readings(host)
        assert "step 58, epoch 2.90" in host.text
        host.history.given = falling(600).given
        host.history.version += 1
        host.plots.look(host.history, whole=True)
        await pilot.pause()
        assert "step 58, epoch 2.90" in host.text
        assert readings(host) == before
        await pilot.press("w")
        assert readings(host) == before

    drive(host, use, LARGE)


def test_escape_ends_the_crosshair_before_the_large_plot() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("f", "c")
        await pilot.pause()
        assert "step 60" in host.text
        await pilot.press("escape")
        await pilot.pause()
        assert "step 60" not in host.text
        assert host.titles == ["loss"]
        await pilot.press("escape")
        await pilot.pause()
        assert len(host.titles) == 5

    drive(host, use, LARGE)


def test_the_mouse_sets_the_crosshair_and_chooses_a_panel() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        lr = list(host.query(Plot))[2]
        await pilot.hover(lr, offset=(15, 4))
        await pilot.pause()
        assert re.search(r"step \d", host.text) is None
        await pilot.click(lr, offset=(15, 4))
        await pilot.pause()
        assert "3 lr" in host.tabs
        before = host.text
        assert re.search(r"step \d", before)
        await pilot.hover(lr, offset=(20, 4))
        await pilot.pause()
        assert host.text != before

    drive(host, use, LARGE)


def test_the_mouse_picks_a_tab() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.click(PlotTabs, offset=(10, 0))
        await pilot.pause()
        assert host.titles == ["accuracy"]

    drive(host, use)


def test_look_says_whether_anything_was_drawn() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        assert not host.plots.look(host.history)
        host.history.have("train/loss", [5.0] * 60)
        assert host.plots.look(host.history)
        assert not host.plots.look(host.history)

    drive(host, use)


def test_a_look_before_there_is_a_screen_draws_nothing() -> None:
    assert not Plots(Preferences()).look(falling())


def test_panels_that_are_not_shown_are_not_drawn() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        host.history.asked.clear()
        host.history.have("lr", [1e-3, 2e-3])
        host.plots.look(host.history)
        assert {name for name, _ in host.history.asked} == {"train/loss", "val/loss"}

    drive(host, use)


def test_a_metric_that_comes_later_leaves_the_chosen_panel_chosen() -> None:
    history = FakeHistory()
    history.have("train/loss", [2.0, 1.0])
    history.have("lr", [1e-3, 1e-3])
    host = Host(history)

    async def use(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        assert host.titles == ["lr"]
        history.have("val/accuracy", [0.5])
        host.plots.look(history)
        await pilot.pause()
        assert host.titles == ["lr"]
        assert "3 lr" in host.tabs

    drive(host, use)


@pytest.mark.parametrize(
    "size",
    [
        *[(1, 1), (20, 5), (60, 20)],
        *(pytest.param(size, marks=pytest.mark.further) for size in ((200, 50), (500, 200))),
    ],
)
def test_every_size_is_survived(size: tuple[int, int]) -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        for key in ("c", "left", "2", "f", "y"):
            await pilot.press(key)
        await pilot.pause()
        assert len(host.text.splitlines()) == size[1]

    drive(host, use, size)


def test_resizing_goes_from_tabs_to_a_grid_and_back() -> None:
    host = Host()

    async def use(pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(*LARGE)
        await pilot.pause()
        assert len(host.titles) == 5
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()
        assert host.titles == ["loss"]

    drive(host, use)
