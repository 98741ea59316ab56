"""`TerminalDriver`: Textual's Linux driver on a `Terminal`; a slow terminal never blocks the app.

Layer: ui. Textual's own writer blocks the event loop when the terminal is not being read. Here
frames are dropped instead, and the whole screen is repainted once the terminal accepts bytes again.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import select
import signal
import sys
import termios
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size

from tui_trainer.ui.terminal.ascii import PLAIN_LETTERS
from tui_trainer.ui.terminal.title import PROGRAM, RESTORE, SAVE, has_title, sequence

if TYPE_CHECKING:
    from textual.app import App

    from tui_trainer.sessions.launcher import Tether

MOST_WAITING = 2**18
"""Bytes that may wait to be written, a few frames; frames beyond that are dropped."""
PATIENCE_S = 1.0
_CHUNK = 2**13
_LOOK_S = 0.1


class Pen(threading.Thread):
    """A thread that writes to a descriptor; `write` never blocks, not even in a signal handler."""

    def __init__(self, fileno: int, encoding: str) -> None:
        # A daemon: it may be inside a write that never returns, which holds no lock of Python.
        super().__init__(name="terminal-output", daemon=True)
        self._fileno = fileno
        self.encoding = encoding
        """A new encoding takes effect with the next write."""
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._accepted = 0
        self._written = 0
        self._given_up = False
        self.dropping = False
        self.failed = threading.Event()
        """Set when a write has failed: the other side is gone."""

    @property
    def waiting(self) -> int:
        """Bytes that the terminal has not accepted yet."""
        return self._accepted - self._written

    def write(self, text: str, *, droppable: bool) -> None:
        """Queue the text; drop it if it is droppable and too much is waiting."""
        if droppable and (self.dropping or self.waiting > MOST_WAITING):
            self.dropping = True
            return
        data = text.encode(self.encoding, PLAIN_LETTERS)
        self._accepted += len(data)
        self._queue.put(data)

    def finish(self, patience_s: float) -> bool:
        """Write what is waiting and end; return False if the terminal did not take it in time."""
        self._queue.put(None)
        self.join(patience_s)
        self._given_up = self.is_alive()
        return not self._given_up

    def run(self) -> None:
        while (data := self._queue.get()) is not None:
            for start in range(0, len(data), _CHUNK):
                if not self.failed.is_set() and not self._given_up:
                    self._write(data[start : start + _CHUNK])
            self._written += len(data)

    def _write(self, data: bytes) -> None:
        while data and not self._given_up:
            try:
                data = data[os.write(self._fileno, data) :]
            except BlockingIOError:
                select.select([], [self._fileno], [], _LOOK_S)
            except OSError:
                # The other side is gone; keep emptying the queue.
                self.failed.set()
                return


class DrivenTerminal(Protocol):
    """The terminal as the driver sees it; `Terminal` implements it."""

    tether: Tether | None
    driver: TerminalDriver | None
    gone: threading.Event
    fileno: int

    @property
    def in_foreground(self) -> bool: ...

    @property
    def encoding(self) -> str: ...

    def restore_at_once(self) -> None: ...


class TerminalDriver(LinuxDriver):
    """The driver; `Terminal.driver_class` makes the subclass that an app is given."""

    terminal: ClassVar[DrivenTerminal]

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.fileno = self.terminal.fileno
        self.input_tty = True
        self._pen: Pen | None = None
        self._shown = False
        self._title = PROGRAM
        self._has_title = has_title(os.environ)
        self.resting = False
        """Whether the shell has the terminal: nothing is read from it or written to it."""
        self._size = size or self._get_terminal_size()
        # Prints go to the captured descriptors instead of through messages of the app.
        for name, stream in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
            setattr(app, f"_capture_{name}", stream)
        self.terminal.driver = self

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self.fileno)
        except OSError:
            return 80, 24
        return width or 80, height or 24

    @property
    def dropping(self) -> bool:
        """Whether frames are being dropped because the terminal is not being read."""
        return self._pen is not None and self._pen.dropping

    @property
    def is_behind(self) -> bool:
        """Whether the shell has the terminal, or it has not accepted everything written to it."""
        return self.resting or (self._pen is not None and self._pen.waiting > 0)

    def release_mouse(self) -> None:
        """Leave the mouse to the terminal, for selecting and pasting."""
        self._disable_mouse_support()
        self._mouse = False

    def show_title(self, title: str) -> None:
        """Set the title of the window, if it differs from the one that is set."""
        if title != self._title:
            self._title = title
            if self._shown:
                self._write_title()

    def _write_title(self) -> None:
        if self._has_title:
            self.write(sequence(self._title))

    def write_utf8(self) -> None:
        """Write UTF-8 whatever the locale says: the user chose markers that only UTF-8 has."""
        if self._pen is not None:
            self._pen.encoding = "utf-8"

    def leave(self, code: int) -> None:
        """End the app with a result; may be called from any thread."""
        # The loop may have been closed in the meantime.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._app.exit, code, code)

    def rest(self) -> None:
        """Give the terminal back to the shell and have the job stopped; training goes on."""
        tether = self.terminal.tether
        if tether is not None and not self.resting:
            self.suspend_application_mode()
            self.resting = True
            tether.stop_launcher()

    def look_for_shell(self) -> None:
        """Repaint once the shell has lent us the terminal again; may be called from any thread."""
        tether = self.terminal.tether
        is_back = self.resting and not (tether is not None and tether.stopping)
        if is_back and self.terminal.in_foreground:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self.resting and self.terminal.in_foreground:
            if self._pen is not None:
                # It was stopped without a chance to end its modes.
                self.resting = False
                self.suspend_application_mode()
            self.resting = False
            self.resume_application_mode()
            self._app.refresh(layout=True)

    def _sigtstp_application(self, *_: object) -> None:
        """Handle a stop that is not a key.

        The whole process stops, training included, so that others see it as stopped.
        """
        tether = self.terminal.tether
        if tether is not None and tether.stopping:
            # The stop is meant for the launcher, and for the script that it may belong to.
            return
        # The launcher passes on what the whole group received: a second stop would outlast `fg`.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        if self._shown and not self.resting and self.terminal.in_foreground:
            self.suspend_application_mode()
        self.resting = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        """After a stop the shell may have the terminal, and its modes are unknown."""
        self.resting = True

    def mend_size(self) -> None:
        """Tell the app its size again if a resize was lost; may be called from any thread."""
        width, height = self._get_terminal_size()
        if self._shown and (width, height) != tuple(self._app.size):
            size = Size(width, height)
            with contextlib.suppress(RuntimeError):
                told = self._app._post_message(events.Resize(size, size))
                asyncio.run_coroutine_threadsafe(told, self._loop)

    def write(self, data: str) -> None:
        pen = self._pen
        if pen is None or self.resting:
            return
        was_dropping = pen.dropping
        pen.write(data, droppable=self._shown)
        if pen.dropping and not was_dropping:
            self._loop.call_later(_LOOK_S, self._repaint_when_read)

    def _repaint_when_read(self) -> None:
        """Repaint the whole screen once the terminal has accepted everything that was waiting."""
        pen = self._pen
        if pen is None or not self._shown or self.terminal.gone.is_set():
            return
        if pen.waiting and not pen.failed.is_set():
            self._loop.call_later(_LOOK_S, self._repaint_when_read)
            return
        pen.dropping = False
        self._app.refresh()

    def start_application_mode(self) -> None:
        self._pen = Pen(self.fileno, self.terminal.encoding)
        self._pen.start()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._has_title:
            self.write(SAVE)
        self._write_title()
        for number in (signal.SIGTTIN, signal.SIGTTOU):
            # By default, either of them would stop the training as well.
            signal.signal(number, signal.SIG_IGN)
        self._shown = True

    def disable_input(self) -> None:
        """Stop reading keys, once; what was typed for another program stays in the queue."""
        thread, self._key_thread = self._key_thread, None
        if thread is None:
            return
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        self._disable_mouse_support()
        self.exit_event.set()
        thread.join()
        self.exit_event.clear()
        if self.terminal.in_foreground:
            with contextlib.suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCIFLUSH)

    def stop_application_mode(self) -> None:
        self._shown = False
        # This waits for the thread, and a shell can take the terminal back in the meantime.
        self.disable_input()
        if not self.terminal.in_foreground:
            # Another program has set the line discipline in the meantime; leave it as it is.
            self.attrs_before = None
        if self._has_title:
            self.write(RESTORE)
        super().stop_application_mode()

    def close(self) -> None:
        super().close()
        # `run_app` reports the traceback; this one would show every local variable.
        self._app._exit_renderables.clear()
        if self._pen is None:
            return
        if not self._pen.finish(PATIENCE_S):
            # It has given up and stops soon; two writers would mix their sequences.
            self._pen.join(PATIENCE_S)
            self.terminal.restore_at_once()
        self._pen = None

    def _run_input_thread(self) -> None:
        """Read keys until the end; a terminal that is gone is no error and is not read again."""
        parser = XTermParser(self._debug)
        # Bytes that are not text, such as a paste in another encoding, must not end the app.
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            if self.resting:
                self.exit_event.wait(_LOOK_S)
                continue
            if select.select([self.fileno], [], [], _LOOK_S)[0]:
                try:
                    data = os.read(self.fileno, 4096)
                except BlockingIOError:
                    continue
                except OSError:
                    if not self.terminal.in_foreground and not self.terminal.gone.is_set():
                        # Keys are not for a program in the background.
                        self.exit_event.wait(_LOOK_S)
                        continue
                    data = b""
                if not data:
                    self.terminal.gone.set()
                    return
                for message in parser.feed(decode(data)):
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)
