"""`SavePreset`: asks for a name and saves a draft as one of the user's experiment presets.

Layer: ui. It returns the file that was written. An existing file is replaced only with the
`Replace it` button, which disappears when the name is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.text.clean import clean, is_safe_name, slug
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.shared.text_input import TextInput

NAME_RULE = "may contain letters, digits, - _ and . and must not begin with - or ."


class SavePreset(ModalScreen[Path | None]):
    """Shows the name, where the preset will be saved, and what is wrong with the name."""

    ABOUT = (
        "A preset is a small text file that names the presets it uses and what differs from them. "
        "Once saved, it is listed with the others, and tui-trainer train NAME accepts it "
        "too."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]
    DEFAULT_CSS = """
    SavePreset { align: center middle; }
    SavePreset > VerticalScroll {
        width: 72; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text-primary; padding: 0 1;
        background: $surface;
    }
    SavePreset Static { width: 100%; height: auto; }
    SavePreset #row, SavePreset #buttons { height: 1; }
    SavePreset #row Static { width: 6; }
    SavePreset Input { width: 1fr; }
    SavePreset #buttons { margin-top: 1; }
    SavePreset Button { margin-right: 2; }
    """

    def __init__(self, draft: Draft, folder: Path) -> None:
        super().__init__()
        self._draft = draft
        self._preset_dir = folder
        self._folder = folder / "experiments"

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "Save as a preset of your own"
            with Horizontal(id="row"):
                yield Static("name", markup=False)
                yield TextInput(self._free_name(), compact=True, max_length=100, id="name")
            yield Static("", id="where", markup=False)
            yield Static("", id="wrong", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Save enter", variant="primary", compact=True, id="save")
                yield Button("Replace it", variant="warning", compact=True, id="replace")
                yield Button("Cancel esc", compact=True, id="cancel")

    def on_mount(self) -> None:
        self._look()
        self.query_one("#name", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        # If the file exists, pressing enter twice must not replace it.
        if not self._exists():
            self._save(replace=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self._save(replace=event.button.id == "replace")

    def action_cancel(self) -> None:
        """Close without saving."""
        self.dismiss(None)

    @property
    def _typed(self) -> str:
        return self.query_one("#name", Input).value.strip()

    def _exists(self) -> bool:
        path = self._folder / f"{self._typed}.yaml"
        return is_safe_name(self._typed) and (path.exists() or path.is_symlink())

    def _look(self) -> None:
        """Show where the preset would be saved, and what prevents that."""
        is_safe, exists = is_safe_name(self._typed), self._exists()
        where = clean(str(self._folder / f"{self._typed}.yaml")) if is_safe else ""
        self.query_one("#where", Static).update(Content.styled(where, "$foreground-muted"))
        wrong = "" if is_safe else f"A name {NAME_RULE}"
        if exists:
            wrong = "It already exists: type another name, or go to Replace it (tab)."
        self._complain(wrong)
        self.query_one("#save", Button).display = not exists
        self.query_one("#save", Button).disabled = not is_safe
        self.query_one("#replace", Button).display = exists

    def _complain(self, text: str) -> None:
        shown = Content.styled(clean(text, 1000, multiline=True), "$text-error")
        self.query_one("#wrong", Static).update(shown)

    def _save(self, *, replace: bool) -> None:
        try:
            path = self._draft.save(self._typed, self._preset_dir, replace=replace)
        except TrainerError as error:
            self._look()
            self._complain(str(error))
        else:
            self.dismiss(path)

    def _free_name(self) -> str:
        """Return an unused name: from the base plus `-mine`, or the base if it is the user's."""
        base = slug(Path(self._draft.base).stem)
        own = self._folder / f"{base}.yaml"
        wanted = base if own.exists() else f"{base}-mine"
        name, number = wanted, 2
        while (self._folder / f"{name}.yaml").exists() and number < 1000:
            name, number = f"{wanted}-{number}", number + 1
        return name
