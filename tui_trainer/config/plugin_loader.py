"""Loads plugins: files and packages that add the user's own data sets and models.

Layer: config. A plugin is code, so it is loaded only if the command line names its file or its
package is installed; no preset, run or checkpoint can request one. Workers receive the same source
that was loaded here, even if the file has changed since.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from tui_trainer.config.plugin_imports import SourceFile, files_beside, has_module, line_sums
from tui_trainer.config.user_code import add_folder, describe_error_near
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_error
from tui_trainer.text.errors import BadInput

ENTRY_POINTS = "tui_trainer.plugins"

DATASET_FACTORIES: dict[str, Callable[[Any], Any]] = {}
"""Functions that make a data set from a section, by the section's `type`."""
MODEL_FACTORIES: dict[str, Callable[[Any, Any], Any]] = {}
"""Functions that make a module from a section and a signature, by the section's `type`."""
LOSS_FACTORIES: dict[str, Callable[..., Any]] = {}
"""Losses (outputs, batch, **settings) -> scalar, by the section's `type`."""

OPTIMIZER_FACTORIES: dict[str, Callable[..., Any]] = {}
"""Functions (groups, lr, **settings) -> optimizer, by the section's `type`."""
SCHEDULE_FACTORIES: dict[str, Callable[..., Any]] = {}
"""Functions (step, total, **settings) -> factor, by the section's `type`."""
TRANSFORM_FACTORIES: dict[str, Callable[..., Any]] = {}
"""Transforms (batch, generator, **settings) -> batch, by the section's `type`."""


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric of the user's."""

    compute: Callable[..., Any]
    """(outputs, batch) -> (B,); if `is_collected`, (outputs, targets) of a whole split -> number;
    or a class whose objects have `update(outputs, batch)` and `compute()`."""
    is_collected: bool = False


@dataclass(frozen=True, slots=True)
class RecipeSpec:
    """A recipe of the user's."""

    made_by: type
    """Its class, called without arguments."""
    problem: str
    """The problem that it trains; `auto`: that of the data."""
    better: Mapping[str, Literal["higher", "lower"]]
    """`higher` or `lower` for the numbers of its `validation_step` that can be monitored."""


RECIPE_FACTORIES: dict[str, RecipeSpec] = {}
"""Recipes by the section's `type`."""
PROBLEM_CLASSES: dict[str, type] = {}
"""The classes of the user's problems by name; their specs are in `config.problem_specs`."""

OWN_METRICS: dict[str, OwnMetric] = {}
"""By name; their specs are in `config.sections.metrics`."""
RECIPE_METRICS: set[str] = set()
"""The names of metrics that a recipe computes in its `validation_step`."""


@dataclass(frozen=True, slots=True)
class PluginFile(SourceFile):
    """A file that was loaded. Unpickling it in a worker loads it there, under the same name."""

    modules: Mapping[str, tuple[SourceFile, ...]]
    """The files of each module beside it that it imports."""

    @property
    def beside(self) -> list[SourceFile]:
        """The files beside it that it imports."""
        return [file for files in self.modules.values() for file in files]

    @property
    def name(self) -> str:
        """The name of the file, or, for the copy that a run keeps, of the file that it is of."""
        path = Path(self.path)
        return f"{path.stem.removesuffix(f'-{self.sha256[:8]}')}{path.suffix}"

    @property
    def copy_name(self) -> str:
        """The name of the copy that a run keeps."""
        stem = re.sub(r"[^\w-]", "_", Path(self.name).stem)[:60]
        return f"{stem}-{self.sha256[:8]}.py"

    @property
    def module(self) -> str:
        """The name of its module, derived from the path so that pickles find it in any process."""
        stem = re.sub(r"\W", "_", Path(self.path).stem)
        return f"tui_trainer_plugin_{stem}_{hashlib.sha256(self.path.encode()).hexdigest()[:8]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _loaded, (self.path, self.source)


LOADED: dict[str, PluginFile] = {}
"""The files that were loaded, by their path."""
BROKEN: dict[str, str] = {}
"""The plugins of installed packages that could not be loaded, and why."""


def has_plugins(files: Sequence[Path]) -> bool:
    """Whether there are any plugins; loads nothing."""
    return bool(files or metadata.entry_points(group=ENTRY_POINTS))


def load_plugins(files: Sequence[Path]) -> None:
    """Load the plugins of installed packages, then the files.

    A package that cannot be loaded is warned of, since most commands do not need it.

    Raises:
        BadInput: a file cannot be loaded; names the line at which it failed.
    """
    before = set(BROKEN)
    load_packages()
    for name in BROKEN.keys() - before:
        print_error(f"tui-trainer: warning: the plugin {name} cannot be loaded: {BROKEN[name]}")
    for file in files:
        path = os.path.realpath(os.path.expanduser(file))
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            raise BadInput(f"--plugin {clean(str(file), 200)}: {error.strerror}") from error
        _loaded(path, source)


def load_packages() -> None:
    """Load the plugins of installed packages; those that cannot be are kept in `BROKEN`."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            package = entry.dist.name if entry.dist is not None else entry.value
            name = f"{clean(entry.name, 80)} of {clean(package, 80)}"
            BROKEN[name] = f"{type(error).__name__}: {clean(str(error), 300)}"
            continue
        module = sys.modules.get(entry.module.partition(".")[0])
        for folder in getattr(module, "__path__", ()):
            add_folder(folder)


def may_have_it() -> str:
    """Return the end of a message for a name that nothing has: where else it may be."""
    broken = (f"; the plugin {name} may have it, but fails: {why}" for name, why in BROKEN.items())
    return "; a plugin may have it: --plugin FILE" + "".join(broken)


def _loaded(path: str, source: bytes) -> PluginFile:
    """Run a file as a module of its own, once per process."""
    plugin = LOADED.get(path)
    if plugin is not None:
        return plugin
    plugin = PluginFile(path, source, files_beside(path, source))
    _check_modules(plugin)
    module = ModuleType(plugin.module)
    module.__file__ = path
    folder = os.path.dirname(path)
    if folder not in sys.path:
        # Appended, so that a neighbouring file cannot shadow a module of ours or of Python.
        sys.path.append(folder)
    add_folder(folder)
    # Registered before it runs, as for an import: dataclasses look their module up by its name.
    sys.modules[plugin.module] = module
    try:
        exec(compile(source, path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[plugin.module]
        raise BadInput(describe_error_near(error, path)) from error
    LOADED[path] = plugin
    return plugin


def _check_modules(plugin: PluginFile) -> None:
    """Raise BadInput if a plugin would import a module from the folder of another one.

    In a process there is one module of a name.
    """
    folder = os.path.dirname(plugin.path)
    for other in LOADED.values():
        theirs = os.path.dirname(other.path)
        for name, files in plugin.modules.items():
            if theirs != folder and has_module(theirs, name):
                mine = clean(files[0].path, 300)
                raise BadInput(
                    f"{clean(plugin.path, 300)} imports {name}, which is {mine}, but there is also "
                    f"one beside the plugin {clean(other.path, 300)}: rename one of them, or put "
                    "both plugins into one folder"
                )


def plugin_facts() -> list[dict[str, Any]]:
    """Return the loaded files and those beside them that they import, for provenance."""
    return [
        {**plugin.facts, "beside": [file.facts for file in plugin.beside]}
        for plugin in LOADED.values()
    ]


def plugin_words() -> str:
    """Return the options that load the same files again, for a command in a message."""
    return "".join(f" --plugin {clean(shlex.quote(path))}" for path in LOADED)


def plugin_lines() -> dict[str, list[int]]:
    """Return a checksum of each line of the loaded files, by the name of the file.

    Those beside them that they import are among them. The folder is left out, because a file may
    be moved.
    """
    lines: dict[str, list[int]] = {}
    for plugin in LOADED.values():
        lines.setdefault(plugin.name, []).extend(line_sums(plugin.source))
    beside = {(file.path, file.source) for plugin in LOADED.values() for file in plugin.beside}
    for path, source in sorted(beside):
        lines.setdefault(os.path.basename(path), []).extend(line_sums(source))
    return lines


def missing_plugins(provenance: Mapping[str, Any]) -> list[str]:
    """Return the plugin files of a run, by its provenance, that are not loaded now."""
    try:
        found = provenance["plugins"]
        recorded = {str(one["path"]): str(one["sha256"]) for one in found}
    except (KeyError, TypeError):
        return []
    here = {one.sha256 for one in LOADED.values()}
    return [path for path, sha256 in recorded.items() if path not in LOADED and sha256 not in here]


def takes_targets(function: Callable[..., Any]) -> bool:
    """Whether a loss or metric of the user's takes the targets in place of the whole batch."""
    names = list(inspect.signature(function).parameters)
    return names[1:2] in (["target"], ["targets"])
