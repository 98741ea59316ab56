"""The groups of a form by themselves: what is in them, and what can have the focus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.ui.compose.field import FieldRow
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.groups import Fold, Groups

LIBRARY = PresetLibrary([builtin_dir()])


class Host(App[None]):
    """An app of nothing but groups."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft
        self.groups = Groups(draft)

    def compose(self) -> ComposeResult:
        yield self.groups

    def rows(self) -> list[str]:
        """The keys of the rows that can have the focus, from the first to the last."""
        rows = [stop.parent for stop in self.groups.stops()]
        return [row.field.key for row in rows if isinstance(row, FieldRow)]


def using(test: Callable[[Host, Pilot[None]], Awaitable[None]], draft: Draft) -> None:
    async def run() -> None:
        host = Host(draft)
        async with host.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await test(host, pilot)

    asyncio.run(run())


def test_fields_that_are_not_folded_away_can_have_the_focus_in_the_drafts_order() -> None:
    draft = Draft(LIBRARY)

    async def test(host: Host, pilot: Pilot[None]) -> None:
        wanted = [f.key for group in draft.groups() for f in group.fields if not f.advanced]
        assert host.rows() == wanted
        assert any(isinstance(stop, Fold) for stop in host.groups.stops())

    using(test, draft)


def test_a_field_that_is_folded_away_is_revealed_with_its_group() -> None:
    draft = Draft(LIBRARY)

    async def test(host: Host, pilot: Pilot[None]) -> None:
        folded = next(f.key for group in draft.groups() for f in group.fields if f.advanced)
        assert folded not in host.rows()
        row = host.groups.reveal(folded)
        assert row is not None
        assert row.field.key == folded
        await pilot.pause()
        assert folded in host.rows()
        assert host.groups.reveal("model.no_such_field") is None

    using(test, draft)


def test_words_leave_the_fields_that_have_them() -> None:
    draft = Draft(LIBRARY)

    async def test(host: Host, pilot: Pilot[None]) -> None:
        before = host.rows()
        host.groups.show(draft, ("batch", "size"))
        await pilot.pause()
        assert "training.batch_size" in host.rows()
        assert len(host.rows()) < len(before)
        host.groups.show(draft)
        await pilot.pause()
        assert set(before) <= set(host.rows())

    using(test, draft)


def test_a_form_that_is_given_another_draft_before_it_is_shown_shows_that() -> None:
    other = Draft(LIBRARY)
    other.set("optimizer.lr", "0.125")
    form = Form(Draft(LIBRARY))

    class Later(App[None]):
        def compose(self) -> ComposeResult:
            form.show(other)
            yield form

    async def run() -> None:
        app = Later()
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            texts = {row.field.key: row.state.text for row in app.query(FieldRow)}
            assert texts["optimizer.lr"] == "0.125"

    asyncio.run(run())


def test_rows_out_of_view_are_made_after_the_first_layout_which_has_room_for_them() -> None:
    layouts: list[tuple[int, int, bool]] = []
    stops: list[list[Widget]] = []

    class Low(Host):
        def __init__(self, *, asks: bool) -> None:
            super().__init__(Draft(LIBRARY))
            self.groups = Groups(self.draft, rows=7)
            self.asks = asks

        def on_mount(self) -> None:
            self.screen.screen_layout_refresh_signal.subscribe(self, self.look)

        def look(self, _: object) -> None:
            rows, groups = len(self.query(FieldRow)), self.groups
            layouts.append((rows, groups.virtual_size.height, groups.show_vertical_scrollbar))
            if self.asks:
                stops.append(groups.stops())

    async def run(*, asks: bool) -> None:
        app = Low(asks=asks)
        async with app.run_test(size=(80, 7)) as pilot:
            await pilot.pause()
            stops.append(app.groups.stops())

    asyncio.run(run(asks=False))
    (rows, height, has_bar), last = layouts[0], layouts[-1]
    assert 0 < rows < last[0]
    assert (height, has_bar) == last[1:] == (height, True)
    asyncio.run(run(asks=True))
    assert {len(each) for each in stops} == {len(stops[0])}, "made when a key asks for them"
