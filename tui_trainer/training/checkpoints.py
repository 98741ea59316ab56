"""Checkpoint files: written so that a crash loses nothing, read without running any code in them.

Layer: training. A checkpoint exists only once its manifest does. The checksum is verified before a
byte of the file is unpickled, and unpickling is `weights_only`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import re
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from tui_trainer.runs.bounds import number_or_nan
from tui_trainer.runs.files import Files, publish, write_atomically
from tui_trainer.runs.manifests import (
    FORMAT,
    Manifest,
    checkpoint_files,
    free_name,
    manifest_path,
    read_manifests,
    select,
    step_of,
)
from tui_trainer.runs.paths import open_file
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite, CheckpointUnusable
from tui_trainer.training.archives import ArchiveRefused, load_archive
from tui_trainer.training.checkpoint_data import CheckpointData, newer_format
from tui_trainer.training.progress import Best


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read: its manifest and its content."""

    manifest: Manifest
    data: CheckpointData

    def with_marked_best(self, monitor: str) -> Checkpoint:
        """Return this checkpoint with the best of its manifest, to resume a training from it.

        The validation that closes a run comes after its last checkpoint, so only the manifest says
        that this step became the best. `monitor` is the metric that decided. Nothing else changes:
        early stopping and the schedule follow the scheduled validations alone.
        """
        manifest, data = self.manifest, self.data
        if manifest.best_step != manifest.step or data.best_step == manifest.step:
            return self
        # null stands for a number that was not finite.
        metrics = {name: number_or_nan(value) for name, value in manifest.metrics.items()}
        value = metrics.get(monitor, math.nan)
        if not math.isfinite(value):
            return self
        best = Best(monitor, value, manifest.step, manifest.epoch, metrics)
        progress = replace(data.progress, best=best)
        return Checkpoint(manifest, replace(data, progress=progress, best=None))


class _Summed(io.RawIOBase):
    """A binary file that computes the SHA-256 of what is written to it.

    It also keeps the OSError of a failed write, which torch replaces with one of its own.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.sum = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.sum.update(data)
        return len(data)

    def writable(self) -> bool:
        return True


def write_checkpoint(
    directory: Path, data: CheckpointData, *, saved_at: str, files: Files
) -> Manifest:
    """Publish a checkpoint and then its manifest; existing checkpoints are untouched.

    Raises:
        CannotWrite: nothing was published.
    """
    progress = data.progress
    name = free_name(directory, progress.step)
    summed: list[_Summed] = []

    def write(file: BinaryIO) -> None:
        target = _Summed(file)
        summed.append(target)
        try:
            torch.save(data.to_dict(), cast(BinaryIO, target))
        except RuntimeError as error:
            # torch reports a full disk as a RuntimeError about its zip writer.
            raise target.error or error from None

    def verify(path: Path) -> None:
        if _sha256(path) != summed[-1].sum.hexdigest():
            raise CannotWrite(f"{path.name}: what was read back is not what was written")

    try:
        size = publish(files, directory / name, write, verify)
        manifest = Manifest(
            file=name,
            sha256=summed[-1].sum.hexdigest(),
            size_bytes=size,
            step=progress.step,
            epoch=progress.shown_epoch,
            best_step=data.best_step,
            metrics=dict(progress.last_metrics),
            saved_at=saved_at,
        )
        write_atomically(manifest_path(directory, name), manifest.to_json(), files)
    except CannotWrite:
        # A file without a manifest, or two files whose names may not survive a crash, are useless
        # and would only take up space.
        with contextlib.suppress(OSError):
            _remove(directory, name, files)
        raise
    return manifest


def mark_as_best(directory: Path, step: int, metrics: dict[str, float], files: Files) -> None:
    """Mark the newest checkpoint as the best in its manifest; the file itself is not touched.

    Raises:
        CannotWrite: the manifest is as it was, or the checkpoint of this step is gone.
    """
    manifests = read_manifests(directory)
    if not manifests or manifests[-1].step != step:
        raise CannotWrite(f"{directory}: the checkpoint of step {step:,} is gone")
    newest = manifests[-1]
    changed = replace(newest, best_step=step, metrics=metrics)
    write_atomically(manifest_path(directory, newest.file), changed.to_json(), files)


def remove_checkpoint(directory: Path, manifest: Manifest, files: Files) -> None:
    """Remove a checkpoint; the manifest first, so that none ever refers to a missing file."""
    _remove(directory, manifest.file, files)


def _remove(directory: Path, name: str, files: Files) -> None:
    for path in (manifest_path(directory, name), directory / name):
        with contextlib.suppress(FileNotFoundError):
            files.unlink(path)


def read_checkpoint(directory: Path, manifest: Manifest) -> Checkpoint:
    """Verify and read one checkpoint.

    Raises:
        CheckpointUnusable: with the reason.
    """
    path = directory / manifest.file
    if manifest.format > FORMAT:
        raise CheckpointUnusable(f"{path}: {newer_format(manifest.format)}")
    try:
        with open_file(path) as file:
            # Read from the descriptor that was verified: the name may belong to another file by
            # now.
            _verify(path, file, manifest)
            content = load_archive(file)
    except ArchiveRefused as error:
        raise CheckpointUnusable(f"{path}: {error}") from error
    except OSError as error:
        raise CheckpointUnusable(f"{path}: {error.strerror or error}") from error
    except (CheckpointUnusable, MemoryError):
        raise
    except Exception as error:
        # For a file of another kind, torch and pickle raise almost any type of exception.
        raise CheckpointUnusable(
            f"{path}: refused: it holds something other than tensors and plain data"
            f"{_culprit(str(error))}"
        ) from error
    try:
        return Checkpoint(manifest, CheckpointData.from_dict(content))
    except CheckpointUnusable as error:
        raise CheckpointUnusable(f"{path}: {error}") from error


def _verify(path: Path, file: BufferedReader, manifest: Manifest) -> None:
    """Compare the length and the checksum with the manifest, before anything is unpickled."""
    size = os.fstat(file.fileno()).st_size
    if size != manifest.size_bytes:
        raise CheckpointUnusable(f"{path}: truncated: {size:,} of {manifest.size_bytes:,} bytes")
    if hashlib.file_digest(file, "sha256").hexdigest() != manifest.sha256:
        raise CheckpointUnusable(f"{path}: damaged: its sha256 is not that of the manifest")


def _culprit(message: str) -> str:
    """Return, in parentheses, the name that torch's long message says is not allowed."""
    named = re.search(r"GLOBAL (\S+)", message)
    return f" ({clean(named[1], 80)})" if named else ""


def choose_checkpoint(directory: Path, which: str, command: str) -> tuple[Checkpoint, list[str]]:
    """Return the checkpoint that `last`, `best` or a step means, and notes on any passed over.

    `last` means the newest one that can be verified. `command` is what to try with another
    checkpoint, such as `tui-trainer resume RUN`.

    Raises:
        CheckpointUnusable: none of the candidates can be used.
        BadInput: there is no checkpoint of that step.
    """
    manifests = read_manifests(directory)
    notes = _unreadable(directory, manifests) if which == "last" else []
    for manifest in select(manifests, which):
        try:
            return read_checkpoint(directory, manifest), notes
        except CheckpointUnusable as error:
            notes.append(str(error))
    others = ", ".join(sorted({str(m.step) for m in manifests}))
    why = "; ".join(notes) or f"{directory}: no checkpoint was published"
    if not others:
        raise CheckpointUnusable(why)
    raise CheckpointUnusable(
        f"{why}. Try: {command} --from best, or --from STEP (available: {others})"
    )


def _unreadable(directory: Path, manifests: list[Manifest]) -> list[str]:
    """Return a note for each checkpoint with a damaged manifest that is newer than all others."""
    newest = manifests[-1].step if manifests else -1
    files = {manifest.file for manifest in manifests}
    return [
        f"{directory / name}: passed over: its manifest is damaged"
        for name in checkpoint_files(directory)
        if name not in files and step_of(name) > newest
    ]


def _sha256(path: Path) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
