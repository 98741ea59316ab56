"""The signs and colours of states."""

from __future__ import annotations

from typing import get_args

from tui_trainer.runs.events import RunState
from tui_trainer.runs.index import STATES
from tui_trainer.runs.states import sign_in, sign_of
from tui_trainer.ui.terminal.ascii import in_plain_letters


def test_a_state_of_which_too_little_is_known_is_a_question() -> None:
    unknown = [state for state in STATES if sign_in(state, plain=False) == "?"]
    assert unknown == ["lost?", "unreadable"]
    assert sign_of("what a newer version writes").sign == "?"


def test_no_two_colours_have_the_same_sign() -> None:
    for plain in (False, True):
        roles: dict[str, set[str]] = {}
        for state in get_args(RunState):
            roles.setdefault(sign_in(state, plain=plain), set()).add(sign_of(state).role)
        assert all(len(colours) == 1 for colours in roles.values()), "colour never carries meaning"


def test_a_terminal_that_lacks_a_sign_gets_another_of_one_cell() -> None:
    for state in STATES:
        sign = sign_of(state)
        assert sign.plain.isascii()
        lacking = UnicodeEncodeError("ascii", sign.sign, 0, 1, "lacking")
        assert sign.sign == "?" or in_plain_letters(lacking)[0] != "?"
