"""The mailbox: commands as files in the run's control/ folder.

Layer: runs. A file that is not ours, too large or not a command is moved aside and reported, never
obeyed. Files appear by a rename, so that a half-written one is never seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_trainer.config.errors import BadInput
from tui_trainer.config.text import clean
from tui_trainer.runs.atomic import cannot_write, write_atomically
from tui_trainer.runs.commands import Command, from_dict, new_id, to_dict
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.journal import read_records

MOST_BYTES = 64 * 1024
_NAME = re.compile(r"\d{8,20}-[0-9a-f]{1,64}\.json")
_REJECTED = "rejected"
MOST_REJECTED = 100
"""Of files that were moved aside the newest are kept; events.jsonl names them all."""
_LAST = 10**20 - 1


@dataclass(slots=True)
class Mail:
    """What was in the box."""

    commands: list[Command] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)


class Mailbox:
    """The reading side: takes what has come, in the order in which it was sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: set[str] = set()

    def take(self) -> Mail:
        """Read and remove the commands; never raises for what somebody else put there."""
        mail = Mail()
        for name in self._names():
            path = self._folder / name
            try:
                command = _read(path)
            except BadInput as error:
                self._reject(path, str(error), mail)
                continue
            except FileNotFoundError:
                continue
            except OSError as error:
                self._reject(path, error.strerror or str(error), mail)
                continue
            try:
                path.unlink()
            except OSError as error:
                # Obeyed now, it would be obeyed again at every look.
                self._tell(name, f"not obeyed: it cannot be removed ({error.strerror})", mail)
                continue
            mail.commands.append(command)
        self._keep_newest(mail)
        return mail

    def refresh(self) -> None:
        """See what others have sent, where the file system keeps a folder's names for a while.

        A change of our own makes a network file system ask its server for them again; by itself
        it does so after up to a minute.
        """
        with contextlib.suppress(OSError):
            os.utime(self._folder)

    def clear(self) -> list[str]:
        """Throw away what was sent to an earlier life of the run; says what it was.

        To be called once, right after the lock was taken.
        """
        mail = Mail()
        for name in self._names():
            self._reject(self._folder / name, "sent to an earlier life of the run", mail)
        self._keep_newest(mail)
        return mail.rejected

    def _names(self) -> list[str]:
        """What lies in the box, in the order of sending, without what is still being written."""
        try:
            found = os.listdir(self._folder)
        except FileNotFoundError:
            # Without it nobody could steer the run; where the run is gone too, nothing is made.
            with contextlib.suppress(OSError):
                os.mkdir(self._folder, mode=0o700)
            return []
        except OSError:
            return []
        names = [name for name in found if not name.startswith(".") and name != _REJECTED]
        return sorted(names, key=lambda name: (len(name.partition("-")[0]), name))

    def _reject(self, path: Path, reason: str, mail: Mail) -> None:
        aside = self._folder / _REJECTED
        self._tell(path.name, reason, mail)
        with contextlib.suppress(OSError):
            aside.mkdir(mode=0o700, exist_ok=True)
            os.rename(path, aside / f"{new_id()}-{path.name[:150]}")

    def _keep_newest(self, mail: Mail) -> None:
        """Remove what was moved aside long ago; no folder, and nothing that a link leads to."""
        if not mail.rejected:
            return
        with contextlib.suppress(OSError), os.scandir(self._folder / _REJECTED) as found:
            there = [(one.stat(follow_symlinks=False).st_ctime_ns, one.path) for one in found]
            for _, path in sorted(there)[: max(len(there) - MOST_REJECTED, 0)]:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _tell(self, name: str, reason: str, mail: Mail) -> None:
        """Report a file once, also when it cannot be moved away."""
        if name not in self._told:
            mail.rejected.append(f"control/{clean(name, 80)}: {clean(reason, 200)}")
            self._told.add(name)


def _read(path: Path) -> Command:
    """A command from a file; BadInput when it must not be obeyed."""
    if not _NAME.fullmatch(path.name):
        raise BadInput("not the name of a command file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise BadInput("not a file")
    with os.fdopen(descriptor, "rb") as file:
        if facts.st_uid != os.getuid():
            raise BadInput("it belongs to another user")
        if facts.st_size > MOST_BYTES:
            raise BadInput(f"{facts.st_size:,} bytes are too many for a command")
        data = file.read(MOST_BYTES)
    try:
        return from_dict(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON: {error}") from error


def send(folder: Path, command: Command) -> None:
    """Put a command into a mailbox.

    Commands are numbered after those that still wait, and not by a clock, which may jump back.

    Raises:
        BadInput: it is none that would be obeyed, as with a text of a thousand letters.
        CannotWrite: the folder takes no file.
    """
    from_dict(to_dict(command))
    try:
        waiting = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]
    except OSError as error:
        raise cannot_write(folder, error) from error
    number = 1 + max((int(name.partition("-")[0]) for name in waiting), default=0)
    path = folder / f"{min(number, _LAST):08d}-{new_id()}.json"
    write_atomically(path, json.dumps(to_dict(command)).encode())


def wait_for(
    run: RunDirectory,
    command_id: str,
    event: str,
    offset: int,
    timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """The event of that name about that command, or None when the time is over.

    `offset` is a length of events.jsonl before the command was sent.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        if run.events.exists():
            for _, record in read_records(run.events, offset):
                if record.get("id") == command_id and record.get("event") == event:
                    return record
        if time.monotonic() >= until_s:
            return None
        sleep(0.05)
