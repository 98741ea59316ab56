"""`Repeat`: the arguments that a run was started with, to start it again or to change it first.

Layer: ui. A run's directory keeps its configuration, and its name begins with the one that was
asked for, so runs of other processes are repeated as those of this one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tui_trainer.config.drafts.draft import Draft, draft_of
from tui_trainer.config.drafts.export import StartOptions
from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.directory import RunDirectory, is_default
from tui_trainer.runs.names import asked_name
from tui_trainer.runs.paths import exists
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.shared.services import Services


@dataclass(frozen=True, slots=True)
class Repeat:
    """A run to start: its configuration and its name, and the command that does the same."""

    experiment: Experiment
    draft: Draft
    name: str
    """The name that was asked for; empty for that of the experiment."""
    train: str
    """The command that starts it in another process."""
    compose: str
    """The command that shows it in another app, to be changed first."""


def as_started(in_force: Experiment, run_dir: str, services: Services) -> Repeat:
    """Return what a run was started with, without the edits that were made since.

    If its configuration can no longer be read, `in_force` takes its place.
    """
    try:
        experiment = read_config(RunDirectory(Path(run_dir))) if run_dir else in_force
    except (TrainerError, OSError):
        experiment = in_force
    return repeat(experiment, run_dir, services)


def repeat(experiment: Experiment, run_dir: str, services: Services) -> Repeat:
    """Return a new run with this configuration, and the name that a run was asked for."""
    config = RunDirectory(Path(run_dir)).config if run_dir else None
    source = config if config is not None and exists(config) else None
    draft = draft_of(services.library, experiment, source)
    name = asked_name(Path(run_dir).name, experiment.name) if run_dir else ""
    runs_dir = None if is_default(services.runs_dir) else services.runs_dir
    unnamed = StartOptions(runs_dir=runs_dir, plugins=services.plugins)
    train = f"{draft.command(replace(unnamed, name=name))} --detach"
    compose = draft.command(unnamed).replace(" train ", " compose ", 1)
    return Repeat(experiment, draft, name, train, compose)
