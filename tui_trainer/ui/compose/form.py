"""`Form`: the fields of a draft in groups, with rarely changed ones folded away.

Layer: ui. The draft holds the values: a form passes on what is typed and shows what the draft says
then. Rows of folded fields are created when they are first unfolded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.drafts.fields import Field, FieldGroup, best_match
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.choice import Choice
from tui_trainer.ui.compose.field import FieldRow
from tui_trainer.ui.compose.groups import Fold, Groups, blame_of
from tui_trainer.ui.shared.bindings import bindings_of

ABOUT_ROWS = 1


class Form(Widget):
    """The fields of a draft. A screen that changes the draft calls `show` afterwards."""

    BINDINGS = bindings_of("form")

    DEFAULT_CSS = """
    Form { height: 1fr; layout: vertical; }
    Form > #about { height: 1; color: $text-muted; padding: 0 1; }
    """

    @dataclass
    class Changed(Message):
        """Posted when the user has typed or chosen a value, which the draft has already taken."""

        key: str

    def __init__(self, draft: Draft, *, rows: int | None = None) -> None:
        """Make a form; `rows` is its height, if that is known before it is laid out."""
        super().__init__()
        self._draft = draft
        self._groups = Groups(draft, rows=rows - ABOUT_ROWS if rows is not None else None)
        self._words: tuple[str, ...] = ()
        self._about: Content | None = None
        self._focused_key = ""

    def compose(self) -> ComposeResult:
        """Compose the fields, and below them a line about the focused one."""
        yield self._groups
        yield Static(id="about", markup=False)

    def on_resize(self) -> None:
        """Fit the line at the bottom to the new width."""
        self._show_about()

    @property
    def draft(self) -> Draft:
        """The draft that is shown."""
        return self._draft

    @property
    def focused_key(self) -> str:
        """The key of the field that has, or last had, the focus."""
        return self._focused_key

    def show(self, draft: Draft) -> None:
        """Show another or a changed draft; focus and scroll position stay."""
        self._draft = draft
        if not self._groups.is_attached:
            self._groups.show(draft, self._words)
            return
        with self.app.batch_update():
            self._groups.show(draft, self._words)
        self._show_about()

    def show_misfits(self, key: str, reasons: Mapping[str, str]) -> None:
        """Mark the choices of a field that do not fit the data, given the reasons by choice."""
        row = self._groups.reveal(key)
        if row is not None and isinstance(row.editor, Choice):
            row.editor.misfits = reasons

    def go_home(self) -> None:
        """Scroll to the first fields."""
        self._groups.scroll_home(animate=False)

    def filter(self, text: str) -> None:
        """Show only the fields with all of these words in key, label or description."""
        self._words = tuple(text.lower().split())
        self.show(self._draft)

    def best_match(self, text: str) -> str:
        """Return the key of the field that a text refers to, or an empty string."""
        field = best_match(self._draft.groups(), text)
        return field.key if field is not None else ""

    def reset_focused(self) -> None:
        """Reset the focused field to the preset's value."""
        row = self._row_of(self.app.focused)
        if row is not None:
            self._draft.reset(row.field.key)
            self._changed(row.field.key)

    def focus_field(self, key: str) -> bool:
        """Focus a field, unfolded and found again if necessary; return False if there is none."""
        row = self._groups.reveal(key)
        if row is None:
            return False
        if not row.display:
            self.filter("")
        row.editor.focus()
        self._groups.bring_into_view(row.editor)
        return True

    def action_next_field(self) -> None:
        """Go to the next field."""
        self._move(1)

    def action_previous_field(self) -> None:
        """Go to the previous field."""
        self._move(-1)

    def _move(self, step: int) -> None:
        stops = self._groups.stops()
        focused = self.app.focused
        if focused in stops:
            index = stops.index(focused) + step
            if 0 <= index < len(stops):
                stops[index].focus()
        elif stops:
            stops[0].focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        # During a burst of keys the event holds an old value: read the current one from the input.
        self._edited(event.input, event.input.value)
        event.stop()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        self._edited(event.choice, event.choice.value)
        event.stop()

    def _edited(self, editor: Input | Choice, value: str) -> None:
        row = self._row_of(editor)
        # A change made by `show` is reported late, and its row may be gone by then.
        if row is not None and row.is_attached and self._draft.text(row.field.key) != value:
            self._draft.set(row.field.key, value)
            self._changed(row.field.key)

    def _changed(self, key: str) -> None:
        self.show(self._draft)
        self.post_message(self.Changed(key))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._move(1)

    @on(Fold.Toggled)
    def _folded(self, event: Fold.Toggled) -> None:
        event.stop()
        self.show(self._draft)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Describe the field that has the focus."""
        row = self._row_of(event.widget)
        if row is not None and row.field.key != self._focused_key:
            self._focused_key = row.field.key
            self._show_about()

    def _row_of(self, widget: Widget | None) -> FieldRow | None:
        if widget is None or self not in widget.ancestors:
            return None
        rows = (node for node in widget.ancestors_with_self if isinstance(node, FieldRow))
        return next(rows, None)

    def _show_about(self) -> None:
        """Show in the bottom line what is wrong with the focused field, or else describe it."""
        content = Content("")
        for group in self._draft.groups():
            for field in group.fields:
                if field.key == self._focused_key:
                    content = about(field, group, self._draft, self.size.width - 2)
        if content != self._about:
            self._about = content
            self.query_one("#about", Static).update(content, layout=False)


# The line below a form: the problem of the focused field, or else its description. A pure function;
# the line is always there, so that a problem does not move any row.


def about(field: Field, group: FieldGroup, draft: Draft, width: int) -> Content:
    """Return the line about a field, `width` cells wide."""
    if problem := draft.problem(field.key):
        return _wrong(f"{clean(field.key, 80)}  ", clean(problem, 400), width)
    if blamed := blame_of(group, draft):
        return _wrong("", "  ✗ ".join(blamed), width)
    return _described(field, draft.text(field.key), width)


def _wrong(key: str, problem: str, width: int) -> Content:
    """Shorten a long problem, but keep a suggestion ("did you mean ...") at its end."""
    text, found, meant = f"✗ {problem}".partition(" (did you mean")
    room = width - len(key) - len(found + meant)
    if len(text) > room:
        text = f"{text[: max(room - 1, 0)]}…"
    return Content.assemble((key, "$text-primary"), (text + found + meant, "$text-error"))


def _described(field: Field, chosen: str, width: int) -> Content:
    """Return key and bounds in full, and as much of the (chosen value's) description as fits."""
    ends = ", ".join(part for part in (field.bounds, "live" if field.live else "") if part)
    rest = width - len(field.key) - len(ends) - 4
    of_choices = dict(zip(field.choices, field.choice_texts, strict=True))
    text = clean(of_choices.get(chosen) or field.description, 200)
    if len(text) > rest:
        text = f"{text[: rest - 1]}…" if rest > 8 else ""
    parts = [(clean(field.key, 80), "$text-primary")]
    parts += [(f"  {part}", "$foreground 60%") for part in (text, ends) if part]
    return Content.assemble(*parts)
