"""Live edits in edits.jsonl, one per line, which are on the disk before they take effect.

Layer: runs. The configuration of step n is config.yaml plus the edits at earlier steps: an edit at
step n is in force from step n + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.runs.bounds import is_count, is_plain, is_text
from tui_trainer.runs.commands import Scalar
from tui_trainer.runs.files import cannot_write, write_atomically
from tui_trainer.runs.journal import append_durably, encode, read_records
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a live setting."""

    id: str
    apply_at_step: int
    key: str
    old: Scalar
    new: Scalar
    origin: str


def from_record(record: dict[str, Any]) -> Edit:
    """Return the edit in a line; BadInput if it is not one."""
    try:
        edit = Edit(**record)
    except TypeError as error:
        raise BadInput(f"edits.jsonl: not an edit: {error}") from error
    if not is_count(edit.apply_at_step) or not is_text(edit.key):
        raise BadInput("edits.jsonl: not an edit: apply_at_step is a number and key a text")
    if not is_plain([edit.id, edit.old, edit.new, edit.origin]):
        raise BadInput(f"edits.jsonl: not an edit of {clean(edit.key, 80)}: out of bounds")
    return edit


def record_edit(path: Path, edit: Edit) -> None:
    """Append an edit to edits.jsonl and wait until it is on the disk; raises CannotWrite."""
    try:
        append_durably(path, asdict(edit))
    except OSError as error:
        raise cannot_write(path, error) from error


def read_edits(path: Path) -> list[Edit]:
    """Return the edits in a file in the order of their steps; BadInput if a line is not an edit."""
    try:
        edits = [from_record(record) for _, record in read_records(path)]
    except FileNotFoundError:
        return []
    return sorted(edits, key=lambda edit: edit.apply_at_step)


def rewrite_edits(path: Path, edits: Sequence[Edit]) -> None:
    """Replace the file by these edits, atomically; raises CannotWrite."""
    write_atomically(path, encode([asdict(edit) for edit in edits]))


def in_force(experiment: Experiment, edits: Iterable[Edit]) -> Experiment:
    """Return the experiment after the edits, in their order; BadInput if one no longer fits."""
    for edit in edits:
        experiment = edited(experiment, edit.key, edit.new, is_new=False)
    return experiment
