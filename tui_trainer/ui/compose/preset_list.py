"""`PresetPane`: a list of the presets of one kind; `Catalogue`: what their files say.

Layer: ui. The cursor is not the choice: the chosen preset has a mark, and moving chooses nothing.
Files are read when they are looked at, not when the list is created, so that the first paint reads
none; a file that was changed in an editor is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_trainer.config.presets import Preset, PresetLibrary, is_named, stamp_of, why_misnamed
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.shared.bindings import bindings_of

CHOSEN, BROKEN, CHANGED, MISFIT = "●", "!", "*", "✗"


@dataclass(frozen=True, slots=True)
class PresetEntry:
    """A preset and the content of its file; `wrong` says in one line or more why it is unusable."""

    preset: Preset
    description: str
    data: dict[str, Any]
    wrong: str = ""

    @property
    def name(self) -> str:
        return self.preset.name


class Catalogue:
    """The content of the preset files. A file that has changed is read again."""

    def __init__(self, library: PresetLibrary) -> None:
        self.library = library
        self._entries: dict[Preset, tuple[tuple[int, ...], PresetEntry]] = {}
        self._lists: dict[str, list[Preset]] = {}

    def presets(self, kind: str) -> list[Preset]:
        """Return the presets of a kind by name, then misnamed files; reads folders only."""
        if kind not in self._lists:
            self.relist(kind)
        return self._lists[kind]

    def relist(self, kind: str) -> bool:
        """Read the folders of a kind again; return whether the list has changed."""
        before = self._lists.get(kind)
        self._lists[kind] = [*self.library.list(kind), *self.library.misnamed(kind)]
        return self._lists[kind] != before

    def entry(self, preset: Preset) -> PresetEntry:
        """Return the current content of a preset's file, or what is wrong with it."""
        known = self._entries.get(preset)
        if known is None or known[0] != stamp_of(preset.path):
            return self.reread(preset)
        return known[1]

    def reread(self, preset: Preset) -> PresetEntry:
        """Check a preset again, changed or not: its problem may be in another file it names."""
        entry = self._read(preset)
        self._entries[preset] = stamp_of(preset.path), entry
        return entry

    def is_known_broken(self, preset: Preset) -> bool:
        """Return whether its file was read and found unusable; reads nothing."""
        return preset in self._entries and bool(self._entries[preset][1].wrong)

    def forget(self) -> None:
        """Read folders and files again when they are next needed."""
        self._entries.clear()
        self._lists.clear()

    def _read(self, preset: Preset) -> PresetEntry:
        data: dict[str, Any] = {}
        wrong = ""
        try:
            data = self.library.read(preset.path).data
            if not is_named(preset.path):
                wrong = why_misnamed(preset.path)
            elif preset.kind == "experiment":
                self.library.experiment(preset.name)
            else:
                self.library.section(preset)
        except TrainerError as error:
            wrong = clean(str(error), 2000, multiline=True)
        return PresetEntry(preset, clean(str(data.get("description", "")), 300), data, wrong)


class PresetPane(OptionList):
    """The presets of one kind; enter or space chooses the one under the cursor."""

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
        """Posted when the user has chosen a preset."""

        kind: str
        entry: PresetEntry

    @dataclass
    class Pointed(Message):
        """Posted when the cursor has moved to another preset, or to none."""

        kind: str
        entry: PresetEntry | None

    def __init__(self, catalogue: Catalogue, kind: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.kind = kind
        self.border_title = kind.capitalize()
        self._catalogue = catalogue
        self._words: tuple[str, ...] = ()
        self._rows: list[Preset] = []
        self._chosen = ""
        self._is_changed = False
        self._misfits: Mapping[str, str] = {}

    def on_mount(self) -> None:
        self._rebuild()
        # Reading the files can wait until something is on the screen.
        self.call_after_refresh(self._mark_broken)

    def on_resize(self) -> None:
        """Keep the cursor in view; before the first layout there was nothing to scroll."""
        self.scroll_to_highlight()

    def show(self, chosen: str, is_changed: bool = False) -> None:
        """Mark the chosen preset, and whether it has changes."""
        if (chosen, is_changed) == (self._chosen, self._is_changed):
            return
        moved = chosen != self._chosen
        self._chosen, self._is_changed = chosen, is_changed
        for index, preset in enumerate(self._rows):
            self._replace(index, preset)
        if moved:
            self._point_at(chosen)
            self._say_what_enter_does()

    def show_misfits(self, reasons: Mapping[str, str]) -> None:
        """Mark the presets that do not fit the data, given the reasons by name."""
        if reasons != self._misfits:
            self._misfits = reasons
            for index, preset in enumerate(self._rows):
                self._replace(index, preset)

    def misfit(self, name: str) -> str:
        """Return why a preset does not fit the data, or an empty string."""
        return self._misfits.get(name, "")

    def reread(self) -> None:
        """Rebuild the list, after the catalogue has been cleared."""
        self._rebuild()
        self._mark_broken()

    def filter(self, text: str) -> int:
        """Show only presets with all of the words in name or description; return how many."""
        words = tuple(text.casefold().split())
        if words != self._words:
            self._words = words
            self._rebuild()
            self._mark_broken()
        return len(self._rows)

    @property
    def pointed(self) -> PresetEntry | None:
        """The entry of the preset under the cursor."""
        if self.highlighted is None or self.highlighted >= len(self._rows):
            return None
        return self._catalogue.entry(self._rows[self.highlighted])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self._rows):
            preset = self._rows[event.option_index]
            entry = self._catalogue.reread(preset)
            self._replace(event.option_index, preset)
            self.post_message(self.Picked(self.kind, entry))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        entry = self.pointed
        if entry is not None and self.highlighted is not None:
            self._replace(self.highlighted, entry.preset)
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
        text = f"{len(self._rows)} of {len(self._catalogue.presets(self.kind))}"
        if not self._words:
            is_other = entry is not None and entry.name != self._chosen and not entry.wrong
            text = "↵ chooses it" if is_other else ""
        if text != self.border_subtitle:
            self.border_subtitle = text

    def _rebuild(self) -> None:
        cursor = self.highlighted
        is_on_one = cursor is not None and cursor < len(self._rows)
        pointed = self._rows[cursor or 0].name if is_on_one else self._chosen
        self._rows = [p for p in self._catalogue.presets(self.kind) if self._matches(p)]
        self.clear_options()
        if self._rows:
            self.add_options([Option(self._prompt(preset)) for preset in self._rows])
        else:
            text = "nothing matches" if self._words else "no presets"
            self.add_option(Option(Content.styled(text, "$foreground-muted"), disabled=True))
        self._point_at(pointed)
        self._say_what_enter_does()

    def _point_at(self, name: str) -> None:
        names = [preset.name for preset in self._rows]
        if name in names:
            self.highlighted = names.index(name)
        else:
            self.highlighted = 0 if names else None

    def _matches(self, preset: Preset) -> bool:
        if not self._words:
            return True
        text = f"{preset.name} {self._catalogue.entry(preset).description}".casefold()
        return all(word in text for word in self._words)

    def _mark_broken(self) -> None:
        for index, preset in enumerate(self._rows):
            if self._catalogue.entry(preset).wrong:
                self._replace(index, preset)

    def _replace(self, index: int, preset: Preset) -> None:
        prompt = self._prompt(preset)
        if prompt != self.options[index].prompt:
            self.replace_option_prompt_at_index(index, prompt)

    def _prompt(self, preset: Preset) -> Content:
        is_broken = self._catalogue.is_known_broken(preset)
        is_chosen, is_misfit = preset.name == self._chosen, bool(self.misfit(preset.name))
        sign = BROKEN if is_broken else MISFIT if is_misfit else " "
        style = "$text-error" if is_broken else "bold" if is_chosen else "dim" if is_misfit else ""
        change = f" {CHANGED}" if is_chosen and self._is_changed else ""
        change += f" {MISFIT}" if is_chosen and is_misfit else ""
        mark = CHOSEN if is_chosen else sign
        return Content.styled(f"{mark} {clean(preset.name, 100)}{change}", style)
