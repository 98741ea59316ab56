"""`run_app`: runs the app in the terminal, handles signals, and lets a run outlive the app.

Layer: ui. Textual is not imported at module level. Signals do not go through the event loop: a
separate thread passes them to the run and notices a hang-up, so a frozen app cannot keep a run from
being saved.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from tui_trainer.config.user_code import describe_user_error
from tui_trainer.runs.commands import Command, Stop
from tui_trainer.sessions.signals import SignalHandler, leave_at_once
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_error
from tui_trainer.text.errors import ExitCode
from tui_trainer.ui.terminal.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import App

    from tui_trainer.config.sections.training import TrainingSection
    from tui_trainer.runs.events import Event
    from tui_trainer.sessions.launcher import Tether
    from tui_trainer.sessions.session import OwnSession

LOOK_S = 0.2
PATIENCE_S = 5.0
"""Seconds an app that was asked to end may take before the process ends without it."""
SWITCH_S = 0.001
"""The interpreter's thread switch interval; with the default of 5 ms, plots take four times as long
beside a run in pure Python."""
HANG_UP_CODE = 128 + signal.SIGHUP
_TEXTUALS_SIGNALS = (
    *(signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH),
    *(signal.SIGTTOU, signal.SIGTTIN),
)


class CurrentRun:
    """The run of this process; `session` is set when one is launched, before it starts."""

    def __init__(self) -> None:
        self.session: OwnSession | None = None
        self.stopped_by: int | None = None
        """The signal that ends the app, either now or after the run that it stops."""
        self._reached_run = False

        self.is_let_go = False
        """Whether the run should continue without the app and the terminal."""

    @property
    def settings(self) -> TrainingSection | None:
        """The live run's settings, which decide what signals do; the defaults without a run."""
        if self.session is None or not self.alive:
            from tui_trainer.config.sections.training import TrainingSection

            return TrainingSection()
        return self.session.settings

    @property
    def alive(self) -> bool:
        """Whether it can still be steered; a start that was cancelled only ends."""
        session = self.session
        return session is not None and not session.ended and not session.is_cancelled

    @property
    def name(self) -> str:
        """The name of the live run, or an empty string."""
        return (self.session.view.name or "a run") if self.session and self.alive else ""

    def send(self, command: Command) -> None:
        """Send a command to the run if one is alive; remember the signal of a stop."""
        alive = self.alive
        if isinstance(command, Stop) and command.signal is not None:
            self.stopped_by = command.signal
            self._reached_run = alive or self._reached_run
        if self.session is not None and alive:
            self.session.send(command)

    @property
    def exit_code(self) -> int:
        """The exit status of the run, or of a signal that arrived when no run was alive."""
        if self.stopped_by is not None and not self._reached_run:
            return 128 + self.stopped_by
        return ExitCode.OK if self.session is None else self.session.exit_code


class Supervisor(threading.Thread):
    """The thread that passes signals on to the run, and ends the app when there is a reason to."""

    def __init__(self, terminal: Terminal, live: CurrentRun, desk: SignalHandler) -> None:
        super().__init__(name="steward")
        self.app_ended = threading.Event()
        self.hung_up = False
        """Set by the signal handler, and when the terminal or the launcher is gone."""
        self._terminal = terminal
        self._live = live
        self._desk = desk
        self._over = threading.Event()
        self._asked_at_s: float | None = None

    def run(self) -> None:
        while not self._over.is_set():
            if self._terminal.gone.is_set() or self.hung_up:
                self._over.wait(LOOK_S)
            elif self._terminal.hung_up(LOOK_S):
                self._desk.hang_up()
            # A detached run has given the terminal up itself: that is not a hang-up.
            if self._terminal.gone.is_set() and not self._live.is_let_go:
                self._desk.hang_up()
            self._desk.deliver()
            driver = self._terminal.driver
            if driver is not None and not self.app_ended.is_set():
                driver.look_for_shell()
                driver.mend_size()
            code = self._reason_to_leave()
            if code is not None and not self.app_ended.is_set():
                self._end_app(code)

    @property
    def has_ended_app(self) -> bool:
        """Whether the app was asked to end; its errors are then reported only with --debug."""
        return self._asked_at_s is not None

    def finish(self) -> None:
        """End the thread, then hand over the signals that arrived until now."""
        self._over.set()
        self.join()
        self._desk.deliver()

    def _reason_to_leave(self) -> int | None:
        if self._live.stopped_by is not None and not self._live.alive:
            return self._live.exit_code
        return HANG_UP_CODE if self.hung_up else None

    def _end_app(self, code: int) -> None:
        driver = self._terminal.driver
        now_s = time.monotonic()
        if self._asked_at_s is None:
            if driver is not None:
                driver.leave(code)
                self._asked_at_s = now_s
        elif now_s - self._asked_at_s > PATIENCE_S and not self._live.alive:
            # The event loop is stuck, and everything that could be saved has been saved.
            self._terminal.restore_at_once()
            self._terminal.output.look()
            leave_at_once(code)


class EventPrinter(Protocol):
    """Reports on a run that continues after the terminal is gone."""

    def show(self, event: Event) -> None: ...


def run_app(
    make_app: Callable[[Terminal, CurrentRun], App[int]],
    make_printer: Callable[[], EventPrinter],
    *,
    tether: Tether | None = None,
    debug: bool = False,
) -> int:
    """Run the app until it ends, then a run that is left until that ends; return the exit status.

    Called in the main thread; stdin and stdout must be terminals.
    """
    live = CurrentRun()
    terminal = Terminal(tether)

    def leave(code: int) -> None:
        terminal.restore_at_once()
        leave_at_once(code)

    def on_hang_up() -> None:
        steward.hung_up = True

    desk = SignalHandler(live, leave=leave, hung_up=on_hang_up)
    steward = Supervisor(terminal, live, desk)
    with desk, _signals_kept(), _switching(SWITCH_S):
        with terminal:
            # It must end before the terminal, whose descriptor it polls.
            steward.start()
            try:
                status = _run(make_app, make_printer, terminal, live, steward, debug=debug)
            finally:
                steward.finish()
        if terminal.unkept and not terminal.gone.is_set():
            print_error("\n".join(terminal.unkept))
    return status


def _run(
    make_app: Callable[[Terminal, CurrentRun], App[int]],
    make_printer: Callable[[], EventPrinter],
    terminal: Terminal,
    live: CurrentRun,
    steward: Supervisor,
    *,
    debug: bool,
) -> int:
    error: Exception | None = None
    result: Any = None
    try:
        app = make_app(terminal, live)
        try:
            result = app.run()
            error = app._exception
        except Exception as raised:
            error = raised
    finally:
        steward.app_ended.set()
    if steward.has_ended_app and not debug:
        # Asked to end while it was starting, Textual may trip over widgets that are gone.
        error = None
    if error is not None:
        _tell(error, terminal, debug=debug)
    hung_up = steward.hung_up
    if hung_up or live.is_let_go:
        _let_go(terminal, live)
    elif live.alive:
        terminal.say("tui-trainer: stopping and saving the run; ctrl+c twice leaves at once")
        live.send(Stop(origin="the end of the app"))
    if live.session is not None and live.alive:
        result, hung_up = None, False
        _see_out(live.session, make_printer() if terminal.gone.is_set() else None)
    return _status(live, result, failed=error is not None, hung_up=hung_up)


def _status(live: CurrentRun, result: object, *, failed: bool, hung_up: bool) -> int:
    if failed:
        return ExitCode.FAILED
    if live.stopped_by is not None:
        return live.exit_code
    if hung_up:
        return HANG_UP_CODE
    return result if isinstance(result, int) else live.exit_code


def _let_go(terminal: Terminal, live: CurrentRun) -> None:
    """Give up the terminal; if the user detached, return it to the shell."""
    terminal.let_go()
    if live.is_let_go and terminal.tether is not None:
        # Only now: the shell may use the terminal as soon as the launcher has ended.
        terminal.tether.let_go()


def _see_out(run: OwnSession, printer: EventPrinter | None) -> None:
    """Wait for the end of a run in short intervals, so that signals are handled.

    With a printer, lines are printed as they are without the app, into the run's output.log.
    """
    _, cursor = run.events(sys.maxsize)
    over = False
    while not over:
        # Asked before the events are read: after the end, one more reading gets the last ones.
        over = run.ended
        events, cursor = run.events(cursor)
        if printer is not None:
            for event in events:
                printer.show(event)
        if not over:
            run.wait(LOOK_S)
    run.join()


def _tell(error: Exception, terminal: Terminal, *, debug: bool) -> None:
    """Report an error of the app in one line, and put its traceback where it can be read."""
    users = describe_user_error(error)
    text = users or clean(f"{type(error).__name__}: {error}; this is a bug", 400)
    trace = "".join(traceback.format_exception(error))
    if debug:
        where = "its traceback is above"
        terminal.say(clean(trace, 20_000, multiline=True))
    elif terminal.output.path is not None:
        where = f"its traceback is in {clean(str(terminal.output.path))}"
        terminal.output.note(trace)
    else:
        where = "--debug shows the traceback"
    terminal.say(f"tui-trainer: the app failed: {text}, {where}")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the signal handlers that Textual replaces and does not put back."""
    before = {number: signal.getsignal(number) for number in _TEXTUALS_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _switching(interval_s: float) -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(interval_s)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
