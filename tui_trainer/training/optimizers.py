"""Optimizers of torch built from their sections, fused if torch supports that on the device.

Layer: training. Every step overwrites the learning rate of a group with base x factor, times the
group's `lr_factor` if it has one. `parameter_groups` decides which parameters are in which group.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn, optim

from tui_trainer.config.plugin_loader import OPTIMIZER_FACTORIES
from tui_trainer.config.sections.optimizers import (
    NO_ARGUMENTS,
    AdamSection,
    AdamWSection,
    MuonSection,
    OptimizerSection,
    SgdSection,
)
from tui_trainer.config.sections.section import settings_taken
from tui_trainer.config.sections.training import Arithmetic
from tui_trainer.config.user_code import describe_error_near, place_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.training.flat_optimizer import FlatOptimizer
from tui_trainer.training.muon import Muon
from tui_trainer.training.parameter_groups import Group, Grouping, retune_group
from tui_trainer.training.torch_internals import fused_adam, fused_sgd
from tui_trainer.training.update_rules import FlatAdam, FlatSgd, UpdateRule

Kind = Callable[..., optim.Optimizer]
AnyOptimizer = optim.Optimizer | FlatOptimizer

OPTIMIZERS: dict[str, Kind] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adafactor": optim.Adafactor,
    "muon": Muon,
}
"""The optimizers by the `type` of the section that holds their arguments."""

_MATRIX_LAYERS = (nn.Linear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


def build_optimizer(
    section: OptimizerSection,
    model: nn.Module,
    parts: Mapping[str, nn.Module] | None = None,
    arithmetic: Arithmetic = "fused",
) -> AnyOptimizer:
    """Build a section's optimizer for the trained parameters of a model that is on its device.

    With `parts` of the model, each has groups of its own, which have its name as `part`. One that
    is flat can be used once `State` has taken over the parameters.

    Raises:
        ConfigError: the model has no parameters that this optimizer can train, or a group of the
            section has none.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    grouping = Grouping(section, model)
    optimizer: AnyOptimizer
    if isinstance(section, MuonSection):
        optimizer = _muon(section, model, trained, arithmetic, grouping)
    elif section.type in OPTIMIZER_FACTORIES:
        optimizer = _own(section, _groups_of_parts(parts or {"": model}, grouping))
    else:
        arguments = section.model_dump(exclude=set(NO_ARGUMENTS))
        groups = _groups_of_parts(parts or {"": model}, grouping)
        rule = _flat_rule(section, arithmetic) if _may_lie_flat(model, trained) else None
        if rule is None:
            kind = OPTIMIZERS[section.type]
            optimizer = kind(groups, **arguments, **_fastest(kind, trained, arithmetic))
        else:
            optimizer = FlatOptimizer([arguments | group for group in groups], rule)
    retune(optimizer, section)
    return optimizer


def _own(section: OptimizerSection, groups: list[Group]) -> optim.Optimizer:
    """Return the optimizer that a plugin makes for some groups.

    Raises:
        BadInput: its function fails, or returns anything else.
    """
    function = OPTIMIZER_FACTORIES[section.type]
    place, name = clean(place_of(function), 300), f"optimizer {section.type}"
    settings = settings_taken(function, section)
    # The parameter of that name takes the groups of parameters, and not the setting.
    settings.pop("groups", None)
    wanted = [[id(one) for one in group["params"]] for group in groups]
    try:
        made = function(groups, **settings)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{describe_error_near(error, place)} (in {name})") from error
    if not isinstance(made, optim.Optimizer):
        raise BadInput(f"{place}: {name} is a {type(made).__name__}, not a torch.optim.Optimizer")
    there = [[id(one) for one in group["params"]] for group in made.param_groups]
    if there != wanted or not all("decays" in group for group in made.param_groups):
        raise BadInput(
            f"{place}: {name} has other groups of parameters than it was given; pass groups to it "
            "as they are"
        )
    return made


def _may_lie_flat(model: nn.Module, trained: list[nn.Parameter]) -> bool:
    """Whether the trained parameters of a model can be moved into flat buffers."""
    if not all(p.device.type == "cpu" and p.dtype.is_floating_point for p in trained):
        # Elsewhere than on the CPU, cuDNN and cuBLAS have wishes of their own for places in memory.
        return False
    # Parameters that share memory, with each other or with a buffer, would come apart.
    tensors = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.numel()]
    uses = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors)
    return all(uses[parameter.untyped_storage().data_ptr()] <= 1 for parameter in trained)


def _flat_rule(section: OptimizerSection, arithmetic: Arithmetic) -> UpdateRule | None:
    """Return the rule of a section for flat buffers; None if it has none, or torch no kernel."""
    if isinstance(section, SgdSection):
        if arithmetic == "plain":
            return FlatSgd(None)
        kernel = fused_sgd()
        return None if kernel is None else FlatSgd(kernel)
    if isinstance(section, AdamSection | AdamWSection):
        decoupled = isinstance(section, AdamWSection)
        if arithmetic == "plain":
            return FlatAdam(None, decoupled=decoupled)
        kernel = fused_adam(decoupled=decoupled)
        return None if kernel is None else FlatAdam(kernel, decoupled=decoupled)
    return None


def retune(optimizer: AnyOptimizer, section: OptimizerSection) -> None:
    """Apply the live settings of a section to the groups, except for the learning rate."""
    for group in optimizer.param_groups:
        retune_group(group, section)


def _groups_of_parts(parts: Mapping[str, nn.Module], grouping: Grouping) -> list[Group]:
    """Return the groups of each part; a part is named in its groups if there are several."""
    if len(parts) == 1:
        (whole,) = parts.values()
        return grouping.groups(p for p in whole.parameters() if p.requires_grad)
    return [
        {**group, "part": name, "part_factor": 1.0}
        for name, part in parts.items()
        for group in grouping.groups(p for p in part.parameters() if p.requires_grad)
    ]


def set_part_factors(optimizer: AnyOptimizer, factors: Mapping[str, float]) -> None:
    """Set the factors of the learning rate of the parts, by name."""
    for group in optimizer.param_groups:
        if "part" in group:
            group["part_factor"] = factors[group["part"]]
        elif len(factors) == 1:
            (group["part_factor"],) = factors.values()


def _muon(
    section: MuonSection,
    model: nn.Module,
    trained: list[nn.Parameter],
    arithmetic: Arithmetic,
    grouping: Grouping,
) -> Muon:
    chosen = _hidden_matrices(model)
    matrices = [p for p in trained if p in chosen]
    if not matrices:
        raise ConfigError(
            [
                Problem(
                    "muon trains the weights of hidden linear and recurrent layers, and this "
                    "model has none; use optimizer=adamw",
                    "optimizer.type",
                )
            ]
        )
    rest = [p for p in trained if p not in chosen]
    return Muon(
        grouping.groups(matrices),
        [{**group, "by_adamw": True} for group in grouping.groups(rest)],
        lr=section.lr,
        momentum=section.momentum,
        nesterov=section.nesterov,
        ns_steps=section.ns_steps,
        adjust_lr_fn=section.adjust_lr_fn,
        adamw={
            "betas": section.adamw_betas,
            "eps": section.adamw_eps,
            **_fastest(optim.AdamW, trained, arithmetic),
        },
    )


def _hidden_matrices(model: nn.Module) -> set[nn.Parameter]:
    """Return the 2-D weights of linear, recurrent and attention layers except the output layer's.

    The output layer is the last such layer in the module named `head`. A weight that it shares
    with another layer is left out too.
    """
    inside: set[nn.Parameter] = set()
    outside: set[nn.Parameter] = set()
    last_of_head: nn.Module | None = None
    for name, module in model.named_modules():
        if "head" in name.split(".") and isinstance(module, _MATRIX_LAYERS):
            last_of_head = module
    for module in model.modules():
        is_hidden = isinstance(module, _MATRIX_LAYERS) and module is not last_of_head
        for parameter in module.parameters(recurse=False):
            (inside if is_hidden and parameter.ndim == 2 else outside).add(parameter)
    return inside - outside


def _fastest(kind: Kind, parameters: list[nn.Parameter], arithmetic: Arithmetic) -> dict[str, Any]:
    """Return the option that needs the fewest kernels; the steps differ only by rounding.

    Plain arithmetic is what torch does by itself.
    """
    if arithmetic == "plain":
        return {}
    accepted = inspect.signature(kind).parameters
    places = {(p.device, p.dtype) for p in parameters}
    if "fused" in accepted and all(_is_fused(kind, *place) for place in places):
        return {"fused": True}
    # Adafactor's foreach form uses as much memory as Adafactor is meant to save.
    if "foreach" in accepted and kind is not optim.Adafactor:
        return {"foreach": True}
    return {}


@lru_cache(maxsize=64)
def _is_fused(kind: Kind, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has the fused form for a device and type; only a first step can tell."""
    parameter = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))
    parameter.grad = torch.zeros_like(parameter)
    try:
        kind([parameter], fused=True).step()
    except RuntimeError:
        return False
    return True


@contextmanager
def using_groups(optimizer: optim.Optimizer, chosen: Callable[[Group], bool]) -> Iterator[None]:
    """Let an optimizer of torch have some of its groups alone for a while."""
    all_groups = optimizer.param_groups
    optimizer.param_groups = [group for group in all_groups if chosen(group)]
    try:
        yield
    finally:
        optimizer.param_groups = all_groups


def lay_out_like_parameters(optimizer: AnyOptimizer) -> None:
    """Give an optimizer's tensors the same strides as their parameters.

    A checkpoint may have been saved with another memory format, and fused optimizers walk along
    the memory.
    """
    if isinstance(optimizer, FlatOptimizer):
        return
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            if value.stride() != parameter.stride():
                entry[key] = torch.empty_strided(
                    value.size(), parameter.stride(), dtype=value.dtype, device=value.device
                ).copy_(value)
