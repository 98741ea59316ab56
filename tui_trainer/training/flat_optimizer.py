"""`FlatOptimizer`: SGD, Adam and AdamW over whole buffers of parameters.

Layer: training. It has the interface of torch's optimizers as far as `State` uses it, and the state
of each parameter has torch's names and shapes, so checkpoints of both are the same. The arithmetic
is that of `update_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.training.flat_buffer import FlatBuffer
from tui_trainer.training.parameter_groups import Group
from tui_trainer.training.update_rules import Block, BlockGroup, UpdateRule

_FROZEN = -1
"""Stands for the number of a group that is not updated."""


class FlatOptimizer:
    """An optimizer of torch's interface whose parameters lie in flat buffers."""

    def __init__(self, groups: list[Group], rule: UpdateRule) -> None:
        """Take groups as torch has them, each with all settings of the rule."""
        self.param_groups = groups
        self._rule = rule
        self._parts: dict[str, list[_Store]] = {}

    def use(self, buffers: Mapping[str, Sequence[FlatBuffer]]) -> None:
        """Update the parameters of these buffers, by part of the model; their state begins anew."""
        self._parts = {
            part: [_Store(buffer, self._rule) for buffer in own] for part, own in buffers.items()
        }

    def note_frozen(self) -> None:
        """Leave the parameters of groups as they are that are `frozen` now, and update the rest."""
        for stores in self._parts.values():
            for store in stores:
                store.cut_anew()

    def step(self, part: str | None = None) -> None:
        """Update all parameters, or those of a part, by their gradients.

        Nothing is recorded for a backward pass, since no flat tensor requires gradients; to say so
        with `no_grad` would cost half as much as the update of a small model.
        """
        for name, stores in self._parts.items():
            if part is None or name == part:
                for store in stores:
                    store.update(self.param_groups)

    def direct_step(self) -> Callable[[], None]:
        """Return `step`, for as long as no setting changes but the rate, and nothing is frozen.

        Only for steps without code of the user's, which may exchange the memory of a parameter.
        """
        if len(self.param_groups) > 1:
            # Their rates may become the same in one step, and differ in the next.
            return self.step
        (group,), update = self.param_groups, self._rule.update
        stores = [store for own in self._parts.values() for store in own]
        together = [blocks for store in stores for _, blocks in store.cut(self.param_groups)]

        def step() -> None:
            for blocks in together:
                update(blocks, group)

        return step

    def state_dict(self) -> dict[str, Any]:
        """Return the state as torch does; its tensors are those that the next step changes."""
        entries = {
            parameter: entry
            for stores in self._parts.values()
            for store in stores
            for parameter, entry in store.entries().items()
        }
        state: dict[int, dict[str, Tensor]] = {}
        groups: list[Group] = []
        number = 0
        for group in self.param_groups:
            numbers = range(number, number + len(group["params"]))
            number = numbers.stop
            groups.append({**group, "params": list(numbers)})
            for own, parameter in zip(numbers, group["params"], strict=True):
                if parameter in entries:
                    state[own] = entries[parameter]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Copy a state in; the groups keep their own settings."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        entries = {parameters[number]: entry for number, entry in saved["state"].items()}
        for stores in self._parts.values():
            for store in stores:
                store.load(entries)


def _alike(groups: list[Group]) -> tuple[int, ...]:
    """Return the first group with the same settings for each: these are updated as one."""
    settings = [(group["lr"], group["weight_decay"], group.get("momentum")) for group in groups]
    return tuple(map(settings.index, settings))


class _Store:
    """A buffer with the running means of its parameters, cut into blocks for the next step."""

    def __init__(self, buffer: FlatBuffer, rule: UpdateRule) -> None:
        self._buffer = buffer
        self._rule = rule
        self._moments: list[Tensor] = []
        self._steps = [0] * len(buffer.parameters)
        self._alike: tuple[int, ...] = ()
        self._blocks: list[tuple[int, BlockGroup]] = []
        """The blocks for each group whose settings they are updated by; empty: not cut yet."""
        self._ends: list[tuple[Block, range]] = []
        """The places of the parameters of each block."""

    def update(self, groups: list[Group]) -> None:
        """Take a step."""
        for number, blocks in self.cut(groups):
            self._rule.update(blocks, groups[number])

    def cut(self, groups: list[Group]) -> list[tuple[int, BlockGroup]]:
        """Return the blocks to update, with the number of the group whose settings count."""
        self._buffer.hold_values()
        alike = (0,) if len(groups) == 1 else _alike(groups)
        if alike != self._alike or self._lacks_moments(groups):
            self._cut(groups, alike)
        return self._blocks

    def cut_anew(self) -> None:
        """Cut the buffer into blocks again before the next step."""
        self._note_steps()
        self._blocks, self._ends, self._alike = [], [], ()

    def _lacks_moments(self, groups: list[Group]) -> bool:
        return not self._moments and any(map(self._rule.keeps_moments, groups))

    def _cut(self, groups: list[Group], alike: tuple[int, ...]) -> None:
        """Cut the buffer into as few blocks as the settings of the groups allow."""
        self._note_steps()
        if self._lacks_moments(groups):
            self._moments = [self._buffer.new_zeros() for _ in self._rule.moments]
        group_of = {
            parameter: _FROZEN if group.get("frozen") else alike[number]
            for number, group in enumerate(groups)
            for parameter in group["params"]
        }
        by_group: dict[int, list[Block]] = {}
        self._ends = []
        for places in self._neighbours([group_of[p] for p in self._buffer.parameters]):
            group = group_of[self._buffer.parameters[places.start]]
            if group == _FROZEN:
                continue
            block = self._block(places)
            self._ends.append((block, places))
            by_group.setdefault(group, []).append(block)
        self._blocks = [(group, BlockGroup(blocks)) for group, blocks in by_group.items()]
        self._alike = alike

    def _neighbours(self, groups: list[int]) -> list[range]:
        """Return the longest ranges of parameters that one operation can update."""
        # A gap ends a range also because the fused kernels round what is left of a tensor after
        # its last whole line in another way.
        cuts = [
            place
            for place in range(1, len(groups))
            if groups[place] != groups[place - 1]
            or self._steps[place] != self._steps[place - 1]
            or self._buffer.has_gap_after(place - 1)
        ]
        return [range(first, after) for first, after in pairwise([0, *cuts, len(groups)])]

    def _block(self, places: range) -> Block:
        buffer = self._buffer
        return Block(
            buffer.part(buffer.hold_values(), places),
            buffer.gradient_part(places),
            [buffer.part(moment, places) for moment in self._moments],
            self._steps[places.start],
        )

    def _note_steps(self) -> None:
        for block, places in self._ends:
            for place in places:
                self._steps[place] = block.steps

    def entries(self) -> dict[nn.Parameter, dict[str, Tensor]]:
        """Return torch's entry of each parameter that has been updated."""
        self._note_steps()
        entries: dict[nn.Parameter, dict[str, Tensor]] = {}
        for place, (parameter, *moments) in enumerate(self._by_parameter()):
            if self._steps[place] == 0:
                continue
            entry = entries[parameter] = {}
            if self._rule.counts_steps:
                entry["step"] = torch.tensor(float(self._steps[place]))
            entry.update(zip(self._rule.moments, moments, strict=True))
        return entries

    def _by_parameter(self) -> Iterator[tuple[Any, ...]]:
        """Yield each parameter with its own part of the running means."""
        buffer = self._buffer
        views = [buffer.views(moment) for moment in self._moments]
        return zip(buffer.parameters, *views, strict=True)

    def load(self, entries: Mapping[nn.Parameter, Mapping[str, Any]]) -> None:
        """Copy the entries in; a parameter without one begins anew."""
        self._moments, self._blocks, self._ends, self._alike = [], [], [], ()
        if any(map(self._rule.has_moments, entries.values())):
            self._moments = [self._buffer.new_zeros() for _ in self._rule.moments]
        for place, (parameter, *moments) in enumerate(self._by_parameter()):
            self._steps[place] = 0
            entry = entries.get(parameter)
            if not entry or not self._rule.has_moments(entry):
                continue
            self._steps[place] = int(entry["step"]) if self._rule.counts_steps else 1
            for name, moment in zip(self._rule.moments, moments, strict=True):
                saved = entry[name]
                if saved.shape != parameter.shape:
                    raise ValueError(
                        f"{name} is {tuple(saved.shape)} for a parameter {tuple(parameter.shape)}"
                    )
                moment.copy_(saved)
