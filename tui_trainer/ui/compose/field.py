"""`FieldRow`: one setting: label, editor, change mark, and unit or problem.

Layer: ui. The row itself draws everything but the editor: a form has fifty rows, and each further
widget per row would delay the first paint by a millisecond. A row is one line high unless it has a
problem that does not fit beside the editor; further lines show that as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from tui_trainer.config.drafts.fields import Field
from tui_trainer.text.cells import cut_end
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.choice import SWITCH, Choice
from tui_trainer.ui.shared.lines import hanging
from tui_trainer.ui.shared.text_input import TextInput

WRONG = "✗"
MOST_CHARACTERS, MOST_LINES = 2000, 6
PAUSE_S = 0.4
"""After the last letter of a text that is wrong, before its problem takes lines of its own."""


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
        self._problem = state.problem
        """The problem that is shown as a whole."""
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """Compose the editor; everything around it is drawn in `render`."""
        yield self._editor

    @property
    def editor(self) -> Input | Choice:
        """The widget in which the value is typed or chosen."""
        return self._editor

    def show(self, state: FieldState) -> None:
        """Show another state; repaint only if it differs."""
        # Without a new text in the draft, another text in the editor is one that was typed a moment
        # ago: its `Changed` is still on its way, and putting the old text back would lose it.
        if state.text not in (self.state.text, self._editor.value):
            with self._editor.prevent(Input.Changed, Choice.Changed):
                self._editor.value = state.text
        old, self.state = self.state, state
        if (old.problem, old.changed) == (state.problem, state.changed):
            return
        self.refresh()
        if self._pause is not None:
            self._pause.stop()
        if state.problem and not self._problem and self._editor.has_focus:
            # Half a number is wrong, too: rows must not move with every letter.
            self._pause = self.set_timer(PAUSE_S, self._tell_problem)
        else:
            self._tell_problem()

    def _tell_problem(self) -> None:
        """Show the present problem as a whole."""
        before = len(self._lines(self.size.width))
        self._problem = self.state.problem
        self.refresh(layout=len(self._lines(self.size.width)) != before)
        if self._problem and self._editor.has_focus:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines at this width."""
        return 1 + len(self._lines(width))

    def _beside(self) -> int:
        """Return the column at which the editor ends."""
        size = self._editor.styles.width
        return self._editor.styles.margin.left + (int(size.value) if size is not None else 0)

    def _lines(self, width: int) -> list[Content]:
        """Return the lines below the editor: the problem, if it does not fit beside it."""
        text = clean(self._problem, MOST_CHARACTERS)
        if not text or width <= 0 or cell_len(text) + 2 <= width - self._beside() - 2:
            return []
        lines = hanging(Content.styled(f"  {WRONG} ", "$text-error"), Content(text), width)
        if len(lines) > MOST_LINES:
            end = Content(
                cut_end(f"{lines[MOST_LINES - 1].plain} {lines[MOST_LINES].plain}", width - 18)
            )
            lines = [*lines[: MOST_LINES - 1], end + Content(" F4 shows the rest")]
        return [line.stylize("$text-error") for line in lines]

    def render(self) -> Content:
        """Draw the lines, with a gap for the editor."""
        start, beside, width = self._editor.styles.margin.left, self._beside(), self.size.width
        label = set_cell_size(_fitted(clean(self.field.label, 60), start - 2), max(start - 2, 0))
        mark = "*" if self.state.changed else " "
        below = self._lines(width)
        if self.state.problem and not below:
            last, style = f"{WRONG} {clean(self.state.problem, 400)}", "$text-error"
        else:
            last, style = clean(self.field.unit, 40), "$foreground 60%"
        first = Content.assemble(
            f" {label}{' ' * max(beside - start + 1, 0)}{mark} ",
            (_fitted(last, width - beside - 2), style),
        )
        return Content("\n").join([first, *below])


def _editor(field: Field, text: str) -> Input | Choice:
    if field.kind == "bool":
        return Choice(text, field.choices or SWITCH, field.choice_texts, classes="editor")
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
