"""The file `splits` of a run, which has the side of every row.

Layer: training. It is written before the first step, and never again.
"""

from __future__ import annotations

from pathlib import Path

from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.paths import read_file
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable

_MOST_BYTES = 2**30
"""Enough for 63 million rows."""


def write_record(path: Path, record: SplitRecord) -> None:
    """Write the file of a run; raises CannotWrite."""
    write_atomically(path, record.to_bytes())


def read_record(path: Path) -> SplitRecord | None:
    """Read the file of a run; None if there is none, as in runs of older versions.

    Raises:
        CheckpointUnusable: it cannot be read, or is damaged.
    """
    try:
        return SplitRecord.from_bytes(read_file(path, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CheckpointUnusable(
            f"{clean(str(path), 300)}: {why}; it says which rows the run was trained on: restore "
            "it from a copy"
        ) from error
