"""The commands a run obeys: the one vocabulary of keys, signals, `ctl` and files.

Layer: runs. A command is data with an id; who carries it out, and when, is the loop's business.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from tui_trainer.runs.bounds import is_whole
from tui_trainer.runs.origin import HERE
from tui_trainer.text.clean import suggest
from tui_trainer.text.errors import BadInput

Scalar = int | float | str | bool | None


def new_id() -> str:
    """An id that sorts nowhere and collides with nothing."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every command has: who sent it, and an id to acknowledge."""

    origin: str = HERE
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Command):
    """Save at the next step border and wait; `offload` gives the device's memory back meanwhile."""

    offload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Command):
    """Go on after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Command):
    """End at the next step border; without `save`, what came after the last checkpoint is lost.

    `signal` is the number of the signal that asked for it, which decides the exit status.
    """

    save: bool = True
    signal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Save(Command):
    """Write a checkpoint at the next step border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate(Command):
    """Validate now; feeds neither early stopping nor the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Command):
    """Edit one live setting, from the next step on."""

    key: str
    value: Scalar


COMMANDS: dict[str, type[Command]] = {
    "pause": Pause,
    "resume": Resume,
    "stop": Stop,
    "save": Save,
    "validate": Validate,
    "set": Set,
}

_NAMES = {kind: name for name, kind in COMMANDS.items()}


def name_of(command: Command) -> str:
    """The word for a command in files and on the command line."""
    return _NAMES[type(command)]


def to_dict(command: Command) -> dict[str, Any]:
    """Plain data for a file: `command` and the command's fields."""
    fields = {key: getattr(command, key) for key in command.__dataclass_fields__}
    return {"command": name_of(command), **fields}


_SHORT = 200
_MOST_SIGNAL = 64
_TYPES: dict[str, tuple[type, ...]] = {
    "origin": (str,),
    "id": (str,),
    "offload": (bool,),
    "save": (bool,),
    "signal": (int, type(None)),
    "key": (str,),
    "value": (int, float, str, bool, type(None)),
}


def from_dict(data: object) -> Command:
    """A command from a file that anybody may have written; BadInput says what is wrong with it."""
    if not isinstance(data, dict):
        raise BadInput("a command is a mapping with the key 'command'")
    name = data.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        known = ", ".join(COMMANDS)
        hint = suggest(name, COMMANDS) if isinstance(name, str) else ""
        raise BadInput(f"no command {name!r:.{_SHORT}}{hint}; there are: {known}")
    kind = COMMANDS[name]
    fields = {key: value for key, value in data.items() if key != "command"}
    for key, value in fields.items():
        if key not in kind.__dataclass_fields__:
            raise BadInput(f"command {name}: unknown key {key!r:.{_SHORT}}")
        if not _fits(key, value):
            raise BadInput(f"command {name}: {key} cannot be {value!r:.{_SHORT}}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise BadInput(f"command {name}: {error}") from error


def _fits(key: str, value: object) -> bool:
    """Whether a field may have this value; True is no number, and a signal is one that exists."""
    kinds = _TYPES[key]
    if isinstance(value, bool):
        return bool in kinds
    if key == "signal" and isinstance(value, int):
        return 0 < value <= _MOST_SIGNAL
    if isinstance(value, int) and not is_whole(value):
        return False
    return isinstance(value, kinds) and not (isinstance(value, str) and len(value) > _SHORT)
