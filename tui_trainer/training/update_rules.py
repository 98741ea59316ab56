"""`FlatAdam` and `FlatSgd`: the arithmetic of SGD, Adam and AdamW on blocks of parameters.

Layer: training. It is torch's, to the bit: that of its fused kernels, or the plain one of its
default form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from tui_trainer.training.parameter_groups import Group
from tui_trainer.training.torch_internals import Kernel, call_fused_adam, call_fused_sgd


@dataclass(slots=True, eq=False)
class Block:
    """Neighbouring parameters that are updated by the same numbers, as one tensor."""

    values: Tensor
    gradients: Tensor
    moments: list[Tensor]
    """The running means that the rule keeps, in its order; they do not count if `steps` is 0."""
    steps: int
    """How many steps their state has seen; a state without such a count has 1 from the first on."""
    count: Tensor = field(default_factory=lambda: torch.zeros(()))
    """A place for `steps` in the form that fused kernels read, or for a number that depends on it;
    a new one each time costs as much as the kernel."""


class BlockGroup:
    """Blocks of one dtype and one group; their tensors also in lists, as kernels take them."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.each = tuple(blocks)
        self.values = [block.values for block in blocks]
        self.gradients = [block.gradients for block in blocks]
        self.moments = [list(alike) for alike in zip(*(b.moments for b in blocks), strict=True)]
        """For each running mean of the rule that of every block."""
        self.counts = [block.count for block in blocks]


class UpdateRule(Protocol):
    """The arithmetic of an optimizer."""

    moments: tuple[str, ...]
    """The names of its running means, those of torch."""
    counts_steps: bool
    """Whether the state of a parameter has the number of its steps."""
    kernel: Kernel | None
    """The fused kernel; None for plain arithmetic."""

    def update(self, blocks: BlockGroup, group: Group) -> None:
        """Take a step with some blocks by the settings of their group."""
        ...

    def keeps_moments(self, group: Group) -> bool:
        """Whether a step by these settings uses the running means."""
        ...

    def has_moments(self, entry: Mapping[str, Any]) -> bool:
        """Whether the entry of a parameter in a state was made by a step that used them."""
        ...


class FlatAdam:
    """Adam (Kingma & Ba, arXiv:1412.6980), or AdamW (arXiv:1711.05101) if `decoupled`."""

    moments: tuple[str, ...] = ("exp_avg", "exp_avg_sq")
    counts_steps = True

    def __init__(self, kernel: Kernel | None, *, decoupled: bool) -> None:
        self.kernel = kernel
        self._decoupled = decoupled

    def keeps_moments(self, group: Group) -> bool:
        return True

    def has_moments(self, entry: Mapping[str, Any]) -> bool:
        return True

    def update(self, blocks: BlockGroup, group: Group) -> None:
        lr, betas, eps = group["lr"], group["betas"], group["eps"]
        for block in blocks.each:
            block.steps += 1
            if self.kernel is None:
                self._update(block, lr, betas, eps, group["weight_decay"])
            else:
                block.count.fill_(block.steps)
        if self.kernel is None:
            return
        means, squares = blocks.moments
        call_fused_adam(
            self.kernel,
            (blocks.values, blocks.gradients, means, squares),
            blocks.counts,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=group["weight_decay"],
        )

    def _update(
        self, block: Block, lr: float, betas: tuple[float, float], eps: float, decay: float
    ) -> None:
        # The order and the form of each operation are those of torch: they decide the bits.
        values, gradients, (mean, square) = block.values, block.gradients, block.moments
        if decay and self._decoupled:
            values.mul_(1 - lr * decay)
        elif decay:
            gradients = gradients.add(values, alpha=decay)
        mean.lerp_(gradients, 1 - betas[0])
        square.mul_(_number(betas[1], square)).addcmul_(gradients, gradients, value=1 - betas[1])
        step_size = lr / (1 - betas[0] ** block.steps)
        root: float | Tensor = (1 - betas[1] ** block.steps) ** 0.5
        if square.dtype == block.count.dtype:
            root = block.count.fill_(root)
        denominator = square.sqrt().div_(root).add_(_number(eps, square))
        values.addcdiv_(mean, denominator, value=-step_size)


def _number(value: float, like: Tensor) -> float | Tensor:
    """Return a number in the form that takes the least time to combine with a tensor.

    Torch converts a number of Python's at each operation, which takes longer than the operation on
    a small tensor. What has fewer bits than float32 is computed with more.
    """
    return _scalar(value) if like.dtype == torch.float32 else value


@lru_cache(maxsize=16)
def _scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float32)


class FlatSgd:
    """Stochastic gradient descent, with momentum if the settings in force have any."""

    moments: tuple[str, ...] = ("momentum_buffer",)
    counts_steps = False

    def __init__(self, kernel: Kernel | None) -> None:
        self.kernel = kernel

    def keeps_moments(self, group: Group) -> bool:
        return bool(group["momentum"])

    def has_moments(self, entry: Mapping[str, Any]) -> bool:
        return entry.get("momentum_buffer") is not None

    def update(self, blocks: BlockGroup, group: Group) -> None:
        # Torch begins the momentum with the gradient itself: `steps` is 0 until that was done.
        new = [block for block in blocks.each if block.steps == 0]
        if len(new) in (0, len(blocks.each)):
            self._update_alike(blocks, group, is_first=bool(new))
        else:
            old = [block for block in blocks.each if block.steps]
            self._update_alike(BlockGroup(new), group, is_first=True)
            self._update_alike(BlockGroup(old), group, is_first=False)
        if group["momentum"]:
            for block in new:
                block.steps = 1

    def _update_alike(self, blocks: BlockGroup, group: Group, *, is_first: bool) -> None:
        if self.kernel is None:
            for block in blocks.each:
                self._update(block, group, is_first=is_first)
            return
        momenta = blocks.moments[0] if group["momentum"] else []
        call_fused_sgd(
            self.kernel,
            (blocks.values, blocks.gradients, momenta),
            lr=group["lr"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            is_first_step=is_first and bool(group["momentum"]),
        )

    def _update(self, block: Block, group: Group, *, is_first: bool) -> None:
        # As in `FlatAdam`, the form of each operation decides the bits.
        gradients, momentum = block.gradients, group["momentum"]
        if group["weight_decay"]:
            gradients = gradients.add(block.values, alpha=group["weight_decay"])
        if momentum:
            (velocity,) = block.moments
            if is_first:
                velocity.copy_(gradients)
            else:
                velocity.mul_(momentum).add_(gradients, alpha=1.0)
            gradients = gradients.add(velocity, alpha=momentum) if group["nesterov"] else velocity
        block.values.add_(gradients, alpha=-group["lr"])
