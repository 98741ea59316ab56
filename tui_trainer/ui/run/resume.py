"""`ResumeDialog`: asks how much longer to train a run that has ended, and with what changes.

Layer: ui. It returns overrides, none if nothing changes. The limit it asks for is the one that
ended the run, because the run would otherwise end again at once. A failed run would fail again
unless something is changed, so its changes have the focus first.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.horizon import horizon
from tui_trainer.config.overrides import Override
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.run.edit import checked, field_text, typed_changes
from tui_trainer.ui.shared.text_input import TextInput

_ASKS = {
    "training.epochs": "total epochs",
    "training.max_steps": "total steps",
    "training.max_seconds": "total seconds of training",
    "early_stopping.patience": "validations without improvement before the run ends",
}


def so_far(key: str, experiment: Experiment, view: RunView) -> str:
    """Return the limit and how much of it is used up: `limit now 600, 281 done`."""
    now = experiment.get(key)
    match key:
        case "training.epochs":
            done = f"epoch {view.epoch:,} reached" if view.epoch else "none begun"
        case "training.max_steps":
            done = f"{view.step:,} done"
        case "training.max_seconds":
            done = f"{view.elapsed_s:,.1f} s done"
        case _:
            done = f"{view.scores.stale:,} in a row"
    limit = f"{now:,}" if isinstance(now, int) else f"{now:g}" if now is not None else "none"
    return f"limit now {limit}, {done}"


def limit_of(experiment: Experiment, view: RunView) -> str:
    """Return the key of the limit that ended this run, or that would end it first."""
    training, patience = experiment.training, experiment.early_stopping.patience
    if patience is not None and view.scores.stale >= patience:
        return "early_stopping.patience"
    if training.max_seconds is not None and view.elapsed_s >= training.max_seconds:
        return "training.max_seconds"
    if training.epochs is None:
        return "training.max_seconds" if training.max_steps is None else "training.max_steps"
    if training.max_steps is None or not view.steps_per_epoch:
        return "training.epochs"
    first = horizon(experiment, view.steps_per_epoch)
    return "training.max_steps" if training.max_steps == first else "training.epochs"


class ResumeDialog(ModalScreen[tuple[Override, ...] | None]):
    """Asks for the new limit; proposes twice the old one if that was reached, else the old one."""

    ABOUT = (
        "The run resumes from its last checkpoint and trains up to the limit typed here. To change "
        "live settings, type for example optimizer.lr=3e-4, with spaces between several. Both are "
        "recorded as edits. Tab goes to the other field, enter resumes."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back")]
    DEFAULT_CSS = """
    ResumeDialog { align: center middle; }
    ResumeDialog > VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; border-subtitle-color: $foreground-muted;
        background: $surface; padding: 0 1;
    }
    ResumeDialog Static { height: auto; min-height: 1; }
    ResumeDialog Horizontal { height: 1; }
    ResumeDialog Horizontal Static { width: 9; }
    ResumeDialog Input { width: 1fr; }
    ResumeDialog #wrong { color: $text-error; }
    """

    def __init__(self, experiment: Experiment, view: RunView) -> None:
        super().__init__()
        self._experiment = experiment
        self._key = limit_of(experiment, view)
        self._old = experiment.get(self._key)
        self._so_far = so_far(self._key, experiment, view)
        self._reached = view.state == "finished"
        self._failed = view.state == "failed"

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = Content("Train on")
            box.border_subtitle = Content("↵ resume   esc back")
            yield Static(f"{self._key}: {_ASKS[self._key]}; {self._so_far}", markup=False)
            new = self._old * 2 if self._reached else self._old
            with Horizontal():
                yield Static("limit", markup=False)
                yield TextInput(field_text(new), compact=True, id="limit")
            with Horizontal():
                yield Static("changes", markup=False)
                yield TextInput(compact=True, id="changes", placeholder="such as optimizer.lr=3e-4")
            yield Static("", markup=False, id="wrong")

    def on_mount(self) -> None:
        self.query_one("#changes" if self._failed else "#limit", Input).focus()

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Show at once what is wrong."""
        event.stop()
        self.query_one("#wrong", Static).update(Content(clean(self._read()[1], 400)))

    @on(Input.Submitted)
    def resume(self, event: Input.Submitted) -> None:
        """Return the overrides, if both fields are valid."""
        event.stop()
        overrides, wrong = self._read()
        if not wrong:
            self.dismiss(overrides)

    def action_close(self) -> None:
        """Go back to the results."""
        self.dismiss(None)

    def _read(self) -> tuple[tuple[Override, ...], str]:
        limit, wrong = self._limit(self.query_one("#limit", Input).value)
        if wrong:
            return (), wrong
        try:
            changes = typed_changes(self._experiment, self.query_one("#changes", Input).value)
        except TrainerError as error:
            return (), str(error)
        return limit + changes, ""

    def _limit(self, text: str) -> tuple[tuple[Override, ...], str]:
        value, wrong = checked(self._experiment, self._key, text)
        if wrong:
            return (), wrong
        if value == self._old:
            return (), "that is already reached" if self._reached else ""
        if self._reached and value is not None and value < self._old:
            return (), f"that is less than before: {self._so_far}"
        section, _, name = self._key.partition(".")
        return (Override(section, name, value),), ""
