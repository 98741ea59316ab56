"""`tui-trainer completion`: the scripts for shells, and the words that they ask for.

Layer: cli. A script passes the words of the line to `tui-trainer completion candidates --`, which
prints one candidate per line. A user waits for that at each press of the key, so it imports
neither pydantic nor YAML nor torch, and knows presets and runs by the names of their files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from tui_trainer.cli.arguments import make_parser, parsers_of
from tui_trainer.cli.command_parser import Parser
from tui_trainer.cli.completion_scripts import SCRIPTS
from tui_trainer.config.preset_files import KINDS, preset_names, search_dirs
from tui_trainer.config.setting_names import all_settings, all_types
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.runs.directory import default_runs_dir
from tui_trainer.runs.lookup import run_names
from tui_trainer.text.console import print_block, print_line

_LIVE_ONLY = ("resume", "fork", "ctl")
"""The commands that take only settings that can be edited live."""


def completion(arguments: argparse.Namespace) -> int:
    """Print the script for a shell."""
    print_block(SCRIPTS[arguments.shell].rstrip("\n"))
    return 0


def print_candidates(words: Sequence[str]) -> int:
    """Print what the last of the words may become, one per line."""
    for word in candidates(words):
        print_line(word)
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last of the words after `tui-trainer` may become; it may be empty.

    Nothing is returned where a file is expected: the shell then completes names of files.
    """
    *before, current = words or [""]
    parsers = parsers_of(make_parser())
    command = ""
    while before and " ".join([command, before[0]]).strip() in parsers:
        command = " ".join([command, before.pop(0)]).strip()
    line = _Line(parsers[command], before)
    return [word for word in line.candidates(current) if word.startswith(current)]


class _Line:
    """The words after a command, sorted into options with their values and positional words."""

    def __init__(self, parser: Parser, words: Sequence[str]) -> None:
        self._parser = parser
        self._given: dict[str, list[str]] = {}
        self._positional: list[str] = []
        self._waiting: argparse.Action | None = None
        """The option whose value comes next."""
        for word in words:
            name, equals, value = word.partition("=")
            option = parser.option(name)
            if self._waiting is not None:
                self._given[self._waiting.dest].append(word)
                self._waiting = None
            elif option is not None:
                self._given.setdefault(option.dest, []).extend([value] if equals else [])
                self._waiting = option if option.nargs != 0 and not equals else None
            else:
                self._positional.append(word)

    def candidates(self, current: str) -> Iterable[str]:
        """Return what the current word may be, whatever it begins with."""
        if self._waiting is not None:
            return self._values(self._waiting)
        name, equals, _ = current.partition("=")
        if equals and (option := self._parser.option(name)) is not None:
            return [f"{name}={value}" for value in self._values(option)]
        if current.startswith("-"):
            return self._parser.options
        places = self._parser.positionals
        if places and places[-1].nargs == "*":
            places += [places[-1]] * len(self._positional)
        at = len(self._positional)
        return self._words(places[at], current) if at < len(places) else []

    def _values(self, option: argparse.Action) -> Iterable[str]:
        """Return the values of an option, as far as they are known."""
        if option.choices is not None:
            return option.choices
        if option.dest == "which":
            return ("last", "best")
        return ("auto", "cpu", "cuda") if option.dest == "device" else ()

    def _words(self, positional: argparse.Action, current: str) -> Iterable[str]:
        """Return the words for a positional argument."""
        command = self._parser.command
        if positional.choices is not None:
            return positional.choices
        if positional.metavar == "RUN":
            given = self._given.get("runs_dir")
            names = run_names(Path(given[-1]).expanduser() if given else default_runs_dir())
            return ["last", *names] if names else []
        if positional.dest == "experiment":
            return self._presets("experiment")
        if positional.dest == "overrides" and not self._parser.takes_settings:
            return [str(positional.metavar).partition("=")[0] + "="]
        if positional.dest == "overrides" and (command != "ctl" or self._positional[1] == "set"):
            return self._settings(current, live_only=command in _LIVE_ONLY)
        if positional.dest == "command":
            return COMMANDS
        if command == "presets list":
            return KINDS
        if command in ("presets show", "presets copy") and positional.dest == "name":
            others = [f"{kind}/{name}" for kind in KINDS[1:] for name in self._presets(kind)]
            return [*self._presets("experiment"), *others]
        return ()

    def _presets(self, kind: str) -> list[str]:
        given = [Path(folder) for folder in self._given.get("preset_dir", [])]
        return preset_names(kind, search_dirs(given))

    def _settings(self, current: str, *, live_only: bool) -> list[str]:
        """Return settings as `KEY=`; the value of a section as a preset or type.

        Before the dot only the sections are returned, because there are many keys.
        """
        keys = [key for key, is_live in all_settings().items() if is_live or not live_only]
        section, equals, _ = current.partition("=")
        if equals:
            types = () if live_only else all_types().get(section, ())
            presets = self._presets(section) if section in KINDS[1:] and types else ()
            return [f"{section}={name}" for name in dict.fromkeys((*presets, *types))]
        if "." in current:
            return [f"{key}=" for key in keys]
        sections = dict.fromkeys(key.partition(".")[0] for key in keys)
        wholes = [] if live_only else [f"{section}=" for section in all_types()]
        short = [f"{key.partition('.')[2]}=" for key in keys if _is_unique(key, keys)]
        return [*(f"{section}." for section in sections), *wholes, *(short if current else ())]


def _is_unique(key: str, keys: Sequence[str]) -> bool:
    """Whether the last part of a key is enough to name it."""
    last = f".{key.rpartition('.')[2]}"
    return sum(other.endswith(last) for other in keys) == 1
