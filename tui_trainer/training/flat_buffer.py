"""`FlatBuffer`: parameters of one type that lie in one tensor, and their gradients in another.

Layer: training. Clearing the gradients, their norm, clipping and a mean of the weights are then one
operation each. Whatever is saved does not depend on this layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from tui_trainer.data.base.split import LINE_BYTES


class FlatBuffer:
    """Some parameters, in the order of the model. The gradient of each is a view of `gradients`.

    With `holds_values`, the parameters themselves are views of `values`, which may have gaps. The
    gradients have none, since their norm depends on the places too.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, holds_values: bool) -> None:
        """Take over parameters of one dtype and one device; their values stay the same."""
        self.parameters = tuple(parameters)
        for parameter in self.parameters:
            if not is_dense(parameter):
                parameter.data = parameter.data.contiguous()
        sizes = [parameter.numel() for parameter in self.parameters]
        self._ends = list(accumulate(sizes))
        # Where tensors of their own would begin. Matrix products of the CPU round at other places
        # otherwise, and so the bits would depend on the layout.
        per_line = max(1, LINE_BYTES // self.parameters[0].element_size())
        self._starts = list(
            accumulate((-(-size // per_line) * per_line for size in sizes), initial=0)
        )
        first = self.parameters[0]
        self.gradients = torch.zeros(self._ends[-1], dtype=first.dtype, device=first.device)
        self.gradient_views = [
            self._view(self.gradients, parameter, end - parameter.numel())
            for parameter, end in zip(self.parameters, self._ends, strict=True)
        ]
        self.give_gradients()
        self.values: Tensor | None = None
        if holds_values:
            self.values = self.new_zeros()
            self._places: list[int] = []
            self.hold_values()

    def give_gradients(self) -> list[Tensor]:
        """Give each parameter that requires a gradient its own, and return these; others get none.

        Optimizers of torch pass over a parameter without one.
        """
        given = []
        for parameter, gradient in zip(self.parameters, self.gradient_views, strict=True):
            # Backward adds into a gradient in place, if it is there and has the same strides.
            parameter.grad = gradient if parameter.requires_grad else None
            given += [gradient] if parameter.requires_grad else []
        return given

    def new_zeros(self) -> Tensor:
        """Return zeros in the layout of `values`."""
        first = self.parameters[0]
        return torch.zeros(self._starts[-1], dtype=first.dtype, device=first.device)

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return the part of each parameter in a tensor of the layout of `values`.

        With the shape and the strides of the parameter, because kernels walk along the memory of
        several tensors at once.
        """
        return [
            self._view(flat, parameter, start)
            for parameter, start in zip(self.parameters, self._starts[:-1], strict=True)
        ]

    @staticmethod
    def _view(flat: Tensor, parameter: nn.Parameter, start: int) -> Tensor:
        return flat.as_strided(parameter.size(), parameter.stride(), start)

    def has_gap_after(self, number: int) -> bool:
        """Whether the next parameter does not follow this one directly in `values`."""
        return self._starts[number] + self.parameters[number].numel() != self._starts[number + 1]

    def part(self, flat: Tensor, places: range) -> Tensor:
        """Return the numbers of some neighbours without gaps between them, as (N,)."""
        last = places[-1]
        return flat[self._starts[places[0]] : self._starts[last] + self.parameters[last].numel()]

    def gradient_part(self, places: range) -> Tensor:
        """Return the gradients of some neighbours, as (N,)."""
        first, last = places[0], places[-1]
        return self.gradients[self._ends[first] - self.parameters[first].numel() : self._ends[last]]

    def hold_values(self) -> Tensor:
        """Return the values, after parameters whose memory was exchanged were taken back.

        Whoever assigns to `parameter.data` exchanges it.
        """
        assert self.values is not None, "only asked of a buffer that holds the values"
        places = [parameter.data_ptr() for parameter in self.parameters]
        if places != self._places:
            for parameter, view in zip(self.parameters, self.views(self.values), strict=True):
                if parameter.data_ptr() != view.data_ptr():
                    view.copy_(parameter.data)
                    parameter.data = view
            self._places = [parameter.data_ptr() for parameter in self.parameters]
        return self.values


def flat_buffers(
    parameters: Iterable[nn.Parameter], *, holds_values: bool = False
) -> list[FlatBuffer]:
    """Return the buffers of some parameters, one for each dtype."""
    by_dtype: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in parameters:
        by_dtype.setdefault(parameter.dtype, []).append(parameter)
    return [FlatBuffer(alike, holds_values=holds_values) for alike in by_dtype.values()]


def is_dense(tensor: Tensor) -> bool:
    """Whether the numbers of a tensor lie in memory without gaps, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.size(), strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True
