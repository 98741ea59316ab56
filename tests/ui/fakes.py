"""A session, a workbench and a loader for the app's tests: no thread, no torch, no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import Preset, PresetLibrary, builtin_dir, stamp_of
from tui_trainer.config.sections.section import Section
from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.config.yaml.reader import Document, read_document
from tui_trainer.machine.devices import DeviceState
from tui_trainer.machine.usage import Usage
from tui_trainer.runs.commands import Command
from tui_trainer.runs.events import Event, RunEnded
from tui_trainer.runs.history import History
from tui_trainer.runs.log import EarlierEvents
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.event_log import EventLog
from tui_trainer.sessions.misfits import Misfits
from tui_trainer.sessions.plugin_proposal import propose_own
from tui_trainer.sessions.preview import LayerShape, Preview
from tui_trainer.sessions.proposal import Proposal, propose, target_named
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.shared.services import Services

GIB = 2**30


class FakeSession:
    """A session that says what a test makes it say, and remembers what it is told."""

    def __init__(self, experiment: Experiment | None = None) -> None:
        self.sent: list[Command] = []
        self.usage: Usage | None = None
        self.earlier: EarlierEvents | None = None
        self.settings: TrainingSection | None = TrainingSection()
        self._log = EventLog()
        self._has_ended = False
        self._seen = 0
        self._tracked = TrackedRun(experiment)

    def push(self, *events: Event) -> None:
        """Let these events have happened."""
        self._log.append(*events)
        self._has_ended |= any(isinstance(event, RunEnded) for event in events)

    @property
    def view(self) -> RunView:
        return self._tracked.view

    @property
    def history(self) -> History:
        return self._tracked.history

    @property
    def experiment(self) -> Experiment | None:
        return self._tracked.experiment

    def refresh(self) -> bool:
        new, self._seen = self._log.since(self._seen)
        self._tracked.add(new)
        return bool(new)

    def events(self, cursor: int) -> tuple[list[Event], int]:
        return self._log.since(cursor)

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def wait(self, timeout_s: float) -> bool:
        return False

    @property
    def ended(self) -> bool:
        return self._has_ended

    @property
    def is_elsewhere(self) -> bool:
        return False

    @property
    def is_cancelled(self) -> bool:
        return False


class FakeWorkbench:
    """Knows one model and two devices; refuses when `failure` is set."""

    def __init__(self) -> None:
        self.asked: list[Experiment] = []
        self.proposed: list[str] = []
        self.failure: TrainerError | None = None
        self.runs_dir_problem = ""
        self.unfit: Misfits = {}
        """What does not fit, whatever the data are."""

    def why_no_run(self) -> str:
        return self.runs_dir_problem

    def preview(self, experiment: Experiment, data: SharedData) -> Preview:
        self.asked.append(experiment)
        if self.failure is not None:
            raise self.failure
        batch = experiment.training.batch_size
        steps = -(-1221 // batch)
        epochs = experiment.training.epochs
        return Preview(
            device="cpu",
            layers=(
                LayerShape("0", "Conv2d", (32, 8, 8), 288),
                LayerShape("1", "Flatten", (2048,), 0),
                LayerShape("2", "Linear", (10,), 20490),
            ),
            input_shape=(1, 8, 8),
            parameters=20778,
            trained_parameters=20778,
            samples=(1221, 216, 360),
            classes=tuple("0123456789"),
            steps_per_epoch=steps,
            total_steps=epochs * steps if epochs else None,
            memory_bytes=31 * 2**20,
            notes=(),
        )

    def misfits(self, experiment: Experiment, data: SharedData) -> Misfits:
        return self.unfit

    def propose(self, path: str, target: str = "") -> Proposal:
        self.proposed.append(path)
        if self.failure is not None:
            raise self.failure
        return propose(path, PresetLibrary([builtin_dir()]), target_named(target))

    def propose_own(self, overrides: Sequence[Override]) -> Proposal:
        if self.failure is not None:
            raise self.failure
        return propose_own(PresetLibrary([builtin_dir()]), overrides)

    def devices(self) -> Sequence[DeviceState]:
        return (
            DeviceState("cuda:0", "GPU 0", 61 * GIB, 80 * GIB, 3, ("alice (pid 7, 2.1 GiB)",)),
            DeviceState("cpu", "2 cores", 20 * GIB, 24 * GIB, 12),
        )


class ImmediateLoader:
    """Does the work at once, in the caller's thread."""

    stage = ""

    def start(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        return

    def submit(
        self, kind: str, work: Callable[[], Any], done: Callable[[Any | TrainerError], None]
    ) -> None:
        try:
            result = work()
        except TrainerError as error:
            result = error
        done(result)


@cache
def read_once(path: Path, stamp: tuple[int, ...]) -> Document:
    return read_document(path)


@cache
def section_once(folder: Path, preset: Preset) -> Section:
    return PresetLibrary([folder]).section(preset)


@cache
def experiment_once(folder: Path, reference: str) -> Experiment:
    return PresetLibrary([folder]).experiment(reference)


class SharedPresets(PresetLibrary):
    """A library that shares what it has read with those of all other tests.

    Presets that ship are checked once: a screen checks all in its lists as it opens.
    """

    def read(self, path: Path) -> Document:
        if self.has_unwritten(str(path)):
            return super().read(path)
        return read_once(path, stamp_of(path))

    def section(self, preset: Preset) -> Section:
        if preset.folder == builtin_dir():
            return section_once(preset.folder, preset)
        return super().section(preset)

    def experiment(self, reference: str, overrides: Sequence[Override] = ()) -> Experiment:
        if overrides or self._unwritten or self._has_own:
            return super().experiment(reference, overrides)
        return experiment_once(builtin_dir(), reference)

    @property
    def _has_own(self) -> bool:
        """Whether there are presets that do not ship, which those that ship may name."""
        folders = (folder for folder in self.folders if folder != builtin_dir())
        return any(any(folder.glob("*s/*")) for folder in folders)


class FakeServices(Services):
    """Services over the presets that ship; `launched` and `resumed` are what was asked for."""

    def __init__(self, preset_dir: Path, session: FakeSession | None = None) -> None:
        self.session = session or FakeSession()
        self.launched: list[tuple[Experiment, str]] = []
        self.resumed: list[tuple[Path, tuple[Override, ...]]] = []
        self.fake_workbench = FakeWorkbench()
        super().__init__(
            library=SharedPresets([preset_dir, builtin_dir()]),
            workbench=self.fake_workbench,
            loader=ImmediateLoader(),
            launch=self._launch,
            resume=self._resume,
            preferences=Preferences(fps=20.0),
            preset_dir=preset_dir,
        )

    def _launch(self, experiment: Experiment, name: str) -> FakeSession:
        self.launched.append((experiment, name))
        return self.session

    def _resume(self, run_dir: Path, overrides: Sequence[Override]) -> FakeSession:
        self.resumed.append((run_dir, tuple(overrides)))
        return self.session
