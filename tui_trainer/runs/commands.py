"""The commands to a run: one vocabulary for keys, signals, `ctl` and files.

Layer: runs. A command is data with an id; the loop decides when to execute it. `tui-trainer ctl`,
and what the app's keys send and show, are built from the classes here.
"""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, get_args, get_type_hints

from tui_trainer.runs.bounds import is_whole
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

# The origin of a command, in the form that events.jsonl keeps: `ctl (alice@box/4711)`.


HERE = "you"
"""The origin of a command within the process that sends it."""


def origin_of(front: str) -> str:
    """Return the origin of this process's commands: front end, user, host and process."""
    try:
        user = clean(getpass.getuser(), 40)
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{front} ({user}@{clean(socket.gethostname(), 60)}/{os.getpid()})"


Scalar = int | float | str | bool | None

_SHORT = 200
"""The longest text in a command that is read from a file."""
_SIGNALS = range(1, 65)


def new_id() -> str:
    """Return a random id, which has no order and does not collide."""
    return os.urandom(8).hex()


@dataclass(frozen=True, slots=True)
class Flag:
    """An option `--NAME` of `tui-trainer ctl` that sets one field of a command."""

    name: str
    help: str
    field: str
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The base of all commands: an origin, and an id to acknowledge.

    The fields of a command are scalars; `from_dict` checks them by their annotations.
    """

    word: ClassVar[str]
    """Its name in files, on the command line, and in the action that a key takes, `run.WORD`."""
    help: ClassVar[str]
    """Its help, one line of `tui-trainer ctl --help`."""
    flags: ClassVar[tuple[Flag, ...]] = ()

    origin: str = HERE
    id: str = field(default_factory=new_id)

    @property
    def request(self) -> str:
        """The words for the request in the app's log."""
        return self.word


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Command):
    """Save at the next step border and wait; `offload` frees the device's memory meanwhile."""

    word = "pause"
    help = "save and wait"
    flags = (Flag("offload", "free the GPU memory", "offload", True),)

    offload: bool = False

    @property
    def request(self) -> str:
        return "pause, freeing the device's memory" if self.offload else "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Command):
    """Continue after a pause."""

    word = "resume"
    help = "continue after a pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Command):
    """End at the next step border; without `save`, work since the last checkpoint is lost.

    `signal` is the number of the signal that asked for it, which decides the exit status.
    """

    word = "stop"
    help = "save and end"
    flags = (Flag("discard", "without saving", "save", False),)

    save: bool = True
    signal: int | None = field(default=None, metadata={"range": _SIGNALS})

    @property
    def request(self) -> str:
        return "stop, saving" if self.save else "stop without saving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Save(Command):
    """Write a checkpoint at the next step border."""

    word = "save"
    help = "write a checkpoint now"

    @property
    def request(self) -> str:
        return "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate(Command):
    """Validate now; affects neither early stopping nor the best."""

    word = "validate"
    help = "validate now; the best and early stopping ignore it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Command):
    """Edit one live setting, from the next step on.

    A run refuses an edit that would end it at once, unless `force` is set.
    """

    word = "set"
    help = "change live settings, as in: set optimizer.lr=3e-4"
    flags = (Flag("force", "even if it ends the run at once", "force", True),)

    key: str
    value: Scalar
    force: bool = field(default=False, metadata={"left_out_if": False})

    @property
    def request(self) -> str:
        # Inside, because it loads pydantic, and commands are loaded before the first paint.
        from tui_trainer.runs.describe import value_text

        return f"{self.key} = {value_text(self.value)}"


COMMANDS: dict[str, type[Command]] = {
    kind.word: kind for kind in (Pause, Resume, Stop, Save, Validate, Set)
}


def name_of(command: Command) -> str:
    """Return the word for a command in files and on the command line."""
    return command.word


def to_dict(command: Command) -> dict[str, Any]:
    """Return plain data for a file: `command` and the command's fields.

    A field that older versions refuse to read is left out while it has its old meaning.
    """
    values = {
        item.name: value
        for item in fields(command)
        if (value := getattr(command, item.name)) != item.metadata.get("left_out_if", _NOTHING)
    }
    return {"command": name_of(command), **values}


_NOTHING = object()


def _types_of(kind: type[Command]) -> dict[str, tuple[type, ...]]:
    """Return the types that each field of a command may have, according to its annotation."""
    hints = get_type_hints(kind)
    return {item.name: get_args(hints[item.name]) or (hints[item.name],) for item in fields(kind)}


_TYPES = {kind: _types_of(kind) for kind in COMMANDS.values()}


def from_dict(data: object) -> Command:
    """Return the command in a file, which may hold anything; BadInput says what is wrong."""
    if not isinstance(data, dict):
        raise BadInput("a command is a mapping with the key 'command'")
    name = data.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        known = ", ".join(COMMANDS)
        hint = suggest(name, COMMANDS) if isinstance(name, str) else ""
        raise BadInput(f"no command {name!r:.{_SHORT}}{hint}; available: {known}")
    kind = COMMANDS[name]
    known_fields = {item.name: item for item in fields(kind)}
    values = {key: value for key, value in data.items() if key != "command"}
    for key, value in values.items():
        if key not in known_fields:
            raise BadInput(f"command {name}: unknown key {key!r:.{_SHORT}}")
        if not _fits(known_fields[key], _TYPES[kind][key], value):
            raise BadInput(f"command {name}: {key} cannot be {value!r:.{_SHORT}}")
    try:
        return kind(**values)
    except TypeError as error:
        raise BadInput(f"command {name}: {error}") from error


def _fits(item: Field[Any], types: tuple[type, ...], value: object) -> bool:
    """Whether a field may have this value: its type, its range and its size fit."""
    # To Python a bool is an int; to us it is not a number.
    if isinstance(value, bool):
        return bool in types
    if not isinstance(value, types):
        return False
    if isinstance(value, int):
        return is_whole(value) and value in item.metadata.get("range", (value,))
    return not (isinstance(value, str) and len(value) > _SHORT)
