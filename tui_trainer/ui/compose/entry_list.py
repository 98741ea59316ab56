"""`EntryList`: the entries of a folder, of which one is chosen.

Layer: ui. Names are cleaned for display; the path of an entry is made of the name as it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_trainer.sessions.data_files import FolderEntry, FolderListing
from tui_trainer.text.clean import clean

ABOVE, HERE = "../", "./  this folder as a whole"


class EntryList(OptionList):
    """Enter opens a folder or chooses a file; entries that are hardly data are dim."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("enter", "select", "Choose"),
        Binding("right,l", "select", "Choose", show=False),
    ]
    DEFAULT_CSS = """
    EntryList {
        height: 1fr; padding: 0; border: round $foreground 30%; background: $background;
        border-title-color: $text-muted; border-subtitle-color: $text-muted;
        text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1;
    }
    EntryList:focus {
        border: round $primary; border-title-color: $text-primary; border-title-style: bold;
        background-tint: $foreground 0%;
    }
    EntryList > .option-list--option-highlighted { background: $background; }
    EntryList:focus > .option-list--option-highlighted { background: $block-cursor-background; }
    """

    @dataclass
    class Pointed(Message):
        """Posted when the cursor has moved; there is no path above or beside all entries."""

        path: Path | None
        entry: FolderEntry | None

    @dataclass
    class Opened(Message):
        """Posted when an entry was opened; without an entry it is the folder itself."""

        path: Path
        entry: FolderEntry | None
        is_folder_above: bool = False

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._folder = Path(".")
        self._rows: list[FolderEntry | str] = []

    def show(
        self, folder: Path, listing: FolderListing, point_at: str = "", *, is_filtered: bool = False
    ) -> None:
        """Show the entries of a folder, with the cursor on the first file or on `point_at`."""
        self._folder = folder
        self._rows = [] if is_filtered or listing.problem else [ABOVE, HERE]
        if listing.problem:
            self._rows = [ABOVE]
        self._rows += listing.entries
        self.border_title = Content(clean(os.path.basename(os.path.abspath(folder)) or "/", 40))
        self.border_subtitle = Content(listing.left_out)
        self.clear_options()
        self.add_options([Option(_prompt(row)) for row in self._rows])
        if not self._rows:
            self.add_option(Option(Content.styled("nothing matches", "dim"), disabled=True))
        names = [row.name if isinstance(row, FolderEntry) else "" for row in self._rows]
        first = next((n for n, row in enumerate(self._rows) if isinstance(row, FolderEntry)), 0)
        self.highlighted = names.index(point_at) if point_at in names and point_at else first

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        row = self._row(event.option_index)
        if isinstance(row, FolderEntry):
            self.post_message(self.Pointed(self._folder / row.name, row))
        else:
            self.post_message(self.Pointed(self._folder if row == HERE else None, None))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        row = self._row(event.option_index)
        if isinstance(row, FolderEntry):
            self.post_message(self.Opened(self._folder / row.name, row))
        elif row is not None:
            self.post_message(self.Opened(self._folder, None, row == ABOVE))

    def _row(self, index: int) -> FolderEntry | str | None:
        return self._rows[index] if index < len(self._rows) else None


def _prompt(row: FolderEntry | str) -> Content:
    if isinstance(row, str):
        return Content.styled(row, "$foreground-muted")
    name = clean(row.name, 100)
    if row.kind == "folder":
        return Content.styled(f"{name}/", "bold")
    return Content(name) if row.kind == "data" else Content.styled(name, "dim")
