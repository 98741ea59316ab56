"""`ForkDialog`: asks from which checkpoint a new run starts, and what to change in it.

Layer: ui. It returns the checkpoint and the overrides; errors in either are shown while typing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.run.edit_dialog import typed_changes
from tui_trainer.ui.shared.fields_box import FieldsBox
from tui_trainer.ui.shared.text_input import TextInput

Answer = tuple[str, tuple[Override, ...]]
MOST_STEPS = 8


class ForkDialog(ModalScreen[Answer | None]):
    """Two fields; enter starts the run if both are valid."""

    ABOUT = (
        "A new run starts from a checkpoint of this one. To change live settings, type for example "
        "optimizer.lr=3e-4, with spaces between several. Tab goes to the other field, enter starts."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back")]
    DEFAULT_CSS = "ForkDialog { align: center middle; }"

    def __init__(self, name: str, experiment: Experiment, steps: Sequence[int]) -> None:
        super().__init__()
        self._of = name
        self._experiment = experiment
        self._steps = steps

    def compose(self) -> ComposeResult:
        with FieldsBox(f"Fork {clean(self._of, 60)}", "↵ start   esc back"):
            shown = ", ".join(f"{step}" for step in self._steps[-MOST_STEPS:])
            yield Static(
                "A new run starts from a checkpoint; this one is not changed. "
                f"Checkpoints: last, best, or step {shown}.",
                markup=False,
            )
            with Horizontal():
                yield Static("from", markup=False)
                yield TextInput("last", compact=True, id="from")
            with Horizontal():
                yield Static("changes", markup=False)
                yield TextInput(compact=True, id="changes", placeholder="such as optimizer.lr=3e-4")
            yield Static("", markup=False, id="wrong", classes="wrong")

    def on_mount(self) -> None:
        self.query_one("#changes", Input).focus()

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        """Show at once what is wrong."""
        event.stop()
        self.query_one("#wrong", Static).update(Content(clean(self._read()[1], 400)))

    @on(Input.Submitted)
    def begin(self, event: Input.Submitted) -> None:
        """Return the answer, if both fields are valid."""
        event.stop()
        answer, wrong = self._read()
        if not wrong:
            self.dismiss(answer)
        else:
            self.query_one("#wrong", Static).update(Content(clean(wrong, 400)))

    def action_close(self) -> None:
        """Go back to the list."""
        self.dismiss(None)

    def _read(self) -> tuple[Answer, str]:
        which = self.query_one("#from", Input).value.strip() or "last"
        known = {"last", "best", *map(str, self._steps)}
        if which not in known:
            return (which, ()), f"no checkpoint {which!r}; type last, best or a step from above"
        try:
            overrides = typed_changes(self._experiment, self.query_one("#changes", Input).value)
        except TrainerError as error:
            return (which, ()), str(error)
        return (which, overrides), ""
