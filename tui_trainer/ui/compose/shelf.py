"""`PresetShelf`: the lists of presets side by side, and details of the one under the cursor.

Layer: ui. It changes nothing itself: a choice is posted as a message. A choice that would discard
edits takes a second enter, and the chosen preset is never chosen again.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Change, Draft
from tui_trainer.config.presets import KINDS, PresetLibrary
from tui_trainer.sessions.misfits import Misfits
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.details import Details, beside_text, changes_line
from tui_trainer.ui.compose.preset_list import MISFIT, Catalogue, PresetPane


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
        """Posted when the user has chosen a preset, and confirmed it if needed."""

        kind: str
        name: str

    def __init__(self, library: PresetLibrary, draft: Draft, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draft = draft
        self.catalogue = Catalogue(library)
        self.kind = KINDS[0]
        """The list that has, or last had, the focus."""
        self._warned_of: tuple[str, str] | None = None
        """The kind and the preset that are chosen if the same key is pressed once more."""
        self._has_answer = False
        """Whether the hint answers a key; then only the next key replaces it."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="lists"):
            for kind in KINDS:
                yield PresetPane(self.catalogue, kind, id=kind)
            yield Details(id="details")
        yield Static(id="hint", markup=False)

    def show(self, draft: Draft) -> None:
        """Mark the presets that a draft uses, and those with changes."""
        self._draft = draft
        self._warned_of = None
        changes = draft.changes
        edited = {change.key.partition(".")[0] for change in changes if "." in change.key}
        for pane in self.panes:
            is_changed = bool(changes) if pane.kind == "experiment" else pane.kind in edited
            pane.show(draft.preset(pane.kind), is_changed)
        self._describe()

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
        elif entry.name == self._draft.preset(message.kind):
            edits = "; r resets its settings" if self._edits(message.kind) else ""
            self._answer(f"{clean(entry.name, 60)} is chosen already{edits}", "$foreground-muted")
        else:
            self._choose(message.kind, entry.name, "↵")

    def reset_experiment(self) -> None:
        """Discard all changes; ask once more first."""
        if self._draft.changes:
            self._choose("experiment", self._draft.base, "r")
        else:
            self._answer("nothing is changed", "$foreground-muted")

    def _choose(self, kind: str, name: str, key: str) -> None:
        """Choose a preset; if that discards edits, name them and wait for the same key again."""
        edits = self._edits(kind)
        if not edits or self._warned_of == (kind, name):
            self.post_message(self.Chosen(kind, name))
            return
        self._warned_of = kind, name
        count = "1 change" if len(edits) == 1 else f"{len(edits)} changes"
        text = f"{key} again takes {clean(name, 60)} and discards {count}: {changes_line(edits)}"
        self._answer(text, "$text-warning")

    def _edits(self, kind: str) -> list[Change]:
        """Return the changes that are lost if another preset of a kind is chosen."""
        changes = self._draft.changes
        if kind == "experiment":
            return changes
        return [change for change in changes if change.key.startswith(f"{kind}.")]

    def _answer(self, text: str, style: str) -> None:
        self._has_answer = True
        self._hint(text, style)

    def _describe(self) -> None:
        self._has_answer = False
        entry = self.pane.pointed
        if entry is None:
            self._hint("", "")
            return
        name, misfit = clean(entry.name, 60), self.pane.misfit(entry.name)
        if entry.wrong:
            self._hint(f"{name} cannot be used: {clean(entry.wrong, 300)}", "$text-error")
        elif misfit:
            self._hint(f"{MISFIT} {name} does not fit: {clean(misfit, 300)}", "$text-warning")
        elif entry.preset.replaces:
            self._hint(entry.preset.note, "$text-warning")
        else:
            text = f"{name}: {entry.description or 'no description'}"
            self._hint(text, "$foreground-muted", is_in_details=True)
        title = f"{self.kind} {entry.name}"
        self.query_one(Details).show(
            title, beside_text(entry, self._draft, self.pane.misfit(entry.name))
        )

    def _hint(self, text: str, style: str, *, is_in_details: bool = False) -> None:
        """Show a line, unless the details are shown and say the same."""
        content = Content.styled(text, style)
        line = self.query_one("#hint", Static)
        line.set_class(is_in_details, "-in-details")
        if line.content != content:
            line.update(content, layout=False)
