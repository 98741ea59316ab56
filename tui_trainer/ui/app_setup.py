"""Puts together the services of the app's screens, and starts runs inside the app.

Layer: ui. Textual is not imported at module level, and this module is imported after the first
paint. A run is prepared in its own thread once the loader has imported torch and is no longer using
it: from then on torch's default random generator belongs to the run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.drafts.draft import Draft, draft_of, draft_with
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import DEFAULT_EXPERIMENT, PresetLibrary
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.runs.directory import RunDirectory, check_run, why_not_writable
from tui_trainer.sessions.loader import Loader
from tui_trainer.sessions.requested_run import prepare
from tui_trainer.sessions.requests import ForkRun, NewRun, ResumeRun, RunRequest, planned_name
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.shared.services import Opening, Services
from tui_trainer.ui.terminal.terminal import Terminal

if TYPE_CHECKING:
    from tui_trainer.machine.devices import DeviceState
    from tui_trainer.sessions.attached import AttachedSession
    from tui_trainer.sessions.local import LocalSession
    from tui_trainer.sessions.misfits import Misfits
    from tui_trainer.sessions.prepared_run import PreparedRun
    from tui_trainer.sessions.preview import Preview
    from tui_trainer.sessions.proposal import Proposal
    from tui_trainer.sessions.session import OwnSession, Session
    from tui_trainer.sessions.shared_data import SharedData
    from tui_trainer.sessions.startup import Startup

OUTPUT = "output.log"


@dataclass(frozen=True, slots=True)
class AppArguments:
    """Everything the command line has read before the app opens."""

    library: PresetLibrary
    runs_dir: Path
    preferences: Preferences
    argv: Sequence[str]
    plugins: tuple[Path, ...] = ()
    choices: Path | None = None
    """The file of what the user chose in the app; None to keep nothing."""


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """`compose EXPERIMENT`: opens the screen where an experiment is put together."""

    experiment: str = ""
    overrides: Sequence[Override] = ()


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """`attach RUN`: opens a run that another process holds, or that no process holds any more."""

    path: Path


class Launcher:
    """Starts runs in this process, one after the other."""

    def __init__(
        self,
        asked: AppArguments,
        terminal: Terminal,
        live: CurrentRun,
        loader: Loader,
        launched: list[LocalSession | AttachedSession],
    ) -> None:
        self._launched = launched
        self._asked = asked
        self._terminal = terminal
        self._live = live
        self._loader = loader

    def begin(self, what: RunRequest) -> Session:
        """Start a run; it is registered in `CurrentRun` before its thread starts."""
        from tui_trainer.sessions.local import LocalSession

        within = partial(_after, self._live.session, self._loader.held)
        session = LocalSession(partial(self._prepare, what), within=within)
        # Its start says it again, once it is certain.
        session.view.name = planned_name(what, self._asked.runs_dir)
        self._live.session = session
        self._launched.append(session)
        session.start()
        return session

    def attach(self, path: Path) -> Session:
        """Watch and steer a run that another process holds.

        Raises:
            BadInput: an entry of the run directory is not what a run leaves there.
        """
        from tui_trainer.sessions.attached import AttachedSession

        run = RunDirectory.at(path)
        check_run(run)
        self._forget_watched()
        session = AttachedSession(run)
        self._launched.append(session)
        session.start()
        return session

    def _forget_watched(self) -> None:
        """Stop watching the previous run; it continues, and is not reported when the app closes."""
        from tui_trainer.sessions.attached import AttachedSession

        for session in [it for it in self._launched if isinstance(it, AttachedSession)]:
            session.close()
            self._launched.remove(session)

    def launch(self, experiment: Experiment, name: str) -> Session:
        """Start a new run."""
        return self.begin(NewRun(experiment, name))

    def resume(self, path: Path, overrides: Sequence[Override]) -> Session:
        """Resume a run."""
        return self.begin(ResumeRun(path, tuple(overrides)))

    def fork(self, path: Path, which: str, overrides: Sequence[Override]) -> Session:
        """Start a new run from a checkpoint of another run."""
        return self.begin(ForkRun(path, tuple(overrides), which))

    def _prepare(self, what: RunRequest, startup: Startup) -> PreparedRun:
        asked = self._asked
        prepared = prepare(what, asked.runs_dir, asked.argv, asked.library, startup)
        if isinstance(what, NewRun):
            warnings = (*what.experiment.notes, *prepared.warnings)
            prepared = replace(prepared, warnings=warnings)
        self._terminal.output.to(prepared.run.path / OUTPUT)
        if self._terminal.tether is not None:
            self._terminal.tether.name_run(prepared.run.reference)
        return prepared


@contextmanager
def _after(
    before: OwnSession | None, held: Callable[[], AbstractContextManager[object]]
) -> Iterator[None]:
    """Use torch only when the run before has left it: it may still be closing files, or in a stage
    of a start that was cancelled.
    """
    if before is not None:
        before.join()
    with held():
        yield


class Bench:
    """The workbench; its slow modules are imported on first use."""

    def __init__(self, runs_dir: Path, preset_dirs: tuple[Path, ...]) -> None:
        self._runs_dir = runs_dir
        self._preset_dirs = preset_dirs

    def preview(self, experiment: Experiment, data: SharedData) -> Preview:
        from tui_trainer.sessions.preview import preview

        return preview(experiment, self._runs_dir, data)

    def misfits(self, experiment: Experiment, data: SharedData) -> Misfits:
        from tui_trainer.sessions.misfits import find_misfits

        return find_misfits(experiment, self._preset_dirs, data)

    def propose(self, path: str, target: str = "") -> Proposal:
        from tui_trainer.sessions.proposal import propose, target_named

        # Not the library of the app, which is used in another thread.
        return propose(path, PresetLibrary(self._preset_dirs), target_named(target))

    def propose_own(self, overrides: Sequence[Override]) -> Proposal:
        from tui_trainer.sessions.plugin_proposal import propose_own

        return propose_own(PresetLibrary(self._preset_dirs), overrides)

    def why_no_run(self) -> str:
        return why_not_writable(self._runs_dir)

    def devices(self) -> Sequence[DeviceState]:
        from tui_trainer.machine.devices import device_states

        return device_states()


def assemble(
    asked: AppArguments,
    begin: ComposeRequest | RunRequest | AttachRequest,
    terminal: Terminal,
    live: CurrentRun,
    loader: Loader,
    launched: list[LocalSession | AttachedSession],
) -> Opening:
    """Build everything the app needs; each run that starts later is appended to `launched`."""
    launcher = Launcher(asked, terminal, live, loader, launched)
    services = Services(
        library=asked.library,
        workbench=Bench(asked.runs_dir, asked.library.folders),
        loader=loader,
        launch=launcher.launch,
        resume=launcher.resume,
        attach=launcher.attach,
        fork=launcher.fork,
        runs_dir=asked.runs_dir,
        plugins=asked.plugins,
        preferences=asked.preferences,
        choices=RememberedChoices(asked.choices, asked.preferences.model_fields_set),
        can_detach=terminal.tether is not None,
        is_unseen=lambda: terminal.is_behind,
        trains_here=lambda: live.name,
    )
    match begin:
        case ComposeRequest(experiment, overrides):
            draft = draft_with(asked.library, experiment or DEFAULT_EXPERIMENT, overrides)
            return Opening(services, draft)
        case NewRun(experiment):
            draft = draft_of(asked.library, experiment, base=begin.base)
            return Opening(services, draft, partial(launcher.begin, begin), begin.name)
        case ResumeRun() | ForkRun():
            draft = Draft(asked.library, DEFAULT_EXPERIMENT)
            return Opening(services, draft, partial(launcher.begin, begin), is_old=True)
        case AttachRequest(path):
            draft = Draft(asked.library, DEFAULT_EXPERIMENT)
            return Opening(services, draft, partial(launcher.attach, path), is_old=True)
