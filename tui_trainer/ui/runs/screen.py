"""`RunsScreen`: lists all runs of a folder, to open, resume, fork, compare and delete them.

Layer: ui. Files are read in threads, and only while this screen is in front: a folder on a slow
disk delays no key, and a training run is not slowed down.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import OptionList, Static

from tui_trainer.config.overrides import Override
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.index import RunSummary
from tui_trainer.text.clean import clean
from tui_trainer.ui.appearance import plain_terminal
from tui_trainer.ui.runs.actions import RunActions
from tui_trainer.ui.runs.compared import MOST, Compared
from tui_trainer.ui.runs.pages import RunPages, RunQuery
from tui_trainer.ui.runs.run_list import Page, page_of
from tui_trainer.ui.runs.run_table import RunTable
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.key_line import KeyLine
from tui_trainer.ui.shared.lines import Heading
from tui_trainer.ui.shared.search_bar import SearchBar
from tui_trainer.ui.shared.services import Services, beside

LOOK_S = 2.0
HINT = "lr<0.01 model=cnn state=ended, or part of a name; esc shows all"


class RunsScreen(Screen[None]):
    """The list, a filter, and a comparison of the selected runs."""

    ABOUT = (
        "All runs of a folder, live ones first. A filter has conditions separated by spaces: "
        "lr<0.01 model=cnn state=stopped accuracy>=98% name~mlp; the keys are settings, metrics, "
        "and name, state, device, step, epoch, progress; a word alone is part of a name."
    )
    BINDINGS = bindings_of("runs")
    DEFAULT_CSS = """
    RunsScreen #wrong {
        height: auto; max-height: 4; padding: 0 1; color: $text-error; display: none;
    }
    """

    @dataclass
    class Open(Message):
        """Posted to open this run."""

        path: Path

    @dataclass
    class Fork(Message):
        """Posted to start a new run from a checkpoint of this one."""

        path: Path
        which: str
        overrides: tuple[Override, ...]

    @dataclass
    class Resume(Message):
        """Posted to resume this run."""

        path: Path

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._folder = services.runs_dir.absolute()
        self._trains_here = services.trains_here
        self._plain = plain_terminal(services.preferences)
        self._pages = RunPages(self._folder, plain=self._plain)
        self._table = RunTable(plain=self._plain)
        self._list = self._table.runs
        self._compared = Compared(services.preferences)
        self._query = RunQuery()
        self._page: Page | None = None
        """The page that was read last."""
        self.is_reading = False
        self._errands = RunActions(self, self._say)

    def compose(self) -> ComposeResult:
        yield Heading("runs", "reading")
        yield self._table
        yield self._compared
        yield Static(id="wrong", markup=False)
        yield SearchBar(HINT)
        yield KeyLine()

    def on_mount(self) -> None:
        self._list.focus()
        self.look()
        self.set_interval(LOOK_S, self.look)

    def on_screen_resume(self) -> None:
        self.look()

    def look(self) -> None:
        """Read the folder again, unless a reading is in progress or another screen is in front."""
        if self.is_attached and self.is_active and not self.is_reading:
            self.is_reading = True
            self.run_worker(self._read(), group="read", exit_on_error=False)

    def _look_for_other(self) -> None:
        self._pages.outdate()
        self.look()

    async def _read(self) -> None:
        query, page = self._query, None
        try:
            # The filter or the order may change during the reading, and also between its end in
            # the thread and this line.
            while page is None or self._pages.is_outdated:
                self._pages.renew()
                wanted = query.terms, query.order, self._width, set(self._errands.deleting)
                page = await asyncio.to_thread(self._pages.read, *wanted)
        finally:
            self.is_reading = False
        self._show(page)
        await self._compare()

    @property
    def _width(self) -> int:
        return max(self.size.width - 4, 20)

    def _show(self, page: Page) -> None:
        self._page = page
        self._table.show(page)
        told = self._query.told(page.runs, page.kept, page.wrong)
        self.query_one(Heading).show(f"runs  {clean(str(self._folder), 200)}", told)
        wrong = clean(self._query.typo or page.wrong, 300)
        line = self.query_one("#wrong", Static)
        line.display = bool(wrong)
        line.update(Content(wrong))

    def on_resize(self) -> None:
        if (page := self._page) is not None:
            self._show(page_of(page.runs, page.kept, self._width, page.wrong, plain=self._plain))

    # Comparing runs.

    async def _compare(self) -> None:
        by_name = {run.name: run for run in self._page.runs} if self._page is not None else {}
        marked = [by_name[name] for name in self._list.marked if name in by_name]
        wanted = marked if len(marked) > 1 else []
        found = [await asyncio.to_thread(self._pages.portrait, run) for run in wanted]
        self._compared.show(found)

    def action_mark(self) -> None:
        """Select the run under the cursor, or deselect it."""
        if (run := self._list.pointed) is None:
            return
        if not self._list.mark(run, MOST):
            self._say(f"at most {MOST} runs can be compared; u clears the selection")
        if self._list.highlighted != len(self._list.shown) - 1:  # where it would wrap around
            self._list.action_cursor_down()
        self.run_worker(self._compare(), group="compare", exclusive=True, exit_on_error=False)

    def action_unmark(self) -> None:
        """Deselect all runs."""
        self._list.unmark()
        self._compared.show(())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out the keys of the crosshair while there is none to see."""
        if action == "crosshair":
            return self._compared.display
        return self._compared.has_crosshair if action in ("earlier", "later") else True

    def action_crosshair(self) -> None:
        """Show a crosshair in the compared curves, or remove it."""
        self._compared.turn_crosshair()
        self.refresh_bindings()

    def action_earlier(self) -> None:
        """Move the crosshair to the left."""
        self._compared.move_crosshair(-1)

    def action_later(self) -> None:
        """Move the crosshair to the right."""
        self._compared.move_crosshair(1)

    # Filter and order.

    def action_filter(self) -> None:
        """Open the line for typing a filter."""
        self.query_one(SearchBar).open("filter")

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        self._query.type(message.text)
        self._look_for_other()

    def on_search_bar_left(self) -> None:
        self._list.focus()

    def action_sort(self) -> None:
        """Order by the next column; after the last one, return to the original order."""
        self._query.turn_order()
        self._look_for_other()

    def action_back(self) -> None:
        """Remove the crosshair or clear the filter; if there is neither, leave the list."""
        bar = self.query_one(SearchBar)
        if self._compared.has_crosshair and not bar.display:
            self.action_crosshair()
        elif bar.display:
            bar.close()
            self._query.type("")
            self._list.focus()
            self._look_for_other()
        else:
            self.dismiss()

    # Actions on a run.

    @on(OptionList.OptionSelected)
    def _open_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """Open the run under the cursor: watch it, or see its results."""
        if (run := self._list.pointed) is not None:
            self.post_message(self.Open(run.path))

    def action_resume(self) -> None:
        """Resume the run under the cursor."""
        run = self._list.pointed
        if run is None:
            return
        if run.state in ("stopped", "crashed", "failed"):
            self.post_message(self.Resume(run.path))
        elif run.state == "finished":
            self._say("it is finished: press enter to open it, then r to train it longer")
        else:
            self._say(f"it is {run.state}: press enter to open it")

    def action_fork(self) -> None:
        """Ask for checkpoint and changes, then start the new run."""
        if (run := self._list.pointed) is None:
            return
        if own := self._trains_here():
            command = RunDirectory(run.path).command("fork", "--detach")
            self._say(beside(own, command), warn=True)
        else:
            self.run_worker(self._fork(run), group="fork", exit_on_error=False)

    async def _fork(self, run: RunSummary) -> None:
        if (answer := await self._errands.ask_to_fork(run)) is not None:
            self.post_message(self.Fork(run.path, *answer))

    def action_delete(self) -> None:
        """Delete the run under the cursor after asking."""
        run = self._list.pointed
        if run is None:
            return
        if run.is_live:
            self._say(f"it is {run.state}: live runs cannot be deleted")
            return
        self.run_worker(self._delete(run), group="delete", exit_on_error=False)

    async def _delete(self, run: RunSummary) -> None:
        if await self._errands.delete(run):
            self.look()

    def action_cursor_down(self) -> None:
        self._list.action_cursor_down()

    def action_cursor_up(self) -> None:
        self._list.action_cursor_up()

    def complain(self, reason: str) -> None:
        """Show why a run could not start or resume."""
        self._say(reason, warn=True)

    def _say(self, text: str, *, warn: bool = False) -> None:
        severity: SeverityLevel = "warning" if warn else "information"
        self.app.notify(clean(text, 1000), severity=severity, markup=False)
