"""`Muon`: torch's Muon for hidden matrices and its AdamW for the rest, as one optimizer.

Layer: training. Both work on the groups and the state of this one, so that whoever saves, loads
or changes a group needs to know of no other.
"""

from __future__ import annotations

from typing import Any

from torch import optim

Group = dict[str, Any]


class Muon(optim.Optimizer):
    """The first group is trained by `torch.optim.Muon`, all others by `torch.optim.AdamW`.

    Args:
        matrices: the group of the hidden matrices, each of two dimensions.
        others: groups of what is left; there may be none.
        adamw: arguments of AdamW; the others are those of Muon.
    """

    def __init__(
        self, matrices: Group, others: list[Group], *, lr: float, adamw: Group, **muon: Any
    ) -> None:
        self._parts: list[optim.Optimizer] = [optim.Muon([matrices], lr=lr, **muon)]
        if others:
            self._parts.append(optim.AdamW(others, lr=lr, **adamw))
        # The groups have every default of their part by now.
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: Any = None) -> Any:
        """Take a step of both; `closure` is evaluated once, before the first."""
        loss = self._parts[0].step(closure)
        for part in self._parts[1:]:
            part.step()
        return loss

    def _share(self) -> None:
        """Let the parts work on these groups and this state, which loading replaces."""
        groups = [self.param_groups[:1], self.param_groups[1:]]
        for part, own in zip(self._parts, groups, strict=False):
            part.__setstate__({"state": self.state, "param_groups": own})
