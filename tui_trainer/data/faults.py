"""`BatchLost`: a batch that cannot be made, and all that is known of why.

Layer: data. It is raised before a step has touched anything, so that the state of the step before
can still be saved.
"""

from __future__ import annotations

from tui_trainer.text.errors import TrainerError


class BatchLost(TrainerError):
    """A worker died or hangs, or a sample cannot be read."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
        """The traceback from the worker, for --debug."""
