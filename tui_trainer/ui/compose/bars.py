"""`LaunchBar`: the name of the run and the start button; `DraftLine`: one line about the draft.

Layer: ui.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.details import changes_line
from tui_trainer.ui.shared.text_input import TextInput

START, NO_START = "▶ Start  F5", "✗ Start  F5"


class LaunchBar(Horizontal):
    """One line; enter in the name field goes to the button.

    A start that cannot work looks like that, but can still be pressed: the answer says why.
    """

    DEFAULT_CSS = """
    LaunchBar { height: 1; padding: 0 1; }
    LaunchBar .label { width: 9; color: $text-muted; }
    LaunchBar Input { width: 1fr; max-width: 40; margin-right: 2; }
    LaunchBar Button { min-width: 15; }
    LaunchBar #why {
        display: none; width: 1fr; padding-left: 1; color: $text-error;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    LaunchBar.-blocked Input { width: 14; margin-right: 1; }
    LaunchBar.-blocked Button { color: $foreground 60%; text-style: none; }
    LaunchBar.-blocked #why { display: block; }
    """

    @dataclass
    class Pressed(Message):
        """Posted when the button was pressed."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name_at_first = name

    def compose(self) -> ComposeResult:
        yield Static("run name", markup=False, classes="label")
        yield TextInput(
            self._name_at_first,
            compact=True,
            max_length=100,
            placeholder="optional",
            id="run-name",
        )
        yield Button(START, variant="primary", compact=True, id="start")
        yield Static(id="why", markup=False)

    def show(self, why: str) -> None:
        """Show that a start cannot work and why; an empty text means that it can."""
        is_blocked = bool(why)
        if self.has_class("-blocked") != is_blocked:
            self.set_class(is_blocked, "-blocked")
            button = self.query_one(Button)
            button.label = NO_START if is_blocked else START
            button.variant = "default" if is_blocked else "primary"
        line = self.query_one("#why", Static)
        if line.content != (text := Content(clean(why, 500))):
            line.update(text, layout=False)

    class Named(Message):
        """Posted when another name was typed."""

    @property
    def run_name(self) -> str:
        """The name that was typed; empty means the experiment's own name."""
        return self.query_one(Input).value.strip()

    @run_name.setter
    def run_name(self, name: str) -> None:
        self.query_one(Input).value = name

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.Pressed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Named())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Button).focus()


def changes_of(draft: Draft) -> Content:
    """Return the experiment that a draft began with, its limits, and what has changed since."""
    changes = draft.changes
    base = (clean(draft.base, 60), "bold")
    state = f"  modified: {changes_line(changes)}" if changes else "  unmodified"
    limits = ", ".join(f"{clean(f.label, 40)} {clean(text, 40)}" for f, text in draft.limits)
    told = f"  limits: {limits}" if limits else ""
    return Content.assemble("Experiment ", base, told, (state, "$foreground-muted"))


def prompted(command: str) -> Content:
    """Return a command line as it looks in a shell."""
    return Content.assemble(("$ ", "$foreground-muted"), clean(command, 2000))


class DraftLine(Static):
    """A line as wide as the screen; a longer text ends in an ellipsis."""

    DEFAULT_CSS = """
    DraftLine {
        width: 100%; height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)

    def show(self, text: Content) -> None:
        """Show another text; repaint only if it differs."""
        if self.content != text:
            self.update(text, layout=False)
