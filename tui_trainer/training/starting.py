"""What a resume needs before its first step.

Layer: training. Setting aside comes after everything that can refuse the checkpoint, so that a
refused resume leaves the run as it was.
"""

from __future__ import annotations

from typing import Any

import torch

from tui_trainer.runs.atomic import Files
from tui_trainer.runs.directory import RunDirectory, set_aside
from tui_trainer.runs.manifests import manifest_path, read_manifests
from tui_trainer.training.checkpoints import Checkpoint
from tui_trainer.training.context import Resume, Start
from tui_trainer.training.task import Task


def set_aside_later(run: RunDirectory, start: Start, files: Files) -> None:
    """Move into discarded/ what lies after the start: newer checkpoints, later lines."""
    later = read_manifests(run.checkpoints)
    length = 0
    if isinstance(start, Resume):
        chosen = start.checkpoint.manifest
        later = [m for m in later if (m.step, m.attempt) > (chosen.step, chosen.attempt)]
        length = int(start.checkpoint.content["progress"]["metrics_bytes"])
    elif not run.metrics.exists():
        return
    paths = [
        path
        for manifest in later
        for path in (manifest_path(run.checkpoints, manifest.file), run.checkpoints / manifest.file)
    ]
    set_aside(run, paths, length, files)


def weights_of_best(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The weights of the best validation up to a checkpoint; None before the first one."""
    content = checkpoint.content
    best = content["progress"]["best"]
    if best is None:
        return None
    weights = content["model"] if best["step"] == content["progress"]["step"] else content["best"]
    return dict(weights)


def bitwise_notes(task: Task, content: dict[str, Any]) -> tuple[str, ...]:
    """Why this resume will not be bit for bit what an uncut run would be; empty when it will."""
    then = content["origin"]
    now = {
        "device": task.device.type,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "world": task.ranks.world,
    }
    differing = [
        f"{key} was {then[key]}, is {value}" for key, value in now.items() if then[key] != value
    ]
    notes = []
    if differing:
        notes.append(f"not bitwise: {'; '.join(differing)}")
    if then["fingerprint"] != task.dataset.fingerprint:
        notes.append("not bitwise: the data changed since the checkpoint was written")
    if task.device.type == "cuda" and not task.experiment.training.deterministic:
        notes.append("not bitwise on CUDA without training.deterministic=true")
    return tuple(notes)
