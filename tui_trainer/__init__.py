"""tui-trainer: train PyTorch models from the terminal.

Programs use `load_run` of `tui_trainer.api`, which this module has, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what a program asks for, and nothing before that."""
    if name in ("Run", "load_run"):
        # By its name: modules of all layers import the version from here, and `api` all of them.
        return getattr(import_module("tui_trainer.api"), name)
    raise AttributeError(f"module 'tui_trainer' has no attribute {name!r}")
