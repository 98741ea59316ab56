"""A terminal for programs under test: a pty, a screen that understands what Textual writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.cells import cell_len

from tests.integration.processes import LIMIT_S, environment

LOOK_S = 0.05
SHELL_TITLE = "what the shell has set"
KEYS = {"ctrl+c": "\x03", "enter": "\r", "escape": "\x1b", "tab": "\t", "down": "\x1b[B"}
MODES = {25: "cursor", 1000: "mouse", 1003: "mouse moves", 1004: "focus", 1006: "mouse cells"} | {
    1015: "mouse codes",
    1016: "mouse pixels",
    1049: "alternate screen",
    2004: "paste",
    2026: "frame",
    2048: "sizes",
    7: "wrap",
}
# Takes the pty as its controlling terminal, as a shell does, and becomes the program.
START = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
_TOKEN = re.compile(
    r"\x1b\[(?P<private>[<>=?]?)(?P<numbers>[\d;]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b\](?P<title>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|(?P<char>[^\x1b])"
)


class Screen:
    """Cells, modes, and the sequences it does not know."""

    def __init__(self, width: int, height: int) -> None:
        self.modes = {"cursor": True, "wrap": True}
        self.keyboards = 0
        self.title = SHELL_TITLE
        self._titles: list[str] = []
        self.unknown: list[str] = []
        self._below: list[list[str]] = []
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Change the size; as all programs here paint anew, what was there is forgotten."""
        self.width, self.height = width, height
        self._rows = [[" "] * width for _ in range(height)]
        self._x = self._y = 0

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self._rows)

    def feed(self, text: str) -> str:
        """Take text; returns what is the beginning of a sequence that goes on later."""
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                if len(text) - at < 64:
                    return text[at:]
                self.unknown.append(text[at : at + 8])
                at += 1
                continue
            at = found.end()
            if found["char"]:
                self._put(found["char"])
            elif found["title"] is not None:
                kind, _, text_of_it = found["title"].partition(";")
                self.title = text_of_it if kind == "2" else self.title
            elif found["final"]:
                self._control(found["private"], found["numbers"], found["final"])
        return ""

    def _put(self, char: str) -> None:
        if char == "\r":
            self._x = 0
        elif char == "\n":
            self._y = min(self._y + 1, self.height - 1)
        elif char in "\x07\x08\x0f":
            return
        else:
            if self._x >= self.width and self.modes["wrap"]:
                self._x, self._y = 0, min(self._y + 1, self.height - 1)
            if self._y < self.height and self._x < self.width:
                self._rows[self._y][self._x] = char
            width = cell_len(char)
            for x in range(self._x + 1, min(self._x + width, self.width)):
                self._rows[self._y][x] = ""
            self._x += width

    def _switch(self, to_alternate: bool) -> None:
        """What was there before the app is there again after it."""
        if to_alternate and not self.modes.get("alternate screen"):
            self._below = self._rows
            self.resize(self.width, self.height)
        elif not to_alternate and self.modes.get("alternate screen"):
            self.resize(self.width, self.height)
            for row, old in zip(self._rows, self._below, strict=False):
                row[: len(old)] = old[: self.width]

    def _control(self, private: str, numbers: str, final: str) -> None:
        values = [int(number or 0) for number in numbers.split(";")]
        if private == "?" and final in "hl":
            for value in values:
                if value == 1049:
                    self._switch(final == "h")
                if value in MODES:
                    self.modes[MODES[value]] = final == "h"
                else:
                    self.unknown.append(f"CSI ?{value}{final}")
        elif private in "<>" and private and final == "u":
            self.keyboards += 1 if private == ">" else -1
        elif private == "" and final == "H":
            row, column = (*values, 1)[:2]
            self._y, self._x = max(row, 1) - 1, max(column, 1) - 1
        elif final == "t" and values == [22, 2]:
            self._titles.append(self.title)
        elif final == "t" and values == [23, 2] and self._titles:
            self.title = self._titles.pop()
        elif private == "" and final == "J":
            self.resize(self.width, self.height)
        elif final not in "mptKqn":
            self.unknown.append(f"CSI {private}{numbers}{final}")


class TerminalProcess:
    """A program in a pty of its own; a thread reads all it writes, unless it is stalled."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        size: tuple[int, int] = (80, 24),
        folder: Path | None = None,
    ) -> None:
        self.master, self._slave = pty.openpty()
        self.screen = Screen(*size)
        self._set_size(*size)
        self.attributes: list[Any] = termios.tcgetattr(self._slave)
        self.started_s = time.monotonic()
        self.mark = f"TERMINAL_UNDER_TEST={uuid.uuid4().hex}"
        """In the environment of every process that comes from here."""
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", START, *argv],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**env, **dict([self.mark.split("=")])},
            cwd=folder,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.received = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        """When how many bytes came."""
        self._reading = True
        self._stalled = threading.Event()
        self._closed = False
        self._changed = threading.Condition()
        self._wake, self._waker = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest = ""
        partial = b""
        while not self._closed:
            watched = [self._wake] + ([self.master] if self._reading else [])
            if not self._reading:
                self._stalled.set()
            ready = select.select(watched, [], [])[0]
            if self._wake in ready:
                os.read(self._wake, 100)
            if self.master not in ready:
                continue
            try:
                data = os.read(self.master, 2**16)
            except OSError:
                return
            with self._changed:
                self.arrivals.append((time.monotonic(), len(data)))
                self.received += data
                partial += data
                text = partial.decode("utf-8", "ignore")
                # A character whose other bytes have not come yet.
                cut = next((n for n in (1, 2, 3) if _is_cut(partial, n)), 0)
                text = partial[: len(partial) - cut].decode("utf-8", "replace")
                partial = partial[len(partial) - cut :]
                rest = self.screen.feed(rest + text)
                self._changed.notify_all()

    def stall(self) -> None:
        """Read nothing more: what the program writes fills the pty."""
        self._stalled.clear()
        self._reading = False
        os.write(self._waker, b".")
        assert self._stalled.wait(LIMIT_S)

    def go_on(self) -> None:
        """Read again."""
        self._reading = True
        os.write(self._waker, b".")

    def close(self) -> None:
        """Close the terminal's own side, as a window that is closed."""
        if not self._closed:
            self._closed = True
            os.write(self._waker, b".")
            self._reader.join(LIMIT_S)
            os.close(self.master)

    def resize(self, width: int, height: int) -> None:
        with self._changed:
            self.screen.resize(width, height)
            self._set_size(width, height)

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def press(self, *keys: str) -> None:
        """Send keys by name, or text."""
        for key in keys:
            os.write(self.master, KEYS.get(key, key).encode())

    def until(self, wanted: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Wait until something holds of the screen, the process or the file system."""
        until_s = time.monotonic() + limit_s
        while not wanted():
            assert time.monotonic() < until_s, f"waited in vain; the screen:\n{self.screen.text}"
            with self._changed:
                self._changed.wait(LOOK_S)

    def until_text(self, *texts: str, limit_s: float = LIMIT_S) -> None:
        self.until(lambda: all(text in self.screen.text for text in texts), limit_s)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the end; the exit status as a shell has it."""
        code = self._process.wait(limit_s)
        if not self._closed and self._reading:
            self._drain()
        return code if code >= 0 else 128 - code

    def _drain(self) -> None:
        """Let the reader take what the program wrote last."""
        self.until(lambda: not select.select([self.master], [], [], 0)[0])

    def end(self) -> None:
        for one in self.own():
            with contextlib.suppress(psutil.Error):
                one.kill()
        self._process.wait()
        self.close()
        for descriptor in (self._slave, self._wake, self._waker):
            os.close(descriptor)

    def own(self) -> list[psutil.Process]:
        """What still runs of all that was started, whoever its parent is by now."""
        return [one for one in psutil.process_iter() if _is_marked(one, self.mark)]

    def assert_restored(self) -> None:
        """The terminal is as it was: modes, keyboard, line discipline."""
        on = {name for name, is_on in self.screen.modes.items() if is_on}
        assert on == {"cursor", "wrap"}
        assert self.screen.keyboards == 0
        assert self.screen.title == SHELL_TITLE
        assert termios.tcgetattr(self._slave) == self.attributes


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes()
    except OSError:
        return False


def _is_cut(data: bytes, count: int) -> bool:
    """Whether the last `count` bytes begin a character of more bytes."""
    if len(data) < count:
        return False
    lengths = {0b110: 2, 0b1110: 3, 0b11110: 4}
    first = data[-count]
    length = next((n for bits, n in lengths.items() if first >> (7 - n) == bits), 1)
    return length > count


@contextmanager
def opened(
    folder: Path,
    *words: str,
    size: tuple[int, int] = (80, 24),
    env: Mapping[str, str] | None = None,
) -> Iterator[TerminalProcess]:
    """`tui-trainer ...` in a terminal."""
    with program(folder, "-m", "tui_trainer", *words, size=size, env=env) as process:
        yield process


@contextmanager
def program(
    folder: Path,
    *words: str,
    size: tuple[int, int] = (80, 24),
    env: Mapping[str, str] | None = None,
) -> Iterator[TerminalProcess]:
    """A Python program in a terminal, killed at the end if it still runs."""
    own = {**environment(folder), "TERM": "xterm-256color", **(env or {})}
    own.setdefault("XDG_CONFIG_HOME", str(folder / "config"))
    process = TerminalProcess([sys.executable, *words], own, size, folder)
    try:
        yield process
    finally:
        process.end()
