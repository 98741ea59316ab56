"""`call`: calls a module without what torch does around each call, if nothing depends on it.

Layer: models. For a small model that takes a tenth of a step. The only module that reads the names
of torch's hooks, which are not public: where the installed torch has others, every call is torch's.
The operations are those of the modules, so the bits are the same. `call` looks each time whether
anything depends on the call, and `plain_layers` once for many calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from tui_trainer.models.layers import ACTIVATIONS

_OF_CALLS = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"}
_OF_GRADIENTS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_OF_STATES = {
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
}
_OF_REGISTRATION = {
    "_global_buffer_registration_hooks",
    "_global_module_registration_hooks",
    "_global_parameter_registration_hooks",
}
_KNOWN: frozenset[type[nn.Module]] = frozenset(
    (
        nn.Linear,
        nn.Sequential,
        nn.Dropout,
        nn.LayerNorm,
        nn.BatchNorm1d,
        *(kind for kind in ACTIVATIONS.values() if isinstance(kind, type)),
    )
)
"""The classes whose `forward` is all that they do."""


Operation = Callable[[Tensor], Tensor]
"""Returns the outputs of a layer."""


def call(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return `module(inputs)`; what is inside of `nn.Sequential` is called in the same way."""
    if _is_watched_everywhere() or torch.compiler.is_compiling():
        return _by_torch(module, inputs)
    return _called(module, inputs)


def plain_layers(model: nn.Module, modules: Iterable[nn.Module]) -> list[nn.Module] | None:
    """Return some modules of a model that follow each other, those inside of others one by one.

    None: a call of the model or of one of the modules is more than its `forward`.
    """
    if _is_watched_everywhere() or _is_watched(vars(model)):
        return None
    layers: list[nn.Module] = []
    for module in modules:
        own, kind = vars(module), type(module)
        if kind not in _KNOWN or _is_watched(own):
            return None
        if kind is nn.Sequential:
            inner = plain_layers(module, own["_modules"].values())
            if inner is None:
                return None
            layers += inner
        else:
            layers.append(module)
    return layers


def operation_of(layer: nn.Module) -> Operation:
    """Return what a layer of `plain_layers` computes, without a call of the module.

    It is that of this moment, until another parameter or function is put in the place of its own.
    """
    own, kind = vars(layer), type(layer)
    if kind is nn.Linear and {"weight", "bias"} <= own["_parameters"].keys():
        weight, bias = own["_parameters"]["weight"], own["_parameters"]["bias"]
        return lambda inputs: F.linear(inputs, weight, bias)
    if kind is nn.ReLU and not own["inplace"]:
        return torch.relu
    forward: Operation = layer.forward
    return forward


def has_gradient_hooks(parameter: nn.Parameter) -> bool:
    """Whether somebody is told, in a backward pass, of the gradient of a parameter."""
    return not all(
        hasattr(parameter, name) and not getattr(parameter, name) for name in _OF_GRADIENTS
    )


def _called(module: nn.Module, inputs: Tensor) -> Tensor:
    own, kind = vars(module), type(module)
    if kind not in _KNOWN or _is_watched(own):
        return _by_torch(module, inputs)
    if kind is nn.Linear:
        # To read a parameter as an attribute takes longer than all else here.
        parameters = own["_parameters"]
        try:
            return F.linear(inputs, parameters["weight"], parameters["bias"])
        except KeyError:
            # Something else is in the place of a parameter.
            return _by_torch(module, inputs)
    if kind is nn.Sequential:
        for child in own["_modules"].values():
            inputs = _called(child, inputs)
        return inputs
    outputs: Tensor = module.forward(inputs)
    return outputs


def _is_watched(own: Mapping[str, Any]) -> bool:
    """Whether a call of the module with these attributes is more than `forward` of its class."""
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
        # Some libraries put another function in the place of the `forward` of an object.
        or "forward" in own
    )


def _is_watched_everywhere() -> bool:
    """Whether there are hooks for all calls, or other functions in the place of torch's.

    `torch.fx` exchanges functions.
    """
    return (
        _GLOBAL is None
        or any(_GLOBAL)
        or nn.Module.__call__ is not _CALL
        or nn.Linear.forward is not _FORWARD
    )


def _by_torch(module: nn.Module, inputs: Tensor) -> Tensor:
    outputs: Tensor = module(inputs)
    return outputs


def _global_hooks() -> tuple[Mapping[int, Any], ...] | None:
    """Return torch's hooks for the calls of all modules; None if there are kinds not known here."""
    own = {name for name in vars(nn.Module()) if name.endswith("_hooks")}
    common = {
        name: value
        for name, value in vars(torch_module).items()
        if name.startswith("_global") and name.endswith("_hooks") and isinstance(value, dict)
    }
    of_calls = {f"_global{name}" for name in _OF_CALLS}
    if own != _OF_CALLS | _OF_STATES or common.keys() != of_calls | _OF_REGISTRATION:
        return None
    return tuple(common[name] for name in sorted(of_calls))


_GLOBAL = _global_hooks()
_CALL, _FORWARD = nn.Module.__call__, nn.Linear.forward
