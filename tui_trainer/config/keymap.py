"""A user's keymap: keys by action, checked against the table of actions.

Layer: config, without Textual. Two actions that can be live on one screen may not share a key:
the app would obey one of them and say nothing of the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tui_trainer.config.keys import ACTIONS
from tui_trainer.text.clean import clean, suggest

SCREENS: tuple[frozenset[str], ...] = (
    frozenset({"app", "compose", "list"}),
    frozenset({"app", "compose", "form", "choice"}),
    frozenset({"app", "compose", "form", "fold"}),
    frozenset({"app", "menu"}),
    frozenset({"app", "run", "plot"}),
    frozenset({"app", "runs"}),
    frozenset({"app", "ending"}),
    frozenset({"app", "panel"}),
)
"""The places whose actions are live together."""

NAMED = frozenset(
    {"space", "enter", "escape", "tab", "backspace", "insert", "delete", "home", "end"}
    | {"pageup", "pagedown", "left", "right", "up", "down"}
    | {f"f{number}" for number in range(1, 25)}
)
SIGNS = {"?": "question_mark", "/": "slash", "+": "plus", "-": "minus", ".": "full_stop"}
"""Signs that have a name of their own among the keys."""


def keys_in_force(keymap: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The keys of each action, with a keymap's in the place of the table's."""
    return {
        action.id: tuple(map(_whole, keymap.get(action.id, action.keys).split(",")))
        for action in ACTIONS
    }


def keymap_problems(keymap: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a keymap, by the action it is wrong with."""
    known = [action.id for action in ACTIONS]
    problems: dict[str, str] = {}
    for name, keys in keymap.items():
        if name not in known:
            hint = suggest(name, known) or "; tui-trainer config lists them"
            problems[name] = f"no action {clean(name, 40)!r}{hint}"
        else:
            wrong = [key for key in keys.split(",") if not _is_key(key.strip())]
            if wrong:
                problems[name] = (
                    f"no key {clean(wrong[0], 40)!r}; keys are a character, a name as space, f5 or "
                    "left, or one of these after ctrl+, alt+ or shift+; several are separated by ,"
                )
    if not problems:
        problems = _clashes(keymap)
    return problems


def _clashes(keymap: Mapping[str, str]) -> dict[str, str]:
    """Keys that a keymap gives to two actions of one screen, by the action that got it anew."""
    in_force = keys_in_force(keymap)
    places = {action.id: action.place for action in ACTIONS}
    problems: dict[str, str] = {}
    for name in keymap:
        for other, keys in in_force.items():
            shared = set(in_force[name]) & set(keys)
            together = any({places[name], places[other]} <= screen for screen in SCREENS)
            if other != name and shared and together:
                key = sorted(shared)[0]
                problems[name] = f"{key} is the key of {other} too, on the same screen"
    return problems


def _whole(key: str) -> str:
    """A key's name in the form of the table."""
    stripped = key.strip()
    return SIGNS.get(stripped, stripped)


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if key != "+" else [key]
    if len(set(modifiers)) != len(modifiers) or not {"ctrl", "alt", "shift"} >= set(modifiers):
        return False
    is_character = len(last) == 1 and last.isprintable() and last != ","
    return (
        is_character
        or last in NAMED
        or bool(re.fullmatch(r"[a-z]+(_[a-z]+)+|slash|plus|minus", last))
    )
