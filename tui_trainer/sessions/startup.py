"""`Startup`: the start of a run from its request to the first step, as it goes from stage to stage.

Layer: sessions. Torch is imported only inside a function. The trainer thread goes through the
stages; until it commits, a start can be cancelled from any thread, and then nothing of it is left.
A stage cannot be interrupted, so a process that must not wait for it calls `undo` and ends.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.config_file import flat
from tui_trainer.runs.describe import STAGE_WORDS, value_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import Event, FactFound, Stage, StageStarted, Topic
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.paths import exists, remove_tree
from tui_trainer.runs.status import read_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.loader import import_torch
from tui_trainer.text.errors import TrainerError

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary

CANCELLABLE = frozenset(STAGE_WORDS) - {"first step"}
"""The stages in which a start can be cancelled."""
WHOLE = 10_000
"""The most characters of a value in a fact: a front end shows fewer, but JSON has all."""
_REMOVALS = 10


class StartCancelled(TrainerError):
    """The start was cancelled before it was committed."""


def view_before(run: RunDirectory) -> RunView:
    """Return what is known of a run before it starts: how far it has come, or nothing yet."""
    view, status = RunView(run.path.name, run_dir=str(run.path)), read_status(run.status)
    if status is not None:
        view.step, view.epoch, view.elapsed_s = status.step, status.epoch, status.elapsed_s
        view.saved, view.scores = status.saved, status.scores
    return view


class Startup:
    """One start of a run; by default it reports to no one.

    `emit` gets an event per stage and fact; `named` is called with what was known of the run
    before, once its directory is known, and `claimed` once a new run's directory is there and
    locked. `undoing` is called before what was claimed is removed. `torch_free` is called before
    torch is used, and waits until nothing else uses it.
    """

    def __init__(
        self,
        emit: Callable[[Event], object] = lambda event: None,
        *,
        named: Callable[[RunView, Experiment], object] = lambda view, experiment: None,
        claimed: Callable[[RunDirectory, RunLock], object] = lambda run, lock: None,
        undoing: Callable[[], object] = lambda: None,
        torch_free: Callable[[], object] = lambda: None,
    ) -> None:
        self._emit = emit
        self._named = named
        self._on_claim = claimed
        self._undoing = undoing
        self._torch_free = torch_free
        self._lock = threading.Lock()
        # Not `_lock`: the watcher, which `undoing` waits for, may be about to cancel the start.
        self._undo_lock = threading.Lock()
        self._claimed: tuple[RunDirectory, RunLock | None] | None = None
        self._run: RunDirectory | None = None
        self._is_new = False
        self.step = 0
        """The step that the run is at, as far as it is known."""
        self._has_torch = False
        self._is_committed = False
        self.is_cancelled = False
        self.stage: Stage | None = None

    @property
    def words(self) -> str:
        """The current stage in words, as `reading the data`; empty before and after the start."""
        return "" if self._is_committed or self.stage is None else STAGE_WORDS[self.stage]

    def enter(self, stage: Stage) -> None:
        """Begin a stage.

        Raises:
            StartCancelled: the start was cancelled in the previous stage.
        """
        self._check()
        if stage != self.stage:
            self.stage = stage
            self._emit(StageStarted(self.step, stage))

    def leave(self) -> None:
        """End the stage: what fails before the next one has nothing to do with it."""
        self.stage = None

    def tell(self, topic: Topic, text: str) -> None:
        """Report what has become known about the run."""
        self._emit(FactFound(self.step, topic, text))

    def tell_changes(self, library: PresetLibrary, base: str, experiment: Experiment) -> None:
        """Report the settings in which an experiment differs from its preset or file, `base`."""
        try:
            preset = library.experiment(base)
        except TrainerError:
            # An experiment that was read from a run need not have a preset.
            return
        known = flat(preset.to_dict())
        changes = [
            f"{key} {value_text(known.get(key), WHOLE)} -> {value_text(value, WHOLE)}"
            for key, value in flat(experiment.to_dict()).items()
            if "." in key and value != known.get(key)
        ]
        for change in changes:
            self.tell("changes", change)

    @property
    def cost_of_cancelling(self) -> str:
        """The consequences of cancelling now, in words."""
        if self._is_new:
            return "nothing was trained, and no run is left behind"
        if self._run is None:
            return "it had not begun"
        return f"nothing was trained; {self._run.path.name} is as it was"

    @property
    def kept(self) -> RunDirectory | None:
        """The run that stays if the start comes to nothing; None if the run is new or unknown."""
        return None if self._is_new else self._run

    def name(self, run: RunDirectory, experiment: Experiment) -> None:
        """Report which run it is, and its configuration."""
        self._run = run
        view = view_before(run)
        self.step = view.step
        self._named(view, experiment)

    def claim(self, make: Callable[[], RunDirectory]) -> RunDirectory:
        """Make the directory of a new run, which is removed unless the start is committed.

        Raises:
            StartCancelled: the start was cancelled, and nothing was made.
        """
        # Not while `undo` looks for what to remove: the process may end as soon as that is done.
        with self._undo_lock:
            self._check()
            run = make()
            self._claimed, self._is_new = (run, None), True
        return run

    def show(self, run: RunDirectory, lock: RunLock) -> None:
        """Show the claimed run, whose lock was taken, to others as one that is starting.

        Raises:
            StartCancelled: the start was cancelled; the lock was given back.
        """
        with self._undo_lock:
            if self.is_cancelled:
                lock.release()
            self._check()
            self._claimed = (run, lock)
            self._on_claim(run, lock)

    def use_torch(self) -> None:
        """Import torch, and wait until nothing else in this process uses it."""
        if self._has_torch:
            return
        # The loader of the app imports this module last.
        has_loaded = "tui_trainer.training.loop" in sys.modules
        if not has_loaded:
            self.enter("import torch")
        self._torch_free()
        if not has_loaded:
            import_torch(lambda stage: self._check())
        self._has_torch = True
        self.leave()

    def commit(self) -> None:
        """Make the start final: from now on the training answers the commands.

        Raises:
            StartCancelled: it was cancelled.
        """
        with self._lock:
            self._is_committed = not self.is_cancelled
        self._check()

    def cancel(self) -> bool:
        """Cancel the start; return False if it is too late for that."""
        with self._lock:
            if not self._is_committed:
                self.is_cancelled = True
            return self.is_cancelled

    def undo(self) -> bool:
        """Remove what was claimed, if anything still is; return whether it was."""
        with self._undo_lock:
            claimed, self._claimed = self._claimed, None
            if claimed is None or self._is_committed:
                return False
            self._undoing()
            run, lock = claimed
            # Half a run would count as the `last` one from here on.
            if lock is not None:
                lock.release()
            _remove(run.path)
            return True

    def _check(self) -> None:
        if self.is_cancelled:
            raise StartCancelled("the start was cancelled")


def _remove(path: Path) -> None:
    """Remove the directory of a run whose start may be writing one more file into it."""
    for _ in range(_REMOVALS):
        with contextlib.suppress(OSError):
            remove_tree(path)
            # What has the name from now on is the run of somebody else.
            return
        if not exists(path):
            return
