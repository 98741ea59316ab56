"""`DirectoryWatch`: pauses a training whose run directory is gone, and creates the directory again.

Layer: training. The files are lost, but the state in memory is not, so a checkpoint is saved into
the new directory right away.
"""

from __future__ import annotations

from tui_trainer.runs.commands import Command
from tui_trainer.runs.config_file import config_bytes
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.paths import exists, is_folder
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.command_handler import CommandHandler
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.saver import Saver

MOST_OFTEN_S = 0.1
"""Seconds between two looks. Each takes a third of the time of a small validation."""


class DirectoryWatch(Part):
    """Checks whether the run directory still exists, after numbers of steps were read."""

    def __init__(
        self,
        shared: Shared,
        run: RunDirectory,
        recorder: Recorder,
        saver: Saver,
        commands: CommandHandler,
    ) -> None:
        super().__init__(shared)
        self._run = run
        self._recorder = recorder
        self._saver = saver
        self._commands = commands
        self._config = config_bytes(run)
        """config.yaml as it was at the start."""
        self._looked_at_s = 0.0
        """The time of the newest reading after which the directory was checked."""

    @property
    def is_due(self) -> bool:
        """Whether numbers were read some time after the last check; validations read them too."""
        since_s = self._recorder.read_at_s - self._looked_at_s
        every_s = min(self._settings.experiment.logging.every_seconds, MOST_OFTEN_S)
        return since_s > 0 and since_s >= every_s

    def check(self) -> None:
        """Wait while the directory is gone; raises like `_wait`."""
        self._looked_at_s = self._recorder.read_at_s
        if self._is_gone():
            self._wait()

    def _is_gone(self) -> bool:
        """Whether the run directory or its metrics.jsonl has been deleted.

        `rm -rf` fails to remove a folder in which a file is created meanwhile, as the heartbeat
        does. The folder that is left is no run that could be resumed, and new lines of metrics
        would go into a file that has no name any more.
        """
        return not exists(self._run.metrics)

    def _wait(self) -> None:
        """Pause until the directory is back or `resume` or `stop` recreates it, and save there.

        Raises:
            CannotWrite: nothing happened for `checkpoint.give_up_s`, or the directory cannot be
                created.
        """
        give_up_s = self._settings.experiment.checkpoint.give_up_s
        until_s = self._clock() + give_up_s
        path = self._run.path
        self._watch.pause()
        is_emptied = is_folder(path)
        what = (
            f"the content of {path} is gone: deleted?"
            if is_emptied
            else f"{path} is gone: deleted or unmounted? Bring it back to continue;"
        )
        self._events.enter(
            "paused",
            f"{what} resume creates it again and continues, stop creates it again and saves; "
            f"without either the run ends in {give_up_s:g} s",
        )

        def is_over() -> bool:
            # An empty directory that appears where there was none can be used to go on. One that
            # was there all along is what a deletion has left so far.
            nonlocal is_emptied
            is_there = is_folder(path)
            if not self._is_gone() or (is_there and not is_emptied):
                return True
            is_emptied = is_there
            return False

        def check_time() -> None:
            if self._clock() > until_s:
                raise CannotWrite(f"{path} was gone for {give_up_s:g} s")

        def refuse(_: Command) -> str:
            return "the run directory is gone; resume creates it again"

        self._commands.wait(refuse, is_over=is_over, check_time=check_time)
        self._make_anew()
        self._watch.resume()
        if self._commands.stop is None:
            self._events.enter("running", "the run directory is back")

    def _make_anew(self) -> None:
        make_skeleton(self._run)
        if self._config and not exists(self._run.config):
            write_atomically(self._run.config, self._config)
        # Before anything is saved: the journal still has the deleted file open.
        self._saver.start_over()
        if self._commands.stop is None or self._commands.stop.save:
            self._saver.save_and_wait()
