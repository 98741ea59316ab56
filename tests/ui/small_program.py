"""A program with a small app on the real terminal, for the tests of terminal and running.

    small_program.py REPORT [compose|run] [SECONDS]

`run` has a live run that counts steps in a thread for so many seconds, or until it is stopped; the
end of the program is told in REPORT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, ComposeResult
from textual.widgets import Static

from tui_trainer.ui.process import CurrentRun, run_app
from tui_trainer.ui.terminal.driver import TerminalDriver
from tui_trainer.ui.terminal.terminal import Terminal

if TYPE_CHECKING:
    from tests.ui.counting_session import CountingSession
    from tui_trainer.cli.printers import LinePrinter

DROPPED = Path("dropped")
"""Made when frames have been dropped, since nothing can be seen on a terminal that stalls."""
TAKEN = Path("taken")
"""Tells whether the terminal has taken what was written to it, `yes` or `no`."""


class SmallApp(App[int]):
    """Shows a number that changes all the time; keys make trouble."""

    BINDINGS = [  # noqa: RUF012
        ("q", "leave", "Leave"),
        ("x", "fail", "Fail"),
        ("z", "freeze", "Freeze"),
        ("h", "hold", "Draw no more"),
        ("o", "output", "Print"),
    ]

    def __init__(self, terminal: Terminal, session: CountingSession | None) -> None:
        super().__init__(driver_class=terminal.driver_class)
        self.session = session
        self.heard: list[str] = []
        self.turns = 0
        self.begun_cpu_s = 0.0
        self._terminal = terminal
        self._taken = ""
        self._holds = False
        terminal.output.subscribe(self.heard.extend)

    def compose(self) -> ComposeResult:
        yield Static("ready", id="number")
        yield Static("", id="filler")

    def on_mount(self) -> None:
        if self.session is not None:
            self.session.start()
        self.set_interval(1 / 30, self.turn)

    def turn(self) -> None:
        self._tell_what_is_taken()
        if not self._holds:
            self._draw()

    def _draw(self) -> None:
        if not self.turns:
            self.begun_cpu_s = time.process_time()
        self.turns += 1
        steps = self.session.steps if self.session else 0
        heard = self.heard[-1] if self.heard else ""
        size = f"{self.size.width}x{self.size.height}"
        self.query_one("#number", Static).update(f"step {steps} {size} heard [{heard}]")
        letter = "abcdefghij"[self.turns % 10]
        self.query_one("#filler", Static).update(letter * (self.size.width * self.size.height))
        driver = self._driver
        if isinstance(driver, TerminalDriver) and driver.dropping:
            DROPPED.touch()

    def _tell_what_is_taken(self) -> None:
        taken = "no" if self._terminal.is_behind else "yes"
        if taken != self._taken:
            TAKEN.write_text(taken)
            self._taken = taken

    def action_leave(self) -> None:
        self.exit(0)

    def action_fail(self) -> None:
        raise RuntimeError("an error of the app")

    def action_freeze(self) -> None:
        while True:
            time.sleep(0.01)

    def action_hold(self) -> None:
        self._holds = True

    def action_output(self) -> None:
        print("a print")
        os.write(1, b"from 1\n")
        os.write(2, b"\x1b[31mfrom 2\x1b[0m\n")


# What only some of the programs use takes longer to import than all else.


def counting(seconds: float) -> CountingSession:
    from tests.ui.counting_session import CountingSession

    return CountingSession(seconds)


def printer() -> LinePrinter:
    from tui_trainer.cli.printers import LinePrinter

    return LinePrinter(sys.__stdout__)


def main() -> None:
    report, kind = Path(sys.argv[1]), sys.argv[2]
    session = counting(float(sys.argv[3])) if kind == "run" else None
    facts: dict[str, Any] = {}

    def make(terminal: Terminal, live: CurrentRun) -> App[int]:
        live.session = session
        app = SmallApp(terminal, session)
        facts["app"] = app
        return app

    status = run_app(make, printer)
    app = facts["app"]
    told = {
        "status": status,
        "steps": session.steps if session else 0,
        "sent": [type(command).__name__ for command in session.sent] if session else [],
        "heard": app.heard,
        "turns": app.turns,
        "cpu_s": time.process_time() - app.begun_cpu_s,
    }
    report.write_text(json.dumps(told))
    sys.exit(status)


if __name__ == "__main__":
    main()
