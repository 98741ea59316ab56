"""The screen that is there before anything has been read."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.app import App
from textual.screen import Screen

from tui_trainer.ui.shared.first import MOST_KEPT, FirstScreen, first_title


class Next(Screen[None]):
    """Remembers what is typed."""

    def __init__(self) -> None:
        super().__init__()
        self.typed: list[str] = []

    def on_key(self, event: events.Key) -> None:
        self.typed.append(event.key)


def text_of(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def test_the_heading_names_the_run_that_starts_or_is_shown() -> None:
    assert first_title(starts="a") == "○ a · starting"
    assert first_title(watches="a\x1b") == r"a\x1b"
    assert first_title() == "tui-trainer"


def test_keys_that_come_too_early_are_shown_at_once_and_typed_again_in_time() -> None:
    async def play() -> None:
        app: App[None] = App()
        async with app.run_test() as pilot:
            first, after = FirstScreen(experiments=["digits-cnn", "a\x1b"]), Next()
            await app.push_screen(first)
            await pilot.pause()
            assert [line.rstrip() for line in text_of(app).splitlines()[2:5]] == [
                " Experiment",
                "   digits-cnn",
                r"   a\x1b",
            ]
            await pilot.press("slash", "l", "r", "enter")
            assert "keys kept for later: / l r ↵" in text_of(app)
            await app.push_screen(after)
            first.hand_over()
            await pilot.pause()
            assert after.typed == ["slash", "l", "r", "enter"]
            first.hand_over()
            await pilot.pause()
            assert len(after.typed) == 4, "each is typed again once"
            await app.pop_screen()
            assert "kept" not in text_of(app)

    asyncio.run(play())


@pytest.mark.soak
def test_a_key_that_is_held_down_is_kept_so_many_times_and_no_more() -> None:
    async def play() -> None:
        app: App[None] = App()
        async with app.run_test() as pilot:
            first, after = FirstScreen(), Next()
            await app.push_screen(first)
            await pilot.press(*["down"] * (MOST_KEPT + 5))
            await app.push_screen(after)
            first.hand_over()
            await pilot.pause()
            assert len(after.typed) == MOST_KEPT

    asyncio.run(play())
