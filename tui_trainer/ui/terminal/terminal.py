"""`Terminal`: gives the app sole use of the terminal, so that other output cannot tear the screen.

Layer: ui. Textual is not imported at module level, because whether an app can be opened is decided
without it. The app writes to a descriptor of its own; descriptors 1 and 2 lead to an `Output`, and
0 is empty.
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
from tui_trainer.ui.terminal.title import RESTORE as RESTORE_TITLE
from tui_trainer.ui.terminal.title import has_title

if TYPE_CHECKING:
    from tui_trainer.sessions.launcher import Tether
    from tui_trainer.ui.terminal.driver import TerminalDriver

RESTORE = b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l" + (
    b"\x1b[?2048l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)
"""Ends every mode the app begins: mouse, paste, focus, keyboard, alternate screen, cursor."""


def restoring(env: Mapping[str, str]) -> bytes:
    """Return what undoes all that the app does to a terminal, its title included."""
    return RESTORE_TITLE.encode() + RESTORE if has_title(env) else RESTORE


def can_open_app(env: Mapping[str, str], stdin: TextIO | None, stdout: TextIO | None) -> str:
    """Return why no app can be opened here, or an empty string."""
    try:
        if stdin is None or not stdin.isatty():
            return "the input is not a terminal"
        if stdout is None or not stdout.isatty():
            return "the output is not a terminal"
    except ValueError:
        return "the terminal is closed"
    if env.get("TERM", "") in ("", "dumb", "unknown"):
        return f"the terminal cannot show screens (TERM={env.get('TERM', '')[:20]})"
    with contextlib.suppress(OSError):
        if os.tcgetpgrp(stdin.fileno()) != os.getpgrp():
            return "the program runs in the background"
    return ""


class Terminal:
    """A context manager around the app; stdin and stdout must be terminals (`can_open_app`)."""

    def __init__(self, tether: Tether | None = None) -> None:
        self.tether = tether
        """The pipe to the launcher that the shell waits for; None without a launcher."""
        self.output = Output()
        self.driver: TerminalDriver | None = None
        self.gone = threading.Event()
        """Set when the terminal can no longer be read or written."""
        self.fileno = -1
        self.unkept: list[str] = []
        """After the end: lines that were printed but are in no file."""
        self._attributes: list[Any] | None = None
        self._before: dict[int, int] = {}

    @property
    def driver_class(self) -> type[TerminalDriver]:
        """A driver class bound to this terminal, for the app's `driver_class`."""
        from tui_trainer.ui.terminal.driver import TerminalDriver

        return type("DriverHere", (TerminalDriver,), {"terminal": self})

    @property
    def is_behind(self) -> bool:
        """Whether anything painted now would be delayed or dropped."""
        return self.driver is not None and self.driver.is_behind

    @property
    def encoding(self) -> str:
        """The encoding of the characters that are written."""
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
            # A stream that the user has redirected stays redirected.
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
        # Closed after 1 and 2 are restored, so that its last reading gets everything.
        self.unkept = self.output.close()
        self.restore_attributes()
        os.close(self.fileno)

    @property
    def in_foreground(self) -> bool:
        """Whether the shell has lent us the terminal; True if that cannot be determined."""
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True

    def let_go(self) -> None:
        """Give up the terminal for good: keep no descriptor of it, and leave its session.

        Output is still collected. Called after the app has ended.
        """
        if not self.gone.is_set():
            self.restore_attributes()
        self.gone.set()
        self._empty_streams()
        empty = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        # Replaced, not closed: `__exit__` closes the number, which could be another file's by then.
        os.dup2(empty, self.fileno, inheritable=False)
        os.close(empty)
        # A process group leader cannot leave; it stays where a signal to the group reaches it.
        with contextlib.suppress(OSError):
            os.setsid()

    def hung_up(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s`; return whether the terminal hung up or the launcher is dead."""
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
            # Systems that cannot poll a terminal return at once; there, reading shows the hang-up.
            self.gone.wait(timeout_s)
        return self.gone.is_set()

    def restore_attributes(self) -> None:
        """Restore the line discipline; not in the background, where another program has set it."""
        if self._attributes is not None and self.in_foreground:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._attributes)

    def restore_at_once(self) -> None:
        """Restore the terminal without the driver and without waiting, before the process ends.

        Output that the terminal has not accepted yet is discarded.
        """
        self.restore_attributes()
        with contextlib.suppress(OSError, termios.error):
            ready = bool(select.select([], [self.fileno], [], 0)[1])
            if not ready:
                termios.tcflush(self.fileno, termios.TCOFLUSH)
            # Writing to a blocking copy of the descriptor might hang here for ever.
            if ready or not os.get_blocking(self.fileno):
                os.write(self.fileno, restoring(os.environ))

    def say(self, text: str) -> None:
        """After the app's end: print lines to the original stderr, past the captured output."""
        place = self._before.get(2, 2)
        with contextlib.suppress(OSError):
            os.write(place, harmless_block(text).encode(self.encoding, PLAIN_LETTERS) + b"\n")

    def _empty_streams(self) -> None:
        """Keep a dead terminal from being restored: a flush at exit would fail on it."""
        empty = os.open(os.devnull, os.O_RDWR)
        for place in self._before.values():
            os.dup2(empty, place)
        os.close(empty)


def _open_anew(number: int) -> int:
    """Return a non-blocking descriptor of the terminal, or a copy if it cannot be opened.

    A copy shares its flags, non-blocking mode included, with the shell and all that it starts.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(os.ttyname(number), flags)
    except OSError:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        # In another container, a different terminal may have the same path.
        if os.fstat(opened).st_rdev != os.fstat(number).st_rdev:
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
        return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(opened)
