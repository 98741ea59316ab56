"""`PresetShelf`: the lists of presets side by side, and details of the one under the cursor.

Layer: ui. It changes nothing itself: a choice is posted as a message. A choice that would discard
edits takes a second enter, and the chosen preset is never chosen again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Change, Draft
from tui_trainer.config.own_types import OwnType
from tui_trainer.config.presets import KINDS, PresetLibrary
from tui_trainer.sessions.misfits import Misfits
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.catalogue import Catalogue, Entry
from tui_trainer.ui.compose.details import Details, beside_text, changes_line
from tui_trainer.ui.compose.preset_list import MISFIT, PresetPane


class PresetShelf(Widget):
    """One list per kind, a line about the preset under the cursor, and its details if they fit."""

    DEFAULT_CSS = """
    PresetShelf { layout: vertical; height: auto; }
    PresetShelf #lists { height: 6; }
    PresetShelf #hint {
        width: 100%; height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    PresetShelf #details { display: none; width: 44; }
    """

    @dataclass
    class Chosen(Message):
        """Posted when the user has chosen a preset or a type, and confirmed it if needed."""

        kind: str
        name: str
        takes: Literal["preset", "type", "experiment"] = "preset"
        """The preset, the type of a plugin, or a whole experiment for the data of a plugin."""

    def __init__(self, library: PresetLibrary, draft: Draft, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draft = draft
        self.catalogue = Catalogue(library)
        self.kind = KINDS[0]
        """The list that has, or last had, the focus."""
        self._warned_of: PresetShelf.Chosen | None = None
        """What is chosen if the same key is pressed once more."""
        self._has_answer = False
        """Whether the hint answers a key; then only the next key replaces it."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="lists"):
            for kind in KINDS:
                pane = PresetPane(self.catalogue, kind, id=kind)
                # Before it is mounted, so that it only reads the file that its cursor is on.
                self._mark_choice(pane)
                yield pane
            yield Details(id="details")
        yield Static(id="hint", markup=False)

    def show(self, draft: Draft) -> None:
        """Mark the presets and types that a draft uses, and those with changes."""
        self._draft = draft
        self._warned_of = None
        for pane in self.panes:
            self._mark_choice(pane)
        self._describe()

    def _mark_choice(self, pane: PresetPane) -> None:
        kind, draft = pane.kind, self._draft
        pane.show(draft.preset(kind), draft.own_type(kind), is_changed=bool(self._edits(kind)))

    def show_misfits(self, misfits: Misfits) -> None:
        """Mark the presets that do not fit the data, given the reasons by kind and name."""
        for pane in self.panes:
            pane.show_misfits(misfits.get(pane.kind, {}))
        if not self._has_answer:
            self._describe()

    def reread(self) -> None:
        """Read the list of presets again."""
        self.catalogue.forget()
        for pane in self.panes:
            pane.reread()

    @property
    def panes(self) -> list[PresetPane]:
        """The lists, from left to right."""
        return list(self.query(PresetPane))

    @property
    def pane(self) -> PresetPane:
        """The list that has, or last had, the focus."""
        return self.pane_of(self.kind)

    def pane_of(self, kind: str) -> PresetPane:
        """Return the list of a kind."""
        return self.query_one(f"#{kind}", PresetPane)

    def on_preset_pane_pointed(self, message: PresetPane.Pointed) -> None:
        message.stop()
        if message.kind == self.kind:
            self._warned_of = None
            self._describe()

    def on_descendant_focus(self) -> None:
        focused = self.screen.focused
        if isinstance(focused, PresetPane):
            self._warned_of = None
            self.kind = focused.kind
            self._describe()

    def on_preset_pane_picked(self, message: PresetPane.Picked) -> None:
        message.stop()
        entry = message.entry
        if entry.wrong:
            text = f"{clean(entry.name, 60)} cannot be used: {entry.wrong}"
            self.app.notify(text, severity="error", markup=False)
            self._describe()
        elif self.pane_of(entry.kind).is_chosen(entry.listed) and not self._makes_whole(entry):
            edits = "; r resets its settings" if self._edits(message.kind) else ""
            self._answer(f"{clean(entry.name, 60)} is chosen already{edits}", "$foreground-muted")
        else:
            self._choose(self._choice(entry), self._lost_by(entry), "↵")

    def _choice(self, entry: Entry) -> Chosen:
        if self._makes_whole(entry):
            return self.Chosen(entry.kind, entry.name, "experiment")
        takes: Literal["preset", "type"] = "preset"
        if isinstance(entry.listed, OwnType):
            takes = "type"
        return self.Chosen(entry.kind, entry.name, takes)

    def _makes_whole(self, entry: Entry) -> bool:
        """Whether choosing this entry composes a whole experiment: it is the data of a plugin.

        An experiment that is made for these data already stays, and one from a file that the user
        named only gets them.
        """
        if entry.kind != "dataset" or not isinstance(entry.listed, OwnType):
            return False
        from tui_trainer.sessions.plugin_proposal import reference_of

        is_made = self._draft.base == reference_of(entry.name)
        return not is_made and not self._draft.is_from_file

    def _lost_by(self, entry: Entry) -> list[Change]:
        """Return the changes that are discarded if this entry is chosen."""
        if not self._makes_whole(entry):
            return self._edits(entry.kind)
        # The settings of these data are kept.
        kept = "dataset." if self._draft.own_type("dataset") == entry.name else "dataset.type"
        return [change for change in self._draft.changes if not change.key.startswith(kept)]

    def reset_experiment(self) -> None:
        """Discard all changes; ask once more first."""
        if self._draft.changes:
            self._choose(self.Chosen("experiment", self._draft.base), self._draft.changes, "r")
        else:
            self._answer("nothing is changed", "$foreground-muted")

    def _choose(self, choice: Chosen, edits: list[Change], key: str) -> None:
        """Make a choice; if that discards edits, name them and wait for the same key again."""
        if not edits or self._warned_of == choice:
            self.post_message(choice)
            return
        self._warned_of = choice
        count = "1 change" if len(edits) == 1 else f"{len(edits)} changes"
        taken = clean(choice.name, 60)
        text = f"{key} again takes {taken} and discards {count}: {changes_line(edits)}"
        self._answer(text, "$text-warning")

    def _edits(self, kind: str) -> list[Change]:
        """Return the changes that are lost if another preset of a kind is chosen.

        A type of a plugin is chosen in the list, and not an edit of it.
        """
        changes = self._draft.changes
        if kind == "experiment":
            return changes
        chosen = {f"{kind}.type"} if self._draft.own_type(kind) else set()
        return [c for c in changes if c.key.startswith(f"{kind}.") and c.key not in chosen]

    def say(self, text: str) -> None:
        """Show a line below the lists, until something else is done there."""
        self._answer(text, "$text-warning")

    def _answer(self, text: str, style: str) -> None:
        self._has_answer = True
        self._hint(text, style)

    def _describe(self) -> None:
        self._has_answer = False
        entry = self.pane.pointed
        if entry is None:
            self._hint("", "")
            return
        name, misfit = clean(entry.name, 60), self.pane.misfit(entry.listed)
        if entry.wrong:
            self._hint(f"{name} cannot be used: {clean(entry.wrong, 300)}", "$text-error")
        elif misfit:
            self._hint(f"{MISFIT} {name} does not fit: {clean(misfit, 300)}", "$text-warning")
        elif entry.note:
            self._hint(entry.note, "$text-warning")
        else:
            made = " (enter makes an experiment for it)" if self._makes_whole(entry) else ""
            text = f"{entry.title}{made}: {entry.description or 'no description'}"
            self._hint(text, "$foreground-muted", is_in_details=True)
        beside = partial(beside_text, entry, self._draft, misfit)
        self.query_one(Details).show(f"{self.kind} {entry.title}", beside)

    def _hint(self, text: str, style: str, *, is_in_details: bool = False) -> None:
        """Show a line, unless the details are shown and say the same."""
        content = Content.styled(text, style)
        line = self.query_one("#hint", Static)
        line.set_class(is_in_details, "-in-details")
        if line.content != content:
            line.update(content, layout=False)
