"""Loads a plugin for a test, and forgets the types that it registered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_trainer.config import plugins, user_code
from tui_trainer.config.drafts import fields
from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.problems import PROBLEMS
from tui_trainer.config.sections.metrics import METRICS


@contextmanager
def loaded(*files: Path) -> Iterator[None]:
    """Load plugins as `--plugin` does; afterwards everything is as before."""
    tables: list[Any] = [registry._specs for registry in REGISTRIES.values()]
    tables += [PROBLEMS, METRICS, plugins.LOADED, plugins.OWN_METRICS, plugins.RECIPE_METRICS]
    tables += [plugins.DATASET_FACTORIES, plugins.MODEL_FACTORIES, plugins.LOSS_FACTORIES]
    tables += [plugins.TRANSFORM_FACTORIES, plugins.RECIPE_FACTORIES, user_code._FOLDERS]
    before = [table.copy() for table in tables]
    modules = set(sys.modules)
    try:
        plugins.load_plugins(files)
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        for name in set(sys.modules) - modules:
            if name.startswith("tui_trainer_plugin_"):
                del sys.modules[name]
        fields._groups.cache_clear()
