"""`PresetPane`: a list of the presets of one kind, and of the types that plugins have.

Layer: ui. The cursor is not the choice: the chosen entry has a mark, and moving chooses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_trainer.config.own_types import OwnType
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.catalogue import Catalogue, Entry, Listed, origin_shown
from tui_trainer.ui.shared.bindings import bindings_of

CHOSEN, BROKEN, CHANGED, MISFIT = "●", "!", "*", "✗"


class PresetPane(OptionList):
    """The presets of one kind, after the types of plugins; enter or space chooses one."""

    BINDINGS = bindings_of("list")
    DEFAULT_CSS = """
    PresetPane {
        width: 1fr; height: 1fr; padding: 0;
        border: round $foreground 30%; background: $background;
        border-title-color: $text-muted; border-subtitle-color: $text-muted;
        text-wrap: nowrap; text-overflow: ellipsis;
        scrollbar-size-vertical: 1;
    }
    PresetPane:focus {
        border: round $primary; border-title-color: $text-primary; border-title-style: bold;
        background-tint: $foreground 0%;
    }
    PresetPane > .option-list--option-highlighted { background: $background; }
    PresetPane:focus > .option-list--option-highlighted { background: $block-cursor-background; }
    """

    @dataclass
    class Picked(Message):
        """Posted when the user has chosen an entry."""

        kind: str
        entry: Entry

    @dataclass
    class Pointed(Message):
        """Posted when the cursor has moved to another entry, or to none."""

        kind: str
        entry: Entry | None

    def __init__(self, catalogue: Catalogue, kind: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.kind = kind
        self.border_title = kind.capitalize()
        self._catalogue = catalogue
        self._words: tuple[str, ...] = ()
        self._rows: list[Listed] = []
        self._chosen = ""
        self._chosen_type = ""
        self._is_changed = False
        self._misfits: Mapping[str, str] = {}

    def on_mount(self) -> None:
        self._rebuild()
        # Reading the files can wait until something is on the screen.
        self.call_after_refresh(lambda: self.run_worker(self._mark_broken_in_turn()))

    def on_resize(self) -> None:
        """Keep the cursor in view; before the first layout there was nothing to scroll."""
        if hasattr(OptionList, "_update_lines"):
            self._update_lines()
            self.scroll_to_highlight()
        else:
            # A name of Textual's own: without it, the list knows its lines once it is painted.
            self.call_after_refresh(self.scroll_to_highlight)

    def show(self, chosen: str, own_type: str = "", *, is_changed: bool = False) -> None:
        """Mark the chosen preset, or else the type of a plugin, and whether it has changes."""
        before = self._chosen, self._chosen_type
        if (*before, self._is_changed) == (chosen, own_type, is_changed):
            return
        self._chosen, self._chosen_type, self._is_changed = chosen, own_type, is_changed
        for index, listed in enumerate(self._rows):
            self._replace(index, listed)
        if before != (chosen, own_type):
            self._point_at(next(filter(self.is_chosen, self._rows), None))
            self._say_what_enter_does()

    def is_chosen(self, listed: Listed) -> bool:
        """Return whether this preset, or this type without a preset, is the chosen one."""
        own = self._chosen_type if isinstance(listed, OwnType) else self._chosen
        return listed.name == own

    def show_misfits(self, reasons: Mapping[str, str]) -> None:
        """Mark the presets that do not fit the data, given the reasons by name."""
        if reasons != self._misfits:
            self._misfits = reasons
            for index, listed in enumerate(self._rows):
                self._replace(index, listed)

    def misfit(self, listed: Listed) -> str:
        """Return why a preset does not fit the data, or an empty string; types are not tried."""
        return "" if isinstance(listed, OwnType) else self._misfits.get(listed.name, "")

    def reread(self) -> None:
        """Rebuild the list, after the catalogue has been cleared."""
        self._rebuild()
        self._mark_broken()

    def filter(self, text: str) -> int:
        """Show only entries with all of the words in name or description; return how many."""
        words = tuple(text.casefold().split())
        if words != self._words:
            self._words = words
            self._rebuild()
            self._mark_broken()
        return len(self._rows)

    @property
    def pointed(self) -> Entry | None:
        """The entry under the cursor."""
        if self.highlighted is None or self.highlighted >= len(self._rows):
            return None
        return self._catalogue.entry(self._rows[self.highlighted])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self._rows):
            listed = self._rows[event.option_index]
            entry = self._catalogue.reread(listed)
            self._replace(event.option_index, listed)
            self.post_message(self.Picked(self.kind, entry))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        entry = self.pointed
        if entry is not None and self.highlighted is not None:
            self._replace(self.highlighted, entry.listed)
        self._say_what_enter_does()
        self.post_message(self.Pointed(self.kind, entry))

    def watch_has_focus(self, has_focus: bool) -> None:
        # The messages Focus and Blur are sent before `has_focus` changes.
        super().watch_has_focus(has_focus)
        if has_focus and self._catalogue.relist(self.kind):
            self._rebuild()
            self._mark_broken()
        self._say_what_enter_does()

    def _say_what_enter_does(self) -> None:
        """Show in the lower border what enter does, or how much of a filtered list is shown."""
        entry = self.pointed if self.has_focus else None
        text = f"{len(self._rows)} of {len(self._catalogue.listed(self.kind))}"
        if not self._words:
            is_other = entry is not None and not self.is_chosen(entry.listed) and not entry.wrong
            text = "↵ chooses it" if is_other else ""
        if text != self.border_subtitle:
            self.border_subtitle = text

    def _rebuild(self) -> None:
        cursor = self.highlighted
        is_on_one = cursor is not None and cursor < len(self._rows)
        pointed = self._rows[cursor or 0] if is_on_one else None
        self._rows = [it for it in self._catalogue.listed(self.kind) if self._matches(it)]
        self.clear_options()
        if self._rows:
            self.add_options([Option(self._prompt(listed)) for listed in self._rows])
            if not self.size:
                # So that the first layout has room for the scroll bar. An entry has one line.
                self.set_reactive(PresetPane.virtual_size, Size(0, len(self._rows)))
        else:
            text = "nothing matches" if self._words else "no presets"
            self.add_option(Option(Content.styled(text, "$foreground-muted"), disabled=True))
        self._point_at(pointed or next(filter(self.is_chosen, self._rows), None))
        self._say_what_enter_does()

    def _point_at(self, listed: Listed | None) -> None:
        """Move the cursor to an entry, or to the one that has its name by now, or to the first."""
        names = [(type(row), row.name) for row in self._rows]
        wanted = (type(listed), listed.name if listed is not None else "")
        self.highlighted = names.index(wanted) if wanted in names else 0 if names else None

    def _matches(self, listed: Listed) -> bool:
        if not self._words:
            return True
        words = listed.name, origin_shown(listed), self._catalogue.entry(listed).description
        text = " ".join(words).casefold()
        return all(word in text for word in self._words)

    async def _mark_broken_in_turn(self) -> None:
        """Read one file after another, and let keys be answered in between."""
        for listed in list(self._rows):
            self._mark_if_broken(listed)
            await asyncio.sleep(0)

    def _mark_broken(self) -> None:
        for listed in self._rows:
            self._mark_if_broken(listed)

    def _mark_if_broken(self, listed: Listed) -> None:
        # The list may have changed while keys were answered.
        if self._catalogue.entry(listed).wrong and listed in self._rows:
            self._replace(self._rows.index(listed), listed)

    def _replace(self, index: int, listed: Listed) -> None:
        prompt = self._prompt(listed)
        if prompt != self.options[index].prompt:
            self.replace_option_prompt_at_index(index, prompt)

    def _prompt(self, listed: Listed) -> Content:
        is_broken = self._catalogue.is_known_broken(listed)
        is_chosen, is_misfit = self.is_chosen(listed), bool(self.misfit(listed))
        sign = BROKEN if is_broken else MISFIT if is_misfit else " "
        style = "$text-error" if is_broken else "bold" if is_chosen else "dim" if is_misfit else ""
        change = f" {CHANGED}" if is_chosen and self._is_changed else ""
        change += f" {MISFIT}" if is_chosen and is_misfit else ""
        mark = CHOSEN if is_chosen else sign
        file = origin_shown(listed)
        name = Content.styled(f"{mark} {clean(listed.name, 100)}{change}", style)
        return Content.assemble(name, (f" · {file}", "$foreground-muted")) if file else name
