"""`RunActions`: actions on a run of the list that ask first and take time: fork and delete.

Layer: ui. Files are read and removed in other threads; errors are shown, never raised.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

from textual.screen import Screen

from tui_trainer.config.overrides import Override
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.index import RunSummary
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.runs.paths import count_files
from tui_trainer.runs.removal import delete_run
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.text.format import counted, size_text
from tui_trainer.ui.runs.fork_dialog import ForkDialog
from tui_trainer.ui.shared.confirm import Confirm


class Say(Protocol):
    """Shows the user a message."""

    def __call__(self, text: str, *, warn: bool = False) -> None: ...


class RunActions:
    """Asks over a screen; its methods must be awaited in a worker of that screen."""

    def __init__(self, screen: Screen[Any], say: Say) -> None:
        self._screen = screen
        self._say = say
        self.deleting: set[str] = set()
        """The names of runs that are being deleted."""

    async def ask_to_fork(self, run: RunSummary) -> tuple[str, tuple[Override, ...]] | None:
        """Ask for the checkpoint and the changes of a new run; None if there will be none."""
        directory = RunDirectory(run.path)
        try:
            experiment = await asyncio.to_thread(read_config, directory)
            manifests = await asyncio.to_thread(read_manifests, directory.checkpoints)
        except TrainerError as error:
            self._say(str(error), warn=True)
            return None
        steps = [manifest.step for manifest in manifests]
        if not steps:
            self._say(f"{run.name} has no checkpoint to fork from yet")
            return None
        return await self._screen.app.push_screen_wait(ForkDialog(run.name, experiment, steps))

    async def delete(self, run: RunSummary) -> bool:
        """Delete a run if the user confirms it; return whether that was confirmed."""
        text = await asyncio.to_thread(_contents, run.path)
        dialog = Confirm(f"Delete {run.name}?", text, "delete it for good")
        if not await self._screen.app.push_screen_wait(dialog):
            return False
        self.deleting.add(run.name)
        try:
            await asyncio.to_thread(delete_run, run)
            self._say(f"{run.name} is deleted")
        except TrainerError as error:
            self._say(str(error), warn=True)
        finally:
            self.deleting.discard(run.name)
        return True


def _contents(path: Path) -> str:
    """Say what would be lost: the number of checkpoints and the size."""
    try:
        checkpoints, size_bytes = count_files(path, ".pt")
    except OSError as error:
        return f"{clean(str(path))}: {clean(error.strerror or str(error))}"
    what = f"{counted(checkpoints, 'checkpoint')}, {size_text(size_bytes)} in total"
    return f"{clean(str(path))}: {what}"
