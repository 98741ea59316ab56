"""What must be equal for a fitted preprocessing to be of some data; it goes into a checkpoint.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_trainer.config.metrics import Task
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable

_MOST_SHOWN = 5


def identity(
    source: str, task: Task, classes: Sequence[str], layout: Mapping[str, str]
) -> dict[str, Any]:
    """The identity as plain values, the first entries of a `preprocessing`."""
    return {"source": source, "task": task, "classes": list(classes), "layout": dict(layout)}


def check_same(own: Mapping[str, Any], fitted: Mapping[str, Any], name: str) -> None:
    """Raise CheckpointUnusable with what differs between data and a checkpoint's preprocessing."""
    here, there = _flat(own), _flat({key: fitted.get(key) for key in own})
    differences = [
        f"{clean(key, 80)}: {there.get(key, 'missing')} in the checkpoint, "
        f"{here.get(key, 'missing')} in {name}"
        for key in dict.fromkeys([*here, *there])
        if here.get(key) != there.get(key)
    ]
    if differences:
        hidden = len(differences) - _MOST_SHOWN
        more = f" (and {hidden} more)" if hidden > 0 else ""
        raise CheckpointUnusable(
            "the checkpoint is of other data: " + "; ".join(differences[:_MOST_SHOWN]) + more
        )


def _flat(parts: Mapping[str, Any]) -> dict[str, str]:
    """One entry a thing that can differ, fit to be shown."""
    entries = {key: str(parts[key]) for key in ("source", "task")}
    entries |= {f"class {n}": repr(text) for n, text in enumerate(parts["classes"] or ())}
    entries |= {str(key): str(value) for key, value in (parts["layout"] or {}).items()}
    return {key: clean(value, 80) for key, value in entries.items()}
