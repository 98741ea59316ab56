"""Forgets the types of plugins that a test registered, or loaded from files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_trainer.config import plugin_loader, user_code
from tui_trainer.config.drafts import fields
from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.metrics import METRICS


@contextmanager
def restored() -> Iterator[None]:
    """Remove what is registered inside afterwards."""
    tables: list[Any] = [registry._specs for registry in REGISTRIES.values()]
    tables += [
        PROBLEMS,
        METRICS,
        plugin_loader.LOADED,
        plugin_loader.OWN_METRICS,
        plugin_loader.RECIPE_METRICS,
    ]
    tables += [value for name, value in vars(plugin_loader).items() if name.endswith("_FACTORIES")]
    tables += [plugin_loader.PROBLEM_CLASSES, user_code._FOLDERS]
    before, modules = [table.copy() for table in tables], set(sys.modules)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        for name in set(sys.modules) - modules:
            if name.startswith("tui_trainer_plugin_"):
                del sys.modules[name]
        fields._groups.cache_clear()


@contextmanager
def loaded(*files: Path) -> Iterator[None]:
    """Load plugins as `--plugin` does; afterwards everything is as before."""
    with restored():
        plugin_loader.load_plugins(files)
        yield
