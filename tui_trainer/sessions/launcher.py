"""The launcher: a thin process that the shell waits for, while its child has the app and the run.

Layer: sessions. It forks before anything heavy is imported, and it never trains; so it can give the
shell back while the child continues. The child is not a process group leader, so it may leave the
session.
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
from tui_trainer.text.errors import TrainerError
from tui_trainer.text.shell import program_line

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
)
"""Signals to the launcher that are meant for the run: its id may be the only one known."""
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHUNK = 2**12


class Tether:
    """The child's end: talks to the launcher, and notices when it dies."""

    def __init__(self, reading: int, writing: int) -> None:
        self.fileno = reading
        """Readable when the launcher has said something or has died; -1 once closed."""
        self._writing = writing
        self.lost = False
        """Whether the launcher was killed; nothing restores the terminal or waits for us then."""
        self.stopping = False
        """Whether the launcher was asked to stop itself and has not come back yet."""

    def name_run(self, reference: str) -> None:
        """Send what commands call the run, for messages on the shell."""
        self._tell(f"run {clean(reference, 4000)}")

    def stop_launcher(self) -> None:
        """Stop the launcher, so that the shell sees a stopped job; this process continues."""
        self.stopping = True
        self._tell("stop")

    def let_go(self) -> None:
        """Give the shell back for good: the launcher says how to come back, and exits with 0."""
        self._tell("detach")
        self.close()

    def close(self) -> None:
        """Close the connection; a launcher that is alive still waits for the exit status."""
        for descriptor in (self.fileno, self._writing):
            if descriptor >= 0:
                os.close(descriptor)
        self.fileno = self._writing = -1

    def hear(self) -> None:
        """Take the launcher's message if there is one; does not block."""
        if self.fileno < 0 or not select.select([self.fileno], [], [], 0)[0]:
            return
        if os.read(self.fileno, _CHUNK):
            self.stopping = False
        else:
            self.lost = True
            self.close()

    def _tell(self, line: str) -> None:
        # `hear` notices a launcher that has died.
        with contextlib.suppress(OSError):
            os.write(self._writing, f"{line}\n".encode())


def split(restore: bytes) -> Tether | int:
    """Fork. Returns a tether in the child, and the child's exit status in the launcher at the end.

    `restore` is written to the terminal if the child is killed. To be called while this process has
    only one thread.
    """
    hear_child, tell_launcher = os.pipe()
    hear_launcher, tell_child = os.pipe()
    # Blocked until the launcher has its handlers: a signal in between would kill it, and the child
    # would run on unseen.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    # Buffered text would otherwise be written by both processes.
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
    """The parent's end of `split`."""

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
        """Wait until the child has ended or lets go; returns the exit status for the shell."""
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
                # A stop of the training stops the whole job, so that the shell shows it. A stop
                # from before the job was continued no longer counts.
                if self._was_continued or self._stop():
                    os.kill(self._child, signal.SIGCONT)
            elif pid:
                # Letting go may have been the last thing it did.
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
        """Do what the child asks for; True if it lets go."""
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
                self._run = clean(rest, 4000)
            elif word == "stop":
                self._stop()
                with contextlib.suppress(OSError):
                    os.write(self._telling, b"back\n")
        return False

    def _stop(self) -> bool:
        """Stop as on ctrl+z; False if nothing stopped us, as there is no shell to continue us."""
        self._was_continued = False
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if os.getpgrp() == os.getpid():
            os.kill(os.getpid(), signal.SIGTSTP)
        else:
            # A script between this process and the shell with job control must stop as well.
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
            back = f"; {self._way_on()}" if self._run else ""
            error_stream().line(f"tui-trainer: killed by {name}{why}{back}")
        return 128 + number

    def _way_on(self) -> str:
        """Return the command that goes on with the run of the dead child, and what it does."""
        # Imported only now, so that a launcher that waits stays small.
        from tui_trainer.runs.directory import default_runs_dir
        from tui_trainer.runs.lookup import find_run
        from tui_trainer.runs.outcome import way_on
        from tui_trainer.runs.status import read_status

        with contextlib.suppress(TrainerError):
            run = find_run(self._run, default_runs_dir())
            if (view := read_status(run.status)) is not None:
                return way_on(run, view, "crashed")
        return f"{self._command('resume')} continues it"

    def _restore_terminal(self) -> None:
        """Restore the terminal in place of the child; never from the background."""
        with contextlib.suppress(OSError, termios.error):
            if os.tcgetpgrp(0) == os.getpgrp() and self._attributes is not None:
                termios.tcsetattr(0, termios.TCSANOW, self._attributes)
                os.write(1, self._restore)

    def _farewell(self) -> str:
        name = os.path.basename(self._run) or "the run"
        return f"{name} keeps training without a terminal; {self._command('attach')} reopens it"

    def _command(self, what: str) -> str:
        return program_line(what, *([self._run] if self._run else []))
