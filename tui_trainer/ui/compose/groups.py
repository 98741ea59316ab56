"""`Groups`: all groups of a form's fields, in one column or two, scrolled as one.

Layer: ui. It shows a draft and changes none; unlike Textual's own scrolling parts it leaves the
arrow keys to the form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.drafts.fields import Field, FieldGroup, matches
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.field import FieldRow, FieldState
from tui_trainer.ui.shared.bindings import bindings_of

TWO_COLUMNS = 74
ROOMY = 104
"""From here on both columns have room for units and long labels."""
NARROW = 56
AMPLE = 190
"""From here on a path can be seen whole."""

UNFOLDING, LOOK_S = 6, 0.05
"""How often, and how far apart, it is looked where a field is whose group was unfolded."""


class Groups(Widget):
    """What no group has a place for, and the groups below it."""

    DEFAULT_CSS = """
    Groups { height: 1fr; overflow: hidden auto; scrollbar-size-vertical: 1; }
    Groups #columns {
        layout: grid; grid-size: 1; grid-rows: auto; grid-gutter: 0 1; height: auto;
    }
    Groups.-tight .editor { margin-left: 18; width: 12; }
    Groups.-tight .wide { width: 17; }
    Groups.-ample .wide { width: 48; }
    Groups.-narrow .editor { margin-left: 14; width: 12; }
    Groups.-narrow .wide { width: 16; }
    Groups #elsewhere { height: auto; color: $text-error; padding: 0 1; display: none; }
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._groups: list[Group] = []

    def compose(self) -> ComposeResult:
        """The fields that are not folded away."""
        # Before there are rows, whose styles would be worked out a second time.
        self._size_editors(self.app.size.width)
        self._groups = [Group(group, self._draft) for group in self._draft.groups()]
        yield Static(id="elsewhere", markup=False)
        with Vertical(id="columns"):
            yield from self._groups

    def on_mount(self) -> None:
        """Say what no row can say."""
        self._fit(self.app.size.width)
        self._show_elsewhere(self._draft)

    def on_resize(self) -> None:
        """Two columns where there is room for both."""
        self._fit(self.outer_size.width)

    def _fit(self, width: int) -> None:
        # A class on all of it would have every style below it worked out again.
        columns = self.query_one("#columns")
        count = 2 if width >= TWO_COLUMNS else 1
        if columns.styles.grid_size_columns != count:
            columns.styles.grid_size_columns = count
        if self._size_editors(width):
            # A row that has its width already is drawn around where its editor was.
            self.call_after_refresh(self._redraw_rows)

    def _redraw_rows(self) -> None:
        for row in self.query(FieldRow):
            row.refresh()

    def _size_editors(self, width: int) -> bool:
        """Make the editors as wide as there is room for; whether that is another width now."""
        before = self.classes
        for name, holds in (
            ("-narrow", width < NARROW),
            ("-tight", TWO_COLUMNS <= width < ROOMY),
            ("-ample", width >= AMPLE),
        ):
            if self.has_class(name) != holds:
                self.set_class(holds, name)
        return self.classes != before

    def show(self, draft: Draft, words: Sequence[str] = ()) -> None:
        """Show the fields of a draft with all of the words; focus and scrolling stay."""
        self._draft = draft
        if not self._groups:
            return
        for group, widget in zip(draft.groups(), self._groups, strict=True):
            widget.show(group, draft, words)
        self._show_elsewhere(draft)

    def _show_elsewhere(self, draft: Draft) -> None:
        """Problems that no group has a place for: of the experiment's file."""
        known = {section for group in draft.groups() for section in group.sections}
        lines = [
            f"✗ {clean(key, 80)}: {clean(text, 400)}"
            for key, text in draft.problems.items()
            if key.partition(".")[0] not in known
        ]
        static = self.query_one("#elsewhere", Static)
        static.display = bool(lines)
        static.update(Content("\n".join(lines)))

    def reveal(self, key: str) -> FieldRow | None:
        """The row of a field, its group unfolded where it must be; None when there is none."""
        for group, widget in zip(self._draft.groups(), self._groups, strict=True):
            row = widget.reveal(key, group, self._draft)
            if row is not None:
                return row
        return None

    def bring_into_view(self, editor: Widget, looks: int = UNFOLDING) -> None:
        """Scroll now, and again while unfolded rows still find their places."""
        self.scroll_to_widget(editor, animate=False)
        if looks > 0 and (editor.has_focus or not self.has_focus_within):
            self.set_timer(LOOK_S, lambda: self.bring_into_view(editor, looks - 1))

    def stops(self) -> list[Widget]:
        """What can have the focus, from the first to the last."""
        return [stop for group in self._groups if group.display for stop in group.stops()]


# `Group`: the rows of a form under one title, and the line that unfolds the rarely changed ones.
#
# Rows are kept as long as their field is the same one, so that focus and what is being typed
# survive when the type of a section takes other fields away.


class Fold(Widget, can_focus=True):
    """A line that says how many fields are folded away; enter or a click shows them."""

    BINDINGS = bindings_of("fold")

    DEFAULT_CSS = """
    Fold { height: 1; color: $text-muted; padding: 0 1; pointer: pointer; }
    Fold:focus { text-style: reverse; }
    Fold:hover { color: $foreground; }
    """

    text: reactive[str] = reactive("")

    @dataclass
    class Toggled(Message):
        """It was opened or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False

    def render(self) -> Content:
        """What is folded away."""
        return Content(self.text)

    def action_turn(self) -> None:
        """Open or close it."""
        self.is_open = not self.is_open
        self.post_message(self.Toggled())

    def on_click(self, event: events.Click) -> None:
        """Open or close it."""
        event.stop()
        self.action_turn()


class Group(Widget):
    """The fields of one group of a draft."""

    DEFAULT_CSS = """
    Group {
        height: auto;
        layout: vertical;
        border-top: solid $foreground 30%;
        border-title-color: $text-primary;
        border-title-style: bold;
    }
    """

    def __init__(self, group: FieldGroup, draft: Draft) -> None:
        super().__init__()
        self._rows: dict[str, FieldRow] = {}
        self._fold = Fold()
        for field in group.fields:
            if not field.advanced:
                self._rows[field.key] = FieldRow(field, _state(draft, field))
        self._describe(group, draft)

    def compose(self) -> ComposeResult:
        """Its fields, and the line that unfolds the others."""
        yield from self._rows.values()
        yield self._fold

    def show(self, group: FieldGroup, draft: Draft, words: Sequence[str] = ()) -> None:
        """Show the fields of a draft that have all of the words; only what differs is touched."""
        wanted = [f for f in group.fields if not f.advanced or self._fold.is_open or words]
        self._arrange(group, wanted, draft)
        for field in group.fields:
            row = self._rows.get(field.key)
            if row is not None:
                row.show(_state(draft, field))
                is_shown = field in wanted and matches(field, words)
                if row.display != is_shown:
                    row.display = is_shown
        self._describe(group, draft, is_searched=bool(words))
        self.display = not words or any(row.display for row in self._rows.values())

    def reveal(self, key: str, group: FieldGroup, draft: Draft) -> FieldRow | None:
        """The row of a field, unfolded where it must be; None when it is of another group."""
        field = next((field for field in group.fields if field.key == key), None)
        if field is None:
            return None
        if field.advanced and not self._fold.is_open:
            self._fold.is_open = True
            self.show(group, draft)
        return self._rows[key]

    def stops(self) -> list[Widget]:
        """What can have the focus, from top to bottom."""
        return [
            child.editor if isinstance(child, FieldRow) else child
            for child in self.children
            if child.display
        ]

    def _arrange(self, group: FieldGroup, wanted: Sequence[Field], draft: Draft) -> None:
        """Make the rows that are missing, where they belong, and remove those of other fields."""
        for key, row in list(self._rows.items()):
            if row.field not in group.fields:
                self._rows.pop(key).remove()
        # The fields are in order, and the advanced ones are the last.
        for start, is_advanced in ((None, False), (self._fold, True)):
            above: Widget | None = start
            for field in wanted:
                if field.advanced is not is_advanced:
                    continue
                if field.key not in self._rows:
                    row = self._rows[field.key] = FieldRow(field, _state(draft, field))
                    if above is None:
                        self.mount(row, before=0)
                    else:
                        self.mount(row, after=above)
                above = self._rows[field.key]

    def _describe(self, group: FieldGroup, draft: Draft, *, is_searched: bool = False) -> None:
        """What the line about the folded fields says, and what is wrong with a section."""
        folded = [field.key for field in group.fields if field.advanced]
        self._fold.display = bool(folded) and not is_searched
        wrong = sum(1 for key in folded if draft.problem(key))
        changed = sum(1 for key in folded if draft.is_changed(key))
        counts = [str(len(folded))]
        counts += [f"{changed} changed *"] if changed else []
        counts += [f"✗ {wrong} wrong"] if wrong else []
        self._fold.text = "▾ less" if self._fold.is_open else f"▸ more ({', '.join(counts)})"
        # In the title, where it moves nothing.
        told = "".join(f"  ✗ {text}" for text in blame_of(group, draft))
        title = Content.assemble(group.title, (told, "$text-error"))
        if title != self.border_title:
            self.border_title = title


def blame_of(group: FieldGroup, draft: Draft) -> list[str]:
    """What is wrong with a group's sections and blames none of its fields."""
    keys = {field.key for field in group.fields}
    return [
        f"{clean(key, 80)}: {clean(text, 400)}"
        for key, text in draft.problems.items()
        if key not in keys and key.partition(".")[0] in group.sections
    ]


def _state(draft: Draft, field: Field) -> FieldState:
    key = field.key
    return FieldState(draft.text(key), draft.problem(key), draft.is_changed(key))
