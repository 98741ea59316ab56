"""`ResumeDialog`: asks how much longer to train a run that has ended, and with what changes.

Layer: ui. It returns overrides, none if nothing changes. The limit it asks for is the one that
ended the run, because the run would otherwise end again at once. A failed run would fail again
unless something is changed, so its changes have the focus first.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override, edited
from tui_trainer.config.sections.metrics import metric_text
from tui_trainer.runs.limits import Done, done_in, horizon, limit_reached, trained_on
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.run.edit_dialog import checked, field_text, typed_changes
from tui_trainer.ui.shared.fields_box import FieldsBox
from tui_trainer.ui.shared.text_input import TextInput

_ASKS = {
    "training.epochs": "total epochs",
    "training.max_steps": "total steps",
    "training.max_seconds": "total seconds of training",
    "early_stopping.patience": "validations without improvement before the run ends",
    "early_stopping.threshold": "the value that ends the run; empty: none",
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
        case "early_stopping.threshold":
            monitor = experiment.checkpoint.monitor
            done = f"best {metric_text(monitor, (view.scores.best or {}).get(monitor))}"
        case _:
            done = f"{view.scores.stale:,} in a row"
    limit = f"{now:,}" if isinstance(now, int) else f"{now:g}" if now is not None else "none"
    return f"limit now {limit}, {done}"


def done_at_checkpoint(experiment: Experiment, view: RunView) -> Done:
    """Return how far the run had come at its last checkpoint, from which it resumes."""
    return done_in(view, experiment, view.saved.step)


def limit_of(experiment: Experiment, view: RunView) -> str:
    """Return the key of the limit that ended this run, or that would end it first."""
    limit = limit_reached(experiment, done_at_checkpoint(experiment, view))
    if limit is not None:
        return limit.setting
    training = experiment.training
    if training.epochs is None:
        return "training.max_seconds" if training.max_steps is None else "training.max_steps"
    if training.max_steps is None or not view.steps_per_epoch:
        return "training.epochs"
    first = horizon(experiment, view.steps_per_epoch)
    return "training.max_steps" if training.max_steps == first else "training.epochs"


def proposed_settings(experiment: Experiment, done: Done) -> list[str]:
    """Return settings, as KEY=VALUE, that raise every limit that a run has reached."""
    settings: list[str] = []
    while (limit := limit_reached(experiment, done)) is not None:
        settings.append(trained_on(limit, experiment, done))
        for override in typed_changes(experiment, settings[-1]):
            experiment = edited(experiment, override.key, override.value)
    return settings


class FieldProblem(NamedTuple):
    """A problem with one of the two fields."""

    field: str
    text: str


class ResumeDialog(ModalScreen[tuple[Override, ...] | None]):
    """Asks for the new limit; proposes half as much again if the old one was reached.

    Of a run that was interrupted, the limits stay as they are.
    """

    ABOUT = (
        "The run resumes from its last checkpoint, or begins again if it has none, and trains up "
        "to the limit typed here. To change live settings, type for example optimizer.lr=3e-4, "
        "with spaces between several. Both are recorded as edits. Tab goes to the other field, "
        "enter resumes."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back")]
    DEFAULT_CSS = """
    ResumeDialog { align: center middle; }
    ResumeDialog .wrong { display: none; }
    """

    def __init__(self, experiment: Experiment, view: RunView) -> None:
        super().__init__()
        self._begins_anew = view.saved.step is None
        if self._begins_anew:
            # What it had trained counts for no limit.
            view = RunView(state=view.state, steps_per_epoch=view.steps_per_epoch)
        self._experiment = experiment
        self._done = done_at_checkpoint(experiment, view)
        self._key = limit_of(experiment, view)
        self._old = experiment.get(self._key)
        self._so_far = so_far(self._key, experiment, view)
        self._is_finished = view.state == "finished"
        # Resuming without a change then measures what was skipped.
        self._may_only_test = view.ending is not None and view.ending.is_test_cut
        self._failed = view.state == "failed"
        # A run that was interrupted at its last step may resume, and is then only tested.
        self._was_reached = limit_reached(experiment, self._done) is not None
        raised = proposed_settings(experiment, self._done) if self._is_finished else []
        self._limit_text = raised[0].partition("=")[2] if raised else field_text(self._old)
        self._limit_text = "" if self._limit_text == "null" else self._limit_text
        self._changes_text = " ".join(raised[1:])

    def compose(self) -> ComposeResult:
        title, does = ("Start again", "start") if self._begins_anew else ("Train on", "resume")
        with FieldsBox(title, f"↵ {does}   esc back"):
            if self._begins_anew:
                yield Static(
                    "There is no checkpoint: the run starts from the beginning.", markup=False
                )
            if self._may_only_test:
                text = f"With the same limit ({field_text(self._old)}), the run is only tested."
                yield Static(text, markup=False)
            yield Static(f"{self._key}: {_ASKS[self._key]}; {self._so_far}", markup=False)
            with Horizontal():
                yield Static("limit", markup=False)
                yield TextInput(self._limit_text, compact=True, id="limit", placeholder="none")
            yield Static("", markup=False, id="wrong-limit", classes="wrong")
            with Horizontal():
                yield Static("changes", markup=False)
                yield TextInput(
                    self._changes_text,
                    compact=True,
                    id="changes",
                    placeholder="such as optimizer.lr=3e-4",
                )
            yield Static("", markup=False, id="wrong-changes", classes="wrong")

    def on_mount(self) -> None:
        self.query_one("#changes" if self._failed else "#limit", Input).focus()

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Show at once what is wrong."""
        event.stop()
        problem = self._read()
        for field in ("limit", "changes"):
            text = (
                problem.text if isinstance(problem, FieldProblem) and problem.field == field else ""
            )
            line = self.query_one(f"#wrong-{field}", Static)
            line.display = bool(text)
            line.update(Content(clean(text, 400)))

    @on(Input.Submitted)
    def resume(self, event: Input.Submitted) -> None:
        """Return the overrides, if both fields are valid."""
        event.stop()
        overrides = self._read()
        if not isinstance(overrides, FieldProblem):
            self.dismiss(overrides)

    def action_close(self) -> None:
        """Go back to the results."""
        self.dismiss(None)

    def _read(self) -> tuple[Override, ...] | FieldProblem:
        """Return the changes that both fields ask for, or what is wrong with one of them."""
        value, wrong = checked(self._experiment, self._key, self.query_one("#limit", Input).value)
        if wrong:
            return FieldProblem("limit", wrong)
        section, _, name = self._key.partition(".")
        limit = () if value == self._old else (Override(section, name, value),)
        try:
            changed = edited(self._experiment, self._key, value)
            changes = typed_changes(changed, self.query_one("#changes", Input).value)
            for override in changes:
                changed = edited(changed, override.key, override.value)
        except TrainerError as error:
            return FieldProblem("changes", str(error))
        if self._may_only_test and not limit + changes:
            return ()
        reached = limit_reached(changed, self._done)
        if reached is not None and (self._is_finished or not self._was_reached):
            is_typed = any(change.key == reached.setting for change in changes)
            text = f"{reached.reason}: this would end the run at once"
            if reached.setting != self._key:
                text += f" ({reached.setting})"
            return FieldProblem("changes" if is_typed else "limit", text)
        return limit + changes
