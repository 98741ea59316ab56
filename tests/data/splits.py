"""The tensors of a split that is held in memory."""

from __future__ import annotations

from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.tensors import TensorSplit


def tensors(split: Split) -> TensorSplit:
    assert isinstance(split, TensorSplit)
    return split
