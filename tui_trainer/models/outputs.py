"""`logits_of`: the outputs of a model in what its `forward` returned.

Layer: models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def logits_of(returned: Any) -> Any:
    """Return the `logits` of a mapping or an object; what has none, as a tensor, as it is.

    Models of Hugging Face's library return such objects.
    """
    if isinstance(returned, Tensor):
        return returned
    if isinstance(returned, Mapping):
        return returned.get("logits", returned)
    return getattr(returned, "logits", returned)
