"""The launcher: a thin process that the shell waits for, while its child has the app and the run.

Layer: sessions. It is forked before anything heavy is imported, and it never trains: so the shell
can be given back while the child goes on. The child is no group leader and may leave the session.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
from typing import Any

from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream, output_stream

FORWARDED = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP),
)
"""What somebody who knows the launcher's id alone means for the run."""
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHUNK = 2**12


class Tether:
    """The child's side: what it tells its launcher, and whether that lives."""

    def __init__(self, reading: int, writing: int) -> None:
        self.fileno = reading
        """Readable when the launcher has said something or has died; -1 once let go."""
        self._writing = writing
        self.lost = False
        """The launcher was killed: nobody restores the terminal, and nobody waits."""
        self.stopping = False
        """The launcher was asked to stop itself, and has not come back yet."""

    def name_run(self, name: str) -> None:
        """Tell which run it is, for what is said on the shell."""
        self._tell(f"run {name}")

    def stop_launcher(self) -> None:
        """Have the shell told that the job is stopped; this process goes on."""
        self.stopping = True
        self._tell("stop")

    def let_go(self) -> None:
        """Give the shell back for good: the launcher says so and ends with 0."""
        self._tell("detach")
        self.close()

    def close(self) -> None:
        """Neither tell nor hear anything more; a launcher that lives waits for the exit status."""
        for descriptor in (self.fileno, self._writing):
            if descriptor >= 0:
                os.close(descriptor)
        self.fileno = self._writing = -1

    def hear(self) -> None:
        """Take what the launcher said, when there is something; does not block."""
        if self.fileno < 0 or not select.select([self.fileno], [], [], 0)[0]:
            return
        if os.read(self.fileno, _CHUNK):
            self.stopping = False
        else:
            self.lost = True
            self.close()

    def _tell(self, line: str) -> None:
        # A launcher that has died is found by `hear`.
        with contextlib.suppress(OSError):
            os.write(self._writing, f"{line}\n".encode())


def split(restore: bytes) -> Tether | int:
    """Fork: the child gets its tether; the launcher, once it is over, its exit status.

    `restore` is written to the terminal when the child is killed. Called while this process has one
    thread.
    """
    hear_child, tell_launcher = os.pipe()
    hear_launcher, tell_child = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    child = os.fork()
    if child == 0:
        os.close(hear_child)
        os.close(tell_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Tether(hear_launcher, tell_launcher)
    os.close(hear_launcher)
    os.close(tell_launcher)
    launcher = _Launcher(child, hear_child, tell_child, restore)
    return launcher.wait(before)


class _Launcher:
    """The parent's side of `split`."""

    def __init__(self, child: int, hearing: int, telling: int, restore: bytes) -> None:
        self._child = child
        self._hearing = hearing
        self._telling = telling
        self._restore = restore
        self._run = ""
        self._rest = b""
        self._was_continued = False
        self._attributes: list[Any] | None = None
        with contextlib.suppress(termios.error, OSError):
            self._attributes = termios.tcgetattr(0)

    def wait(self, mask: set[Any]) -> int:
        """Stay until the child has ended or is let go; the exit status for the shell."""
        bell, ring = os.pipe()
        for descriptor in (bell, ring):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGCONT, self._on_continue)
        for number in FORWARDED:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while True:
            watched = [bell] if self._hearing < 0 else [bell, self._hearing]
            ready = select.select(watched, [], [])[0]
            if bell in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(bell, _CHUNK)
            if self._hearing in ready and self._hear():
                output_stream().line(self._farewell())
                return 0
            pid, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                # Who stops the training stops the job, and the shell shows it; a stop from before
                # the job was continued is over.
                if self._was_continued or self._stop():
                    os.kill(self._child, signal.SIGCONT)
            elif pid:
                # It may have let go as the last thing it did.
                if self._can_hear() and self._hear():
                    output_stream().line(self._farewell())
                    return 0
                return self._end(os.waitstatus_to_exitcode(status))
            self._was_continued = False

    def _forward(self, number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def _on_continue(self, number: int, frame: object) -> None:
        self._was_continued = True

    def _can_hear(self) -> bool:
        return self._hearing >= 0 and bool(select.select([self._hearing], [], [], 0)[0])

    def _hear(self) -> bool:
        """Do what the child asks for; True when it lets go."""
        data = os.read(self._hearing, _CHUNK)
        if not data:
            os.close(self._hearing)
            self._hearing = -1
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").partition(" ")
            if word == "detach":
                return True
            if word == "run":
                self._run = clean(rest, 200)
            elif word == "stop":
                self._stop()
                with contextlib.suppress(OSError):
                    os.write(self._telling, b"back\n")
        return False

    def _stop(self) -> bool:
        """Stop as by the terminal's own key; False where no shell would ever continue it."""
        self._was_continued = False
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if os.getpgrp() == os.getpid():
            os.kill(os.getpid(), signal.SIGTSTP)
        else:
            # A script between it and the shell with job control must stop as well.
            os.killpg(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._forward)
        return self._was_continued

    def _end(self, code: int) -> int:
        if code >= 0:
            return code
        number = -code
        if number not in _ENDINGS:
            self._restore_terminal()
            name = signal.Signals(number).name
            why = ": out of memory?" if number == signal.SIGKILL else ""
            back = f"; tui-trainer resume {self._run} goes on with it" if self._run else ""
            error_stream().line(f"tui-trainer: killed by {name}{why}{back}")
        return 128 + number

    def _restore_terminal(self) -> None:
        """What the child cannot do any more; never from the background."""
        with contextlib.suppress(OSError, termios.error):
            if os.tcgetpgrp(0) == os.getpgrp() and self._attributes is not None:
                termios.tcsetattr(0, termios.TCSANOW, self._attributes)
                os.write(1, self._restore)

    def _farewell(self) -> str:
        name = self._run or "the run"
        return f"{name} trains on without a terminal; tui-trainer attach{self._named} comes back"

    @property
    def _named(self) -> str:
        return f" {self._run}" if self._run else ""
