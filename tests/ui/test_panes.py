"""Going from pane to pane: round, into a pane, and past one that has nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Button, Static

from tui_trainer.ui.compose.panes import enter, enter_next


class Host(App[None]):
    """Two buttons in a pane, a pane of mere text, and a button that is one."""

    def compose(self) -> ComposeResult:
        with Vertical(id="two"):
            yield Button("a", id="a")
            yield Button("b", id="b")
        with Vertical(id="text"):
            yield Static("nothing to focus")
        yield Button("c", id="c")

    @property
    def panes(self) -> list[Widget]:
        return [self.query_one(f"#{name}") for name in ("two", "text", "c")]

    @property
    def at(self) -> str | None:
        return self.focused.id if self.focused is not None else None


def using(test: Callable[[Host], Awaitable[None]]) -> None:
    async def run() -> None:
        host = Host()
        async with host.run_test() as pilot:
            await pilot.pause()
            await test(host)

    asyncio.run(run())


def test_a_pane_is_entered_at_its_first_part_and_one_without_any_is_not() -> None:
    async def test(host: Host) -> None:
        two, text, single = host.panes
        assert enter(single)
        assert host.at == "c"
        assert enter(two)
        assert host.at == "a"
        assert not enter(text)
        assert host.at == "a"

    using(test)


def test_the_next_pane_is_behind_the_one_with_the_focus_and_it_goes_round() -> None:
    async def test(host: Host) -> None:
        host.screen.set_focus(host.query_one("#b"))
        seen = []
        for _ in range(3):
            enter_next(host.panes)
            seen.append(host.at)
        assert seen == ["c", "a", "c"]

    using(test)


def test_without_a_focus_it_begins_at_the_first_pane() -> None:
    async def test(host: Host) -> None:
        host.screen.set_focus(None)
        enter_next(host.panes)
        assert host.at == "a"

    using(test)
