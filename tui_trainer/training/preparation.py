"""Preparation of a model for training: frozen layers, weights to start from, recomputation.

Layer: training. None of this changes the names of parameters, so a checkpoint saved with any of
these settings loads with any others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError, Problem
from tui_trainer.training.archives import ArchiveRefused, load_archive
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint

_MOST_NAMED = 8


def names_matching(patterns: Iterable[str], names: Iterable[str], key: str) -> set[str]:
    """Return the names that a pattern matches, and those inside a layer that a pattern matches.

    Raises:
        ConfigError: a pattern matches nothing; the problem is reported for `key`.
    """
    known = list(names)
    found: set[str] = set()
    for pattern in patterns:
        matched = [name for name in known if _matches(pattern, name)]
        if not matched:
            layers = list(dict.fromkeys(part for name in known for part in _layers(name)))
            shown = ", ".join(layers[:_MOST_NAMED]) + (", ..." if layers[_MOST_NAMED:] else "")
            message = f"no layer {clean(repr(pattern), 80)}{suggest(pattern, layers)}"
            raise ConfigError([Problem(f"{message}; there are: {shown}", key)])
        found.update(matched)
    return found


def freeze(model: nn.Module, patterns: Iterable[str]) -> None:
    """Freeze parameters; a norm layer that is frozen completely keeps its running statistics too.

    Raises:
        ConfigError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(model.named_parameters())
    frozen = names_matching(patterns, parameters, "training.freeze")
    if len(frozen) == len(parameters):
        message = "this freezes the whole model; leave something to train, such as head"
        raise ConfigError([Problem(message, "training.freeze")])
    for name in frozen:
        parameters[name].requires_grad_(False)
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        trained = any(parameter.requires_grad for parameter in own)
        if own and not trained and isinstance(module, nn.modules.batchnorm._NormBase):
            module.eval()
            # The loop switches the mode of the whole model, which must not reach this layer.
            module.train = MethodType(_stay, module)  # type: ignore[method-assign]


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def recompute_blocks(model: nn.Module, *, stateful: bool = False) -> None:
    """Keep only the inputs of each block, and compute its activations again in the backward pass.

    Chen et al., arXiv:1604.06174. Random draws are repeated, so the results are the same.

    Raises:
        ConfigError: the model has no blocks, or carries a state from batch to batch.
    """
    key = "training.gradient_checkpointing"
    if stateful:
        message = "a model that carries a state from batch to batch cannot be recomputed; leave it"
        raise ConfigError([Problem(f"{message} false, and shorten dataset.sequence_length", key)])
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Module) or not any(True for _ in blocks.children()):
        message = f"{type(model).__name__.lower()} has no blocks to recompute; set it to false"
        raise ConfigError([Problem(message, key)])
    for block in blocks.children():
        norms = [m for m in block.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        block.forward = partial(_recomputed, block.forward, norms)


def _recomputed(forward: Any, norms: list[Any], *inputs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs)
    contexts = partial(_contexts, norms)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


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
    model: nn.Module, weights: dict[str, Tensor], skip: Iterable[str], source: str
) -> int:
    """Load weights by name, except those to skip; return how many parameters were loaded.

    Raises:
        BadInput: names or shapes differ; the message lists the first ones and what to do.
    """
    own = model.state_dict()
    skipped = names_matching(skip, own, "training.init_skip")
    wanted = [name for name in own if name not in skipped]
    differing = [
        f"{clean(name, 80)} is {_shape(weights.get(name))} there and {_shape(own[name])} here"
        for name in wanted
        if name not in weights or weights[name].shape != own[name].shape
    ]
    if differing:
        layers = dict.fromkeys(text.split(" ", 1)[0].split(".")[0] for text in differing)
        hint = ", ".join(list(layers)[:3])
        raise BadInput(
            f"training.init_from: {source} belongs to another model: {'; '.join(differing[:3])}; "
            f"leave them out with training.init_skip=[{hint}], or use the same model"
        )
    model.load_state_dict({name: weights[name] for name in wanted}, strict=False)
    return sum(own[name].numel() for name in wanted)


def _shape(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return "x".join(map(str, tensor.shape)) or "one number"


def _layers(name: str) -> list[str]:
    """Return the names of the layers around a parameter, outermost first, and its own name."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _matches(pattern: str, name: str) -> bool:
    return any(fnmatchcase(layer, pattern) for layer in _layers(name))


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
    found = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not found:
        raise BadInput(f"{_KEY}: {shown}: there are no weights in it")
    return found
