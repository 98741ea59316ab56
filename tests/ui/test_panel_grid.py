"""The grid of panels by itself: which are shown, which is chosen, and which is drawn next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult

from tui_trainer.runs.history import History
from tui_trainer.ui.plots.grid import PanelGrid, grid_for
from tui_trainer.ui.plots.panels import PanelCurve, PanelSpec, View, panels_of

LARGE, SMALL = (120, 40), (50, 12)


def specs(*titles: str) -> list[PanelSpec]:
    return [
        PanelSpec(title, (PanelCurve(f"train/{title}", title, "train", True),)) for title in titles
    ]


def test_panels_are_titled_with_the_names_of_metrics_for_people() -> None:
    found = panels_of(["lr", "val/bits_per_byte", "train/loss", "val/loss"])
    assert [spec.title for spec in found] == ["loss", "bits per byte", "lr"]


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.grid = PanelGrid("ascii", clock=lambda: self.now_s)

    def compose(self) -> ComposeResult:
        yield self.grid

    @property
    def shown(self) -> list[str]:
        return [plot.spec.title for plot in self.grid.plots if plot.display]


def use(do: Callable[[Host], None]) -> None:
    async def run() -> None:
        host = Host()
        async with host.run_test():
            do(host)

    asyncio.run(run())


def test_before_there_are_metrics_one_plot_stands_for_them() -> None:
    def do(host: Host) -> None:
        host.grid.fit(*LARGE)
        assert host.grid.is_made
        assert (host.grid.titles, host.grid.title) == ([], "")
        assert not host.grid.choose(0)
        assert (host.shown, host.grid.due(History())) == ([""], [host.grid.plots[0]])

    assert not PanelGrid("ascii").is_made
    use(do)


def test_the_chosen_panel_is_shown_alone_or_among_the_others() -> None:
    def do(host: Host) -> None:
        host.grid.take(specs("a", "b", "c", "d", "e", "f", "g"))
        assert host.grid.choose(6)
        host.grid.fit(*SMALL)
        assert host.shown == ["g"]
        host.grid.fit(82, 28)
        assert host.shown == ["a", "b", "c", "d", "g"]
        assert [it.spec.title for it in host.grid.plots if it.has_class("-chosen")] == ["g"]
        assert not host.grid.choose(7)
        assert not host.grid.choose(-1)
        assert host.grid.title == "g"

    use(do)


@pytest.mark.parametrize(
    ("size", "titles", "columns", "rows"),
    [
        ((162, 33), "abcdefg", 3, 2),
        ((162, 33), "abcde", 4, 1),
        ((162, 33), "abcd", 3, 1),
        ((82, 28), "abcde", 2, 2),
    ],
)
def test_all_panels_are_shown_where_there_is_room(
    size: tuple[int, int], titles: str, columns: int, rows: int
) -> None:
    grid = grid_for(*size, len(titles), 0)
    assert len(grid.shown) == len(titles)
    assert (grid.columns, grid.rows) == (columns, rows)


def test_the_chosen_panel_stays_chosen_where_panels_come_before_it() -> None:
    def do(host: Host) -> None:
        assert host.grid.take(specs("a", "c"))
        host.grid.choose(1)
        assert not host.grid.take(specs("a", "c"))
        assert host.grid.take(specs("a", "b", "c"))
        assert (host.grid.chosen, host.grid.title) == (2, "c")
        host.grid.take(specs("a", "b"))
        assert (host.grid.chosen, host.grid.title) == (0, "a")

    use(do)


def test_of_the_small_panels_each_has_its_turn_and_none_gets_old() -> None:
    def do(host: Host) -> None:
        host.grid.take(specs("a", "b", "c", "d"))
        host.grid.fit(*LARGE)
        history = History()

        def look(after_s: float) -> str:
            host.now_s += after_s
            due = host.grid.due(history)
            for plot in due:
                plot.look(history, View())
            return "".join(plot.spec.title for plot in due)

        assert [look(0.5) for _ in range(5)] == ["ab", "ac", "ad", "ab", "ac"]
        history.put("train/c", [1], [0.5])
        assert look(0.5) == "ac", "it has new points"
        assert [look(3.0) for _ in range(4)] == ["ad", "ab", "ac", "ad"]
        assert look(9.0) == "abcd", "all of them are old"

    use(do)
