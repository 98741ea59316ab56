"""`EditDialog`: edits the settings that can be changed while a run trains.

Layer: ui. A value is checked as it is typed, by the run's own rules. The value shown as being in
force is the one that the run has reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, get_args

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import (
    Override,
    editable_keys,
    edited,
    overrides_of,
    parse_overrides,
)
from tui_trainer.config.sections.section import extra_of
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.runs.commands import Set, new_id
from tui_trainer.runs.describe import value_text
from tui_trainer.runs.events import CommandApplied
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.shared.confirm import Confirm
from tui_trainer.ui.shared.text_input import TextInput

_FIRST = (
    "optimizer.lr",
    "optimizer.weight_decay",
    "training.grad_clip_norm",
    "training.grad_clip_value",
    "training.epochs",
    "training.max_steps",
    "training.max_seconds",
    "training.validate_every_steps",
    "early_stopping.patience",
)
MOST_EXACT = 2**53
"""Floats represent every whole number up to this one."""


def ordered_keys(experiment: Experiment) -> list[str]:
    """Return the keys of the live settings, the most used ones first."""
    keys = editable_keys(experiment)
    first = [key for key in _FIRST if key in keys]
    return first + [key for key in keys if key not in first]


def field_text(value: Any) -> str:
    """Return a value as it is typed; an empty string for None."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def group_of(experiment: Experiment, key: str) -> str:
    """Return the patterns of the group of parameters that a setting is of, or an empty string."""
    patterns = f"{key.rpartition('.')[0]}.match"
    if experiment.info(patterns) is None:
        return ""
    match = experiment.get(patterns)
    return f"of {clean(match if isinstance(match, str) else ', '.join(match), 60)}"


def typed_changes(experiment: Experiment, text: str) -> tuple[Override, ...]:
    """Parse changes such as `optimizer.lr=3e-4 training.epochs=100`, and check each of them.

    Raises:
        TrainerError: a word is not a change, or the change is not possible on a live run.
    """
    overrides = overrides_of(experiment, parse_overrides(text.split()))
    for override in overrides:
        experiment = edited(experiment, override.key, override.value)
    return overrides


def checked(experiment: Experiment, key: str, text: str) -> tuple[Any, str]:
    """Return the value that a text stands for, and an error message or an empty string."""
    try:
        value = _fit(experiment, key, parse_value(text) if text.strip() else None)
        return edited(experiment, key, value).get(key), ""
    except TrainerError as error:
        # The key and the text are next to the message already.
        return None, clean(str(error).partition(": ")[2] or str(error), 120)


def _fit(experiment: Experiment, key: str, value: Any) -> Any:
    """Return the typed value; a whole number such as `1e3` as an int if the setting is an int."""
    info = experiment.info(key)
    assert info is not None, "only asked for settings that there are"
    wants_int = int in (info.annotation, *get_args(info.annotation))
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= MOST_EXACT
    return int(value) if wants_int and is_whole else value


class Setting(Horizontal):
    """One row: the name of a setting, its field, and the value in force or the error."""

    DEFAULT_CSS = """
    Setting { height: auto; }
    Setting > .name { width: 33; }
    Setting > Input { width: 14; }
    Setting > .beside { width: 1fr; height: auto; padding: 0 1; color: $foreground-muted; }
    Setting.-wrong > .beside { color: $text-error; }
    """

    def __init__(self, key: str, experiment: Experiment) -> None:
        super().__init__()
        self.key = key
        self.experiment = experiment
        info = experiment.info(key)
        assert info is not None, "only asked for settings that there are"
        unit = str(extra_of(info).get("unit", ""))
        self._unit = " ".join(filter(None, (unit, group_of(experiment, key))))
        self._description = info.description or ""
        self._asked = ""
        self._news = ""

    def compose(self) -> ComposeResult:
        value = field_text(self.experiment.get(self.key))
        yield Static(self.key, markup=False, classes="name")
        yield (editor := TextInput(value, placeholder="none", compact=True))
        editor.tooltip = self._description
        yield Static(self._unit, markup=False, classes="beside")

    def look(self, experiment: Experiment) -> None:
        """Show the configuration in force; a field that is being edited keeps its text."""
        old, new = self.experiment.get(self.key), experiment.get(self.key)
        self.experiment = experiment
        if old == new:
            return
        field = self.query_one(Input)
        if self._asked or field.value == field_text(old):
            field.value = field_text(new)
        self._asked = ""
        self._news = f"{value_text(old)} -> {value_text(new)}"
        self._say(self._news)

    def refuse(self, reason: str) -> None:
        """Show why the run refused the value."""
        if self._asked:
            self._asked = ""
            self._say(reason, wrong=True)

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Show at once whether the text is a valid value of this setting."""
        event.stop()
        value, wrong = checked(self.experiment, self.key, event.value)
        if wrong:
            self._say(wrong, wrong=True)
        elif value != self.experiment.get(self.key):
            self._say(f"{self._unit}  ↵ changes it".strip())
        elif not self._asked:
            self._say(self._news or self._unit)

    def wanted(self) -> tuple[Any, bool]:
        """Return the typed value, and whether it can be sent."""
        value, wrong = checked(self.experiment, self.key, self.query_one(Input).value)
        return value, not wrong and value != self.experiment.get(self.key)

    def ask(self, value: Any) -> None:
        """Show that the value has been sent to the run."""
        self._asked = value_text(value)
        self._say(f"{self._asked}: requested")

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self.set_class(wrong, "-wrong")
        self.query_one(".beside", Static).update(Content(clean(text, 120)))


class EditDialog(ModalScreen[None]):
    """Shows the live settings of a run, to be changed one at a time."""

    ABOUT = (
        "The settings that can be changed while the run trains. Up and down move between them; "
        "enter sends the typed value, which the run applies at its next step and records as an "
        "edit. If a value would end the run at once, you are asked to confirm it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close"),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("ctrl+r", "put_back", "Reset"),
    ]
    DEFAULT_CSS = """
    EditDialog { align: center middle; }
    EditDialog > VerticalScroll {
        width: 90; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; border-subtitle-color: $foreground-muted;
        background: $surface; padding: 0 1;
    }
    """

    def __init__(self, experiment: Experiment, send: Callable[[Set], None]) -> None:
        super().__init__()
        self._experiment = experiment
        self._send = send
        self._asked: dict[str, tuple[Setting, Set]] = {}
        """Rows and the commands they sent that were not refused, by the id of the command."""
        self._question: Confirm | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = Content("Change live settings, from the next step on")
            box.border_subtitle = Content("↵ change   ^r reset   esc close")
            for key in ordered_keys(self._experiment):
                yield Setting(key, self._experiment)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    def look(self, view: RunView, experiment: Experiment | None) -> None:
        """Show the configuration in force; close when the run has ended."""
        if not self.is_attached:
            return
        if view.ended:
            if self._question is not None and self._question.is_active:
                self._question.dismiss(False)
            self.dismiss(None)
        elif experiment is not None and experiment is not self._experiment:
            self._experiment = experiment
            for row in self.query(Setting):
                row.look(experiment)

    def refuse(self, event: CommandApplied) -> bool:
        """Show next to its field why the run refused a value; False if it was not sent here.

        If the run would obey an order, ask for one.
        """
        row, command = self._asked.pop(event.id, (None, None))
        if row is None or command is None:
            return False
        row.refuse(event.refused)
        if event.can_force and self.is_active:
            self._ask_again(row, command, event.refused)
        return True

    def _ask_again(self, row: Setting, command: Set, reason: str) -> None:
        def answer(is_yes: bool | None) -> None:
            if is_yes:
                self._order(row, replace(command, id=new_id(), force=True))

        yes = f"set {command.key} to {value_text(command.value)}"
        self._question = Confirm("End the run?", f"{reason}.", yes, "keep training")
        self.app.push_screen(self._question, answer)

    def _order(self, row: Setting, command: Set) -> None:
        row.ask(command.value)
        self._asked[command.id] = row, command
        self._send(command)

    @on(Input.Submitted)
    def change(self, event: Input.Submitted) -> None:
        """Send the value of the field, if it is valid and differs from the one in force."""
        event.stop()
        row = event.input.parent
        if not isinstance(row, Setting):
            return
        value, fit = row.wanted()
        if not fit:
            return
        self._order(row, Set(key=row.key, value=value))

    def action_close(self) -> None:
        """Go back to the run; text that was not sent is dropped."""
        self.dismiss(None)

    def action_move(self, count: int) -> None:
        """Move to the setting above or below."""
        fields = list(self.query(Input))
        # At once, and not by what the fields know: several keys may arrive together.
        at = next((index for index, field in enumerate(fields) if field is self.focused), 0)
        self.set_focus(fields[min(max(at + count, 0), len(fields) - 1)])

    def action_put_back(self) -> None:
        """Reset the field to the value in force."""
        for row in self.query(Setting):
            field = row.query_one(Input)
            if field.has_focus:
                field.value = field_text(row.experiment.get(row.key))
                field.cursor_position = len(field.value)
