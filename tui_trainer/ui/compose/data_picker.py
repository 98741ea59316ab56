"""`DataPicker`: chooses the file or folder that an experiment is made for, by the keys alone.

Layer: ui. Folders are listed, files are looked at and data are read in threads; an answer that
comes when something else is wanted by then is dropped. Names and cells come from files, so they
are cleaned, and never interpreted as markup.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input
from textual.worker import Worker

from tui_trainer.sessions.data_files import (
    FolderEntry,
    FolderListing,
    complete,
    list_folder,
    read_head,
    split_typed,
    typed_path,
)
from tui_trainer.sessions.thumbnails import is_picture, thumbnails_at
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.compose.data_preview import DataPreview
from tui_trainer.ui.compose.entry_list import EntryList
from tui_trainer.ui.shared.key_line import KeyLine
from tui_trainer.ui.shared.services import Services
from tui_trainer.ui.shared.text_input import TextInput

if TYPE_CHECKING:
    from tui_trainer.sessions.proposal import Proposal

MOMENT_S = 0.15
"""The time between the last key and the look at what is under the cursor."""
TYPING_S = 0.4
"""The time between the last letter of a target and the look at what would be made."""
NO_TARGET = "the last column of a table, unless another is named here"
MOST_PICTURES = 12
"""So many pictures of a folder are shown."""
PICTURE_SIZE = (14, 7)
"""The columns and lines of each."""
READ_UNASKED_BYTES = 8 * 1024**2
"""A file up to this size is read as data without being chosen, to show what would be made of it."""


_WIDTHS = [(0, "-narrow"), (76, "-normal"), (140, "-wide")]


class PathInput(TextInput):
    """The path field: tab completes, and goes on if there is nothing to complete."""

    def on_mount(self) -> None:
        # A name is typed behind the folder that is there.
        self.select_on_focus = False

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab" and self.cursor_position == len(self.value):
            event.stop()
            event.prevent_default()
            done = await asyncio.to_thread(complete, self.value)
            if done == self.value:
                self.screen.focus_next()
            else:
                self.value = done
                self.cursor_position = len(done)
            return
        await super()._on_key(event)


@dataclass(frozen=True, slots=True)
class Picked:
    """The experiment for what was chosen, and the target that was typed, if one was."""

    proposal: Proposal
    target: str


class DataPicker(ModalScreen["Picked | None"]):
    """A path, the entries of its folder, and what is in the one under the cursor."""

    ABOUT = (
        "Choose a file of rows or texts, or a folder of texts or pictures: arrows or j and k move, "
        "enter opens a folder or chooses a file, backspace goes to the folder above. Type a path "
        "in the field on top; tab completes it. t goes to the field for the column that is "
        "predicted. The experiment proposed for a file is shown beside the list; enter uses it."
    )
    AUTO_FOCUS = "EntryList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,left,h", "up", "Up a folder"),
        Binding("slash,f3", "type", "Type a path"),
        Binding("t", "target", "Target column"),
        Binding("escape", "cancel", "Cancel", priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    DEFAULT_CSS = """
    DataPicker { align: center middle; background: $background; }
    DataPicker > Vertical { width: 100%; height: 1fr; padding: 0; }
    DataPicker #path-row, DataPicker #target-row { height: 1; padding: 0 1; }
    DataPicker #path-row Static, DataPicker #target-row Static { width: 8; color: $text-muted; }
    DataPicker #path, DataPicker #target { width: 1fr; }
    DataPicker #both { height: 1fr; }
    DataPicker EntryList { width: 30; }
    DataPicker.-wide EntryList { width: 50; }
    DataPicker.-narrow #both { layout: vertical; }
    DataPicker.-narrow EntryList { width: 100%; height: 1fr; }
    DataPicker.-narrow DataPreview { height: 1fr; }
    """

    def __init__(self, services: Services, start: Path) -> None:
        """Make the screen; `start` is the folder to begin in."""
        super().__init__()
        self._services = services
        self._folder = start
        self._beginning = ""
        self._problem = ""
        """Why the folder cannot be listed."""
        self._wanted: Path | None = None
        """What is under the cursor, or chosen: all answers are about it."""
        self._proposal: Proposal | None = None
        self._is_chosen = False
        """Whether the experiment is to be filled as soon as the data are read."""
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        from textual.widgets import Static

        with Vertical():
            with Horizontal(id="path-row"):
                yield Static("path", markup=False)
                yield PathInput(_shown_folder(self._folder), compact=True, id="path")
            with Horizontal(id="target-row"):
                yield Static("target", markup=False)
                yield TextInput(placeholder=NO_TARGET, compact=True, id="target")
            with Horizontal(id="both"):
                yield EntryList()
                yield DataPreview()
        yield KeyLine()

    def on_mount(self) -> None:
        self._work("list", self._begin)

    def _work(self, group: str, work: Callable[[], Coroutine[None, None, None]]) -> Worker[None]:
        """Begin some work, and leave what is under way in the same group."""
        return self.run_worker(work, group=group, exclusive=True)

    async def _begin(self) -> None:
        """List the first folder, or the current one if it is not there any more."""
        is_there = await asyncio.to_thread(os.path.isdir, self._folder)
        self._go_to(self._folder if is_there else Path())

    # The folder and its entries.

    def _go_to(self, folder: Path, beginning: str = "", point_at: str = "") -> None:
        """List a folder; the path field shows it unless a name is being typed there."""
        self._folder, self._beginning = folder, beginning
        field = self.query_one(PathInput)
        if not field.has_focus:
            with field.prevent(Input.Changed):
                field.value = _shown_folder(folder)
        self._work("list", partial(self._list, folder, beginning, point_at))

    async def _list(self, folder: Path, beginning: str, point_at: str) -> None:
        listing = await asyncio.to_thread(list_folder, folder, beginning)
        self._show_listing(listing, point_at)

    def _show_listing(self, listing: FolderListing, point_at: str) -> None:
        entries = self.query_one(EntryList)
        entries.show(self._folder, listing, point_at, is_filtered=bool(self._beginning))
        self._problem = listing.problem

    @on(Input.Changed, "#target")
    def _name_target(self, event: Input.Changed) -> None:
        """Look at the same data again, once the name of the column is typed."""
        event.stop()
        self._proposal, self._is_chosen = None, False
        if self._timer is not None:
            self._timer.stop()
        path = self._wanted
        if path is not None:
            self._timer = self.set_timer(TYPING_S, lambda: self._propose(path))

    @on(Input.Submitted, "#target")
    def _take_target(self, event: Input.Submitted) -> None:
        """Go back to the entries, of which enter chooses one."""
        event.stop()
        self.query_one(EntryList).focus()

    @on(Input.Changed, "#path")
    def _path_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._is_chosen = False
        folder, beginning = split_typed(event.value)
        self._go_to(folder, beginning)

    @on(Input.Submitted, "#path")
    def _path_entered(self, event: Input.Submitted) -> None:
        """Open the typed folder, or choose the typed file."""
        event.stop()
        path = Path(os.path.expanduser(typed_path(event.value.strip()) or "."))
        self._work("typed", partial(self._take_typed, path))

    async def _take_typed(self, path: Path) -> None:
        is_folder = await asyncio.to_thread(os.path.isdir, path)
        if is_folder:
            self.query_one(EntryList).focus()
            self._go_to(path)
        else:
            self._choose(path)

    def action_type(self) -> None:
        """Go to the path field, with the cursor at its end."""
        field = self.query_one(PathInput)
        # At once: letters that arrive together with the key belong into the field.
        self.set_focus(field)
        field.cursor_position = len(field.value)

    def action_target(self) -> None:
        """Go to the field for the column that is predicted."""
        self.set_focus(self.query_one("#target"))

    def action_up(self) -> None:
        """Go to the folder above, and point at the one that was left."""
        folder = Path(os.path.abspath(self._folder))
        if folder.parent != folder:
            self._go_to(folder.parent, point_at=folder.name)

    def action_cancel(self) -> None:
        """Go back without choosing."""
        self._leave(None)

    def _leave(self, picked: Picked | None) -> None:
        """Close once: what was asked before and is answered later is for nobody any more."""
        self._forget()
        self.dismiss(picked)

    # What is under the cursor.

    def on_entry_list_pointed(self, message: EntryList.Pointed) -> None:
        message.stop()
        if self._is_chosen and self.query_one(PathInput).has_focus:
            # The list has only caught up with the path that was typed.
            return
        self._forget()
        entry, path = message.entry, message.path
        preview = self.query_one(DataPreview)
        if path is None:
            preview.begin("")
            if self._problem:
                preview.complain(self._problem)
            return
        self._wanted = path
        if entry is None or entry.kind == "folder":
            preview.begin(path.name, "enter opens it" if entry else "enter reads all that is in it")
            self._timer = self.set_timer(MOMENT_S, lambda: self._look_for_pictures(path))
            return
        preview.begin(path.name)
        self._timer = self.set_timer(MOMENT_S, lambda: self._look(path, entry))

    def on_entry_list_opened(self, message: EntryList.Opened) -> None:
        """Open a folder, or choose a file or the folder itself."""
        message.stop()
        if message.is_folder_above:
            self.action_up()
        elif message.entry is not None and message.entry.kind == "folder":
            self._go_to(message.path)
        else:
            self._choose(message.path)

    def _forget(self) -> None:
        """Drop what is known and asked about the entry that was under the cursor."""
        self._wanted = self._proposal = None
        self._is_chosen = False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look(self, path: Path, entry: FolderEntry) -> None:
        self._timer = None
        if is_picture(path):
            self._work("head", partial(self._read_pictures, path))
            return
        self._work("head", partial(self._read_head, path, entry))

    def _look_for_pictures(self, path: Path) -> None:
        self._timer = None
        self._work("head", partial(self._read_pictures, path))

    async def _read_pictures(self, path: Path) -> None:
        pictures = await asyncio.to_thread(thumbnails_at, path, MOST_PICTURES, PICTURE_SIZE)
        if path == self._wanted and pictures:
            self.query_one(DataPreview).show_pictures(pictures)

    async def _read_head(self, path: Path, entry: FolderEntry) -> None:
        head = await asyncio.to_thread(read_head, path)
        if path != self._wanted:
            return
        self.query_one(DataPreview).show_head(head)
        is_readable = entry.kind == "data" and (head.is_binary or not head.problem)
        if is_readable and await _is_small(path):
            self._propose(path)

    # The experiment that would be made of it.

    def _choose(self, path: Path) -> None:
        """Fill the experiment from this path, as soon as the data are read."""
        if self._proposal is not None and path == self._wanted:
            self._leave(Picked(self._proposal, self._target))
            return
        preview = self.query_one(DataPreview)
        if path != self._wanted:
            self._forget()
            preview.begin(path.name)
            self._wanted = path
        self._is_chosen = True
        self._propose(path)

    def _propose(self, path: Path) -> None:
        """Ask what experiment would be made of a path; of several questions the newest counts."""
        running = self._services.trains_here()
        before = f"{running} must end its training" if running else self._services.loader.stage
        self.query_one(DataPreview).wait(before)
        workbench = self._services.workbench

        def done(result: Proposal | TrainerError) -> None:
            if self.is_attached and path == self._wanted:
                self._take(result)

        target = self._target
        self._services.loader.submit(
            "inspect", lambda: workbench.propose(os.fspath(path), target), done
        )

    @property
    def _target(self) -> str:
        """The column that is typed as the target; empty to have it found."""
        return self.query_one("#target", Input).value.strip()

    def _take(self, result: Proposal | TrainerError) -> None:
        preview = self.query_one(DataPreview)
        if isinstance(result, TrainerError):
            self._is_chosen = False
            preview.complain(str(result))
            return
        self._proposal = result
        preview.show_proposal(result)
        if self._is_chosen:
            self._leave(Picked(result, self._target))


async def _is_small(path: Path) -> bool:
    try:
        size = await asyncio.to_thread(os.path.getsize, path)
    except OSError:
        return False
    return size <= READ_UNASKED_BYTES


def _shown_folder(folder: Path) -> str:
    text = str(folder)
    return text if text.endswith("/") else f"{text}/"
