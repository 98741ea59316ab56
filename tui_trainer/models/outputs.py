"""Reads what a model's `forward` returned: the outputs, or all entries by name.

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


def entries_of(returned: Any) -> dict[str, Any]:
    """Return what a model returned by name: a tensor is its `logits`.

    Of an object that is no mapping, `loss` and `logits` are taken, if it has them.
    """
    if isinstance(returned, Tensor):
        return {"logits": returned}
    if isinstance(returned, Mapping):
        return {str(name): value for name, value in returned.items()}
    names = (name for name in ("loss", "logits") if hasattr(returned, name))
    return {name: getattr(returned, name) for name in names}


def as_float32(outputs: Any) -> Any:
    """Return a tensor of floats, or those of a mapping, as float32; anything else as it is."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    if isinstance(outputs, Mapping):
        return {name: as_float32(value) for name, value in outputs.items()}
    return outputs
