"""Losses of classes at steps and pixels, against torch and against formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.training.test_losses import criterion, dataset
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.errors import ConfigError


def masks() -> tuple[Tensor, Tensor]:
    """Outputs (6, 3, 4, 5) and classes (6, 4, 5); some pixels are ignored, and the last sample."""
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 3, (6, 4, 5), generator=generator)
    targets[torch.rand(6, 4, 5, generator=generator) < 0.3] = IGNORED
    targets[-1] = IGNORED
    return torch.randn(6, 3, 4, 5, generator=generator).requires_grad_(), targets


def loss(settings: dict[str, Any] | str, outputs: Tensor, targets: Tensor) -> Tensor:
    return criterion(settings, dataset("segmentation")).train(outputs, {"target": targets})


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_cross_entropy_is_the_mean_over_the_pixels_that_count(weights: list[float] | None) -> None:
    outputs, targets = masks()
    each = F.cross_entropy(outputs, targets, ignore_index=IGNORED, reduction="none")
    given: dict[str, Any] = {"type": "cross_entropy"}
    if weights:
        given["class_weights"] = weights
        each = each * torch.tensor(weights)[targets.clamp(min=0)]
    known = targets != IGNORED
    torch.testing.assert_close(loss(given, outputs, targets), each[known].mean())


def test_focal_without_focus_is_cross_entropy() -> None:
    outputs, targets = masks()
    plain = loss("cross_entropy", outputs, targets)
    torch.testing.assert_close(loss({"type": "focal", "gamma": 0.0}, outputs, targets), plain)
    assert loss("focal", outputs, targets) < plain


def dice_by_hand(outputs: Tensor, targets: Tensor, smoothing: float) -> tuple[float, int]:
    """The loss of one sample, pixel by pixel, and its number of pixels that count."""
    total, count = 0.0, 0
    shares = outputs.softmax(0)
    for label in range(3):
        both = squares = there = 0.0
        for row in range(4):
            for column in range(5):
                if targets[row, column] == IGNORED:
                    continue
                count += label == 0
                share, right = (
                    float(shares[label, row, column]),
                    float(targets[row, column] == label),
                )
                both += share * right
                squares += share**2
                there += right
        total += 1 - (2 * both + smoothing) / (squares + there + smoothing)
    return total / 3, count


@pytest.mark.parametrize("smoothing", [1.0, 0.01])
def test_dice_is_the_formula_with_samples_weighed_by_their_pixels(smoothing: float) -> None:
    outputs, targets = masks()
    parts = [dice_by_hand(outputs[it].detach(), targets[it], smoothing) for it in range(6)]
    expected = sum(value * count for value, count in parts) / sum(count for _, count in parts)
    found = loss({"type": "dice", "smoothing": smoothing}, outputs, targets)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    torch.autograd.backward(found)
    assert outputs.grad is not None
    ignored = (targets == IGNORED)[:, None].expand_as(outputs)
    assert not outputs.grad[ignored].any()
    assert outputs.grad[~ignored].abs().min() > 0


def test_dice_of_the_right_mask_is_next_to_nothing() -> None:
    targets = torch.randint(0, 2, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    outputs = 40 * F.one_hot(targets, 3).movedim(-1, 1).float()
    assert loss("dice", outputs, targets).item() == pytest.approx(0, abs=1e-6)
    assert loss("dice", -outputs, targets) > 0.9


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "dice"])
def test_a_batch_in_which_everything_is_ignored_has_no_loss(name: str) -> None:
    outputs, targets = masks()
    found = loss(name, outputs, torch.full_like(targets, IGNORED))
    torch.autograd.backward(found)
    assert found.item() == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_dice_is_for_masks_only() -> None:
    with pytest.raises(ConfigError, match="dice is not a loss for classification"):
        criterion("dice", dataset())
