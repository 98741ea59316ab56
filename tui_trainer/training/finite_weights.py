"""`first_not_finite`: finds numbers in weights that no training can go on with.

Layer: training.
"""

from __future__ import annotations

from cmath import isfinite
from collections.abc import Mapping

from torch import Tensor, nn


def first_not_finite(weights: Mapping[str, Tensor]) -> str:
    """Return the first name of weights with NaN or infinity in them, or an empty string.

    Waits for the device of the weights, once if all is well.
    """
    if any(tensor.device.type != "cpu" for tensor in weights.values()):
        floating = [tensor for tensor in weights.values() if tensor.is_floating_point()]
        if isfinite(nn.utils.get_total_norm(floating).item()):
            return ""
    for name, tensor in weights.items():
        # The sum shows both in one pass. It may also overflow, so the slow test decides.
        if not isfinite(tensor.sum().item()) and not tensor.isfinite().all():
            return name
    return ""
