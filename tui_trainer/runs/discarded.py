"""`set_aside`: moves what a run wrote after a checkpoint out of the way of the resume.

Layer: runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import Files, cannot_write, publish
from tui_trainer.runs.paths import exists, names_in, open_file, size_of


def set_aside(
    run: RunDirectory, later: Sequence[Path], metrics_bytes: int, files: Files
) -> Path | None:
    """Move everything after a checkpoint into discarded/<n>/, and return that folder.

    Returns None if there is nothing to move. Checkpoints go first and durably, the last of `later`
    first. Then the tail of the metrics is copied, and only then cut off. So at any point of a crash
    the newest checkpoint still has all its metrics, and repeating the call completes the move.

    Raises:
        CannotWrite: every checkpoint is in one of the two places, and no metrics are lost.
    """
    size = size_of(run.metrics)
    moving = [path for path in reversed(later) if exists(path)]
    if size <= metrics_bytes and not moving:
        return None
    folder = _next_folder(run.discarded)
    try:
        if not exists(run.discarded):
            files.mkdir(run.discarded)
            files.fsync_directory(run.path)
        files.mkdir(folder)
        files.fsync_directory(run.discarded)
        # The newest first, so that after a crash the checkpoints left in place have no gap.
        for path in moving:
            files.replace(path, folder / path.name)
        for changed in {path.parent for path in moving}:
            # The target first: after a power cut a file is in both places rather than in none.
            files.fsync_directory(folder)
            files.fsync_directory(changed)
        if size > metrics_bytes:
            publish(
                files, folder / "metrics.jsonl", lambda file: _copy_tail(run, file, metrics_bytes)
            )
            # Only now, when the copy is on the disk.
            _cut(run, metrics_bytes, files)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def cut_metrics(run: RunDirectory, metrics_bytes: int, files: Files) -> None:
    """Cut off the end of the metrics, which is kept elsewhere; raises CannotWrite."""
    try:
        _cut(run, metrics_bytes, files)
    except OSError as error:
        raise cannot_write(run.metrics, error) from error


def _cut(run: RunDirectory, metrics_bytes: int, files: Files) -> None:
    descriptor = files.open_append(run.metrics)
    try:
        files.truncate(descriptor, metrics_bytes)
        files.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_tail(run: RunDirectory, target: BinaryIO, start: int) -> None:
    with open_file(run.metrics) as source:
        source.seek(start)
        shutil.copyfileobj(source, target)


def _next_folder(discarded: Path) -> Path:
    numbers = [int(name) for name in names_in(discarded) if re.fullmatch(r"[0-9]{1,9}", name)]
    return discarded / str(max(numbers, default=0) + 1)
