"""The running mean of the weights, which is validated, tested and used for predictions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.harness import Run, small_experiment, write_images
from tui_trainer.training.average import Average
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.evaluation import evaluate
from tui_trainer.training.prediction import Predictor

CPU = torch.device("cpu")


def test_batch_norm_statistics_follow_the_formula_of_the_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = Average(model, 0.5)
    mean, var = torch.zeros(2), torch.ones(2)
    for step in range(1, 12):
        model(torch.randn(8, 3) * step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        statistics = model.get_buffer("1.running_mean"), model.get_buffer("1.running_var")
        mean = decay * mean + (1 - decay) * statistics[0]
        var = decay * var + (1 - decay) * statistics[1]
    torch.testing.assert_close(average.model.get_buffer("1.running_mean"), mean)
    torch.testing.assert_close(average.model.get_buffer("1.running_var"), var)
    assert not torch.equal(average.model.get_buffer("1.running_var"), statistics[1])
    assert average.model.get_buffer("1.num_batches_tracked").item() == 11


def test_other_buffers_are_copied_with_their_infinities() -> None:
    model = nn.Linear(2, 2)
    mask = torch.tensor([0.0, -math.inf])
    model.register_buffer("mask", mask.clone())
    model.register_buffer("seen", torch.tensor(0))
    model.register_buffer("replaced", torch.tensor(0))
    average = Average(model, 0.9)
    for step in range(1, 4):
        model.get_buffer("seen").add_(1)
        model.replaced = model.get_buffer("replaced") + 1
        average.update(step)
    assert torch.equal(average.model.get_buffer("mask"), mask)
    assert average.model.get_buffer("seen").item() == 3
    assert average.model.get_buffer("replaced").item() == 3


def test_averaged_statistics_fit_the_averaged_weights_better_than_the_last_ones() -> None:
    """Late in a training, weights move a little around a centre, and batches differ."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4))
    centre = model.get_parameter("0.weight").detach().clone()
    average = Average(model, 0.99)
    averaged_off = raw_off = 0.0
    for step in range(1, 1001):
        model.get_parameter("0.weight").data = centre + 0.01 * torch.randn(4, 4)
        model(torch.randn(8, 4))
        average.update(step)
        if step > 500:
            # Standard normal inputs: the variance of an output is the squared norm of its weights.
            right = average.model.get_parameter("0.weight").square().sum(dim=1)
            averaged = average.model.get_buffer("1.running_var")
            raw = model.get_buffer("1.running_var")
            averaged_off += (averaged / right).log().abs().mean().item()
            raw_off += (raw / right).log().abs().mean().item()
    assert averaged_off < 0.5 * raw_off


def test_evaluate_and_predict_use_the_averaged_weights_as_the_test_of_the_training_did(
    tmp_path: Path,
) -> None:
    data = write_images(tmp_path / "images.csv")
    experiment = small_experiment(
        data,
        model={"type": "cnn", "channels": [4, 4], "norm": "batch"},
        training={"ema_decay": 0.9},
        checkpoint={"monitor": "loss"},
    )
    run = Run.new(tmp_path / "run", experiment)
    outcome = run.start()
    assert outcome.best is not None
    assert outcome.test is not None
    evaluation = evaluate(run.directory, experiment, CPU, "test", "best")
    assert evaluation.step == outcome.best["step"]
    assert evaluation.metrics == outcome.test

    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "best", "run")
    assert checkpoint.data.state.ema is not None
    model = Predictor(checkpoint, experiment, CPU).model
    for name, tensor in checkpoint.data.state.ema.items():
        assert torch.equal(model.state_dict()[name], tensor), name
    raw = checkpoint.data.state.model
    assert any("running" in n and not torch.equal(raw[n], model.state_dict()[n]) for n in raw)


def test_the_mean_of_the_weights_follows_its_formula() -> None:
    model = nn.Linear(1, 1)
    average = Average(model, 0.5)
    expected = average.model.get_parameter("weight").item()
    for step in range(1, 20):
        model.weight.data.fill_(float(step))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.model.get_parameter("weight").item() == pytest.approx(expected, rel=1e-5)
    assert not average.model.get_parameter("weight").requires_grad
