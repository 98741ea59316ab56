"""`FieldRow`: one setting on one line: label, editor, a mark when it is changed, unit or problem.

Layer: ui. The row draws everything but the editor itself: a form has fifty rows, and each further
widget in them would cost the first paint a millisecond.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input

from tui_trainer.config.fields import Field
from tui_trainer.config.text import clean
from tui_trainer.ui.widgets.choice import SWITCH, Choice
from tui_trainer.ui.widgets.text_input import TextInput


@dataclass(frozen=True, slots=True)
class FieldState:
    """What a row shows of a draft."""

    text: str
    problem: str
    changed: bool


class FieldRow(Widget):
    """One field of a form. It sends nothing itself: its Input or Choice does."""

    DEFAULT_CSS = """
    FieldRow {
        height: auto;
        layout: horizontal;
        color: $foreground;
    }
    FieldRow > .editor { margin-left: 22; width: 14; }
    FieldRow > .wide { width: 24; }
    FieldRow > Input, FieldRow > Input:focus { border: none; height: 1; padding: 0; }
    """

    def __init__(self, field: Field, state: FieldState) -> None:
        super().__init__()
        self.field = field
        self.state = state
        self._editor = _editor(field, state.text)

    def compose(self) -> ComposeResult:
        """The editor; everything around it is drawn."""
        yield self._editor

    @property
    def editor(self) -> Input | Choice:
        """What is typed or chosen in."""
        return self._editor

    def show(self, state: FieldState) -> None:
        """Show another state; costs nothing when it is the same."""
        if self._editor.value != state.text:
            with self._editor.prevent(Input.Changed, Choice.Changed):
                self._editor.value = state.text
        old, self.state = self.state, state
        if (old.problem, old.changed) != (state.problem, state.changed):
            lines = len(self._lines(self.size.width))
            self.refresh(layout=lines != self.size.height)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line, and more for a problem that has no room beside the editor."""
        return len(self._lines(width))

    def render(self) -> Content:
        """The lines, with a gap where the editor is."""
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        start = self._editor.styles.margin.left
        size = self._editor.styles.width
        beside = start + (int(size.value) if size is not None else 0)
        label = set_cell_size(_fitted(clean(self.field.label, 60), start - 2), max(start - 2, 0))
        first = [Content(f" {label}"), Content(" " * max(beside - start + 1, 0))]
        first.append(Content("*" if self.state.changed else " "))
        room = width - beside - 2
        if not self.state.problem:
            unit = _fitted(clean(self.field.unit, 40), room)
            return [Content.assemble(*first, (f" {unit}", "$foreground 60%"))]
        problem = clean(self.state.problem, 400)
        if cell_len(problem) + 3 <= room:
            return [Content.assemble(*first, (f" ✗ {problem}", "$text-error"))]
        below = textwrap.wrap(f"✗ {problem}", max(width - 4, 10))
        return [
            Content.assemble(*first),
            *(Content.styled(f"   {line}", "$text-error") for line in below),
        ]


def _editor(field: Field, text: str) -> Input | Choice:
    if field.kind == "bool":
        return Choice(text, SWITCH, classes="editor")
    if field.kind == "choice":
        choices, texts = field.choices, field.choice_texts
        if field.optional:
            choices, texts = ("", *choices), ("", *texts)
        return Choice(text, choices, texts, classes="editor")
    wide = field.kind not in ("int", "float")
    return TextInput(
        text,
        placeholder="none" if field.optional else "",
        classes="editor wide" if wide else "editor",
    )


def _fitted(text: str, room: int) -> str:
    """The text, or as much of it as there is room for."""
    if cell_len(text) <= room:
        return text
    return f"{set_cell_size(text, room - 1)}…" if room > 1 else ""
