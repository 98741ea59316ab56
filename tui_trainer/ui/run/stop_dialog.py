"""`StopDialog`: asks how to stop, and shows what each answer costs.

Layer: ui. It decides nothing: it returns a word, and the run screen sends the command. Ctrl+c does
nothing in the dialog, so that holding the key down loses nothing.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.ui.run.metrics_panel import SavedProgress
from tui_trainer.ui.shared.lines import hanging

Answer = Literal["save", "discard", "detach", "keep"]
_KEYS: dict[Answer, str] = {"save": "s", "discard": "k", "detach": "d", "keep": "esc"}
_LABELS: dict[Answer, str] = {
    "save": "save and stop",
    "discard": "stop without saving",
    "detach": "detach",
    "keep": "keep training",
}


_OTHER_LABELS: dict[str, dict[Answer, str]] = {
    "testing": {"save": "skip the test", "keep": "keep testing"},
    "paused": {"keep": "keep it paused"},
}
"""The labels that differ in some states of the run."""
_DOES = {"testing": "is still testing", "paused": "is paused", "starting": "is still starting"}
_DETACHED = {"testing": "the test goes on", "paused": "it stays paused"}
"""What the run does, and what it would do after a detach; in all other states it trains."""


def costs(view: RunView, safety: SavedProgress, *, goes_on: bool = False) -> dict[Answer, str]:
    """Return what each answer means for the work done so far; detaching is not among them.

    Only a run that rests is said to lose nothing: one that trains has taken steps that have not
    been reported yet.
    """
    if view.state == "testing":
        later = f"all steps are saved; later: {view.run.command('evaluate')}"
        return {"save": later, "keep": ""}
    lost = safety.behind(view.step) if safety.steps_beyond(view.step) else ""
    if view.state == "starting" and not view.step and safety.step is None:
        return {"save": "nothing is trained yet", "discard": "nothing is lost", "keep": ""}
    if safety.step is None:
        discard = f"no checkpoint yet: everything is lost{f' ({lost})' if lost else ''}"
    elif safety.has_all(view) and not goes_on:
        discard = f"nothing is lost: step {safety.step:,} is saved"
    else:
        discard = f"last checkpoint: step {safety.step:,}; {lost or 'the rest is'} lost"
    save = f"resume later from step {view.step:,}" if view.step else "resume later"
    if safety.failed:
        save += "; the last save FAILED"
    return {"save": save, "discard": discard, "keep": ""}


class StopDialog(ModalScreen[Answer]):
    """Asks how to stop; the answer selected at first loses nothing.

    `goes_on`: the run was asked to resume from a pause, so its reported state is out of date.
    `can_detach`: whether the run can continue without the app.
    """

    ABOUT = (
        "How to stop the run. Saving and stopping loses nothing: the run can be resumed later, "
        "bit for bit. The arrow keys and enter work too."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "answer('save')", "Save and stop"),
        Binding("k", "answer('discard')", "Stop without saving"),
        Binding("d", "answer('detach')", "Detach"),
        Binding("escape", "answer('keep')", "Keep training"),
        Binding("ctrl+c", "nothing", show=False),
    ]
    DEFAULT_CSS = """
    StopDialog { align: center middle; }
    StopDialog > VerticalScroll {
        width: 84; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; background: $surface; padding: 0 1;
    }
    StopDialog Static { height: auto; color: $foreground-muted; }
    StopDialog OptionList {
        height: auto; max-height: 100%; padding: 0; background: $surface;
    }
    StopDialog OptionList, StopDialog OptionList:focus { border: none; }
    """

    def __init__(
        self,
        view: RunView,
        safety: SavedProgress,
        *,
        goes_on: bool = False,
        then_leave: bool = False,
        can_detach: bool = False,
    ) -> None:
        super().__init__()
        self._view = view
        self._safety = safety
        self._goes_on = goes_on
        self._then_leave = then_leave
        self._can_detach = can_detach
        self._shown: dict[Answer, Content] = {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            name = clean(self._view.name, 60) or "the run"
            box.border_title = Content(f"Stop {name}?")
            if self._then_leave:
                yield Static(self._warning(), markup=False)
            yield OptionList(markup=False)

    def on_mount(self) -> None:
        self._show()

    def _warning(self) -> str:
        but = "; detaching does not" if self._can_detach else ""
        stops = "skips the rest of the test" if self._state == "testing" else "stops it"
        return f"It {_DOES.get(self._state, 'is still training')}. Leaving {stops}{but}."

    @property
    def _state(self) -> str:
        """The state of the run as far as is known here: one asked to resume is not paused."""
        return "running" if self._goes_on and self._view.state == "paused" else self._view.state

    def look(self, view: RunView, experiment: Experiment | None) -> None:
        """Show what the answers cost now; close when the run has ended."""
        self._view = view
        if not self.is_attached:
            return
        if view.ended:
            self.dismiss("keep")
            return
        self._show()

    def on_resize(self) -> None:
        # The list has its new width only after the layout.
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        """Show the answers that are offered, and what they cost."""
        options = self.query_one(OptionList)
        width = options.scrollable_content_region.width or 1000
        now = {
            answer: _prompt(answer, self._label(answer), cost, width)
            for answer, cost in self._costs().items()
        }
        if list(now) != list(self._shown):
            # The run has begun its test.
            options.clear_options()
            options.add_options(Option(prompt, id=answer) for answer, prompt in now.items())
            options.highlighted = 0
        else:
            for answer, prompt in now.items():
                if prompt != self._shown[answer]:
                    options.replace_option_prompt(answer, prompt)
        self._shown = now
        for warning in self.query(Static):
            if warning.content != self._warning():
                warning.update(self._warning())

    def _label(self, answer: Answer) -> str:
        return (_LABELS | _OTHER_LABELS.get(self._state, {}))[answer]

    def _costs(self) -> dict[Answer, str]:
        """Return the answers that are offered, in order, with their costs."""
        found = costs(self._view, self._safety, goes_on=self._goes_on)
        keep = found.pop("keep")
        goes_on = _DETACHED.get(self._state, "training continues")
        detached = f"{goes_on}; {self._view.run.command('attach')} reopens it"
        return {**found, **({"detach": detached} if self._can_detach else {}), "keep": keep}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only answers that there are."""
        return action != "answer" or not self._shown or parameters[0] in self._shown

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        for answer in _LABELS:
            if event.option_id == answer:
                self.dismiss(answer)

    def action_answer(self, answer: Answer) -> None:
        """Close the dialog with an answer."""
        self.dismiss(answer)

    def action_nothing(self) -> None:
        """Swallow the key."""


def _prompt(answer: Answer, label: str, cost: str, width: int) -> Content:
    # No colours: the highlight of the selected option would override them.
    head = Content.assemble((f"{_KEYS[answer]:<4}", "bold"), f"{label:<20} ")
    return Content("\n").join(hanging(head, Content(cost), width))
