"""`LayerChain`: layers that follow each other, and their gradients without autograd.

Layer: training. For a small model autograd takes longer to record the operations, and to find the
way back through them, than the operations take. The bits are the same: these are the kernels that
it calls, with the same tensors. Some are not public, so each is compared with autograd once per
process; where one differs in the installed torch, there is no chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.models.direct_calls import has_gradient_hooks


class _Layer(Protocol):
    """A layer of a chain."""

    def outputs_of(self, inputs: Tensor) -> Tensor:
        """Compute the outputs."""
        ...

    def add_gradients(self, gradient: Tensor, inputs: Tensor) -> None:
        """Add to the gradients of the parameters, given that of the outputs."""
        ...

    def gradient_of_inputs(self, gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Return the gradient of the inputs, given that of the outputs."""
        ...


class _Linear:
    """An affine map of (B, D) to (B, K)."""

    def __init__(self, layer: nn.Linear) -> None:
        self._weight_KD = layer.weight.detach()
        self._weight_DK = self._weight_KD.t()
        self._bias_K = layer.bias.detach()
        self._of_weight_KD = _gradient_of(layer.weight)
        self._of_bias_K = _gradient_of(layer.bias)

    def outputs_of(self, inputs: Tensor) -> Tensor:
        return torch.addmm(self._bias_K, inputs, self._weight_DK)

    def add_gradients(self, gradient: Tensor, inputs: Tensor) -> None:
        # A product that is written to its place directly has other bits where that place does not
        # begin at a line of memory.
        self._of_weight_KD.add_(gradient.t().mm(inputs))
        self._of_bias_K.add_(gradient.sum(0))

    def gradient_of_inputs(self, gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
        return gradient.mm(self._weight_KD)


def _gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "asked before"
    return parameter.grad


_Way = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Returns the gradient of the inputs, given that of the outputs, the inputs and the outputs."""


class _Activation:
    """A function of each number by itself; it may put the outputs in the place of the inputs."""

    def __init__(self, outputs_of: Callable[[Tensor], Tensor], way: _Way) -> None:
        self.outputs_of = outputs_of
        self.gradient_of_inputs = way

    def add_gradients(self, gradient: Tensor, inputs: Tensor) -> None:
        """Do nothing; there are no parameters."""


def _relu(gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward.default(gradient, outputs, 0)  # type: ignore[no-any-return]


def _gelu(gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.gelu_backward.default(gradient, inputs)  # type: ignore[no-any-return]


def _silu(gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward.default(gradient, inputs)  # type: ignore[no-any-return]


def _tanh(gradient: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward.default(gradient, outputs)  # type: ignore[no-any-return]


# Those whose way back needs the outputs alone work in place: nothing else reads what a linear layer
# returned, and to keep it would take as much memory again.
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[[Tensor], Tensor], _Way]] = {
    nn.ReLU: (torch.relu_, _relu),
    nn.GELU: (F.gelu, _gelu),
    nn.SiLU: (F.silu, _silu),
    nn.Tanh: (torch.tanh_, _tanh),
}


class LayerChain:
    """Adds the gradients of a loss to those of the parameters of some layers."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self._layers = layers

    def values(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs (B, D) of the first layer, and the outputs of each."""
        values = [inputs.flatten(1)]
        for layer in self._layers:
            values.append(layer.outputs_of(values[-1]))
        return values

    def add_gradients(self, values: list[Tensor], gradient: Tensor) -> None:
        """Add the gradients, given that of the last of the values."""
        for number in range(len(self._layers) - 1, 0, -1):
            layer, inputs = self._layers[number], values[number]
            layer.add_gradients(gradient, inputs)
            gradient = layer.gradient_of_inputs(gradient, inputs, values[number + 1])
        # The gradient of the batch itself is not needed.
        self._layers[0].add_gradients(gradient, values[0])


def chain_of(layers: Sequence[nn.Module]) -> LayerChain | None:
    """Return the chain of linear layers of float32 with known activations; None: others are there.

    It is that of this moment, until something else is put in the place of a parameter or gradient.
    """
    chain: list[_Layer] = []
    for layer in layers:
        own = _layer_of(layer)
        # An activation may change its inputs, which is right for the outputs of a linear layer.
        follows_linear = bool(chain) and isinstance(chain[-1], _Linear)
        if own is None or not (isinstance(own, _Linear) or follows_linear):
            return None
        chain.append(own)
    return LayerChain(chain) if chain else None


def _layer_of(layer: nn.Module) -> _Layer | None:
    if not _is_right(type(layer)):
        return None
    if isinstance(layer, nn.Linear):
        return _Linear(layer) if _is_trained(layer.weight) and _is_trained(layer.bias) else None
    if getattr(layer, "inplace", False) or getattr(layer, "approximate", "none") != "none":
        return None
    return _Activation(*_ACTIVATIONS[type(layer)])


def _is_trained(parameter: Tensor | None) -> bool:
    """Whether the gradient of a parameter is to be filled, and nobody is told of it."""
    return (
        isinstance(parameter, nn.Parameter)
        and parameter.dtype == torch.float32
        and parameter.requires_grad
        and parameter.grad is not None
        and not has_gradient_hooks(parameter)
    )


def _is_right(kind: Any) -> bool:
    """Whether a kind of layer is known, and has the bits of autograd in the installed torch."""
    return (kind is nn.Linear or kind in _ACTIVATIONS) and _has_bits_of_autograd(kind)


@cache
def _has_bits_of_autograd(kind: type[nn.Module]) -> bool:
    layer = _probe_linear() if kind is nn.Linear else kind()
    inputs = _ramp(7, 5)
    try:
        with torch.enable_grad():
            outputs = layer(inputs.requires_grad_())
            gradient = _ramp(*outputs.shape) / 3
            # Handed to `backward` itself, it would make torch import what symbols need.
            (outputs * gradient).sum().backward()
        wanted = [outputs, *_taken_gradients(inputs, *layer.parameters())]
        own = _Linear(layer) if isinstance(layer, nn.Linear) else _Activation(*_ACTIVATIONS[kind])
        inputs = inputs.detach()
        computed = own.outputs_of(inputs.clone())
        own.add_gradients(gradient, inputs)
        found = [computed, own.gradient_of_inputs(gradient, inputs, computed)]
    except (AttributeError, TypeError, RuntimeError):
        return False
    found += _taken_gradients(*layer.parameters())
    return all(map(torch.equal, found, wanted))


def _taken_gradients(*tensors: Tensor) -> list[Tensor]:
    """Return copies of the gradients of some tensors, and set these to zero."""
    taken = []
    for tensor in tensors:
        assert tensor.grad is not None, "a backward pass was just taken"
        taken.append(tensor.grad.clone())
        tensor.grad.zero_()
    return taken


def _probe_linear() -> nn.Linear:
    # Its weights are drawn, which must not change what the training draws.
    with torch.random.fork_rng(devices=()):
        return nn.Linear(5, 3, dtype=torch.float32, device="cpu")


def _ramp(rows: int, columns: int) -> Tensor:
    """Return different numbers around zero, and zero itself."""
    numbers = torch.arange(rows * columns, dtype=torch.float32, device="cpu")
    return ((numbers - rows * columns // 2) / 9).view(rows, columns)
