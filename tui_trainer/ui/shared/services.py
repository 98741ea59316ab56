"""`Services`: everything outside the app that screens use, so that a test can give them others.

Layer: ui. Screens import no launcher, no workbench and no loader; they are handed this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import PresetLibrary
from tui_trainer.machine.devices import DeviceState
from tui_trainer.sessions.session import Session
from tui_trainer.sessions.workbench import Preview
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError


class Workbench(Protocol):
    """What composing finds out without a run. Slow: called through the loader."""

    def preview(self, experiment: Experiment) -> Preview: ...

    def devices(self) -> Sequence[DeviceState]: ...


class BackgroundLoader(Protocol):
    """Work beside the screen, one piece after the other."""

    @property
    def stage(self) -> str:
        """What it is busy with before it is of use, as `importing torch`; empty when ready."""
        ...

    def start(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        """Begin; `deliver` has a callable called in the UI thread."""
        ...

    def submit(
        self, kind: str, work: Callable[[], Any], done: Callable[[Any | TrainerError], None]
    ) -> None:
        """Do `work` when its turn comes; `done` gets the result, or the error, in the UI thread.

        Of pieces of one kind that wait, only the newest is done.
        """
        ...


@dataclass
class Services:
    """What the app is run with."""

    library: PresetLibrary
    workbench: Workbench
    loader: BackgroundLoader
    launch: Callable[[Experiment, str], Session]
    """Starts a new run of an experiment under a name (empty: the experiment's)."""
    resume: Callable[[Path, Sequence[Override]], Session]
    """Goes on with the run in a directory; overrides are recorded as edits."""
    preferences: Preferences = field(default_factory=Preferences)
    preset_dir: Path = Path("presets")
    """Where presets of one's own are saved."""
    attach: Callable[[Path], Session] | None = None
    """Watches the run in a directory, whoever has it; None where runs cannot be listed."""
    fork: Callable[[Path, str, Sequence[Override]], Session] | None = None
    """A new run from a checkpoint (`last`, `best` or a step) of the run in a directory."""
    runs_dir: Path = Path("runs")
    can_detach: bool = False
    """Whether the shell can be given back while a run goes on."""
    is_unseen: Callable[[], bool] = bool
    """Whether the terminal takes nothing now, so that nobody sees what is drawn."""
    trains_here: Callable[[], str] = str
    """The name of the run that trains in this process, beside which none can begin; or empty."""


def beside(own: str, command: str) -> str:
    """Why no run begins in this process, and the command that gives it a process of its own."""
    return f"{clean(own, 60)} trains in this app; in another shell: {clean(command)}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What the app begins with: a draft to compose, or a run that starts at once."""

    services: Services
    draft: Draft
    begin: Callable[[], Session] | None = None
    """Starts the run, once the screen is there."""
    is_old: bool = False
    """Whether that run exists already, so that there is nothing to compose if it fails."""
