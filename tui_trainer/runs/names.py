"""The names of runs: made of what was asked for and of the time, and the way back.

Layer: runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

from tui_trainer.runs.paths import exists
from tui_trainer.text.clean import slug


def free_name(runs_dir: Path, name: str, now: datetime) -> str:
    """Return the name that `create_run` would give to a run now."""
    return next(
        candidate for candidate in possible_names(name, now) if not exists(runs_dir / candidate)
    )


_STAMP = re.compile(r"-[0-9]{4}-[0-9]{4}(-[0-9]{1,3})?$")
"""What `create_run` adds to the name that was asked for."""


def stem_of(run_name: str) -> str:
    """Return the name of a run without the time that `create_run` added."""
    return _STAMP.sub("", run_name)


def asked_name(run_name: str, default: str) -> str:
    """Return the name that a run was asked for; empty if that is what `default` makes of itself."""
    stem = stem_of(run_name)
    return "" if stem == slug(default, 40) else stem


def possible_names(name: str, now: datetime) -> Iterator[str]:
    """Yield the possible names of a run: slug, month-day, hour-minute, and a number if taken."""
    stem = f"{slug(name, 40)}-{now:%m%d-%H%M}"
    yield stem
    for attempt in count(2):
        yield f"{stem}-{attempt}"
