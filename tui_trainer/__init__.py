"""tui-trainer: train PyTorch models from the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui_trainer.api import Run, load_run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Import what a program asks for, and nothing before that."""
    if name in ("Run", "load_run"):
        from tui_trainer import api

        return getattr(api, name)
    raise AttributeError(f"module 'tui_trainer' has no attribute {name!r}")
