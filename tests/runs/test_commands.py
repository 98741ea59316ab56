"""Commands travel as plain data, and what is none is refused with a reason."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui_trainer.runs.bounds import MOST_WHOLE
from tui_trainer.runs.commands import (
    COMMANDS,
    Command,
    Pause,
    Resume,
    Save,
    Set,
    Stop,
    Validate,
    from_dict,
    name_of,
    new_id,
    to_dict,
)
from tui_trainer.text.errors import BadInput

ALL = [
    Pause(),
    Pause(offload=True, origin="ctl"),
    Resume(),
    Stop(),
    Stop(save=False, signal=15),
    Save(id="ab"),
    Validate(),
    Set(key="optimizer.lr", value=3e-4),
    Set(key="a", value=None),
    Set(key="a", value=True),
    Set(key="a", value="ü\x1b"),
    Set(key="a", value=-7),
]


@pytest.mark.parametrize("command", ALL, ids=name_of)
def test_a_command_survives_the_way_through_json(command: Command) -> None:
    plain = json.loads(json.dumps(to_dict(command)))

    assert from_dict(plain) == command
    assert type(from_dict(plain)) is type(command)
    assert plain["command"] == name_of(command)


def test_every_command_has_a_word_and_is_tried_here() -> None:
    # By name, because a class with slots is made twice.
    names = {kind.__name__ for kind in Command.__subclasses__()}
    assert {type(command).__name__ for command in ALL} == names
    assert {kind.__name__ for kind in COMMANDS.values()} == names
    assert [name_of(kind(**needed(kind))) for kind in COMMANDS.values()] == list(COMMANDS)


def needed(kind: type[Command]) -> dict[str, Any]:
    return {"key": "k", "value": 1} if kind is Set else {}


@given(
    key=st.text(max_size=200),
    value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
)
@example(key="training.max_steps", value=10**400)
def test_every_scalar_can_be_sent(key: str, value: Any) -> None:
    plain = json.loads(json.dumps(to_dict(Set(key=key, value=value))))

    is_long = isinstance(value, str) and len(value) > 200
    if is_long or (type(value) is int and abs(value) >= MOST_WHOLE):
        with pytest.raises(BadInput):
            from_dict(plain)
    else:
        again = from_dict(plain)
        assert isinstance(again, Set)
        assert (again.key, again.value, type(again.value)) == (key, value, type(value))


def test_a_command_may_leave_out_what_has_a_default() -> None:
    command = from_dict({"command": "stop"})

    assert isinstance(command, Stop)
    assert (command.save, command.signal, command.origin) == (True, None, "you")
    assert command.id


def test_ids_are_short_hexadecimal_and_different() -> None:
    made = {new_id() for _ in range(1000)}

    assert len(made) == 1000
    assert all(0 < len(each) <= 64 and set(each) <= set("0123456789abcdef") for each in made)
    assert len({Pause().id for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ([], "a mapping"),
        (None, "a mapping"),
        ("stop", "a mapping"),
        ({}, "no command None"),
        ({"command": "puase"}, "did you mean 'pause'"),
        ({"command": "explode"}, "available: pause, resume, stop, save, validate, set"),
        ({"command": 3}, "no command 3"),
        ({"command": "pause", "offlaod": True}, "unknown key 'offlaod'"),
        ({"command": "pause", "key": "x"}, "unknown key 'key'"),
        ({"command": "pause", "offload": 1}, "offload cannot be 1"),
        ({"command": "stop", "save": "no"}, "save cannot be 'no'"),
        ({"command": "stop", "signal": "TERM"}, "signal cannot be 'TERM'"),
        ({"command": "stop", "signal": True}, "signal cannot be True"),
        ({"command": "stop", "signal": 0}, "signal cannot be 0"),
        ({"command": "stop", "signal": 65}, "signal cannot be 65"),
        ({"command": "set", "key": "k", "value": [1]}, "value cannot be"),
        ({"command": "set", "key": None, "value": 1}, "key cannot be None"),
        ({"command": "set", "key": "k" * 201, "value": 1}, "key cannot be"),
        ({"command": "set", "value": 1}, "key"),
        ({"command": "set", "key": "k"}, "value"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(plain: object, reason: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_dict(plain)

    assert reason in str(caught.value)


def test_the_reason_is_short_however_long_the_input() -> None:
    for plain in (
        {"command": "x" * 100_000},
        {"command": "pause", "y" * 100_000: 1},
        {"command": "set", "key": "k", "value": ["z" * 100_000]},
    ):
        with pytest.raises(BadInput) as caught:
            from_dict(plain)
        assert len(str(caught.value)) < 400


def test_commands_cannot_be_changed_once_sent() -> None:
    for command in ALL:
        for item in fields(command):
            with pytest.raises(AttributeError):
                setattr(command, item.name, "other")


def test_a_flag_gives_a_field_another_value_than_it_has_anyway() -> None:
    flags = [(kind, flag) for kind in COMMANDS.values() for flag in kind.flags]
    for kind, flag in flags:
        needed: dict[str, Any] = {"key": "optimizer.lr", "value": 0.1} if kind is Set else {}
        values: dict[str, Any] = {**needed, flag.field: flag.value}
        assert getattr(kind(**values), flag.field) is not getattr(kind(**needed), flag.field)
    assert len({flag.name for _, flag in flags}) == len(flags)
