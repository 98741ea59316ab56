"""The gradient of a loss by the outputs of a model, apart from that of the model.

Layer: training. As in `layer_gradients`, the kernels of torch's that are not public are compared
with autograd once per process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.problems.batch import IGNORED, TARGET, Batch
from tui_trainer.training.own_losses import Loss
from tui_trainer.training.torch_internals import backward_on_host

LossGradient = Callable[[Tensor, Batch], tuple[Tensor, Tensor]]
"""Returns the loss of the outputs for a batch, and its gradient by the outputs."""

_MEAN = 1
"""The number of this reduction in torch's kernels."""


def by_autograd(loss: Loss) -> LossGradient:
    """Return any loss with its gradient; the outputs it is given must be nobody else's."""
    backward = backward_on_host()

    def gradient_of(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        graph = loss(outputs.requires_grad_(), batch)
        backward(graph)
        assert outputs.grad is not None, "a loss depends on the outputs"
        return graph.detach(), outputs.grad

    return gradient_of


def of_cross_entropy() -> LossGradient | None:
    """Return `F.cross_entropy` of (B, K) and classes (B,) with its gradient, in a third less time.

    None: the kernels of the installed torch are not known.
    """
    return _cross_entropy if _is_right() else None


def _cross_entropy(outputs_BK: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    targets_B, operations = batch[TARGET], torch.ops.aten
    log_p_BK = torch.log_softmax(outputs_BK, 1)
    settings = (log_p_BK, targets_B, None, _MEAN, IGNORED)
    loss, count = operations.nll_loss_forward.default(*settings)
    gradient_BK = operations.nll_loss_backward.default(_one(), *settings, count)
    softmax_backward = operations._log_softmax_backward_data.default
    return loss, softmax_backward(gradient_BK, log_p_BK, 1, outputs_BK.dtype)


@cache
def _one() -> Tensor:
    return torch.ones((), dtype=torch.float32, device="cpu")


@cache
def _is_right() -> bool:
    outputs_BK = torch.linspace(-2, 3, 21, dtype=torch.float32, device="cpu").view(7, 3)
    targets_B = torch.tensor([0, 2, 1, 1, IGNORED, 0, 2], device="cpu")
    batch = {TARGET: targets_B}

    def loss_of(outputs: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(outputs, batch[TARGET])

    with torch.enable_grad():
        wanted = by_autograd(loss_of)(outputs_BK.clone(), batch)
    try:
        found = _cross_entropy(outputs_BK, batch)
    except (AttributeError, TypeError, RuntimeError):
        return False
    return all(map(torch.equal, found, wanted))
