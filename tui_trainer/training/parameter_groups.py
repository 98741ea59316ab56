"""`Grouping`: which settings of the optimizer each parameter of a model is trained with.

Layer: training. Parameters are grouped by `optimizer.groups`, by whether they decay, and by their
depth in the model. What is frozen for good is in no group of the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.group_facts import GroupFacts
from tui_trainer.config.sections.optimizers import MuonSection, OptimizerSection, base_lr
from tui_trainer.config.sections.parameter_groups import GroupSection
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.training.layer_depth import depths_of
from tui_trainer.training.parameter_names import names_matching

Group = dict[str, Any]
"""A group of parameters as torch's optimizers have it."""


class Membership(NamedTuple):
    """The facts that decide the settings of a parameter."""

    group: int | None
    """The number of its group in `optimizer.groups`, or None."""
    depth: int
    """How many layers it is away from the output; 0 without `optimizer.layer_decay`."""
    decays: bool


class Grouping:
    """The groups of the parameters of one model by the settings of an optimizer."""

    def __init__(self, section: OptimizerSection, model: nn.Module) -> None:
        """Group all parameters, frozen ones too.

        Raises:
            ConfigError: a group has no parameters, or the model has no layers to tell apart.
        """
        self._section = section
        self._groups = assign_groups(section.groups, model) if section.groups else {}
        self._depths = {} if section.layer_decay is None else _depths(model)

    def of(self, parameter: nn.Parameter) -> Membership:
        """Return what decides the settings of a parameter."""
        number, decay = self._groups.get(parameter), self._section.decay
        if number is not None:
            decay = self._section.groups[number].decay or decay
        decays = decay == "all" or parameter.ndim > 1
        return Membership(number, self._depths.get(parameter, 0), decays)

    def groups(self, parameters: Iterable[nn.Parameter]) -> list[Group]:
        """Return groups for an optimizer of torch, the parameters in the order given.

        The groups are in the order of the settings, and those that decay come first.
        """
        members: dict[Membership, list[nn.Parameter]] = {}
        for parameter in parameters:
            members.setdefault(self.of(parameter), []).append(parameter)
        return [_group(place, members[place]) for place in sorted(members, key=_order)]


def _order(place: Membership) -> tuple[bool, int, int, bool]:
    return (place.group is None, place.group or 0, -place.depth, not place.decays)


def _group(place: Membership, parameters: list[nn.Parameter]) -> Group:
    group: Group = {"params": parameters, "decays": place.decays}
    if place.group is not None:
        group["group"] = place.group
    if place.depth:
        group["depth"] = place.depth
    return group


def assign_groups(groups: Sequence[GroupSection], model: nn.Module) -> dict[nn.Parameter, int]:
    """Return the number of the group of each parameter that one matches; the first match wins.

    A parameter that layers share has all of its names.

    Raises:
        ConfigError: a pattern matches nothing, or all that a group matches is in earlier groups.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    numbers: dict[nn.Parameter, int] = {}
    for number, group in enumerate(groups):
        key = f"optimizer.groups.{number}.match"
        matching = {named[name] for name in names_matching(group.patterns, named, key)}
        if matching <= numbers.keys():
            earlier = sorted({numbers[parameter] for parameter in matching})
            by = " and ".join(f"optimizer.groups.{one}" for one in earlier)
            message = (
                f"all that {clean(', '.join(group.patterns), 80)} matches is in {by} already: the "
                "first match wins, so put this group first, or leave it out"
            )
            raise ConfigError([Problem(message, key)])
        for parameter in matching:
            numbers.setdefault(parameter, number)
    return numbers


def _depths(model: nn.Module) -> Mapping[nn.Parameter, int]:
    depths = depths_of(model)
    if not any(depths.values()):
        message = "this model has a single layer, so there is no depth to tell apart; leave it out"
        raise ConfigError([Problem(message, "optimizer.layer_decay")])
    return depths


def frozen_by_groups(groups: Sequence[GroupSection], model: nn.Module) -> set[str]:
    """Return the names of the parameters in groups that are frozen for good; raises ConfigError."""
    if not any(group.freeze for group in groups):
        return set()
    numbers = assign_groups(groups, model)
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter in numbers and groups[numbers[parameter]].freeze
    }


def frozen_in(groups: Sequence[GroupSection], step: int) -> frozenset[int]:
    """Return the numbers of the groups that are frozen in a step, counted from 1."""
    return frozenset(number for number, group in enumerate(groups) if step < group.first_step)


def freeze_param_groups(param_groups: Sequence[Group], numbers: frozenset[int]) -> None:
    """Freeze the parameters of some of `optimizer.groups`, and no others of an optimizer."""
    for group in param_groups:
        group["frozen"] = group.get("group") in numbers
        for parameter in group["params"]:
            parameter.requires_grad_(not group["frozen"])


def check_trains(experiment: Experiment, param_groups: Sequence[Group]) -> None:
    """Raise ConfigError if the first step would train nothing."""
    groups = experiment.optimizer.groups
    waiting = frozen_in(groups, 1)
    if not waiting or any(group.get("group") not in waiting for group in param_groups):
        return
    first = min(waiting, key=lambda number: groups[number].first_step)
    message = (
        f"nothing would be trained before step {groups[first].first_step:,}: everything else is "
        "frozen, too; leave something to train, such as head"
    )
    raise ConfigError([Problem(message, f"optimizer.groups.{first}.freeze_until")])


def retune_group(group: Group, section: OptimizerSection) -> None:
    """Set the live settings of a group to those of a section, except for the learning rate."""
    own = section.groups[group["group"]] if "group" in group else None
    group["weight_decay"] = weight_decay_of(section, own) if group["decays"] else 0.0
    if "momentum" in group and hasattr(section, "momentum"):
        momentum = getattr(own, "momentum", None)
        group["momentum"] = section.momentum if momentum is None else momentum
    factor = 1.0
    if "by_adamw" in group and isinstance(section, MuonSection) and (own is None or own.lr is None):
        factor = section.adamw_lr / section.lr
    if "depth" in group and section.layer_decay is not None:
        factor *= section.layer_decay ** group["depth"]
    group["lr_factor"] = factor


def weight_decay_of(section: OptimizerSection, group: GroupSection | None) -> float:
    """Return the weight decay of a group, for what decays in it."""
    if group is None or group.weight_decay is None:
        return section.weight_decay
    return group.weight_decay


def summarize_groups(section: OptimizerSection, model: nn.Module) -> tuple[GroupFacts, ...]:
    """Return the facts about each group, and about the rest; nothing if all is trained alike."""
    if not section.groups and section.layer_decay is None:
        return ()
    grouping = Grouping(section, model)
    members: dict[int | None, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        members.setdefault(grouping.of(parameter).group, []).append((name, parameter))
    ordered = sorted(members, key=lambda number: (number is None, number or 0))
    return tuple(_summary(section, grouping, number, members[number]) for number in ordered)


def _summary(
    section: OptimizerSection,
    grouping: Grouping,
    number: int | None,
    members: Sequence[tuple[str, nn.Parameter]],
) -> GroupFacts:
    own = None if number is None else section.groups[number]
    places = [(parameter, grouping.of(parameter)) for _, parameter in members]
    factors = [(section.layer_decay or 1.0) ** place.depth for _, place in places]
    lr = base_lr(section, own)
    return GroupFacts(
        match="" if own is None else ", ".join(own.patterns),
        names=tuple(name for name, _ in members),
        parameters=sum(parameter.numel() for parameter, _ in places),
        lr=(lr * min(factors), lr * max(factors)),
        weight_decay=weight_decay_of(section, own),
        decayed=sum(parameter.numel() for parameter, place in places if place.decays),
        schedule="" if own is None or own.schedule is None else own.schedule.type,
        is_frozen=not any(parameter.requires_grad for parameter, _ in places),
        first_step=1 if own is None else own.first_step,
    )
