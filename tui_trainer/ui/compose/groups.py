"""`Groups`: all groups of a form's fields, in one or two columns that scroll together.

Layer: ui. It shows a draft and never changes it. Unlike Textual's own scrolling widgets it leaves
the arrow keys to the form.
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
from tui_trainer.ui.compose.field import WRONG, FieldRow, FieldState
from tui_trainer.ui.shared.bindings import bindings_of

TWO_COLUMNS = 74
ROOMY = 104
"""From this width on, both columns have room for units and long labels."""
NARROW = 56
AMPLE = 190
"""From this width on, a whole path is visible."""

UNFOLDING, LOOK_S = 6, 0.05
"""After a group is unfolded: how often, and how far apart, the view is scrolled to its field."""


class Groups(Widget):
    """The groups, and above them the problems that belong to none of them."""

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

    def __init__(self, draft: Draft, *, rows: int | None = None) -> None:
        """Make the groups; `rows` is how many rows are in view, if that is known already."""
        super().__init__()
        self._draft = draft
        self._rows_in_view = rows
        self._groups: list[Group] = []

    def compose(self) -> ComposeResult:
        """Compose the fields that are not folded away."""
        # Before there are rows, because their styles would be computed a second time.
        self._size_editors(self.app.size.width)
        self._groups = self._make_groups()
        yield Static(id="elsewhere", markup=False)
        with Vertical(id="columns"):
            yield from self._groups

    def on_mount(self) -> None:
        """Show the problems that belong to no row."""
        self._fit(self.app.size.width)
        self._show_elsewhere(self._draft)
        # The rows that nobody sees yet would delay the first paint.
        self.call_after_refresh(self._fill)

    def _make_groups(self) -> list[Group]:
        """Make the groups, without the rows of those that are out of view."""
        groups, rows = self._draft.groups(), self._rows_in_view
        if rows is None:
            return [Group(group, self._draft) for group in groups]
        columns, top, made = _columns(self.app.size.width), 0, []
        for first in range(0, len(groups), columns):
            beside = groups[first : first + columns]
            made += [Group(group, self._draft, waits=top >= rows) for group in beside]
            top += max(rows_of(group, self._draft) for group in beside)
        if top > rows:
            # So that the first layout has room for the scroll bar.
            self.set_reactive(Groups.show_vertical_scrollbar, True)
        return made

    def _fill(self) -> None:
        """Make the rows that were left out."""
        for group, widget in zip(self._draft.groups(), self._groups, strict=True):
            widget.fill(group, self._draft)

    def on_resize(self) -> None:
        """Use two columns if there is room for both."""
        self._fit(self.outer_size.width)

    def _fit(self, width: int) -> None:
        # A class on this widget would have every style below it computed again.
        columns = self.query_one("#columns")
        count = _columns(width)
        if columns.styles.grid_size_columns != count:
            columns.styles.grid_size_columns = count
        if self._size_editors(width):
            # A row whose own width stays the same would still be drawn for its editor's old place.
            self.call_after_refresh(self._redraw_rows)

    def _redraw_rows(self) -> None:
        for row in self.query(FieldRow):
            row.refresh()

    def _size_editors(self, width: int) -> bool:
        """Set the width of the editors to the available room; return whether it changed."""
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
        """Show the fields of a draft that match all words; focus and scroll position stay."""
        self._draft = draft
        if not self._groups:
            return
        for group, widget in zip(draft.groups(), self._groups, strict=True):
            widget.show(group, draft, words)
        self._show_elsewhere(draft)

    def _show_elsewhere(self, draft: Draft) -> None:
        """Show problems that belong to no group, such as those of the experiment's file."""
        known = {section for group in draft.groups() for section in group.sections}
        lines = [
            f"{WRONG} {clean(key, 80)}: {clean(text, 2000)}"
            for key, text in draft.problems.items()
            if key.partition(".")[0] not in known
        ]
        static, text = self.query_one("#elsewhere", Static), Content("\n".join(lines))
        if static.content != text:
            static.display = bool(lines)
            static.update(text)

    def reveal(self, key: str) -> FieldRow | None:
        """Return the row of a field, unfolding its group if necessary, or None."""
        if not self._groups:
            return None
        for group, widget in zip(self._draft.groups(), self._groups, strict=True):
            row = widget.reveal(key, group, self._draft)
            if row is not None:
                return row
        return None

    def bring_into_view(self, editor: Widget, looks: int = UNFOLDING) -> None:
        """Scroll to it now, and again while unfolded rows are still being laid out."""
        # Its whole row, which may have a problem below the editor.
        whole = editor.parent if isinstance(editor.parent, FieldRow) else editor
        self.scroll_to_widget(whole, animate=False)
        if looks > 0 and (editor.has_focus or not self.has_focus_within):
            self.set_timer(LOOK_S, lambda: self.bring_into_view(editor, looks - 1))

    def stops(self) -> list[Widget]:
        """Return everything that can have the focus, from first to last."""
        self._fill()
        return [stop for group in self._groups if group.display for stop in group.stops()]


def _columns(width: int) -> int:
    return 2 if width >= TWO_COLUMNS else 1


# A group's rows are kept while their field stays the same, so that focus and unfinished input
# survive when another type of a section takes other fields away.


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
        """Posted when it was opened or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False

    def render(self) -> Content:
        """Return the text about the folded fields."""
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
    """The fields of one group of a draft, under one title."""

    DEFAULT_CSS = """
    Group {
        height: auto;
        layout: vertical;
        border-top: solid $foreground 30%;
        border-title-color: $text-primary;
        border-title-style: bold;
    }
    Group > .blame { height: auto; padding: 0 1; color: $text-error; }
    """

    def __init__(self, group: FieldGroup, draft: Draft, *, waits: bool = False) -> None:
        """Make a group; one that waits has no rows until they are needed, but room for them."""
        super().__init__()
        self._title = group.title
        self._blame: Static | None = None
        self._rows: dict[str, FieldRow] = {}
        self._fold = Fold()
        self._waits = waits
        if waits:
            self.styles.min_height = rows_of(group, draft)
        else:
            self._make_rows(group, draft)
        self._describe(group, draft)

    def _make_rows(self, group: FieldGroup, draft: Draft) -> None:
        for field in _unfolded(group, draft):
            self._rows[field.key] = FieldRow(field, _state(draft, field))

    def fill(self, group: FieldGroup, draft: Draft) -> None:
        """Make the rows, if they wait."""
        if not self._waits:
            return
        self._waits = False
        self.styles.min_height = None
        self._make_rows(group, draft)
        rows = list(self._rows.values())
        self.mount_all([row for row in rows if not row.field.advanced], before=self._fold)
        self.mount_all([row for row in rows if row.field.advanced], after=self._fold)

    def compose(self) -> ComposeResult:
        """Compose the fields, and the line that unfolds the others."""
        if self._blame is not None:
            yield self._blame
        yield from (row for row in self._rows.values() if not row.field.advanced)
        yield self._fold
        yield from (row for row in self._rows.values() if row.field.advanced)

    def show(self, group: FieldGroup, draft: Draft, words: Sequence[str] = ()) -> None:
        """Show the fields of a draft that match all words; touch only what has changed."""
        self.fill(group, draft)
        wanted = [
            field
            for field in group.fields
            if not field.advanced or self._fold.is_open or words or self._matters(field, draft)
        ]
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

    def _matters(self, field: Field, draft: Draft) -> bool:
        """Whether a folded field is shown all the same: it is wrong, or being typed in."""
        row = self._rows.get(field.key)
        return bool(draft.problem(field.key)) or (row is not None and row.editor.has_focus)

    def reveal(self, key: str, group: FieldGroup, draft: Draft) -> FieldRow | None:
        """Return the row of a field, unfolded if necessary; None if it is in another group."""
        field = next((field for field in group.fields if field.key == key), None)
        if field is None:
            return None
        self.fill(group, draft)
        if field.advanced and not self._fold.is_open and not self._matters(field, draft):
            self._fold.is_open = True
            self.show(group, draft)
        return self._rows[key]

    def stops(self) -> list[Widget]:
        """Return everything that can have the focus, from top to bottom."""
        return [
            child.editor if isinstance(child, FieldRow) else child
            for child in self.children
            if child.display and isinstance(child, FieldRow | Fold)
        ]

    def _arrange(self, group: FieldGroup, wanted: Sequence[Field], draft: Draft) -> None:
        """Create missing rows in their places, and remove rows of fields that are gone."""
        for key, row in list(self._rows.items()):
            if row.field not in group.fields:
                self._rows.pop(key).remove()
        # The fields are in order, with the advanced ones at the end.
        for start, is_advanced in ((self._blame, False), (self._fold, True)):
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
        """Set the text about the folded fields, and show the problems of sections."""
        folded = [field.key for field in group.fields if field.advanced]
        self._fold.display = bool(folded) and not is_searched
        wrong = sum(1 for key in folded if draft.problem(key))
        changed = sum(1 for key in folded if draft.is_changed(key))
        counts = [str(len(folded))]
        counts += [f"{changed} changed *"] if changed else []
        counts += [f"✗ {wrong} wrong"] if wrong else []
        self._fold.text = "▾ less" if self._fold.is_open else f"▸ more ({', '.join(counts)})"
        self._show_blame(blame_of(group, draft))

    def _show_blame(self, problems: Sequence[str]) -> None:
        """Show the problems of the sections above the fields, and mark the title."""
        title = Content.assemble(self._title, (f" {WRONG}" if problems else "", "$text-error"))
        if title != self.border_title:
            self.border_title = title
        text = Content("\n".join(f"{WRONG} {problem}" for problem in problems))
        if self._blame is None and problems:
            # Only now, because hardly any group ever has one.
            self._blame = Static(text, classes="blame")
            if self.is_attached:
                self.mount(self._blame, before=0)
        elif self._blame is not None and self._blame.content != text:
            self._blame.update(text)
            self._blame.display = bool(problems)


def rows_of(group: FieldGroup, draft: Draft) -> int:
    """Return the height of a group at first: its title, its rows, and the line that unfolds others.

    One with problems may be higher.
    """
    return 1 + len(_unfolded(group, draft)) + any(field.advanced for field in group.fields)


def _unfolded(group: FieldGroup, draft: Draft) -> list[Field]:
    """Return the fields of a group that are not folded away at first."""
    return [field for field in group.fields if not field.advanced or draft.problem(field.key)]


def blame_of(group: FieldGroup, draft: Draft) -> list[str]:
    """Return the problems of a group's sections that belong to none of its fields."""
    keys = {field.key for field in group.fields}
    return [
        f"{clean(key, 80)}: {clean(text, 2000)}"
        for key, text in draft.problems.items()
        if key not in keys and key.partition(".")[0] in group.sections
    ]


def _state(draft: Draft, field: Field) -> FieldState:
    key = field.key
    return FieldState(draft.text(key), draft.problem(key), draft.is_changed(key))
