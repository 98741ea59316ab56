"""`PreviewScreen`: the pictures or texts that a recipe made after each validation.

Layer: ui. They are read in a thread, and come from a run that may be anybody's: texts are cleaned
and never interpreted as markup.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.thumbnails import Thumbnail, preview_names, read_preview
from tui_trainer.text.errors import BadInput
from tui_trainer.ui.shared.half_blocks import picture_lines
from tui_trainer.ui.shared.key_line import KeyLine

LOOK_S = 1.0
"""Seconds between two looks for a newer one."""


class PreviewScreen(ModalScreen[None]):
    """Shows one preview; the newest follows the run until another one is looked at."""

    ABOUT = "What the recipe of this run made after a validation."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", "Earlier"),
        Binding("right,l", "turn(1)", "Later"),
        Binding("home", "turn(-1000000)", "First"),
        Binding("end", "turn(1000000)", "Newest"),
        Binding("escape,q,g", "close", "Close"),
    ]
    DEFAULT_CSS = """
    PreviewScreen { background: $background; }
    PreviewScreen VerticalScroll {
        height: 1fr; border: round $primary; padding: 0 1; border-title-color: $text-primary;
        border-subtitle-color: $text-muted; align: center middle;
    }
    PreviewScreen Static { width: auto; height: auto; }
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__()
        self._run = RunDirectory(Path(run_dir))
        self._names: list[str] = []
        self._shown = ""
        """The name of the preview on the screen; empty before the first."""
        self._wanted = ""
        """The one to be looked at; empty: the newest, whichever that is."""

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Previews"
            yield Static(markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._look()
        self.set_interval(LOOK_S, self._look)

    def on_resize(self) -> None:
        self._shown = ""
        self._look()

    def action_turn(self, by: int) -> None:
        """Look at an earlier or a later one."""
        names = self._names
        if not names:
            return
        # Not the one on the screen: two keys may come before it is read.
        place = names.index(self._wanted) if self._wanted in names else len(names) - 1
        place = min(max(place + by, 0), len(names) - 1)
        self._wanted = "" if place == len(names) - 1 else names[place]
        self._look()

    def action_close(self) -> None:
        self.dismiss(None)

    def _look(self) -> Worker[None]:
        return self.run_worker(self._read, group="preview", exclusive=True)

    async def _read(self) -> None:
        self._names = await asyncio.to_thread(preview_names, self._run)
        if not self.query(VerticalScroll):
            return  # it was closed meanwhile, or is not open yet
        if not self._names:
            self.query_one(Static).update(Content("none yet: the first validation makes one"))
            return
        name = self._wanted if self._wanted in self._names else self._names[-1]
        box = self.query_one(VerticalScroll)
        box.border_subtitle = f"{self._names.index(name) + 1} of {len(self._names)}"
        if name == self._shown:
            return
        size = max(self.size.width - 4, 1), max(self.size.height - 3, 1)
        try:
            made = await asyncio.to_thread(read_preview, self._run, name, size)
        except BadInput as error:
            made = str(error)
        if not self.query(VerticalScroll):
            return
        self._shown = name
        box.border_title = _title(name)
        self.query_one(Static).update(
            Content("\n").join(picture_lines(made)) if isinstance(made, Thumbnail) else made
        )


def _title(name: str) -> Content:
    digits = name.removeprefix("step-").partition(".")[0]
    return Content(f"Preview at step {int(digits):,}" if digits.isdigit() else "Preview")
