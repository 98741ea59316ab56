"""`Ending`: shows how a run ended, how it compares with the baselines, and what can be done next.

Layer: ui. It is a part of the run screen. The next action is chosen here and done by the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.sections.metrics import metric_label, metric_text
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import RunEnded
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.text.format import duration
from tui_trainer.ui.run.metrics_panel import SavedProgress
from tui_trainer.ui.run.result_lines import result_lines
from tui_trainer.ui.run.resume_dialog import ResumeDialog
from tui_trainer.ui.run.test_results import fitted, results_table
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.services import beside


def story(ending: RunEnded, view: RunView, safety: SavedProgress) -> list[Content]:
    """Return lines for state and reason, the best value, what is saved, and the directory."""
    style = {"failed": "bold $text-error", "finished": "bold $text-success"}
    state = Content.styled(ending.state, style.get(ending.state, "bold"))
    steps = f"epoch {ending.epoch:,}, step {ending.step:,}, {duration(ending.elapsed_s)}"
    lines = [
        Content.assemble(state, f" after {steps}"),
        Content(clean(ending.reason, 2000, multiline=True)),
        Content(""),
    ]
    if ending.best is not None:
        name = str(ending.best["metric"])
        found = f"step {ending.best['step']:,} (epoch {ending.best['epoch']:,})"
        value = metric_text(name, ending.best["value"])
        lost = "" if ending.best["step"] <= (safety.step or 0) else "; it is not saved"
        lines.append(_fact("best", f"val {metric_label(name)} {value} at {found}{lost}"))
    lines.append(_fact("saved", _saved(ending, view, safety)))
    if ending.run_dir:
        lines.append(_fact("run", clean(ending.run_dir, 1000)))
    return lines


def _results(ending: RunEnded, view: RunView, width: int) -> list[Content]:
    if not ending.test:
        return []
    heads, lines = fitted(
        results_table(ending.test, ending.baseline or {}, view.scores.better), width
    )
    shown = [Content.styled(head, "$foreground-muted") for head in heads]
    for line in lines:
        words, style = ("WORSE", "bold $text-warning") if "WORSE" in line else ("better", "bold")
        at = line.rfind(words)
        shown.append(Content(line).stylize(style, at) if at >= 0 else Content(line))
    return shown


def _saved(ending: RunEnded, view: RunView, safety: SavedProgress) -> str:
    if safety.step is None:
        return "no checkpoint: resuming starts it again from the beginning"
    behind = safety.steps_beyond(ending.step)
    steps = "the step after it is" if behind == 1 else f"the {behind:,} steps after it are"
    lost = f"; {steps} lost" if behind else ""
    failure = f"; the last save FAILED: {clean(view.saved.failure)}" if safety.failed else ""
    return f"checkpoint of step {safety.step:,}{lost}{failure}"


def _fact(label: str, text: str) -> Content:
    return Content.assemble((f"{label:<7}", "$foreground-muted"), text)


def resume_label(ending: RunEnded, safety: SavedProgress, *, only_tests: bool) -> str:
    """Return what resuming a run does, in a word or two for the footer."""
    if only_tests:
        return "Test it"
    if ending.state == "finished":
        return "Train on"
    return "Restart" if safety.step is None else "Resume"


def next_steps(
    ending: RunEnded, safety: SavedProgress, *, only_tests: bool = False, is_known: bool = True
) -> list[Content]:
    """Return the available next actions, each with its key.

    `only_tests`: the run was cut off in its test, and resuming it does nothing else. `is_known`:
    its configuration is known, which all actions need that start something.
    """
    resume = resume_label(ending, safety, only_tests=only_tests)
    if resume == "Resume":
        resume += f" at step {safety.step:,}"
    elif resume == "Restart":
        resume = "start it again from the beginning"
    elif resume == "Train on" and ending.is_test_cut:
        resume = "train on, or only test it"
    starting = [
        ("r", f"{resume[0].lower()}{resume[1:]}"),
        ("a", "run again"),
        ("c", "compose from here"),
    ]
    keys = [*(starting if is_known else ()), ("esc", "plots"), ("q", "leave")]
    return [Content.assemble((f"{key} ", "bold $text-accent"), text) for key, text in keys]


_STARTING = ("resume", "again", "compose_from")
"""Actions that need the configuration of the run."""


def why_unknown(run_dir: str) -> str:
    """Return why the configuration of a run is not known, such as a plugin that was not given."""
    try:
        read_config(RunDirectory(Path(run_dir)))
    except (TrainerError, OSError) as error:
        return clean(str(error).partition("\n")[0], 600)
    return "the configuration of this run could not be read; leave, and open it again"


def in_lines(parts: Sequence[Content], width: int) -> Content:
    """Join parts into lines, as many per line as fit; no part is broken."""
    lines: list[Content] = []
    for part in parts:
        longer = Content("   ").join([*lines[-1:], part])
        if lines and longer.cell_length <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return Content("\n").join(lines)


class Ending(VerticalScroll, can_focus=True):
    """The panel that replaces the plots when the run has ended.

    The next action is requested from the app once only: a second key must not start a second run.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("ending")]
    DEFAULT_CSS = """
    Ending { padding: 0 1; }
    Ending Static { width: 100%; height: auto; }
    Ending #results, Ending #unknown, Ending #next, Ending #more { margin-top: 1; }
    Ending #unknown { display: none; color: $text-warning; }
    Ending #problem { display: none; color: $text-error; margin-bottom: 1; }
    /* Tables are scrolled, not wrapped. */
    Ending { overflow-x: auto; }
    Ending #results, Ending #more { width: auto; }
    """

    class Resume(Message):
        """Posted to resume the run in a directory with these settings changed."""

        def __init__(self, run_dir: str, overrides: Sequence[Override]) -> None:
            super().__init__()
            self.run_dir = run_dir
            self.overrides = tuple(overrides)

    class Again(Message):
        """Posted to start once more what this run was started with.

        `experiment` is the configuration in force, in case that its directory has gone.
        """

        def __init__(self, experiment: Experiment, run_dir: str) -> None:
            super().__init__()
            self.experiment = experiment
            self.run_dir = run_dir

    class Compose(Message):
        """Posted to change the configuration in force before running it."""

        def __init__(self, experiment: Experiment, run_dir: str) -> None:
            super().__init__()
            self.experiment = experiment
            self.run_dir = run_dir

    class Plots(Message):
        """Posted to show the plots."""

    class Refused(Message):
        """Posted when a key cannot do anything; `why` is shown to the user."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    def __init__(self, trains_here: Callable[[], str] = str) -> None:
        super().__init__()
        self._trains_here = trains_here
        self._view = RunView()
        self._experiment: Experiment | None = None
        self._only_tests = False
        """Whether resuming would only measure the test, so there is nothing to ask about."""
        self.labels: dict[str, str] = {}
        """Labels of keys in the footer that depend on how the run ended."""
        self._handed_over = False
        self._next_steps: list[Content] = []
        self._ending: RunEnded | None = None

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="problem")
        for part in ("story", "results", "unknown", "next", "more"):
            yield Static("", markup=False, id=part)

    def tell(
        self, ending: RunEnded, view: RunView, safety: SavedProgress, experiment: Experiment | None
    ) -> None:
        """Show how the run ended, and keep what is needed to continue from it."""
        if not self.query("#story"):
            # The run ended before this widget was composed.
            self.call_after_refresh(self.tell, ending, view, safety, experiment)
            return
        self._view, self._experiment, self._ending = view, experiment, ending
        self._show_part("story", story(ending, view, safety))
        self._show_part("more", result_lines(ending))
        self._only_tests = view.lacks_only_test and ending.state != "finished"
        self.labels = {"ending.resume": resume_label(ending, safety, only_tests=self._only_tests)}
        self._next_steps = next_steps(
            ending, safety, only_tests=self._only_tests, is_known=experiment is not None
        )
        self._show_part("unknown", [])
        if experiment is None:
            self.run_worker(self._say_why_unknown(), group="unknown", exclusive=True)
        self._show_fitted()
        self.refresh_bindings()

    async def _say_why_unknown(self) -> None:
        """Say why no key is offered that would start something."""
        why = await asyncio.to_thread(why_unknown, self._view.run_dir)
        self._show_part("unknown", [Content(f"nothing can be started from here: {why}")])

    def on_resize(self) -> None:
        self._show_fitted()

    def _show_fitted(self) -> None:
        """Show the parts that depend on the width."""
        width = self.scrollable_content_region.width
        if self._ending is not None:
            self._show_part("results", _results(self._ending, self._view, width))
        self.query_one("#next", Static).update(in_lines(self._next_steps, width))

    def _show_part(self, part: str, lines: Sequence[Content]) -> None:
        static = self.query_one(f"#{part}", Static)
        static.update(Content("\n").join(lines))
        static.display = bool(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only actions that are possible."""
        return action not in _STARTING or self._experiment is not None

    def on_key(self, event: events.Key) -> None:
        """Say why a key that would start something has no effect."""
        bound = self._bindings.key_to_bindings.get(event.key, [])
        if self._experiment is None and any(binding.action in _STARTING for binding in bound):
            event.stop()
            self.post_message(self.Refused(why_unknown(self._view.run_dir)))

    def action_resume(self) -> None:
        """Ask how much longer to train."""
        if own := self._trains_here():
            command = self._view.run.command("resume", "--detach")
            self.post_message(self.Refused(beside(own, command)))
        elif self._only_tests:
            self._resume(())
        elif self._experiment is not None:
            self.app.push_screen(ResumeDialog(self._experiment, self._view), self._resume)

    def _resume(self, overrides: tuple[Override, ...] | None) -> None:
        if overrides is not None:
            self._hand_over(self.Resume(self._view.run_dir, overrides))

    def action_again(self) -> None:
        if self._experiment is not None:
            self._hand_over(self.Again(self._experiment, self._view.run_dir))

    def action_compose_from(self) -> None:
        if self._experiment is not None:
            self._hand_over(self.Compose(self._experiment, self._view.run_dir))

    def action_plots(self) -> None:
        self.post_message(self.Plots())

    def offer_again(self) -> None:
        """Accept another choice: the last one could not be carried out."""
        self._handed_over = False

    def complain(self, reason: str) -> None:
        """Show above the results why the run could not be resumed, and accept another choice."""
        self.offer_again()
        self._show_problem(f"it did not start: {reason}")
        self.scroll_home(animate=False)

    def _show_problem(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.display = bool(text)
        problem.update(Content(clean(text, 2000, multiline=True)))

    def _hand_over(self, message: Message) -> None:
        if not self._handed_over:
            self._handed_over = True
            self._show_problem("")
            self.post_message(message)
