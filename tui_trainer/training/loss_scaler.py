"""`LossScaler`: scales the loss of fp16 steps, and tells which steps were skipped for it.

Layer: training. A step is skipped if a scaled gradient overflowed. Whether one did is known on the
device first; the answer is copied to the host while the device goes on, and waited for only when it
is needed.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, optim

from tui_trainer.training.optimizers import AnyOptimizer


class LossScaler:
    """torch's GradScaler for one optimizer, with the number of steps that it skipped."""

    def __init__(self, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type)
        on_gpu = device.type == "cuda"
        # Pinned memory, so that the copy of the answer does not hold up the host.
        self._overflow = torch.zeros((), pin_memory=on_gpu)
        self._copied = _event() if on_gpu else None
        self._is_unread = False

    def scale(self, loss: Tensor) -> Tensor:
        """Return the scaled loss, to be passed backward."""
        return self._scaler.scale(loss)

    def unscale(self, optimizer: AnyOptimizer) -> None:
        """Undo the effect of the scale on the gradients, before their norm is taken."""
        self._scaler.unscale_(_as_torch(optimizer))

    def step(self, optimizer: AnyOptimizer) -> None:
        """Take the optimizer's step unless a gradient overflowed, and adapt the scale.

        Call `take_skipped` before the next step, or this one is never counted.
        """
        self._scaler.step(_as_torch(optimizer))
        # GradScaler has no public way to ask without waiting for the device.
        for overflow in self._scaler._found_inf_per_device(_as_torch(optimizer)).values():
            self._overflow.copy_(overflow, non_blocking=True)
        if self._copied is not None:
            self._copied.record()
        self._is_unread = True
        # Last, since it forgets what was found in this step.
        self._scaler.update()

    def take_skipped(self) -> int:
        """Return 1 if the last step was skipped and this was not asked yet, otherwise 0.

        Waits for the device to reach the end of that step's backward pass.
        """
        if not self._is_unread:
            return 0
        if self._copied is not None:
            self._copied.synchronize()
        self._is_unread = False
        return int(self._overflow.item() > 0)

    def state_dict(self) -> dict[str, Any]:
        return self._scaler.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._scaler.load_state_dict(saved)


def _as_torch(optimizer: AnyOptimizer) -> optim.Optimizer:
    # GradScaler reads the parameters of the groups and calls `step`, and no more.
    return cast(optim.Optimizer, optimizer)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event()  # type: ignore[no-untyped-call]
