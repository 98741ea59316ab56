"""`Groups`: all groups of a form's fields, in one column or two, scrolled as one.

Layer: ui. It shows a draft and changes none; unlike Textual's own scrolling parts it leaves the
arrow keys to the form.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.text.clean import clean
from tui_trainer.ui.widgets.field import FieldRow
from tui_trainer.ui.widgets.group import Group

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
