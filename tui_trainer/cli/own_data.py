"""`data inspect`, and the part of `train` that is about data of the user's own.

Layer: cli. What makes a proposal is imported when there are data to make one for: most of the time
the app opens without any.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from dataclasses import dataclass

from tui_trainer.cli import argument_values
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override, parse_overrides
from tui_trainer.config.preset_files import SUFFIXES
from tui_trainer.config.presets import PresetLibrary, experiment_path
from tui_trainer.config.sections.datasets import NO_FILES
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_error, print_json, print_line
from tui_trainer.text.errors import ExitCode
from tui_trainer.text.format import size_text

_FILE_NAME = re.compile(r".+\.[A-Za-z][A-Za-z0-9]{1,7}")
"""Looks like the name of a file, and not like that of a preset."""
_NAMES_DATASET = ("dataset=", "dataset.type=")
"""What may stand in place of an experiment, if the data set is that of an installed plugin."""
_LARGE_BYTES = 8_000_000
"""A larger file takes a second or more, with the import of torch."""


@dataclass(slots=True)
class Asked:
    """The experiment and the data that `train` names."""

    library: PresetLibrary
    base: str
    """The experiment; empty if only data are named, and as long as one of plugins is not made."""
    path: str
    """The data; empty if they are those of the experiment."""
    overrides: list[Override]
    note: str = ""
    plugin: str = ""
    """The file whose data set the experiment is made for, if there is no other experiment."""

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Asked:
        """Find out which of the words of a command line are data, and which an experiment.

        Raises:
            ConfigError: a word that sets something is wrong.
        """
        library = argument_values.library(arguments)
        reference, words = arguments.experiment, argument_values.override_words(arguments)
        has_data = arguments.data is not None
        if "=" in reference and (
            has_data or arguments.plugin or reference.startswith(_NAMES_DATASET)
        ):
            # The experiment was left out, because there are data.
            reference, words = "", [reference, *words]
        overrides = argument_values.with_target(parse_overrides(words), arguments.target)
        if has_data:
            return cls(library, reference, arguments.data, overrides)
        if not reference and (words or arguments.action == "train"):
            file = str(arguments.plugin[0]) if arguments.plugin else "a plugin"
            return cls(library, "", "", overrides, plugin=file)
        path, note = _data_in(reference, library)
        return cls(library, "" if path else reference, path, overrides, note)

    @property
    def reference(self) -> str:
        """The reference of the experiment in the library, once `experiment` has been called."""
        both = f"{self.base} --data {self.path}"
        return both if self.base and self.path else self.base or self.path or self.plugin

    @property
    def name(self) -> str:
        """The name that the run gets; for data of a plugin, as far as it is known."""
        from tui_trainer.sessions.proposal import name_of

        if self.plugin and not self.base:
            return name_of(self.plugin)
        return name_of(self.path) if self.path else experiment_path(self.library, self.base).stem

    def experiment(self) -> Experiment:
        """Return the experiment; data are read if one has to be proposed for them."""
        notes = [self.note] if self.note else []
        if self.plugin:
            notes += self._make_own()
        if self.path:
            _tell_of_large(self.path)
        if self.path and not self.base:
            from tui_trainer.sessions.proposal import propose

            proposal = propose(self.path, self.library, self.overrides)
            self.library.add_unwritten(self.path, proposal.document, [self.path])
            notes += proposal.lines_shown()
        elif self.path:
            notes += self._exchange_data()
        experiment = self.library.experiment(self.reference, self.overrides)
        return dataclasses.replace(experiment, notes=(*notes, *experiment.notes))

    def _make_own(self) -> list[str]:
        """Make the experiment for the data set of the loaded plugins; returns notes."""
        from tui_trainer.sessions.plugin_proposal import propose_own, reference_of, words_for

        proposal = propose_own(self.library, self.overrides)
        self.base = reference_of(proposal.path)
        named = ("dataset", "dataset.type")
        self.overrides = [one for one in self.overrides if one.key not in named]
        self.library.add_unwritten(self.base, proposal.document, words_for(proposal.path))
        return proposal.lines_shown()

    def _exchange_data(self) -> tuple[str, ...]:
        """Make the reference that of the experiment with other data; returns notes."""
        from tui_trainer.sessions.proposal import with_data

        words = [self.base, "--data", self.path]
        document = self.library.read(experiment_path(self.library, self.base))
        document, reasons = with_data(self.path, self.library, document, self.overrides)
        self.library.add_unwritten(self.reference, document, words)
        return reasons


def _tell_of_large(path: str) -> None:
    """Print a line at once if a file takes a while to read; torch is not imported yet."""
    try:
        size = os.path.getsize(os.path.expanduser(path))
    except OSError:
        return
    if size >= _LARGE_BYTES and os.path.isfile(path):
        print_error(f"tui-trainer: reading {clean(path, 200)} ({size_text(size)})")


def _data_in(reference: str, library: PresetLibrary) -> tuple[str, str]:
    """Return the data that a word of the command line names, or an empty text, and a note."""
    if reference.endswith(SUFFIXES):
        return "", ""
    if reference.startswith(NO_FILES):
        return reference, ""
    exists = os.path.exists(os.path.expanduser(reference))
    if library.has("experiment", reference):
        kind = "folder" if os.path.isdir(reference) else "file"
        shown = clean(reference, 80)
        note = f"{shown} is the experiment preset; ./{shown} means the {kind} of that name"
        return "", note if exists else ""
    if exists or os.sep in reference or _FILE_NAME.fullmatch(reference):
        return reference, ""
    return "", ""


def inspect(arguments: argparse.Namespace) -> int:
    """Print what a file or folder holds, and the experiment that `train` would make of it."""
    from tui_trainer.sessions.proposal import propose

    overrides = argument_values.with_target(parse_overrides(arguments.overrides), arguments.target)
    _tell_of_large(arguments.path)
    proposal = propose(arguments.path, argument_values.library(arguments), overrides)
    if arguments.json:
        print_json({**proposal.to_dict(), "config": proposal.experiment.to_dict()})
        return ExitCode.OK
    for line in proposal.lines_shown(with_notes=True):
        print_line(line)
    return ExitCode.OK
