"""`measure`: the metrics of a model over a whole split.

Layer: training. All numbers are added up on the device, because reading one would wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Measurable
from tui_trainer.data.base.to_device import copied_ahead, placed_on
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.models.outputs import logits_of
from tui_trainer.problems.own_metrics import totals_of
from tui_trainer.problems.problem import Result
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.own_losses import Loss


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of a model on a split."""

    metrics: dict[str, float]
    result: Result | None = None
    """None if the problem has none, for too many classes, or if it was not asked for."""


def measure(
    forward: Forward,
    split: Measurable,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
    extras: tuple[str, ...] = (),
    *,
    with_result: bool = False,
) -> Measurement | None:
    """Measure the model on a split; None if `interrupted` returned true between two batches.

    Draws no random numbers and leaves the model's mode as it was.
    """
    device = forward.device
    totals = totals_of(dataset.info, device, extras, with_result=with_result)
    carry: RecurrentState = None
    was_training = forward.model.training
    forward.modes.set(training=False)
    try:
        for batch in copied_ahead(split.in_order(batch_size), forward.device):
            if interrupted():
                return None
            # `interrupted` stays outside of inference mode: a pause in it may move the parameters.
            with torch.inference_mode():
                placed = placed_on(device, batch, split)
                outputs, carry = forward(placed, carry)
                totals.update(logits_of(outputs), placed, loss(outputs, placed))
    finally:
        forward.modes.set(training=was_training)
    return Measurement(_per_byte(totals.compute(), split), totals.result())


def _per_byte(metrics: dict[str, float], split: Measurable) -> dict[str, float]:
    """Return the metrics of texts with bits per byte instead of bits per token, if it is known how
    many bytes the tokens stand for.
    """
    if not isinstance(split, TextSplit):
        return metrics
    if math.isnan(split.bytes_per_token):
        return {name: value for name, value in metrics.items() if name != "bits_per_byte"}
    return {**metrics, "bits_per_byte": metrics["bits_per_byte"] / split.bytes_per_token}


def why_undefined(name: str, dataset: Dataset) -> str:
    """Return why a metric is NaN on the validation split whatever the model does, or "".

    Also "" if that is known only when the samples of a plugin are read.
    """
    split, samples = dataset.val, counted(len(dataset.val), dataset.noun)
    if name == "auroc":
        there = [place for place, count in enumerate(dataset.val_counts) if count]
        if len(there) == 1:
            only = clean(dataset.classes[there[0]], 80)
            return f"it needs two classes, and the {samples} there have the class '{only}'"
    positive = dataset.info.positive
    if name in ("f1", "recall") and positive is not None and dataset.val_counts:
        shown = clean(dataset.classes[positive], 80)
        return "" if dataset.val_counts[positive] else f"none of the {samples} there is '{shown}'"
    if name == "r2" and isinstance(split, TensorSplit):
        low, high = split.targets.aminmax()
        if low == high:
            return f"it needs different numbers to predict, and the {samples} there have the same"
    return ""
