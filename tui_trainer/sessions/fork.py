"""Forks: a new run that begins as a copy of another one at a checkpoint, and goes its own way.

Layer: sessions. The other run is only read, so it may be live. The copy has all that a resume
needs: the configuration, the edits and metrics up to that step, and the checkpoint.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import DATA_PLACE, Override, with_value
from tui_trainer.runs.config_file import read_config, write_config
from tui_trainer.runs.directory import RunDirectory, check_writable, create_run
from tui_trainer.runs.edits import read_edits, rewrite_edits
from tui_trainer.runs.files import Files, cannot_write
from tui_trainer.runs.manifests import Manifest, manifest_path, read_manifests
from tui_trainer.runs.paths import copy_file, exists, open_file, remove_tree
from tui_trainer.runs.provenance import write_provenance
from tui_trainer.sessions.prepared_run import PreparedRun
from tui_trainer.sessions.requests import ForkRun, ResumeRun
from tui_trainer.sessions.resume import prepare_resume
from tui_trainer.sessions.resume_settings import live_overrides
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

if TYPE_CHECKING:
    from tui_trainer.training.checkpoints import Checkpoint


def prepare_fork(
    origin: RunDirectory,
    runs_dir: Path,
    request: ForkRun,
    argv: Sequence[str],
    startup: Startup | None = None,
) -> PreparedRun:
    """Make the copy of `origin`, which is the run requested, and record the overrides as edits.

    Raises:
        BadInput: an override is for a setting that is not live.
        CheckpointUnusable: there is no such checkpoint, or it cannot be used.
        CannotWrite: the copy could not be written; nothing of it is left.
    """
    startup = startup or Startup()
    check_writable(runs_dir)
    experiment = read_config(origin)
    overrides = live_overrides(origin, experiment, request.overrides)
    startup.use_torch()
    from tui_trainer.training.checkpoints import choose_checkpoint

    if not read_manifests(origin.checkpoints):
        raise CheckpointUnusable(f"{origin.path.name} has no checkpoint to fork from yet")
    checkpoint, _ = choose_checkpoint(origin.checkpoints, request.which, origin.command("fork"))
    name = request.name or experiment.name
    run = startup.claim(lambda: create_run(runs_dir, name, request.asked_at))
    try:
        _copy_until(origin, run, checkpoint)
        _write_config(origin, run, experiment, overrides)
        resume = ResumeRun(run.path, overrides, accept_data=request.accept_data)
        return prepare_resume(run, resume, argv, startup, origin="fork")
    except BaseException as error:
        # `undo` leaves alone what is final already, and what was undone: once the directory of a
        # cancelled start is gone, another run may have its name.
        if not startup.undo() and not startup.is_cancelled:
            with contextlib.suppress(OSError):
                remove_tree(run.path)
        if isinstance(error, OSError):
            raise cannot_write(run.path, error) from error
        raise


def _copy_until(origin: RunDirectory, run: RunDirectory, checkpoint: Checkpoint) -> None:
    """Copy the checkpoint with the metrics, edits and sides of the rows that led to it."""
    step = checkpoint.manifest.step
    _copy_checkpoints(origin, run, checkpoint.manifest)
    _copy_beginning(origin, run, checkpoint.data.progress.metrics_bytes)
    edits = [edit for edit in read_edits(origin.edits) if edit.apply_at_step <= step]
    if edits:
        rewrite_edits(run.edits, edits)
    if exists(origin.splits):
        _copy(origin.splits, run.splits, origin)
    write_provenance(run.provenance, {"forked_from": str(origin.path), "step": step})


def _write_config(
    origin: RunDirectory,
    run: RunDirectory,
    experiment: Experiment,
    overrides: Sequence[Override],
) -> None:
    """Copy the configuration; data that were moved are where an override says that they are."""
    moved = [override for override in overrides if override.key == DATA_PLACE]
    if moved:
        experiment = with_value(experiment, DATA_PLACE, moved[-1].value)
        write_config(run, experiment)
    else:
        _copy(origin.config, run.config, origin)


def _copy_checkpoints(origin: RunDirectory, run: RunDirectory, chosen: Manifest) -> None:
    """Copy the chosen checkpoint, and the best one up to it if it still exists."""
    for manifest in read_manifests(origin.checkpoints):
        is_chosen = manifest.file == chosen.file
        if not is_chosen and manifest.step != chosen.best_step:
            continue
        source = origin.checkpoints / manifest.file
        try:
            _copy(source, run.checkpoints / manifest.file, origin)
            beside = manifest_path(origin.checkpoints, manifest.file)
            _copy(beside, manifest_path(run.checkpoints, manifest.file), origin)
        except BadInput:
            if is_chosen:
                raise
            with contextlib.suppress(OSError):
                Files().unlink(run.checkpoints / manifest.file)


def _copy(source: Path, target: Path, origin: RunDirectory) -> None:
    """Copy a file and sync it to disk; raises BadInput if the source is gone."""
    try:
        reading = open_file(source)
    except OSError as error:
        raise BadInput(
            f"{clean(str(source))}: {(error.strerror or str(error)).lower()}; "
            f"{origin.path.name} may have replaced it meanwhile, try again"
        ) from error
    with reading:
        copy_file(reading, target, os.fstat(reading.fileno()).st_size)


def _copy_beginning(origin: RunDirectory, run: RunDirectory, size: int) -> None:
    """Copy the lines of metrics up to the checkpoint."""
    if exists(origin.metrics):
        with open_file(origin.metrics) as reading:
            copy_file(reading, run.metrics, size)
