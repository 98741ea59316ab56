"""Summarizes a model's layers, with shapes and parameters, without computing anything.

Layer: models. The forward pass runs on the `meta` device, which has shapes but no numbers, so it
cannot change weights, running statistics or random generators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tui_trainer.models.inputs import arguments_of, shape_example, values_of
from tui_trainer.models.layers import evaluating
from tui_trainer.problems.signature import SampleField


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """A layer: a module without children, or one with parameters of its own."""

    name: str
    """Its path in the model, such as `blocks.0.conv`."""
    kind: str
    """Its class, such as `Conv2d`."""
    output_shape: tuple[int, ...]
    """The shape of its output, without the batch dimension."""
    parameters: int


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, frozen ones included; shared ones count once."""
    return sum(p.numel() for p in model.parameters())


def count_trained_parameters(model: nn.Module) -> int:
    """Return the number of parameters that are not frozen."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def summarize(
    model: nn.Module, fields: Sequence[SampleField], batch_size: int = 1
) -> tuple[LayerSummary, ...]:
    """Return the layers in the order of their first call, in evaluation mode.

    `fields` are those of the data that the model is built for, without the target.

    The model's tensors are swapped during the call, so no other thread may use the model; they are
    restored afterwards.
    """
    layers: dict[str, LayerSummary] = {}
    tensors = chain(model.named_parameters(), model.named_buffers())
    on_meta = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    arguments = arguments_of(model, [field.name for field in fields])
    positional, named = values_of(arguments, shape_example(fields, batch_size))
    with _record_layers(model, layers), evaluating(model), torch.no_grad():
        functional_call(model, on_meta, tuple(positional), named)
    return tuple(layers.values())


@contextmanager
def _record_layers(model: nn.Module, layers: dict[str, LayerSummary]) -> Iterator[None]:
    """Install hooks on every layer that add it to `layers` when it is called."""

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(module: nn.Module, _: object, output: object) -> None:
            own_parameters = sum(p.numel() for p in module.parameters(recurse=False))
            kind = type(module).__name__
            layers.setdefault(name, LayerSummary(name, kind, _shape(output), own_parameters))

        return module.register_forward_hook(note)

    handles = [
        watch(name, module)
        for name, module in model.named_modules()
        if not any(module.children()) or any(True for _ in module.parameters(recurse=False))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shape(output: object) -> tuple[int, ...]:
    """Return the shape of the first tensor of an output, without the batch dimension."""
    if isinstance(output, Tensor):
        return tuple(output.shape[1:])
    if isinstance(output, tuple | list) and output:
        return _shape(output[0])
    return ()
