"""Training on shares of classes, which mixup makes of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.runs.commands import Stop


def mixed(folder: Path, **loss: Any) -> Any:
    data = {
        "type": "pixels",
        "path": str(write_images(folder / "images.csv")),
        "shape": [1, 4, 4],
        "max_value": 16,
        "mixup": 0.3,
        "cutout_pixels": 1,
        "crop_padding": 1,
        "flip_horizontal": True,
        "noise": 0.05,
    }
    return small_experiment(folder, dataset=data, loss={"type": "cross_entropy", **loss})


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_loss_of_shares_is_the_shares_of_the_losses(tmp_path: Path, weights: str) -> None:
    experiment = mixed(tmp_path, class_weights=weights, label_smoothing=0.1)
    task = Run.new(tmp_path / "run", experiment).task()
    assert task.dataset.soft_targets
    outputs = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    assert task.criterion is not None
    loss = task.criterion.train
    one, other = (loss(outputs, {"target": torch.full((2,), label)}) for label in (0, 2))
    soft = torch.tensor([[0.25, 0.0, 0.75]] * 2)
    torch.testing.assert_close(loss(outputs, {"target": soft}), 0.25 * one + 0.75 * other)


def test_a_mixed_run_that_was_cut_ends_as_the_whole_one(tmp_path: Path) -> None:
    experiment = mixed(tmp_path, label_smoothing=0.1)
    whole, cut = Run.new(tmp_path / "whole", experiment), Run.new(tmp_path / "cut", experiment)
    whole.start()
    cut.start(at_step(5, Stop()))
    cut.resume()
    assert len(whole.lines()) > 5
    assert cut.lines() == whole.lines()
    assert same(whole.final()["model"], cut.final()["model"])
