"""`FieldRow`: one setting on one line: label, editor, change mark, and unit or problem.

Layer: ui. The row itself draws everything but the editor: a form has fifty rows, and each further
widget per row would delay the first paint by a millisecond. A row is always one line high; the
whole problem of the focused field is shown below the form.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from tui_trainer.config.drafts.fields import Field
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.choice import SWITCH, Choice
from tui_trainer.ui.shared.text_input import TextInput


@dataclass(frozen=True, slots=True)
class FieldState:
    """The state of a field in a draft."""

    text: str
    problem: str
    changed: bool


class FieldRow(Widget):
    """One field of a form. It posts no messages; its Input or Choice does."""

    DEFAULT_CSS = """
    FieldRow {
        height: 1;
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
        """Compose the editor; everything around it is drawn in `render`."""
        yield self._editor

    @property
    def editor(self) -> Input | Choice:
        """The widget in which the value is typed or chosen."""
        return self._editor

    def show(self, state: FieldState) -> None:
        """Show another state; repaint only if it differs."""
        if self._editor.value != state.text:
            with self._editor.prevent(Input.Changed, Choice.Changed):
                self._editor.value = state.text
        old, self.state = self.state, state
        if (old.problem, old.changed) != (state.problem, state.changed):
            self.refresh()

    def render(self) -> Content:
        """Draw the line, with a gap for the editor."""
        start = self._editor.styles.margin.left
        size = self._editor.styles.width
        beside = start + (int(size.value) if size is not None else 0)
        label = set_cell_size(_fitted(clean(self.field.label, 60), start - 2), max(start - 2, 0))
        mark = "*" if self.state.changed else " "
        if self.state.problem:
            last, style = f"✗ {clean(self.state.problem, 400)}", "$text-error"
        else:
            last, style = clean(self.field.unit, 40), "$foreground 60%"
        return Content.assemble(
            f" {label}{' ' * max(beside - start + 1, 0)}{mark} ",
            (_fitted(last, self.size.width - beside - 2), style),
        )


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
    """Return the text, cut to the available room."""
    if cell_len(text) <= room:
        return text
    return f"{set_cell_size(text, room - 1)}…" if room > 1 else text[: max(room, 0)]
