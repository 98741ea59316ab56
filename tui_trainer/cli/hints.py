"""Hints for words of the command line that name no command and no option.

Layer: cli. Each returns one sentence that ends in what to type. Nothing is imported here that takes
long; presets and runs are known by the names of their files.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence

from tui_trainer.config.preset_files import KINDS, is_experiment, preset_names, search_dirs
from tui_trainer.config.setting_names import all_settings, keys_named, other_name
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.runs.directory import default_runs_dir
from tui_trainer.runs.lookup import run_names
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.format import any_of

_DELETE = "compose, then F2 for the list of runs, and x to delete one that has ended"
_OTHER_WORDS: dict[str, str] = {
    **dict.fromkeys(("ls", "list", "ps", "status", "history", "jobs", "top"), "runs"),
    **dict.fromkeys(("rm", "delete", "remove", "del", "clean", "prune"), _DELETE),
    **dict.fromkeys(("run", "start", "fit", "launch", "learn"), "train EXPERIMENT"),
    **dict.fromkeys(("continue", "restart", "unpause"), "resume RUN"),
    **dict.fromkeys(("copy", "cp", "clone", "branch", "finetune"), "fork RUN"),
    **dict.fromkeys(("eval", "test", "score", "metrics"), "evaluate RUN"),
    **dict.fromkeys(("infer", "inference", "sample", "generate"), "predict RUN"),
    **dict.fromkeys(("watch", "monitor", "connect", "open", "view"), "attach RUN"),
    **dict.fromkeys(("log", "tail", "output", "events"), "logs RUN"),
    **dict.fromkeys(("control", "edit", "kill", "quit"), "ctl RUN COMMAND"),
    **dict.fromkeys(("ui", "app", "gui", "tui", "new", "dashboard"), "compose"),
    **dict.fromkeys(("experiments", "models", "datasets", "optimizers"), "presets list"),
    **dict.fromkeys(("preset", "experiment", "model", "dataset", "optimizer"), "presets list"),
    **dict.fromkeys(("show", "cat"), "presets show NAME"),
    **dict.fromkeys(("check", "lint"), "presets validate"),
    "schema": "presets schema",
    **dict.fromkeys(("settings", "preferences", "configure", "init"), "config"),
    **dict.fromkeys(("info", "env", "devices", "gpus", "diagnose"), "doctor"),
    "version": "--version",
    "help": "--help",
}
"""The words that other programs have for our commands, and what to type here."""


def no_command(words: Sequence[str], known: Sequence[str]) -> str:
    """Return what to say of a first word that is no command."""
    word = words[0]
    text = f"no command {clean(word, 80)!r}"
    if meant := _meant(word, words[1:], known):
        return f"{text}; did you mean: tui-trainer {meant}"
    hint = suggest(word, known)
    return f"{text}{hint}" if hint else f"{text}; available: {', '.join(known)}"


def _meant(word: str, rest: Sequence[str], known: Sequence[str]) -> str:
    """Return the words that do what a word that is no command seems to ask for, or nothing."""
    if word == "help" and rest and rest[0] in known:
        return f"{rest[0]} --help"
    if word.lower() in known:
        return word.lower()
    if word in COMMANDS:
        return f"ctl {_quoted(rest[:1]) or 'RUN'} {word}"
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word]
    if is_experiment(word, search_dirs()):
        return f"train {_quoted([word, *rest])}"
    for kind in KINDS[1:]:
        if word in preset_names(kind, search_dirs()):
            return f"presets show {kind}/{word}"
    if word in run_names(default_runs_dir()):
        return f"attach {word}"
    if os.path.exists(os.path.expanduser(word)):
        return f"train {_quoted([word, *rest])}"
    if re.match(r"[\w.]+=", word):
        return f"train EXPERIMENT {_quoted([word])}"
    return ""


def no_argument(
    word: str, command: str, options: Mapping[str, Sequence[str]], *, following: str, settings: bool
) -> str:
    """Return what to say of a word that a command does not take.

    `options` has those of every command. `following` is the word after it, which may be its value.
    `settings` says whether the command takes settings, as KEY=VALUE.
    """
    shown, (name, _, value) = clean(word, 80), word.partition("=")
    if not word.startswith("-"):
        if command == "runs":
            return f"runs takes no {shown!r}; to select some: runs --filter {_quoted([word])}"
        return f"{command} takes no more arguments (got {shown!r})"
    if name in options[command]:
        return f"{shown} must come after the command: tui-trainer {command} ... {shown}"
    if not value and not following.startswith("-") and "=" not in following:
        value = following
    if settings and (keys := _settings_named(name)):
        asked = any_of([_quoted([f"{key}={value or 'VALUE'}"]) for key in keys[:4]])
        return f"settings are written without dashes; instead of {shown}: {asked}"
    hint = suggest(name, options[command])
    others = [other for other, own in options.items() if name in own and other != command]
    if hint or not others:
        return f"{command} has no option {shown}{hint}; tui-trainer {command} --help lists them"
    return f"{command} has no option {shown}, which belongs to {any_of(others)}"


def _settings_named(option: str) -> list[str]:
    """Return the keys or sections that an option such as `--lr` may stand for."""
    word = option.lstrip("-").replace("-", "_").lower()
    sections = dict.fromkeys(key.partition(".")[0] for key in all_settings())
    known = [*sections, *all_settings()]
    if word in known:
        return [word]
    return keys_named(word, all_settings()) or other_name(word, known)


def _quoted(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(clean(word, 200)) for word in words)


def plainly(message: str, example: str) -> str:
    """Return an error message of argparse in our words; with an example if words are missing."""
    message = message.removeprefix("argument ")
    message = re.sub(r"invalid int value: (.*)", r"should be a whole number (got \1)", message)
    message = re.sub(r"invalid float value: (.*)", r"should be a number (got \1)", message)
    message = re.sub(r"expected one argument", "a value is missing", message)
    missing = re.fullmatch(r"the following arguments are required: (.*)", message)
    if missing:
        names = [name for name in missing[1].split(", ") if "=" not in name]
        return f"expected {' '.join(names)}, as in: {example}"
    choice = re.fullmatch(r"(.*): invalid choice: '(.*)' \(choose from (.*)\)", message)
    if choice:
        name, word, listed = choice.groups()
        there = re.findall(r"[\w-]+", listed)
        hint = suggest(word, there) or f"; available: {', '.join(there)}"
        return f"{name}: no {clean(word, 80)!r}{hint}"
    return message
