"""The user's preferences for the app: its look, its refresh rate, and its keys.

Layer: config. They are in one YAML file in the user's config directory, never in a run: no
preference changes what is trained. They are checked without Textual, so the command line can do it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tui_trainer.config.keys import keymap_problems
from tui_trainer.config.sections.section import Section, setting
from tui_trainer.config.yaml.reader import Document, read_document
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.value_errors import worded

THEMES: tuple[str, ...] = (
    *("textual-dark", "textual-light", "nord", "gruvbox", "catppuccin-mocha", "dracula"),
    *("tokyo-night", "monokai", "flexoki", "catppuccin-latte", "catppuccin-frappe"),
    *("catppuccin-macchiato", "solarized-light", "solarized-dark", "rose-pine", "rose-pine-moon"),
    *("rose-pine-dawn", "atom-one-dark", "atom-one-light", "ansi-dark", "ansi-light"),
)


_FORMS = {
    ("keymap", "dict_type"): "should be actions with their keys, such as {run.stop: s}",
    ("keymap", "string_type"): "should be one text with keys separated by commas, such as 's,f9'",
    ("theme", "string_type"): "should be the name of one theme, such as nord",
}
"""Messages by setting and kind of error, in place of pydantic's, which mention Python types."""


class Preferences(Section):
    """The look, refresh rate and keys of the app."""

    theme: str = setting("textual-dark", "colours; one of Textual's themes")
    fps: float = setting(2.0, "maximum refreshes per second", ge=0.1, le=30)
    smoothing: float = setting(0.6, "weight of the past in the smoothed line", ge=0, lt=1)
    markers: Literal["auto", "braille", "block", "ascii"] = setting(
        "auto", "characters that plots are drawn with; auto: the best the terminal can show"
    )
    mouse: bool = setting(True, "whether the mouse is used; off leaves it to the terminal")
    keymap: dict[str, str] = setting({}, "keys by action, as in run.pause: 'space'")


def preferences_path(env: Mapping[str, str] = os.environ) -> Path:
    """Return $TUI_TRAINER_CONFIG, or `config.yaml` in the user's config directory."""
    given = env.get("TUI_TRAINER_CONFIG")
    if given:
        return Path(os.path.expanduser(given))
    return Path(platformdirs.user_config_dir("tui-trainer")) / "config.yaml"


def load_preferences(path: Path) -> Preferences:
    """Read the settings of a file; missing ones, or all if there is no file, have their defaults.

    Raises:
        ConfigError: the file has problems; the error lists all of them.
        BadInput: the file cannot be read.
    """
    if not path.exists():
        return Preferences()
    document = read_document(path, may_be_empty=True)
    problems = _own_problems(document, path)
    try:
        preferences = Preferences.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        own = [_problem(document, path, one) for one in found]
        raise ConfigError(_by_place([*own, *problems])) from error
    if problems:
        raise ConfigError(_by_place(problems))
    return preferences


def _own_problems(document: Document, path: Path) -> list[Problem]:
    """Return the problems of a theme or a keymap that pydantic cannot see."""
    theme, keymap = document.data.get("theme"), document.data.get("keymap")
    problems = []
    if isinstance(theme, str) and theme not in THEMES:
        hint = suggest(theme, THEMES) or f"; available: {', '.join(THEMES)}"
        message = f"no theme {clean(theme, 40)!r}{hint}"
        problems.append(_at(document, path, ("theme",), message))
    if isinstance(keymap, dict):
        texts = {str(key): keys for key, keys in keymap.items() if isinstance(keys, str)}
        wrong = keymap_problems(texts).items()
        problems += [_at(document, path, ("keymap", key), message) for key, message in wrong]
    return problems


def chosen_preferences(fps: float | None = None) -> Preferences:
    """Return the user's settings, with the refreshes per second from the command line, if given."""
    preferences = load_preferences(preferences_path())
    if fps is None:
        return preferences
    given = preferences.model_dump(exclude_unset=True)
    try:
        return Preferences.model_validate({**given, "fps": fps})
    except ValidationError as error:
        message = worded(error.errors(include_url=False)[0])
        raise BadInput(f"--fps {fps:g}: {message}") from error


def _problem(document: Document, path: Path, error: ErrorDetails) -> Problem:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        known = list(Preferences.model_fields)
        hint = suggest(str(location[0]), known) or f"; available: {', '.join(known)}"
        return _at(document, path, location, f"unknown setting{hint}")
    text = _FORMS.get((str(location[0]), error["type"])) or worded(error)
    return _at(document, path, location, f"{text} (got {clean(repr(error['input']), 60)})")


def _by_place(problems: Sequence[Problem]) -> list[Problem]:
    """Sort problems by their place in the file."""
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def _at(document: Document, path: Path, location: tuple[int | str, ...], message: str) -> Problem:
    line, column = document.places.get(location, (None, None))
    key = clean(".".join(map(str, location)), 80)
    return Problem(message, key, clean(str(path)), line, column)
