"""The functions of torch that are not public and that the fast forms of a step call.

Layer: training. The only module that names them, but for the compiler's (`compiled_graph.py`), the
kernels of gradients (`layer_gradients.py`, `loss_gradients.py`) and what stands around the call of
a module (`models/direct_calls.py`). Each is tried out once per process; where the installed torch
does not have it, or has it in another form, whoever asks takes torch's public way, which computes
the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

Kernel = Callable[..., None]


@cache
def fused_adam(*, decoupled: bool) -> Kernel | None:
    """Return the kernel `(values, gradients, means, squares, [], steps, ...)` of Adam or AdamW.

    It works in place on lists of tensors on the CPU, as `torch.optim` calls it. None: torch has
    none.
    """
    kernel = getattr(torch, "_fused_adamw_" if decoupled else "_fused_adam_", None)
    return kernel if _works(kernel, _try_adam) else None


@cache
def fused_sgd() -> Kernel | None:
    """Return the kernel `(values, gradients, momenta, ...)` of SGD, as `fused_adam`."""
    kernel = getattr(torch, "_fused_sgd_", None)
    return kernel if _works(kernel, _try_sgd) else None


def total_norm(gradients: list[Tensor]) -> Tensor:
    """Return the 2-norm of the 2-norms of tensors, as `nn.utils.clip_grad_norm_` computes it."""
    if not _has_foreach_norm():
        return nn.utils.get_total_norm(gradients)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


@cache
def _has_foreach_norm() -> bool:
    gradients = [torch.ones(3), torch.full((5,), 2.0)]
    try:
        norms = torch._foreach_norm(gradients)
    except (AttributeError, TypeError, RuntimeError):
        return False
    return all(
        norm.equal(torch.linalg.vector_norm(gradient))
        for norm, gradient in zip(norms, gradients, strict=True)
    )


def run_backward(loss: Tensor) -> None:
    """Add the gradients of a scalar to those of the leaves, as `loss.backward()` does.

    On the CPU without what torch does around it, which takes a fifth of the time for a small model.
    Part of that is a context for the threads of other devices, so those get it.
    """
    if loss.device.type == "cpu":
        backward_on_host()(loss)
    else:
        loss.backward()  # type: ignore[no-untyped-call]


def backward_on_host() -> Callable[[Tensor], None]:
    """Return what `run_backward` does with a loss on the CPU."""
    return _call_engine if _has_engine() else torch.autograd.backward


def _call_engine(loss: Tensor) -> None:
    Variable._execution_engine.run_backward(
        (loss,),
        (_one_like(loss.dtype, loss.device),),
        # The graph is not kept, none is made of the gradients, and they are those of all leaves.
        False,
        False,
        (),
        allow_unreachable=True,
        accumulate_grad=True,
    )


@lru_cache(maxsize=16)
def _one_like(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones((), dtype=dtype, device=device)


@cache
def _has_engine() -> bool:
    leaf = torch.full((2,), 3.0, requires_grad=True)
    try:
        with torch.enable_grad():
            _call_engine((leaf * leaf).sum())
    except (AttributeError, TypeError, RuntimeError):
        return False
    return leaf.grad is not None and leaf.grad.tolist() == [6.0, 6.0]


def _works(kernel: Kernel | None, attempt: Callable[[Kernel], bool]) -> bool:
    try:
        return kernel is not None and attempt(kernel)
    except (TypeError, RuntimeError, NotImplementedError):
        return False


def _try_adam(kernel: Kernel) -> bool:
    value, mean, square = torch.split(torch.zeros(3), 1)
    call_fused_adam(
        kernel,
        ([value], [torch.ones(1)], [mean], [square]),
        [torch.ones(())],
        lr=0.5,
        betas=(0.5, 0.5),
        eps=1e-8,
        weight_decay=0.0,
    )
    # Both means are 1 once their bias is corrected, so the first step is as long as lr.
    return bool(value.isclose(torch.tensor(-0.5)).all())


def call_fused_adam(
    kernel: Kernel,
    tensors: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]],
    steps: list[Tensor],
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Take a step of Adam; `steps` has the number of this step for each tensor, from 1."""
    values, gradients, means, squares = tensors
    kernel(
        values,
        gradients,
        means,
        squares,
        # The largest squares so far, which only AMSGrad has.
        [],
        steps,
        amsgrad=False,
        lr=lr,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=weight_decay,
        eps=eps,
        maximize=False,
    )


def _try_sgd(kernel: Kernel) -> bool:
    value, momentum = torch.split(torch.zeros(2), 1)
    gradients = [torch.ones(1)]
    settings: dict[str, Any] = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False}
    call_fused_sgd(kernel, ([value], gradients, [momentum]), is_first_step=True, **settings)
    # A first step has no momentum yet.
    return bool(value.isclose(torch.tensor(-0.5)).all())


def call_fused_sgd(
    kernel: Kernel,
    tensors: tuple[list[Tensor], list[Tensor], list[Tensor]],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    is_first_step: bool,
) -> None:
    """Take a step of SGD with values, gradients and momenta; none of these without momentum."""
    values, gradients, momenta = tensors
    kernel(
        values,
        gradients,
        momenta,
        weight_decay=weight_decay,
        momentum=momentum,
        lr=lr,
        dampening=0.0,
        nesterov=nesterov,
        maximize=False,
        is_first_step=is_first_step,
    )
