"""`Services`: everything outside the app that its screens use, so that tests can replace it.

Layer: ui. Screens do not import the launcher, the workbench or the loader; they receive this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tui_trainer.config.preferences import Preferences
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.text.clean import clean

if TYPE_CHECKING:
    from tui_trainer.config.drafts.draft import Draft
    from tui_trainer.config.experiment import Experiment
    from tui_trainer.config.overrides import Override
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.machine.devices import DeviceState
    from tui_trainer.sessions.misfits import Misfits
    from tui_trainer.sessions.preview import Preview
    from tui_trainer.sessions.proposal import Proposal
    from tui_trainer.sessions.session import Session
    from tui_trainer.sessions.shared_data import SharedData
    from tui_trainer.text.errors import TrainerError


class Workbench(Protocol):
    """Answers questions about an experiment without a run. Slow: call it through the loader.

    Both questions about an experiment get the same `data`, so that they are read only once.
    """

    def preview(self, experiment: Experiment, data: SharedData) -> Preview: ...

    def misfits(self, experiment: Experiment, data: SharedData) -> Misfits:
        """Return which presets cannot be used with the data of an experiment, and why."""
        ...

    def propose(self, path: str, target: str = "") -> Proposal:
        """Read the data at a path, and return the experiment that would be made of them.

        `target` names the column that is predicted, or several in brackets.
        """
        ...

    def propose_own(self, overrides: Sequence[Override]) -> Proposal:
        """Return the experiment that would be made for the data set of a plugin.

        `dataset.type` among the overrides names it.
        """
        ...

    def devices(self) -> Sequence[DeviceState]: ...

    def why_no_run(self) -> str:
        """Return why the folder of the runs takes no run, or an empty string."""
        ...


class BackgroundLoader(Protocol):
    """Does work in the background, one piece after the other."""

    @property
    def stage(self) -> str:
        """The preparation in progress, such as `importing torch`; empty when ready."""
        ...

    def start(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        """Start; `deliver` must call its argument in the UI thread."""
        ...

    def submit(
        self, kind: str, work: Callable[[], Any], done: Callable[[Any | TrainerError], None]
    ) -> None:
        """Queue `work`; `done` gets its result or its error, in the UI thread.

        Of several waiting pieces of work of one kind, only the newest is done.
        """
        ...


@dataclass
class Services:
    """The settings and services of the app."""

    library: PresetLibrary
    workbench: Workbench
    loader: BackgroundLoader
    launch: Callable[[Experiment, str], Session]
    """Starts a new run of an experiment with a name (empty: the experiment's)."""
    resume: Callable[[Path, Sequence[Override]], Session]
    """Resumes the run in a directory; overrides are recorded as edits."""
    preferences: Preferences = field(default_factory=Preferences)
    choices: RememberedChoices = field(default_factory=RememberedChoices)
    """What the user chose in the app, now or last time."""
    preset_dir: Path = Path("presets")
    """The directory that saved presets go to."""
    attach: Callable[[Path], Session] | None = None
    """Watches the run in a directory, whichever process holds it; None if runs cannot be listed."""
    fork: Callable[[Path, str, Sequence[Override]], Session] | None = None
    """Starts a new run from a checkpoint (`last`, `best` or a step) of the run in a directory."""
    runs_dir: Path = Path("runs")
    plugins: tuple[Path, ...] = ()
    """The plugin files that the command line named."""
    can_detach: bool = False
    """Whether the terminal can be given back to the shell while a run goes on."""
    is_unseen: Callable[[], bool] = bool
    """Whether the terminal accepts no output now, so that drawing is pointless."""
    trains_here: Callable[[], str] = str
    """Returns the name of the run that trains in this process, which blocks others; or empty."""


def beside(own: str, command: str) -> str:
    """Say that this process is training already, and give the command for a separate process."""
    return f"{clean(own, 60)} is training in this app; in another shell, run: {clean(command)}"


@dataclass(frozen=True, slots=True)
class Opening:
    """The first screen's content: a draft to compose, or a run that starts at once."""

    services: Services
    draft: Draft
    begin: Callable[[], Session] | None = None
    """Starts the run once the screen is there."""
    name: str = ""
    """The name that was asked for, for when the run cannot start and is composed again."""
    is_old: bool = False
    """Whether the run exists already, so that there is nothing to compose if it fails."""
