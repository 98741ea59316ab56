"""`tui-trainer config`: shows and checks the user's settings of the app and its keys.

Layer: cli. As with presets, all problems of a bad file are printed, and the exit status is 2.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from tui_trainer.config.keys import ACTIONS, keys_in_force
from tui_trainer.config.preferences import Preferences, load_preferences, preferences_path
from tui_trainer.config.remembered_choices import Choices, choices_path, load_choices
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream, print_json, print_line
from tui_trainer.text.errors import BadInput, CannotWrite, ExitCode


def config(arguments: argparse.Namespace) -> int:
    """Show and check the user's settings, or write a first file."""
    path = preferences_path()
    if arguments.init:
        return write_preferences(path)
    return print_preferences(path, as_json=arguments.json)


def print_preferences(path: Path, *, as_json: bool = False) -> int:
    """Check the file and print what is in force: the settings, then the keys of every action."""
    preferences = load_preferences(path)
    kept = choices_path()
    chosen, problem = load_choices(kept)
    if problem:
        error_stream().line(f"tui-trainer: {problem}")
    keys = keys_in_force(preferences.keymap)
    if as_json:
        settings = preferences.model_dump(mode="json", exclude={"keymap"})
        choices = {"path": str(kept), **asdict(chosen)}
        print_json({"path": str(path), "settings": settings, "keys": keys, "choices": choices})
        return ExitCode.OK
    there = "" if path.exists() else " (no such file; these are the defaults, --init writes it)"
    print_line(f"{clean(str(path))}{there}")
    for name, info in Preferences.model_fields.items():
        if name != "keymap":
            value = _text(getattr(preferences, name))
            print_line(f"  {name:<12} {clean(value, 40):<16} {info.description}")
    _print_choices(kept, chosen, preferences)
    print_line("keys")
    shown = {action.id: clean(", ".join(keys[action.id]), 40) for action in ACTIONS}
    id_width, keys_width = max(map(len, shown)), max(map(len, shown.values()))
    for action in ACTIONS:
        mark = "*" if action.id in preferences.keymap else " "
        row = f"{action.id:<{id_width}}  {shown[action.id]:<{keys_width}}  {action.text}"
        print_line(f"{mark} {row}")
    return ExitCode.OK


def _print_choices(path: Path, chosen: Choices, preferences: Preferences) -> None:
    """Print what was chosen in the app, and what the settings make of it."""
    default = asdict(Choices())
    made = {name: value for name, value in asdict(chosen).items() if value != default[name]}
    print_line(f"chosen in the app{f', kept in {clean(str(path))}' if made else ': nothing'}")
    for name, value in made.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else _text(value)
        settled = name in preferences.model_fields_set
        note = "the setting above takes precedence" if settled else ""
        print_line(f"  {name:<12} {clean(text, 40):<16} {note}".rstrip())


def write_preferences(path: Path) -> int:
    """Write a file with every default commented out; an existing file is never replaced."""
    lines = ["# Settings of the tui-trainer app; remove the # in front of what you change."]
    for name, info in Preferences.model_fields.items():
        if name == "keymap":
            continue
        lines += [f"# {info.description}", f"# {name}: {_text(info.default)}"]
    lines += ["# Keys by action, which replace the default ones.", "# keymap:"]
    lines += [f"#   {action.id}: {action.keys!r}  # {action.text}" for action in ACTIONS]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except FileExistsError as error:
        raise BadInput(f"{clean(str(path))}: exists already; edit it, or remove it") from error
    except OSError as error:
        raise CannotWrite(f"{clean(str(path))}: {error.strerror}") from error
    print_line(clean(str(path)))
    return ExitCode.OK


def _text(value: object) -> str:
    """Return a value in the notation of the file."""
    return str(value).lower() if isinstance(value, bool) else str(value)
