"""The line of text: what comes in, and what is drawn of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.ui.composing import shown
from tui_trainer.ui.shared.text_input import TextInput

LONG = "/data/a/folder/with/a/long/name/digits.csv.gz"
HOSTILE = "a\x1b[31mb\u202ec\x01d\u200be"


class Host(App[None]):
    """Two lines, the first of which has the focus."""

    CSS = "TextInput { width: 20; }"

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def compose(self) -> ComposeResult:
        self.first, self.second = TextInput(compact=True), TextInput(self._value, compact=True)
        yield self.first
        yield self.second


def using(test: Callable[[Host, Pilot[None]], Awaitable[None]], value: str = "") -> None:
    async def run() -> None:
        host = Host(value)
        async with host.run_test(size=(40, 4)) as pilot:
            await pilot.pause()
            await test(host, pilot)

    asyncio.run(run())


def line(host: Host, widget: TextInput) -> str:
    return shown(host).splitlines()[widget.region.y][:20].rstrip()


def test_a_paste_leaves_out_what_nobody_sees() -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        host.post_message(events.Paste(HOSTILE))
        await pilot.pause()
        assert host.first.value == "a[31mbcde"
        await pilot.press("X")
        assert host.first.value == "a[31mbcdeX"

    using(test)


def test_the_clipboard_of_the_app_is_a_paste_too() -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        host.copy_to_clipboard(HOSTILE)
        await pilot.press("ctrl+v")
        assert host.first.value == "a[31mbcde"

    using(test)


def test_a_hostile_value_of_a_file_is_masked_and_kept() -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        assert host.second.value == HOSTILE
        assert line(host, host.second) == "a\ufffd[31mb\ufffdc\ufffdd\ufffde"
        await pilot.press("tab", "end")
        assert "\x1b" not in shown(host)

    using(test, HOSTILE)


def test_without_the_focus_a_long_value_shows_its_beginning() -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        assert LONG.startswith(line(host, host.second))
        await pilot.press("tab")
        assert line(host, host.second).endswith(".csv.gz")
        await pilot.press("tab")
        await pilot.pause()
        assert LONG.startswith(line(host, host.second))
        host.second.value = f"/other{LONG}"
        await pilot.pause()
        host.second.value = LONG
        await pilot.pause()
        assert LONG.startswith(line(host, host.second))

    using(test, LONG)


def test_coming_back_to_the_terminal_finds_the_cursor_where_it_was() -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("tab", "end")
        host.post_message(events.AppBlur())
        await pilot.pause()
        host.post_message(events.AppFocus())
        await pilot.pause()
        await pilot.press("X")
        assert host.second.value == f"{LONG}X"
        assert line(host, host.second).endswith("gzX")

    using(test, LONG)


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ("ctrl+u 0 1", "01"),
        ("a b backspace c", "oldac"),
        ("home x", "xold"),
        ("left left ctrl+k x", "ox"),
        ("end ctrl+w n e w", "new"),
    ],
)
def test_keys_that_arrive_in_one_piece_edit_in_their_order(keys: str, left: str) -> None:
    async def test(host: Host, pilot: Pilot[None]) -> None:
        host.first.value = "old"
        await pilot.press("end")
        for key in keys.split():
            character = key if len(key) == 1 else None
            host.post_message(events.Key(key, character))
        await pilot.pause()
        assert host.first.value == left

    using(test)
