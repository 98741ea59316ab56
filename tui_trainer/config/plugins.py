"""A person's own data sets and models: the files and packages they come from, and what they add.

Layer: config. A plugin is code, so it is loaded only when the command line names its file or when
its package is installed; no preset, run or checkpoint can ask for it. Workers get the very source
that was loaded here.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, TrainerError

ENTRY_POINTS = "tui_trainer.plugins"

DATASET_FACTORIES: dict[str, Callable[[Any], Any]] = {}
"""What makes a data set of a section, by the section's `type`."""
MODEL_FACTORIES: dict[str, Callable[[Any, Any], Any]] = {}
"""What makes a module of a section and a signature, by the section's `type`."""


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A file that was loaded. Unpickled in a worker it is loaded there, under the same name."""

    path: str
    source: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source).hexdigest()

    @property
    def module(self) -> str:
        """The name of its module: a function of the path, so that pickles find it anywhere."""
        stem = re.sub(r"\W", "_", Path(self.path).stem)
        return f"tui_trainer_plugin_{stem}_{hashlib.sha256(self.path.encode()).hexdigest()[:8]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _loaded, (self.path, self.source)


LOADED: dict[str, PluginFile] = {}
"""The files that were loaded, by their path."""


def has_plugins(files: Sequence[Path]) -> bool:
    """Whether there is anything to load; loads nothing."""
    return bool(files or metadata.entry_points(group=ENTRY_POINTS))


def load_plugins(files: Sequence[Path]) -> None:
    """Load what installed packages bring, then the files.

    Raises:
        BadInput: one cannot be loaded; with the line at which it failed.
    """
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            name = entry.dist.name if entry.dist is not None else entry.value
            text = f"{type(error).__name__}: {clean(str(error), 300)}"
            raise BadInput(f"plugin {clean(entry.name, 80)} of {name}: {text}") from error
    for file in files:
        path = os.path.realpath(os.path.expanduser(file))
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            raise BadInput(f"--plugin {clean(str(file), 200)}: {error.strerror}") from error
        _loaded(path, source)


def _loaded(path: str, source: bytes) -> PluginFile:
    """Run a file as a module of its own, once in a process."""
    plugin = LOADED.get(path)
    if plugin is not None:
        return plugin
    plugin = PluginFile(path, source)
    module = ModuleType(plugin.module)
    module.__file__ = path
    folder = os.path.dirname(path)
    if folder not in sys.path:
        # Last, so that nothing of ours or of Python's is replaced by a file beside it.
        sys.path.append(folder)
    sys.modules[plugin.module] = module
    try:
        exec(compile(source, path, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[plugin.module]
        raise BadInput(explained(error, path)) from error
    LOADED[path] = plugin
    return plugin


def explained(error: Exception, path: str = "") -> str:
    """An exception of a plugin in one line: file, line, what happened.

    Without a path it is the last line in any of the files that were loaded.
    """
    files = [path] if path else list(LOADED)
    place = path
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in files:
            place = f"{frame.filename}:{frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename in files:
        place = f"{error.filename}:{error.lineno}"
    text = clean(str(error), 300)
    if not isinstance(error, TrainerError):
        text = type(error).__name__ + (f": {text}" if text else "")
    return f"{clean(place, 300)}: {text}" if place else text


def plugin_facts() -> list[dict[str, str]]:
    """The files that were loaded, for provenance."""
    return [{"path": one.path, "sha256": one.sha256} for one in LOADED.values()]


def missing_plugins(provenance: Mapping[str, Any]) -> list[str]:
    """Files that a run was started with, by its provenance, and that are not loaded now."""
    try:
        found = provenance["plugins"]
        recorded = {str(one["path"]): str(one["sha256"]) for one in found}
    except (KeyError, TypeError):
        return []
    here = {one.sha256 for one in LOADED.values()}
    return [path for path, sha256 in recorded.items() if path not in LOADED and sha256 not in here]
