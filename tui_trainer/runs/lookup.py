"""`find_run`: the run that a name, the beginning of one or a path means, and the names there are.

Layer: runs.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from tui_trainer.runs.directory import NEWEST, RunDirectory, check_run
from tui_trainer.runs.names import stem_of
from tui_trainer.runs.paths import exists
from tui_trainer.runs.provenance import read_provenance
from tui_trainer.text.clean import clean, is_safe_name, suggest
from tui_trainer.text.errors import BadInput


def run_names(runs_dir: Path) -> list[str]:
    """Return the names of the runs in a folder, the one started or resumed last first."""
    dated_names = []
    with contextlib.suppress(OSError), os.scandir(runs_dir) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and is_safe_name(entry.name):
                made_ns = _made_ns(entry.path)
                if made_ns is not None:
                    dated_names.append((_started_ns(entry.path) or made_ns, made_ns, entry.name))
    return [name for *_, name in sorted(dated_names, reverse=True)]


def _started_ns(path: str) -> int:
    """Return when a run was started or resumed last, by its own record; 0 if that is unreadable.

    The times of its files do not tell: a copy or an archive sets new ones.
    """
    provenance = os.path.join(path, "provenance.json")
    try:
        facts = os.stat(provenance, follow_symlinks=False)
    except OSError:
        return 0
    return _recorded_start_ns(provenance, facts.st_ino, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4096)
def _recorded_start_ns(provenance: str, *stamp: int) -> int:
    """Read the start from a file; cached until the file changes, as a list is read repeatedly."""
    started_at = read_provenance(Path(provenance)).get("started_at")
    try:
        return round(datetime.fromisoformat(str(started_at)).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        return 0


def _made_ns(path: str) -> int | None:
    """Return when a run was made, by the first of its files that exists; None if it is no run."""
    for name in ("config.yaml", "status.json", "lock"):
        with contextlib.suppress(OSError):
            return os.stat(os.path.join(path, name), follow_symlinks=False).st_mtime_ns
    return None


def find_run(reference: str, runs_dir: Path) -> RunDirectory:
    """Find a run by its name, the beginning of exactly one name, `last`, or a path.

    Raises:
        BadInput: there is none, or more than one; the message has names that are similar. Or the
            run must not be opened.
    """
    run = _find(reference, runs_dir)
    check_run(run)
    return run


def _find(reference: str, runs_dir: Path) -> RunDirectory:
    if os.sep in reference:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            run = RunDirectory.at(Path(reference).expanduser())
            if exists(run.config):
                return run
        raise BadInput(f"{clean(reference)}: not the directory of a run (it has no config.yaml)")
    names = run_names(runs_dir)
    if reference in NEWEST and names:
        return RunDirectory.at(runs_dir / names[0])
    if reference in names:
        return RunDirectory.at(runs_dir / reference)
    beginning = reference.lower()
    near = [name for name in names if reference and name.lower().startswith(beginning)]
    # Of `inc-1127-1920` and `inc2-1127-1921`, the first is the run that was named `inc`.
    named = [name for name in near if stem_of(name.lower()) == beginning]
    if len(named) == 1:
        return RunDirectory.at(runs_dir / named[0])
    if len(near) == 1:
        return RunDirectory.at(runs_dir / near[0])
    shown = clean(reference, 80)
    if near:
        raise BadInput(f"run {shown!r} is ambiguous; it could be {', '.join(near[:8])}")
    newest = f"; the newest are: {', '.join(names[:5])}" if names else "; there are none"
    raise BadInput(f"no run {shown!r} in {runs_dir}{suggest(reference, names)}{newest}")
