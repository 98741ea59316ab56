"""The mailbox: commands as files in the run's control/ folder.

Layer: runs. A file that is not ours, too large or not a command is moved aside and reported, never
executed. Files appear by a rename, so that a half-written one is never seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tui_trainer.runs.commands import Command, from_dict, new_id, to_dict
from tui_trainer.runs.directory import REJECTED, RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import CommandAccepted, CommandApplied
from tui_trainer.runs.files import cannot_write, write_atomically
from tui_trainer.runs.folder import Folder, UnsafeFile, open_folder
from tui_trainer.runs.journal import read_records
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

Answer = TypeVar("Answer", CommandAccepted, CommandApplied)

MOST_BYTES = 64 * 1024
_NAME = re.compile(r"\d{8,20}-[0-9a-f]{1,64}\.json")
MOST_REJECTED = 100
"""The most files kept of those moved aside, the newest ones; events.jsonl names them all."""
MOST_A_LOOK = 1000
"""The most files taken at a time; the rest waits, so that a flood neither blocks nor fills
anything."""
_ASIDE = re.compile(r"[0-9a-f]{16}-")
"""The beginning of the names that files are given when they are moved aside."""
_LAST = 10**20 - 1


@dataclass(slots=True)
class Mail:
    """The contents of the mailbox: commands, and messages about rejected files."""

    commands: list[Command] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)


class Mailbox:
    """The reading side: takes commands in the order in which they were sent.

    The folder is opened again each time, and everything is done in the folder that was opened. A
    folder that is not ours, or a link, is not touched.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder
        self._told: set[str] = set()

    def take(self) -> Mail:
        """Read and remove the commands; never raises because of what others have put there."""
        mail = Mail()
        with self._opened(mail) as box:
            if box is None:
                return mail
            for name in self._names(box, mail):
                self._take(box, name, mail)
            self._keep_newest(box, mail)
        return mail

    def refresh(self) -> None:
        """Make the file system show files from other hosts, where it caches a folder's names.

        A change of ours makes a network file system ask its server for the names again; otherwise
        that takes up to a minute.
        """
        with contextlib.suppress(OSError), open_folder(self._path, writing=True) as box:
            box.refresh()

    def clear(self) -> list[str]:
        """Discard commands sent to an earlier start of the run; returns what they were.

        To be called once, right after the lock was taken.
        """
        mail = Mail()
        with self._opened(mail) as box:
            if box is None:
                return mail.rejected
            names = _names(box)
            for name in names:
                if len(mail.rejected) < MOST_A_LOOK:
                    self._reject(box, name, "sent to an earlier start of the run", mail)
                # The rest is removed without a report, if it has the name of a command.
                elif _NAME.fullmatch(name):
                    with contextlib.suppress(OSError):
                        box.remove(name)
            if len(names) > MOST_A_LOOK:
                left = len(names) - MOST_A_LOOK
                mail.rejected.append(f"control/: {left:,} more for an earlier start of the run")
            self._keep_newest(box, mail)
        return mail.rejected

    @contextlib.contextmanager
    def _opened(self, mail: Mail) -> Iterator[Folder | None]:
        """Open the folder, or yield None if it cannot be used, which is reported once."""
        box: Folder | None = None
        try:
            box = open_mailbox(self._path)
        except FileNotFoundError:
            # Without the folder the run could not be steered. If the run is gone too, nothing is
            # made.
            with contextlib.suppress(OSError), open_folder(self._path.parent, writing=True) as run:
                run.make(self._path.name, mode=0o700)
        except UnsafeFile as error:
            self._tell("", f"{error.strerror}; no commands are taken from it", mail)
        except OSError:
            pass
        try:
            yield box
        finally:
            if box is not None:
                box.close()

    def _names(self, box: Folder, mail: Mail) -> list[str]:
        """Return the names of finished files in the order of sending, at most `MOST_A_LOOK`."""
        names = _names(box)
        if len(names) > MOST_A_LOOK:
            self._tell("", f"many files are waiting; {MOST_A_LOOK:,} are read at a time", mail)
        return names[:MOST_A_LOOK]

    def _take(self, box: Folder, name: str, mail: Mail) -> None:
        try:
            command = _read(box, name)
        except BadInput as error:
            self._reject(box, name, str(error), mail)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            self._reject(box, name, error.strerror or str(error), mail)
            return
        try:
            box.remove(name)
        except OSError as error:
            # If it were executed now, it would be executed again every time.
            self._tell(name, f"not executed: it cannot be removed ({error.strerror})", mail)
            return
        mail.commands.append(command)

    def _reject(self, box: Folder, name: str, reason: str, mail: Mail) -> None:
        self._tell(name, reason, mail)
        with contextlib.suppress(OSError):
            if box.facts(REJECTED) is None:
                box.make(REJECTED, mode=0o700)
            with box.sub(REJECTED, writing=True) as aside:
                # With an id in front, so that it cannot replace a file of the same name.
                box.rename(name, aside, f"{new_id()}-{name[:150]}")

    def _keep_newest(self, box: Folder, mail: Mail) -> None:
        """Remove the oldest files that were moved aside, by the names they were given then."""
        if not mail.rejected:
            return
        with contextlib.suppress(OSError), box.sub(REJECTED, writing=True) as aside:
            there = []
            for name in filter(_ASIDE.match, aside.names()):
                facts = aside.facts(name)
                if facts is not None and not stat.S_ISDIR(facts.st_mode):
                    there.append((facts.st_ctime_ns, name))
            for _, name in sorted(there)[: max(len(there) - MOST_REJECTED, 0)]:
                with contextlib.suppress(OSError):
                    aside.remove(name)

    def _tell(self, name: str, reason: str, mail: Mail) -> None:
        """Report a file once, even if it cannot be moved away."""
        what = name or reason
        if what not in self._told:
            mail.rejected.append(f"control/{clean(name, 80)}: {clean(reason, 200)}")
            self._told.add(what)


def open_mailbox(path: Path) -> Folder:
    """Open a mailbox, and restrict its rights to the owner, whatever they were.

    Raises:
        UnsafeFile: it is a link or another user's.
        OSError: it does not exist, or cannot be opened.
    """
    box = open_folder(path, writing=True)
    try:
        box.restrict()
    except BaseException:
        box.close()
        raise
    return box


def _names(box: Folder) -> list[str]:
    """Return the names of finished files in the box, in the order of sending."""
    try:
        names = box.names()
    except OSError:
        return []
    ours = [name for name in names if not name.startswith(".") and name != REJECTED]
    # By the length of the number first, so that 100000000 comes after 99999999.
    return sorted(ours, key=lambda name: (len(name.partition("-")[0]), name))


def _read(box: Folder, name: str) -> Command:
    """Read a command from a file; BadInput if it must not be executed."""
    if not _NAME.fullmatch(name):
        raise BadInput("not the name of a command file")
    with box.reader(name) as file:
        # The facts of the open file: a name may be given to another file after a check.
        facts = os.fstat(file.fileno())
        # It may have been put there before the rights of the folder were restricted.
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

    Commands are numbered after those that still wait, not by a clock, which may jump back.

    Raises:
        BadInput: the run would reject it, for example for a text of a thousand characters.
        CannotWrite: the folder takes no file.
    """
    # Checked as the run will check it, so that it is refused here and not there.
    from_dict(to_dict(command))
    try:
        with open_folder(folder, writing=True) as box:
            waiting = [name for name in box.names() if _NAME.fullmatch(name)]
    except OSError as error:
        raise cannot_write(folder, error) from error
    number = 1 + max((int(name.partition("-")[0]) for name in waiting), default=0)
    path = folder / f"{min(number, _LAST):08d}-{new_id()}.json"
    write_atomically(path, json.dumps(to_dict(command)).encode())


def wait_for(
    run: RunDirectory,
    command_id: str,
    kind: type[Answer],
    offset: int,
    timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer | None:
    """Return the event of that kind about that command, or None when the time is over.

    `offset` is a length of events.jsonl from before the command was sent.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(FileNotFoundError):
            for _, record in read_records(run.events, offset):
                event = event_of(record) if record.get("id") == command_id else None
                if isinstance(event, kind):
                    return event
        if time.monotonic() >= until_s:
            return None
        sleep(0.05)
