"""The groups of a form by themselves: what is in them, and what can have the focus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App, ComposeResult
from textual.pilot import Pilot

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
