"""`Average`: the running mean of a model's weights.

Layer: training. It is part of `State`, which saves and loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from tui_trainer.training.flat_buffer import FlatBuffer

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
        self._flat: list[tuple[Tensor, FlatBuffer]] = []
        """The mean of each buffer that holds its values."""
        self._others: list[tuple[nn.Parameter, nn.Parameter]] = []
        """Other parameters of the mean, and those of the model that they follow."""
        self._buffers: list[tuple[str, nn.Module, nn.Module]] = []
        """The name of each buffer, its module in the mean and that in the model."""
        self.follow(model, [])

    def follow(self, model: nn.Module, buffers: Sequence[FlatBuffer]) -> None:
        """Follow a model, of which some parameters lie in flat buffers."""
        ours = dict(zip(model.parameters(), self.model.parameters(), strict=True))
        self._flat = []
        for buffer in buffers:
            if buffer.values is None:
                continue
            mean = buffer.new_zeros()
            for parameter, view in zip(buffer.parameters, buffer.views(mean), strict=True):
                mirror = ours.pop(parameter)
                view.copy_(mirror.data)
                mirror.data = view
            self._flat.append((mean, buffer))
        self._others = [(mirror, parameter) for parameter, mirror in ours.items()]
        paths = [name.rpartition(".") for name, _ in model.named_buffers()]
        self._buffers = [
            (name, self.model.get_submodule(path), model.get_submodule(path))
            for path, _, name in paths
        ]

    def update(self, step: int) -> None:
        """Move the mean towards the weights after step `step`, counted from 1.

        As in `FlatOptimizer`, none of these tensors requires gradients.
        """
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        mean = [mirror.data for mirror, _ in self._others]
        now = [parameter.data for _, parameter in self._others]
        for own, buffer in self._flat:
            mean.append(own)
            now.append(buffer.hold_values())
        for name, owner, followed in self._buffers:
            # Asked for each time: a model may put another tensor in the place of its buffer.
            own, theirs = getattr(owner, name), getattr(followed, name)
            if name in _STATISTICS:
                mean.append(own)
                now.append(theirs)
            else:
                own.copy_(theirs)
        torch._foreach_lerp_(mean, now, share)
