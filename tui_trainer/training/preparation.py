"""Preparation of a model for training: weights to start from, recomputation.

Layer: training. None of this changes the names of parameters, so a checkpoint saved with any of
these settings loads with any others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError, Problem
from tui_trainer.text.format import counted
from tui_trainer.training.archives import ArchiveRefused, load_archive
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.frozen_layers import has_statistics
from tui_trainer.training.parameter_names import names_matching

_MOST_NAMED = 8
_MOST_DIFFERING = 3


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model that can be recomputed; empty if it has none."""
    blocks = getattr(model, "blocks", None)
    return list(blocks.children()) if isinstance(blocks, nn.Module) else []


def recompute_blocks(model: nn.Module, *, stateful: bool = False) -> None:
    """Keep only the inputs of each block, and compute its activations again in the backward pass.

    Chen et al., arXiv:1604.06174. Random draws are repeated, so the results are the same.

    Raises:
        ConfigError: the model has no blocks, or carries a state from batch to batch.
    """
    key = "training.gradient_checkpointing"
    if stateful:
        message = "a model that carries a state from batch to batch cannot be recomputed; set it to"
        raise ConfigError([Problem(f"{message} false, and shorten dataset.sequence_length", key)])
    blocks = blocks_of(model)
    if not blocks:
        message = f"{type(model).__name__.lower()} has no blocks to recompute; set it to false"
        raise ConfigError([Problem(message, key)])
    for block in blocks:
        norms = [module for module in block.modules() if has_statistics(module)]
        block.forward = RecomputedForward(block.forward, norms)


@dataclass(frozen=True, slots=True)
class RecomputedForward:
    """Stands in for the forward of a block, and calls it again in the backward pass.

    It is no module around the block, so that the names of the parameters stay.
    """

    forward: Callable[..., Any]
    norms: list[Any]

    def __call__(self, *inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward(*inputs)
        # torch.compile follows a partial function here, but not a method.
        contexts = partial(_contexts, self.norms)
        return checkpoint(self.forward, *inputs, use_reentrant=False, context_fn=contexts)


def _contexts(norms: list[Any]) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Return contexts for the first and the second pass; the second leaves statistics unchanged."""
    return nullcontext(), _untracked(norms)


@contextmanager
def _untracked(norms: list[Any]) -> Iterator[None]:
    counting = [norm for norm in norms if norm.training and norm.track_running_stats]
    momenta = [norm.momentum for norm in counting]
    for norm in counting:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(counting, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)


def take_weights(
    model: nn.Module, weights: Mapping[str, Tensor], skip: Iterable[str], source: str
) -> str:
    """Load weights by name, except those to skip; return a note on what was taken.

    A prefix in front of every name, as torch.compile, DataParallel and Lightning write one, is
    removed.

    Raises:
        BadInput: names or shapes differ, or nothing would be taken; the message says what is there,
            what the model wants, and what to do.
    """
    own = model.state_dict()
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    skipped = names_matching(skip, own, "training.init_skip")
    wanted = [name for name in own if name not in skipped]
    if not any(name in sizes for name in wanted):
        raise BadInput(
            f"training.init_skip leaves out everything, so nothing would be taken from {source}, "
            f"which has {_listed(weights)}; the model has {_listed(own)}; leave out less, or leave "
            "out training.init_from"
        )
    prefix = _prefix_of(weights, own)
    there = {name: weights[prefix + name] for name in own if prefix + name in weights}
    fitting = {name for name in wanted if name in there and there[name].shape == own[name].shape}
    if not any(name in sizes for name in fitting):
        raise BadInput(
            f"training.init_from: nothing in {source} fits: it has {_listed(weights)}; the model "
            f"wants {_listed({name: own[name] for name in wanted})}; use the same model, or save "
            "the weights under the names that it wants"
        )
    differing = [name for name in wanted if name not in fitting]
    if differing:
        shapes = [
            f"{clean(name, 80)} is {_shape(there.get(name))} there and {_shape(own[name])} here"
            for name in differing[:_MOST_DIFFERING]
        ]
        raise BadInput(
            f"training.init_from: {source} belongs to another model: {'; '.join(shapes)}; "
            f"leave them out with training.init_skip=[{_to_skip(differing, fitting & sizes.keys())}"
            "], or use the same model"
        )
    model.load_state_dict({name: there[name] for name in wanted}, strict=False)
    taken = sum(size for name, size in sizes.items() if name not in skipped)
    note = f"weights taken from {source}: {taken:,} of {sum(sizes.values()):,} parameters"
    if prefix:
        note += f"; the prefix {clean(repr(prefix), 80)} of its names was removed"
    if unused := len(weights) - len(there):
        note += f"; {unused:,} of its {counted(len(weights), 'tensor')} are not in the model"
    return note


def _prefix_of(weights: Iterable[str], own: Iterable[str]) -> str:
    """Return what stands before the model's own names in `weights`, such as `module._orig_mod.`.

    It is empty unless each name that could be one of the model's begins with it, and more of them
    are found with it than without: of a file with a teacher and a student, neither is guessed.
    """
    there, known = set(weights), set(own)
    prefixes: Counter[str] = Counter()
    candidates = []
    for name in there:
        parts = name.split(".")
        ends = [".".join(parts[count:]) for count in range(len(parts))]
        before = [name.removesuffix(end) for end in ends if end in known]
        prefixes.update(before)
        candidates += [name] if before else []
    # Of equally good prefixes the shortest: the others stand for a part of the model only.
    best = max(prefixes, key=lambda prefix: (prefixes[prefix], -len(prefix)), default="")
    return best if all(name.startswith(best) for name in candidates) else ""


def _to_skip(differing: Sequence[str], fitting: Iterable[str]) -> str:
    """Return names for `training.init_skip`: whole layers, if this leaves something to take."""
    names = list(dict.fromkeys(name.split(".")[0] for name in differing))
    if all(name.split(".")[0] in names for name in fitting):
        names = list(differing)
    shown = ", ".join(clean(name, 80) for name in names[:_MOST_NAMED])
    return shown + (", ..." if names[_MOST_NAMED:] else "")


def _listed(tensors: Mapping[str, Tensor]) -> str:
    """Return the first names with their shapes, and how many more there are."""
    shown = [
        f"{clean(name, 80)} {_shape(tensor)}"
        for name, tensor in islice(tensors.items(), _MOST_DIFFERING)
    ]
    more = len(tensors) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _shape(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return "x".join(map(str, tensor.shape)) or "one number"


# Reading weights to start from: those of a run, of a checkpoint, or of a plain file of weights.
# Every file is read with `weights_only`, so no code in it is run.


_KEY = "training.init_from"
_ALONE = "save the weights alone: torch.save(model.state_dict(), FILE)"
_WITHIN = ("state_dict", "model_state_dict", "model")
"""The keys under which other programs keep the weights in a file that holds more."""


def read_weights(path: str) -> tuple[dict[str, Tensor], str]:
    """Return weights by name, and a description of their source.

    For a run, these are the weights of its best checkpoint, or of the last if there is no best one.

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
        checkpoint, _ = choose_checkpoint(run.checkpoints, which, run.command("resume"))
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
        # For a file of another kind, torch and pickle raise almost any type of exception.
        raise BadInput(
            f"{_KEY}: {shown}: holds something other than tensors and plain data, or is damaged; "
            f"{_ALONE}"
        ) from error
    for key in _WITHIN:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    weights = content if isinstance(content, Mapping) else {}
    tensors = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadInput(f"{_KEY}: {shown}: there are no weights in it")
    return tensors
