"""`Form`: a draft as fields to type into, in groups, with the rarely changed ones folded away.

Layer: ui. The draft is the truth: a form sets what is typed, and shows what the draft then says;
rows of folded fields are not made until they are first looked at.
"""

from __future__ import annotations

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


class Form(Widget):
    """The fields of a draft. A screen that changes the draft calls `show` afterwards."""

    BINDINGS = bindings_of("form")

    DEFAULT_CSS = """
    Form { height: 1fr; layout: vertical; }
    Form > #about { height: 1; color: $text-muted; padding: 0 1; }
    """

    @dataclass
    class Changed(Message):
        """The user typed or chose something, and the draft has it."""

        key: str

    def __init__(self, draft: Draft, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._draft = draft
        self._groups = Groups(draft)
        self._words: tuple[str, ...] = ()
        self._about: Content | None = None
        self._focused_key = ""

    def compose(self) -> ComposeResult:
        """The fields, and below them a line about the one with the focus."""
        yield self._groups
        yield Static(id="about", markup=False)

    def on_resize(self) -> None:
        """As much of the line at the bottom as there is room for."""
        self._show_about()

    @property
    def draft(self) -> Draft:
        """The draft it shows."""
        return self._draft

    @property
    def focused_key(self) -> str:
        """The key of the field that has, or last had, the focus."""
        return self._focused_key

    def show(self, draft: Draft) -> None:
        """Show a draft that is another one, or was changed; focus and scrolling stay."""
        self._draft = draft
        if not self._groups.is_attached:
            self._groups.show(draft, self._words)
            return
        with self.app.batch_update():
            self._groups.show(draft, self._words)
        self._show_about()

    def filter(self, text: str) -> None:
        """Show only the fields with all of these words in key, label or description."""
        self._words = tuple(text.lower().split())
        self.show(self._draft)

    def best_match(self, text: str) -> str:
        """The key of the field that a text means; empty where it means none."""
        field = best_match(self._draft.groups(), text)
        return field.key if field is not None else ""

    def reset_focused(self) -> None:
        """Give the focused field the preset's value."""
        row = self._row_of(self.app.focused)
        if row is not None:
            self._draft.reset(row.field.key)
            self._changed(row.field.key)

    def focus_field(self, key: str) -> bool:
        """Go to a field, unfolding its group where it must; False when there is none."""
        row = self._groups.reveal(key)
        if row is None:
            return False
        row.editor.focus()
        self._groups.bring_into_view(row.editor)
        return True

    def focus_first_problem(self) -> bool:
        """Go to the first field with a problem; False when no field has one."""
        problems = self._draft.problems
        for group in self._draft.groups():
            for field in group.fields:
                if field.key in problems:
                    if self._words:
                        self.filter("")
                    return self.focus_field(field.key)
        return False

    def action_next_field(self) -> None:
        """Go to the next field."""
        self._move(1)

    def action_previous_field(self) -> None:
        """Go to the field before."""
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
        # Of keys in a burst the event tells the first: what is there now is what was typed.
        self._edited(event.input, event.input.value)
        event.stop()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        self._edited(event.choice, event.choice.value)
        event.stop()

    def _edited(self, editor: Input | Choice, value: str) -> None:
        row = self._row_of(editor)
        # A change made by `show` arrives late, and may be of a row that is gone.
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
        """Say what the focused field is."""
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
        """The line at the bottom: what is wrong with the focused field, or else what it is."""
        content = Content("")
        for group in self._draft.groups():
            for field in group.fields:
                if field.key == self._focused_key:
                    content = about(field, group, self._draft, self.size.width - 2)
        if content != self._about:
            self._about = content
            self.query_one("#about", Static).update(content, layout=False)


# The line below a form: what is wrong with the field that has the focus, or else what it is.
#
# A pure function; the line is always there, so that a problem moves no other row.


def about(field: Field, group: FieldGroup, draft: Draft, width: int) -> Content:
    """A field of a group in one line of that width."""
    if problem := draft.problem(field.key):
        return _wrong(f"{clean(field.key, 80)}  ", clean(problem, 400), width)
    if blamed := blame_of(group, draft):
        return _wrong("", "  ✗ ".join(blamed), width)
    return _described(field, draft.text(field.key), width)


def _wrong(key: str, problem: str, width: int) -> Content:
    """Of a problem that is too long its middle goes: what may be meant stands at the end."""
    text, found, meant = f"✗ {problem}".partition(" (did you mean")
    room = width - len(key) - len(found + meant)
    if len(text) > room:
        text = f"{text[: max(room - 1, 0)]}…"
    return Content.assemble((key, "$text-primary"), (text + found + meant, "$text-error"))


def _described(field: Field, chosen: str, width: int) -> Content:
    """Key and bounds whole, the description (of what is chosen) as far as there is room."""
    ends = ", ".join(part for part in (field.bounds, "live" if field.live else "") if part)
    rest = width - len(field.key) - len(ends) - 4
    of_choices = dict(zip(field.choices, field.choice_texts, strict=True))
    text = clean(of_choices.get(chosen) or field.description, 200)
    if len(text) > rest:
        text = f"{text[: rest - 1]}…" if rest > 8 else ""
    parts = [(clean(field.key, 80), "$text-primary")]
    parts += [(f"  {part}", "$foreground 60%") for part in (text, ends) if part]
    return Content.assemble(*parts)
