"""`Muon`: torch's Muon for hidden matrices and AdamW for the rest, as one optimizer.

Layer: training. Both work on the groups and the state of this optimizer, so code that saves, loads
or changes a group does not need to know that there are two.
"""

from __future__ import annotations

from typing import Any

from torch import optim

from tui_trainer.training.parameter_groups import Group


class Muon(optim.Optimizer):
    """The first groups are trained by `torch.optim.Muon`, all others by `torch.optim.AdamW`.

    Args:
        matrices: the groups of the hidden matrices, each of two dimensions.
        others: the groups of all other parameters; there may be none.
        adamw: arguments of AdamW; the remaining keywords are those of Muon.
    """

    def __init__(
        self, matrices: list[Group], others: list[Group], *, lr: float, adamw: Group, **muon: Any
    ) -> None:
        self._count = len(matrices)
        self._parts: list[optim.Optimizer] = [optim.Muon(matrices, lr=lr, **muon)]
        if others:
            self._parts.append(optim.AdamW(others, lr=lr, **adamw))
        # The parts have filled in their defaults in the groups, so no defaults are needed here.
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: Any = None) -> Any:
        """Take a step with both parts; `closure` is called once, before the first."""
        loss = self._parts[0].step(closure)
        for part in self._parts[1:]:
            part.step()
        return loss

    def _share(self) -> None:
        """Make both parts use these groups and this state, also after loading has replaced them."""
        groups = [self.param_groups[: self._count], self.param_groups[self._count :]]
        for part, own in zip(self._parts, groups, strict=False):
            part.__setstate__({"state": self.state, "param_groups": own})
