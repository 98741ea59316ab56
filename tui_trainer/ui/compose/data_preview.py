"""`DataPreview`: the experiment that would be made of a file, and the first rows of it.

Layer: ui. Texts come from files: they are cleaned, and never interpreted as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_trainer.sessions.data_files import Head
from tui_trainer.sessions.thumbnails import Thumbnail
from tui_trainer.text.cells import cut_end, padded
from tui_trainer.text.clean import clean
from tui_trainer.ui.shared.half_blocks import picture_grid
from tui_trainer.ui.shared.lines import Hanging, Line

if TYPE_CHECKING:
    from tui_trainer.sessions.proposal import Proposal

_WIDEST = 16
"""The cells of a column that are shown."""
_SUBJECT = 8
_MUTED = "$foreground-muted"
_OPTIONS = {"--target": "dataset.target", "--save FILE.yaml": ""}
"""Settings of the form, or none, in the place of options of the command line."""


class DataPreview(VerticalScroll):
    """Its two parts are shown as they become known: the experiment, and below it the rows."""

    DEFAULT_CSS = """
    DataPreview {
        width: 1fr; height: 1fr; padding: 0 0 0 1; border: round $foreground 30%;
        border-title-color: $text-muted; border-subtitle-color: $text-muted;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    DataPreview:focus { border: round $primary; border-title-color: $text-primary; }
    DataPreview Static { width: 100%; height: auto; }
    DataPreview #rows { text-wrap: nowrap; text-overflow: ellipsis; }
    DataPreview Hanging { margin-bottom: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        # Made here, because an answer may come before they are mounted.
        self._made = Hanging([])
        self._rows = Static(id="rows", markup=False)

    def compose(self) -> ComposeResult:
        yield self._made
        yield self._rows

    def begin(self, title: str, hint: str = "") -> None:
        """Show the name of what is looked at, and nothing yet of what is in it."""
        self.border_title, self.border_subtitle = Content(clean(title, 60)), ""
        self._made.show([_line("", Content.styled(hint, _MUTED))] if hint else [])
        self._rows.update(Content(""))
        self.scroll_home(animate=False)

    def show_head(self, head: Head) -> None:
        """Show the first rows, or why there are none."""
        self.border_subtitle = Content(head.size)
        if head.problem:
            self._rows.update(Content.styled(head.problem, _MUTED))
            return
        lines = _columns(head) if head.is_table else [row[0] for row in head.rows]
        parts = [Content(line) for line in lines]
        if head.is_table and parts:
            parts[0] = parts[0].stylize("bold")
        if head.more_columns:
            parts.append(Content.styled(f"and {head.more_columns:,} more columns", _MUTED))
        self._rows.update(Content("\n").join(parts))

    def show_pictures(self, pictures: Sequence[Thumbnail]) -> None:
        """Show some pictures below what is known."""
        self._rows.update(picture_grid(pictures, max(self.scrollable_content_region.width, 1)))

    def wait(self, before: str) -> None:
        """Say that the data are being read, or what has to happen before."""
        text = f"reading; before that: {clean(before, 100)}" if before else "reading"
        self._made.show([_line("", Content.styled(f"{text} ...", _MUTED))])

    def show_proposal(self, proposal: Proposal) -> None:
        """Show what an experiment would be made of."""
        head, *rest = proposal.lines
        lines = [_line("", Content.styled(clean(head.text, 300), "bold"))]
        for line in rest:
            setting = _OPTIONS.get(line.setting, line.setting)
            shown = f"  [{clean(setting, 80)}]" if setting else ""
            text = Content.assemble(clean(line.text, 400), (shown, _MUTED))
            lines.append(_line(line.subject, text))
        lines += [_line("note", Content(clean(note, 400))) for note in proposal.notes]
        lines.append(_line("", Content.styled("enter fills the experiment with this", _MUTED)))
        self._made.show(lines)

    def complain(self, text: str) -> None:
        """Show why it cannot be used."""
        shown = clean(text, 1000, multiline=True).replace("\n", "; ")
        shown = shown.replace("--target COLUMN", "t goes to its field")
        head = Content.styled("✗ ", "$text-error")
        self._made.show([(head, Content.styled(shown, "$text-error"))])


def _line(subject: str, text: Content) -> Line:
    """Return a line with its subject in front; without one it begins at the left."""
    return Content.styled(padded(clean(subject, 20), _SUBJECT), "bold") if subject else _NONE, text


_NONE = Content("")


def _columns(head: Head) -> list[str]:
    """Return the rows of a table with its columns below each other."""
    widths = [
        min(max(cell_len(row[place]) for row in head.rows), _WIDEST)
        for place in range(len(head.rows[0]))
    ]
    return [
        "  ".join(
            padded(cut_end(cell, width), width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in head.rows
    ]
