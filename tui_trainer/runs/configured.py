"""What a run was told to do: the settings in its config.yaml, with the edits made since.

Layer: runs. Nothing is validated, so that runs of other versions and with other plugins can be
listed, filtered and compared like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui_trainer.config.errors import TrainerError
from tui_trainer.config.reading import read_data
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import read_edits


def settings_of(run: RunDirectory) -> dict[str, Any]:
    """The settings by key, as `optimizer.lr`; empty where the file cannot be read."""
    try:
        found = flat(read_data(run.config))
    except TrainerError:
        return {}
    try:
        found.update({edit.key: edit.new for edit in read_edits(run.edits)})
    except (TrainerError, OSError):
        # The damaged file is told of where it matters, when the run is opened.
        return found
    return found


def flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """`{"optimizer": {"lr": 1}}` as `{"optimizer.lr": 1}`."""
    found: dict[str, Any] = {}
    for section, values in sections.items():
        if isinstance(values, Mapping):
            found.update({f"{section}.{name}": value for name, value in values.items()})
        else:
            found[str(section)] = values
    return found
