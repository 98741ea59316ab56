"""`Terminal`: the app owns it, and what others print cannot tear the screen.

Layer: ui, without textual at its top: whether an app can be opened is asked without it. The app
writes to a descriptor of its own; 1 and 2 are an `Output`, and 0 is empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import termios
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from tui_trainer.text.clean import harmless_block
from tui_trainer.ui.terminal.ascii import PLAIN_LETTERS, encoding_of
from tui_trainer.ui.terminal.stdout import Output

if TYPE_CHECKING:
    from tui_trainer.sessions.launcher import Tether
    from tui_trainer.ui.terminal.driver import TerminalDriver

RESTORE = b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l" + (
    b"\x1b[?2048l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""What ends every mode the app begins: mouse, paste, focus, keyboard, alternate screen, cursor."""


def can_open_app(env: Mapping[str, str], stdin: TextIO | None, stdout: TextIO | None) -> str:
    """Why no app can be opened here; empty if one can."""
    try:
        if stdin is None or not stdin.isatty():
            return "the input is no terminal"
        if stdout is None or not stdout.isatty():
            return "the output is no terminal"
    except ValueError:
        return "the terminal is closed"
    if env.get("TERM", "") in ("", "dumb", "unknown"):
        return f"the terminal cannot show screens (TERM={env.get('TERM', '')[:20]})"
    with contextlib.suppress(OSError):
        if os.tcgetpgrp(stdin.fileno()) != os.getpgrp():
            return "the program runs in the background"
    return ""


class Terminal:
    """A context manager around the app; both streams must be terminals (`can_open_app`)."""

    def __init__(self, tether: Tether | None = None) -> None:
        self.tether = tether
        """To the launcher that the shell waits for; None where there is none."""
        self.output = Output()
        self.driver: TerminalDriver | None = None
        self.gone = threading.Event()
        """Set when nothing can be read or written any more."""
        self.fileno = -1
        self.unkept: list[str] = []
        """After the end: lines that were printed and are in no file."""
        self._attributes: list[Any] | None = None
        self._before: dict[int, int] = {}

    @property
    def driver_class(self) -> type[TerminalDriver]:
        """For the app's `driver_class`: a driver on this terminal."""
        from tui_trainer.ui.terminal.driver import TerminalDriver

        return type("DriverHere", (TerminalDriver,), {"terminal": self})

    @property
    def is_behind(self) -> bool:
        """Whether what is painted now would wait, or be dropped."""
        return self.driver is not None and self.driver.is_behind

    @property
    def encoding(self) -> str:
        """Of the characters that are written."""
        encoding = (sys.__stdout__.encoding if sys.__stdout__ else None) or "utf-8"
        return encoding_of(os.environ, encoding)

    def __enter__(self) -> Terminal:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        self.fileno = _open_anew(0)
        with contextlib.suppress(termios.error):
            self._attributes = termios.tcgetattr(self.fileno)
        empty = os.open(os.devnull, os.O_RDONLY)
        for number, place in ((0, empty), (1, self.output.fileno), (2, self.output.fileno)):
            # A stream that was sent elsewhere by the user stays there.
            if os.isatty(number):
                self._before[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
                os.dup2(place, number)
        os.close(empty)
        self.output.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
        if self.gone.is_set():
            self._empty_streams()
        for number, place in self._before.items():
            os.dup2(place, number)
            os.close(place)
        self._before.clear()
        self.unkept = self.output.close()
        self.restore_attributes()
        os.close(self.fileno)

    @property
    def in_foreground(self) -> bool:
        """Whether the shell has lent it the terminal; True where that cannot be told."""
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True

    def let_go(self) -> None:
        """Leave the terminal to others for good: no descriptor of it stays, and no session.

        What is printed goes on to the output. Called when the app has ended.
        """
        if not self.gone.is_set():
            self.restore_attributes()
        self.gone.set()
        self._empty_streams()
        empty = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(empty, self.fileno, inheritable=False)
        os.close(empty)
        # The leader of a group cannot; it stays where a signal for the group finds it.
        with contextlib.suppress(OSError):
            os.setsid()

    def hung_up(self, timeout_s: float) -> bool:
        """Wait so long for the other side to hang up, or for the launcher to be killed."""
        if self.gone.is_set():
            return True
        tether = self.tether
        poll = select.poll()
        poll.register(self.fileno, 0)
        if tether is not None and tether.fileno >= 0:
            poll.register(tether.fileno, select.POLLIN)
        found = dict(poll.poll(timeout_s * 1000))
        if tether is not None:
            tether.hear()
            if tether.lost:
                return True
        mask = found.get(self.fileno, 0)
        if mask & (select.POLLHUP | select.POLLERR):
            self.gone.set()
        elif mask:
            # Systems that cannot poll a terminal answer at once; then reading tells.
            self.gone.wait(timeout_s)
        return self.gone.is_set()

    def restore_attributes(self) -> None:
        """Give the line discipline back as it was; in the background it is another's."""
        if self._attributes is not None and self.in_foreground:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._attributes)

    def restore_at_once(self) -> None:
        """Without the driver and without waiting: for a process that is about to end.

        What a terminal that nobody reads has not taken yet is thrown away.
        """
        self.restore_attributes()
        with contextlib.suppress(OSError, termios.error):
            ready = bool(select.select([], [self.fileno], [], 0)[1])
            if not ready:
                termios.tcflush(self.fileno, termios.TCOFLUSH)
            # A copy might block for ever, here of all places.
            if ready or not os.get_blocking(self.fileno):
                os.write(self.fileno, RESTORE)

    def say(self, text: str) -> None:
        """Lines to where stderr was, while the output is still held; after the app's end."""
        place = self._before.get(2, 2)
        with contextlib.suppress(OSError):
            os.write(place, harmless_block(text).encode(self.encoding, PLAIN_LETTERS) + b"\n")

    def _empty_streams(self) -> None:
        """A dead terminal is not put back: a flush at exit would fail on it."""
        empty = os.open(os.devnull, os.O_RDWR)
        for place in self._before.values():
            os.dup2(empty, place)
        os.close(empty)


def _open_anew(number: int) -> int:
    """A descriptor of the terminal whose writes do not block; a copy where it cannot be opened.

    A copy would share this with the shell, and with every program that the shell starts.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(os.ttyname(number), flags)
    except OSError:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        # Not a file of the same name, as in another container.
        if os.fstat(opened).st_rdev != os.fstat(number).st_rdev:
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
        return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(opened)
