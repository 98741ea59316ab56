"""Pictures as half blocks, and the screen of a run's previews."""

from __future__ import annotations

import asyncio
from pathlib import Path

from PIL import Image
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from tui_trainer.sessions.thumbnails import Thumbnail
from tui_trainer.ui.compose.data_preview import DataPreview
from tui_trainer.ui.run.preview_screen import PreviewScreen
from tui_trainer.ui.shared.half_blocks import picture_grid, picture_lines

BLACK, WHITE = b"\x00\x00\x00", b"\xff\xff\xff"


def test_a_cell_has_the_colours_of_two_pixels() -> None:
    lines = picture_lines(Thumbnail("a", 2, 3, BLACK * 2 + WHITE * 2 + BLACK + WHITE))
    assert [line.plain for line in lines] == ["▀▀", "▀▀"]
    assert [str(span.style) for span in lines[0].spans] == ["#000000 on #ffffff"]
    assert [str(span.style) for span in lines[1].spans] == ["#000000", "#ffffff"]


def test_pictures_stand_beside_each_other_as_far_as_there_is_room() -> None:
    one, other = Thumbnail("one", 4, 2, WHITE * 8), Thumbnail("a long name", 3, 4, BLACK * 12)
    grid = picture_grid([one, other, one], width=10).plain.split("\n")
    assert [row.rstrip() for row in grid] == ["▀▀▀▀  ▀▀▀", "      ▀▀▀", "one   a l…", "▀▀▀▀", "one"]
    assert picture_grid([], 10).plain == ""


def test_more_pictures_than_have_room_are_not_cut_at_the_side() -> None:
    picture = Thumbnail("one", 14, 12, WHITE * 14 * 12)

    async def use() -> None:
        app: App[None] = App()
        async with app.run_test(size=(50, 20)) as pilot:
            preview = DataPreview()
            await app.screen.mount(preview)
            await pilot.pause()
            preview.show_pictures([picture] * 9)
            await pilot.pause()
            assert preview.max_scroll_y > 0
            grid = preview.query_one("#rows", Static)
            rows = [grid.render_line(y).text.rstrip() for y in range(grid.size.height)]
            assert not [row for row in rows if "…" in row]
            assert rows[0] == "  ".join(["▀" * 14] * 3)

    asyncio.run(use())


def test_the_newest_preview_is_shown_until_another_one_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "previews"
    folder.mkdir()
    for step in (10, 20):
        Image.new("RGB", (4, 4)).save(folder / f"step-{step:08d}.png")

    async def use() -> None:
        app: App[None] = App()
        async with app.run_test(size=(60, 20)) as pilot:
            screen = PreviewScreen(str(tmp_path))
            app.push_screen(screen)
            await until(pilot, screen, "step 20")
            (folder / "step-00000030.txt").write_text("now a [b]text")
            screen._look()
            await until(pilot, screen, "step 30")
            assert "[b]text" in str(screen.query_one(Static).render())
            await pilot.press("left", "h")
            await until(pilot, screen, "step 10")
            screen._look()
            await pilot.pause(0.1)
            await until(pilot, screen, "step 10")
            await pilot.press("escape")
            assert app.screen is not screen

    asyncio.run(use())


async def until(pilot: Pilot[None], screen: PreviewScreen, title: str) -> None:
    for _ in range(1000):
        if any(title in str(box.border_title) for box in screen.query("VerticalScroll")):
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{title} is not shown")
