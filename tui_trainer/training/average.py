"""`Average`: the running mean of a model's weights.

Layer: training. It is part of `State`, which saves and loads it.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

_STATISTICS = ("running_mean", "running_var")
"""The buffers of torch's norm layers, and of others that follow them, that are running means."""


class Average:
    """The running mean of a model's weights, which is validated and tested instead of the model.

    A second model whose parameters follow those of the first. So do the running statistics of its
    norm layers, because those of the model belong to other weights; all other buffers are copied.
    An exponential mean as in Polyak averaging, with the warm-up of the decay that Tan & Le use for
    EfficientNet: early on, min(decay, (1 + step) / (10 + step)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(requires_grad=False).eval()
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                # The copied weights are not one chunk of memory, and cuDNN would compact them at
                # each call.
                module.flatten_parameters()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the mean towards the model's weights after step `step`, counted from 1."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        mean = [parameter.data for parameter in self.model.parameters()]
        now = [parameter.data for parameter in model.parameters()]
        buffers = zip(self.model.named_buffers(), model.buffers(), strict=True)
        for (name, ours), theirs in buffers:
            if name.rpartition(".")[2] in _STATISTICS:
                mean.append(ours)
                now.append(theirs)
            else:
                ours.copy_(theirs)
        torch._foreach_lerp_(mean, now, share)
