"""Weights of another training to start from: of a run, of one of its checkpoints, of a plain file.

Layer: training. Whatever the file, it is read with `weights_only`: nothing in it is run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable
from tui_trainer.training.archives import ArchiveRefused, load_archive
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint

_KEY = "training.init_from"
_ALONE = "save the weights alone: torch.save(model.state_dict(), FILE)"
_WITHIN = ("state_dict", "model_state_dict", "model")
"""Where other programs keep the weights in a file with more in it."""


def read_weights(path: str) -> tuple[dict[str, Tensor], str]:
    """Weights by name, and in words what they are of.

    Of a run those of its best checkpoint, or the last where there is no best one.

    Raises:
        BadInput: there is nothing to read, or it holds no weights.
        CheckpointUnusable: a checkpoint is damaged.
    """
    place = Path(path)
    if place.is_dir():
        return _of_run(RunDirectory.at(place))
    if not place.is_file():
        raise BadInput(
            f"{_KEY}: {clean(path, 200)}: no such file or run; name a run, the directory of one, "
            "or a checkpoint file"
        )
    folder = Path(os.path.realpath(place.parent))
    for manifest in read_manifests(folder):
        if manifest.file == place.name:
            return read_checkpoint(folder, manifest).data.state.measured, place.name
    return _of_file(place), clean(place.name, 80)


def _of_run(run: RunDirectory) -> tuple[dict[str, Tensor], str]:
    manifests = read_manifests(run.checkpoints)
    if not manifests:
        raise BadInput(
            f"{_KEY}: {clean(str(run.path), 200)}: no checkpoint there; name a run that saved one"
        )
    which = "last" if manifests[-1].best_step is None else "best"
    try:
        checkpoint, _ = choose_checkpoint(run.checkpoints, which, run.path.name)
    except CheckpointUnusable as error:
        raise CheckpointUnusable(f"{_KEY}: {error}") from error
    name = clean(run.path.name, 80)
    return checkpoint.data.state.measured, f"step {checkpoint.manifest.step} of {name}"


def _of_file(path: Path) -> dict[str, Tensor]:
    shown = clean(str(path), 200)
    try:
        with path.open("rb") as file:
            content = load_archive(file)
    except ArchiveRefused as error:
        raise BadInput(f"{_KEY}: {shown}: {error}; {_ALONE}") from error
    except OSError as error:
        raise BadInput(f"{_KEY}: {shown}: {error.strerror or error}") from error
    except Exception as error:
        # What torch and pickle raise for a foreign file is any kind of error there is.
        raise BadInput(
            f"{_KEY}: {shown}: holds something other than tensors and plain data, or is damaged; "
            f"{_ALONE}"
        ) from error
    for key in _WITHIN:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    weights = content if isinstance(content, Mapping) else {}
    found = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not found:
        raise BadInput(f"{_KEY}: {shown}: there are no weights in it")
    return found
