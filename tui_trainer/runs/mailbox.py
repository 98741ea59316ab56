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
from tui_trainer.runs.atomic import write_atomically
from tui_trainer.runs.commands import Command, from_dict, to_dict
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.journal import read_records

MOST_BYTES = 64 * 1024
_NAME = re.compile(r"\d{20}-[0-9a-f]{1,64}\.json")


@dataclass(slots=True)
class Mail:
    """What was in the box."""

    commands: list[Command] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)


class Mailbox:
    """The reading side: takes what has come, in the order in which it was sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self) -> Mail:
        """Read and remove the commands; never raises for what somebody else put there."""
        mail = Mail()
        try:
            names = sorted(entry for entry in os.listdir(self._folder) if entry.endswith(".json"))
        except OSError:
            return mail
        for name in names:
            if name.startswith("."):
                continue
            path = self._folder / name
            try:
                mail.commands.append(_read(path))
                path.unlink()
            except BadInput as error:
                self._reject(path)
                mail.rejected.append(f"control/{clean(name, 80)}: {clean(str(error), 200)}")
            except OSError:
                continue
        return mail

    def _reject(self, path: Path) -> None:
        aside = self._folder / "rejected"
        with contextlib.suppress(OSError):
            aside.mkdir(exist_ok=True)
            os.replace(path, aside / path.name)


def _read(path: Path) -> Command:
    """A command from a file; BadInput when it must not be obeyed."""
    if not _NAME.fullmatch(path.name):
        raise BadInput("not the name of a command file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput("not a file")
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
    """Put a command into a mailbox; raises CannotWrite."""
    name = f"{time.time_ns():020d}-{command.id}.json"
    write_atomically(folder / name, json.dumps(to_dict(command)).encode())


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
