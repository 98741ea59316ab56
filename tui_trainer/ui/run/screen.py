"""`RunScreen`: shows a run as it trains, and lets keys steer it.

Layer: ui. It polls its session a few times per second and draws what changed. It keeps no data of
the run that it could not get from the session again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from tui_trainer.config.keys import actions_of
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.runs.describe import Level, ending_text, refusal_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import CommandApplied, Event, RunEnded, RunStarted
from tui_trainer.sessions.session import Session
from tui_trainer.sessions.startup import CANCELLABLE
from tui_trainer.sessions.thumbnails import preview_names
from tui_trainer.text.clean import clean
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.actions import RunCommands, RunDialogs, Toasts, unavailable_reason
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.layout import RunParts
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.preview_screen import PreviewScreen
from tui_trainer.ui.run.refresh import RefreshRate, RefreshTimer
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.search_bar import SearchBar
from tui_trainer.ui.shared.services import Services

WIDTHS = [(0, "-narrow"), (72, "-usual"), (110, "-wide")]
HEIGHTS = [(0, "-flat"), (9, "-low"), (16, "-medium"), (30, "-tall"), (44, "-taller")]
_SENT = {word: f"send('{word}')" for word in COMMANDS if word not in ("pause", "stop")}
"""The actions of command keys, except for commands whose key does more than send them."""
_PLOT_KEYS = [
    Binding(it.keys, f"plot('{it.name}')", it.label, show=False, tooltip=it.text, id=it.id)
    for it in actions_of("plot")
]


class RunScreen(Screen[None]):
    """Watches a run and steers it; shows the results when it ends."""

    ABOUT = (
        "A run. Training never waits for this screen, which is updated a few times per second. "
        "Every key is acknowledged at once in the log; the run acts on it at the next step."
    )
    # The plots get the focus once they are shown.
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("run", _SENT), *_PLOT_KEYS]
    PARTS: ClassVar[tuple[str, ...]] = ("panel", "log")
    CSS_PATH = "run.tcss"
    # Keep the heading visible when one plot fills the screen.
    ALLOW_IN_MAXIMIZED_VIEW = "Heading, KeyLine"
    # Escape ends the crosshair first; the plots handle it.
    ESCAPE_TO_MINIMIZE = False

    class Leave(Message):
        """Posted to leave: the run that was stopped for it has ended, or a watched run is left."""

        def __init__(self, *, is_left_alone: bool = False) -> None:
            super().__init__()
            self.is_left_alone = is_left_alone

    class ToRuns(Message):
        """Posted to show the list of runs; this run continues unchanged."""

    class Detach(Message):
        """Posted to end the app and its use of the terminal while the run continues."""

    class Started(Message):
        """Posted when the run has started, so that there is something to show."""

    class NeverStarted(Message):
        """Posted when the run failed before its first step, so there is nothing to show."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, session: Session, services: Services) -> None:
        super().__init__()
        self.session = session
        self._can_leave_it = services.can_detach or session.is_elsewhere
        self._looking = RefreshTimer(
            session,
            RefreshRate(services.preferences.fps),
            show=self._show_news,
            awaits_answer=self._awaits_answer,
            is_unseen=services.is_unseen,
        )
        self._parts = RunParts(self, session, services)
        self._commands = RunCommands(session, self._parts.state_label, self._asked)
        self._toasts = Toasts(self)
        detach = self.action_detach if self._can_leave_it else None
        saved = self._parts.saved_progress
        self._asking = RunDialogs(self, session, self._commands, saved, self._toasts, detach)
        self._said_early: list[tuple[str, Level]] = []
        self._over = False
        self._has_started = False
        # What the footer depends on.
        self._keys = self.labels, ""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels that differ from the table of actions, where a key does something else now."""
        if self._over:
            # While the screen is taken apart, its keys may be looked at once more.
            return next((ending.labels for ending in self.query(Ending)), {})
        if self._can_cancel:
            return {"run.back": "Cancel", "run.stop": "Stop"}
        if self.session.view.state == "testing":
            return {"run.stop": "Skip test"}
        return {"run.pause": "Resume"} if self._commands.is_pausing else {}

    def compose(self) -> ComposeResult:
        yield from self._parts.compose()

    def on_mount(self) -> None:
        self._show()
        if self._parts.has_plots:
            # Not `Plots.focus`, which waits: the first poll may bring results to the front, and
            # the plots would then take their place.
            self.set_focus(self.query_one(Plots))
        self._looking.begin(self)
        for text, level in self._said_early:
            self.say(text, level)

    def _show_news(self, new: Sequence[Event] | None) -> None:
        self._parts.saved_progress.begin(self.session.view)
        if new is None:
            self._parts.catch_up()
            return
        for event in new:
            self._take(event)
        self._parts.add(new)
        self._show()
        ending = self.session.view.ending
        if ending is not None and not self._over:
            self._end(ending)
        elif ending is None and self._over:
            self._live_again()
        self._toasts.refresh()

    def _awaits_answer(self) -> bool:
        return self._commands.awaits_answer or bool(self._asking.dialogs)

    def _take(self, event: Event) -> None:
        self._commands.add(event)
        if isinstance(event, RunStarted) and not self._has_started:
            self._has_started = True
            self.post_message(self.Started())
        if (
            isinstance(event, CommandApplied)
            and event.refused
            and event.origin == "you"
            and not self._asking.refuse(event)
        ):
            self._toasts.tell(refusal_text(event), warn=True)

    def _show(self) -> None:
        self._parts.show()
        keys = self.labels, self.session.view.stage
        if self._keys != keys:
            self._keys = keys
            self.refresh_bindings()
        self._asking.look()

    def _end(self, ending: RunEnded) -> None:
        self._over = True
        view = self.session.view
        if self._asking.leaving:
            self.post_message(self.Leave())
        elif not ending.has_begun or (
            ending.state == "failed" and not self._has_started and not self.session.is_elsewhere
        ):
            self.post_message(self.NeverStarted(ending.reason))
        elif not self.is_active:
            self._toasts.tell(f"{clean(view.name, 60)} {clean(ending_text(ending), 400)}")
        self.query_one(Ending).tell(
            ending, view, self._parts.saved_progress, self.session.experiment
        )
        self._parts.show_result(True)

    def _live_again(self) -> None:
        """A run that had ended is running again: it was resumed, or was wrongly taken for dead."""
        self._over = False
        self._parts.show_result(False)

    def shows(self, path: Path) -> bool:
        """Return whether this is the run in the directory `path`."""
        run_dir = self.session.view.run_dir
        return bool(run_dir) and Path(run_dir).absolute() == path

    def offer_again(self) -> None:
        """Allow another choice at the end, because the last one could not be carried out."""
        self.query_one(Ending).offer_again()

    def complain(self, reason: str) -> None:
        """Show beside the results why the run could not be resumed, and allow another choice."""
        self.query_one(Ending).complain(reason)

    def say(self, text: str, level: Level = "note") -> None:
        """Add lines that were printed to the log, after what has happened before them."""
        if not self.query(Log):
            # The parts of the screen are still being made.
            self._said_early.append((text, level))
            return
        self._looking.look()
        self.query_one(Log).say(text, level)

    def on_resize(self) -> None:
        # The heading has its new width only after the layout.
        self.call_after_refresh(self._parts.show_heading)

    def on_descendant_focus(self) -> None:
        # A focus event may be outdated: results that arrived meanwhile have the focus now.
        self.call_after_refresh(self._follow_focus)

    def _follow_focus(self) -> None:
        """Bring the plots to the front when they get the focus while the results cover them."""
        if isinstance(self.focused, Plots) and self._parts.has_result:
            self._parts.show_result(False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide actions that do nothing now from the footer, the help and the palette."""
        if action == "detach" and not self._can_leave_it:
            return False
        if action == "back" and self._can_cancel:
            return True
        if action == "plot":
            # If hidden plots filled the screen, they would hide everything else.
            return self._parts.has_plots
        if action == "back":
            # On the results, their own binding handles escape.
            is_at_plots = self._over and not self._parts.has_result
            return is_at_plots or self._parts.has_whole_log or self._parts.is_searching
        name = str(parameters[0]) if action == "send" else action
        return not self._unavailable_reason(name)

    def _unavailable_reason(self, action: str) -> str:
        return unavailable_reason(action, self.session.view, is_over=self._over)

    def on_key(self, event: events.Key) -> None:
        """Say why a key has no effect on this run."""
        bound = self._bindings.key_to_bindings.get(event.key, [])
        names = [(it.id or "").removeprefix("run.") for it in bound]
        if any(map(self._unavailable_reason, names)):
            # The keys before it may open a field, and it is typed there: see `take_late_letter`.
            self.app.call_later(self._explain, names, event.is_printable)

    def _explain(self, actions: Sequence[str], is_letter: bool) -> None:
        reason = next(filter(None, map(self._unavailable_reason, actions)), "")
        if reason and not (is_letter and isinstance(self.focused, Input)):
            self._toasts.tell(
                reason, holds=lambda: reason in map(self._unavailable_reason, actions)
            )

    def _asked(self, what: str) -> None:
        """Show at once which request is on its way to the run."""
        self.say(f"{what}: requested")
        self._show()
        self._looking.hurry()

    def action_pause(self) -> None:
        self._commands.pause_or_resume()

    def action_offload(self) -> None:
        self._commands.offload()

    def action_send(self, word: str) -> None:
        """Send a command whose key does nothing but send it."""
        self._commands.send_word(word)

    def action_edit(self) -> None:
        self._asking.edit()
        self._looking.hurry()

    def action_detach(self) -> None:
        """Leave the run training without the app, in this process or in the one that holds it."""
        elsewhere = self.session.is_elsewhere
        self.post_message(self.Leave(is_left_alone=True) if elsewhere else self.Detach())

    def action_runs(self) -> None:
        """Go to the list of all runs."""
        self.post_message(self.ToRuns())

    def action_stop(self) -> None:
        """Ask how to stop; skip the rest of the test if the run is testing: nothing is lost."""
        if not self._over and self.session.view.state == "testing":
            self._commands.skip_test()
        else:
            self.ask_to_stop(then_leave=False)

    @property
    def _can_cancel(self) -> bool:
        """Whether the run is in a stage of its start that can be given up without a loss."""
        return not self.session.is_elsewhere and self.session.view.stage in CANCELLABLE

    def ask_to_stop(self, then_leave: bool) -> None:
        """Ask how to stop; with `then_leave`, `Leave` is posted once the run has ended.

        A start has nothing to save, so it is given up at once.
        """
        if self._can_cancel:
            self._asking.leaving = then_leave
            self._commands.stop("discard")
            self._looking.look()
            return
        if not self._over:
            # The question and its costs must describe the run as it is now.
            self._looking.look()
        if not self.session.view.ended:
            self._asking.stop(then_leave=then_leave)
            self._looking.hurry()
        elif then_leave:
            self.post_message(self.Leave())

    @on(Ending.Refused)
    def _say_why(self, message: Ending.Refused) -> None:
        self._toasts.tell(message.why, warn=True)

    @on(Ending.Plots)
    def action_back(self) -> None:
        """End the search; close the full log; give up a start; after the end, switch between
        results and plots.
        """
        if self._parts.is_searching:
            self._parts.end_search()
        elif self._parts.has_whole_log:
            self._parts.turn_log()
        elif self._can_cancel:
            self.ask_to_stop(then_leave=False)
        elif self._over:
            self._parts.show_result(not self._parts.has_result)

    def action_previews(self) -> None:
        """Show the previews of the run's recipe."""
        run_dir = self.session.view.run_dir
        if run_dir and preview_names(RunDirectory(Path(run_dir))):
            self.app.push_screen(PreviewScreen(run_dir))
        else:
            self._toasts.tell("this run has no previews: a recipe with preview() makes them")

    def action_full_log(self) -> None:
        if self._parts.is_searching:
            self._parts.end_search()
        self._parts.turn_log()

    def action_search_log(self) -> None:
        """Open the search in the log."""
        self._parts.open_search()

    def action_log_level(self) -> None:
        """Show fewer levels in the log, or all of them again."""
        self.query_one(Log).turn_filter()

    def on_search_bar_searched(self, message: SearchBar.Searched) -> None:
        self.query_one(Log).search(message.text)

    def on_search_bar_left(self, message: SearchBar.Left) -> None:
        if message.text:
            self.query_one(Log).focus()
        else:
            self._parts.end_search()

    async def action_plot(self, action: str) -> None:
        """Run an action of the plots, wherever the focus is."""
        await self.app.run_action(action, self.query_one(Plots))
