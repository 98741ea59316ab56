"""Live edits as they are kept: one line each in edits.jsonl, on the disk before they take effect.

Layer: runs. The configuration in force at step n is config.yaml plus the edits up to n; an edit at
step n is in force from step n + 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tui_trainer.config.errors import BadInput
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.live import edited
from tui_trainer.runs.commands import Scalar


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a live setting."""

    id: str
    apply_at_step: int
    key: str
    old: Scalar
    new: Scalar
    origin: str


def to_record(edit: Edit) -> dict[str, Any]:
    """The edit as a line of edits.jsonl."""
    return asdict(edit)


def from_record(record: dict[str, Any]) -> Edit:
    """An edit from a line; BadInput when it is not one."""
    try:
        edit = Edit(**record)
    except TypeError as error:
        raise BadInput(f"edits.jsonl: not an edit: {error}") from error
    if not isinstance(edit.apply_at_step, int) or not isinstance(edit.key, str):
        raise BadInput("edits.jsonl: not an edit: apply_at_step is a number and key a text")
    return edit


def in_force(experiment: Experiment, edits: Iterable[Edit]) -> Experiment:
    """The experiment after the edits, in their order; BadInput when one no longer fits."""
    for edit in edits:
        experiment = edited(experiment, edit.key, edit.new)
    return experiment
