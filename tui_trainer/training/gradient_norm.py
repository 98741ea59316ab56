"""`TotalNorm`: the norm of the norms of some gradients, as torch's `clip_grad_norm_` has it.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.training.torch_internals import total_norm

_DTYPE = torch.float32
_FEW = 32
"""With more tensors, one call for all of them takes less time than one for each."""


class TotalNorm:
    """Computes the norm of the same tensors again and again, which may be none."""

    def __init__(self, gradients: list[Tensor]) -> None:
        self._gradients = gradients
        is_direct = len(gradients) <= _FEW and all(map(_is_plain, gradients))
        # By name, since code of the user's may change what torch makes by default.
        places = torch.zeros(len(gradients), dtype=_DTYPE, device="cpu")
        self._norms = places if is_direct else None
        self._places = [] if self._norms is None else list(self._norms.unbind())
        """A place for the norm of each; to join tensors takes twice as long as to compute one."""

    def __call__(self) -> Tensor:
        """Return a scalar on the device of the gradients."""
        if self._norms is None:
            return total_norm(self._gradients)
        for gradient, place in zip(self._gradients, self._places, strict=True):
            torch.linalg.vector_norm(gradient, out=place)
        return norm_of(self._norms)


def norm_of(tensor: Tensor) -> Tensor:
    """Return the 2-norm of a tensor."""
    norm: Tensor = torch.linalg.vector_norm(tensor)
    return norm


def norm_of_all(tensors: Sequence[Tensor]) -> Tensor:
    """Return the 2-norm over tensors of one or more types, as float32 if they are several."""
    if len(tensors) == 1:
        return norm_of(tensors[0])
    return norm_of(torch.stack([norm_of(tensor).float() for tensor in tensors]))


def _is_plain(gradient: Tensor) -> bool:
    return gradient.is_cpu and gradient.dtype == _DTYPE
