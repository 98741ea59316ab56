"""The copies of plugins that a run keeps, as a record: nothing loads one that nobody names.

Layer: runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui_trainer.config.plugin_imports import line_sums
from tui_trainer.config.plugin_loader import LOADED
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.paths import exists

_MOST_BYTES = 10_000_000


def keep_plugins(run: RunDirectory) -> None:
    """Keep a copy of each plugin that is loaded and of what it imports from beside it."""
    if not LOADED:
        return
    if not exists(run.plugins):
        with open_folder(run.path, writing=True) as folder:
            folder.make(run.plugins.name)
    for plugin in LOADED.values():
        for file in (plugin, *plugin.beside):
            copy = run.plugins / file.copy_name
            if not exists(copy):
                write_atomically(copy, file.source)


def find_copy(run: RunDirectory, name: str, sums: Sequence[int]) -> Path | None:
    """Return the copy of a plugin whose lines have these checksums, or None."""
    stem = Path(name).stem
    try:
        with open_folder(run.plugins) as folder:
            for copy in folder.names():
                is_of_it = copy.startswith(f"{stem}-") and copy.endswith(".py")
                if is_of_it and line_sums(folder.read(copy, _MOST_BYTES)) == list(sums):
                    return run.plugins / copy
    except OSError:
        pass
    return None
