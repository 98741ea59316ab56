"""The parts of the loop by themselves: gradients, losses, metrics, baselines, lines, limits."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.data.splits import tensors
from tests.training.harness import Run, at_step, small_experiment, write_images
from tui_trainer.config.sections.losses import CrossEntropySection, FocalSection
from tui_trainer.config.sections.metrics import better
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.fingerprint import Fingerprint
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.classification import MOST_CLASSES
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Result
from tui_trainer.problems.signature import Signature
from tui_trainer.runs.commands import Set
from tui_trainer.runs.events import StepsTaken, ValidationEnded
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.baselines import baselines_of, compute
from tui_trainer.training.forward import Forward
from tui_trainer.training.losses import Criterion, build_criterion
from tui_trainer.training.metrics import Measurement, measure
from tui_trainer.training.recorder import is_logged
from tui_trainer.training.state import State

CPU = torch.device("cpu")
LOSS = Criterion.of_targets(F.cross_entropy).measure


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def dataset(targets: torch.Tensor, outputs: int, task: str = "classification") -> Dataset:
    inputs = torch.randn(len(targets), 4, generator=torch.Generator().manual_seed(1))
    split = TensorSplit(inputs, targets, torch.arange(len(targets)))
    return Dataset(
        train=split,
        val=split,
        test=split,
        info=DatasetInfo(
            Signature("features", (4,), outputs),
            task,
            tuple(map(str, range(outputs))) if task == "classification" else (),
            target_mean=10.0 if task == "regression" else 0.0,
            target_std=2.0 if task == "regression" else 1.0,
        ),
        class_counts=tuple(torch.bincount(targets, minlength=outputs).tolist())
        if task == "classification"
        else (),
        preprocessing={},
        augment=None,
        fingerprint=Fingerprint("", ""),
        notes=(),
    )


def test_lines_thin_out_by_powers_of_two_and_by_the_step_alone() -> None:
    assert all(is_logged(step, None) for step in range(1, 4097))
    second = [step for step in range(4097, 8193) if is_logged(step, None)]
    assert second == list(range(4098, 8193, 2))
    assert [step for step in range(8193, 8205) if is_logged(step, None)] == [8196, 8200, 8204]
    million = sum(is_logged(step, None) for step in range(1, 1_000_001))
    assert 15_000 < million < 25_000
    assert [step for step in range(1, 10) if is_logged(step, 3)] == [3, 6, 9]


def test_validations_that_follow_each_other_fast_share_a_report(tmp_path: Path, data: Path) -> None:
    rarely = {"logging": {"every_seconds": 60}, "training": {"validate_every_steps": 1}}
    run = Run.new(tmp_path / "run", small_experiment(data, **rarely))
    outcome = run.start()
    reports = [event for event in run.events if isinstance(event, StepsTaken)]
    # Before the first validation, and at the end.
    assert [(event.step, len(event.losses)) for event in reports] == [
        (1, 1),
        (outcome.step, outcome.step - 1),
    ]
    lines = run.lines()
    assert [line["step"] for line in lines] == list(range(1, outcome.step + 1))
    assert all("val/loss" in line for line in lines)
    reported = [loss for event in reports for loss in event.losses]
    assert [line["train/loss"] for line in lines] == reported


def test_flat_gradients_are_those_of_autograd() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(5, 4), torch.randint(0, 3, (5,))
    expected = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1), CPU)
    for _ in range(2):
        state.clear_gradients()
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert parameter.grad.equal(gradient)
    norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in expected]))
    torch.testing.assert_close(state.gradient_norm(), norm)
    state.clamp_gradients(0.01)
    assert max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None) <= 0.01


def test_accumulated_steps_equal_one_step_on_the_whole_group(tmp_path: Path, data: Path) -> None:
    plain = {
        "dataset": {"type": "pixels", "path": str(data), "shape": [1, 4, 4], "max_value": 16},
        "model": {"type": "linear"},
        "optimizer": {"type": "sgd", "lr": 0.1},
        "early_stopping": {"patience": None},
    }
    clip = {"grad_clip_norm": None, "epochs": 2}
    parts = small_experiment(data, **plain, training={**clip, "batch_size": 10})
    whole = small_experiment(
        data, **plain, training={**clip, "batch_size": 20, "grad_accumulation": 1}
    )
    one, other = Run.new(tmp_path / "one", parts), Run.new(tmp_path / "other", whole)
    one.start()
    other.start()
    losses = [line["train/loss"] for line in one.lines()]
    assert losses == pytest.approx([line["train/loss"] for line in other.lines()], abs=1e-6)


def test_clipping_by_norm_bounds_the_step(tmp_path: Path, data: Path) -> None:
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            data,
            model={"type": "linear"},
            optimizer={"type": "sgd", "lr": 1.0},
            schedule={"type": "constant"},
            training={"grad_clip_norm": 1e-4, "max_steps": 1},
        ),
    )
    before = [p.detach().clone() for p in run.task().model.parameters()]
    run.start()
    after = list(run.final()["model"].values())
    moved = math.sqrt(sum((a - b).square().sum() for a, b in zip(after, before, strict=True)))
    assert moved == pytest.approx(1e-4, rel=1e-2)
    assert run.lines()[0]["grad_norm"] > 1e-2


def test_class_weights_are_a_mean_over_samples() -> None:
    targets = torch.tensor([0, 0, 0, 1])
    found = dataset(targets, 2)
    section = CrossEntropySection(type="cross_entropy", class_weights="balanced")
    criterion = build_criterion(section, found, CPU)
    outputs = torch.randn(4, 2)
    each = F.cross_entropy(outputs, targets, reduction="none")
    weights = torch.tensor([4 / 6, 4 / 6, 4 / 6, 2.0])
    torch.testing.assert_close(
        criterion.train(outputs, {"target": targets}), (each * weights).mean()
    )
    halves = criterion.train(outputs[:2], {"target": targets[:2]}) + criterion.train(
        outputs[2:], {"target": targets[2:]}
    )
    torch.testing.assert_close(halves / 2, criterion.train(outputs, {"target": targets}))


def test_smoothing_is_for_training_only() -> None:
    found = dataset(torch.tensor([0, 1]), 2)
    section = CrossEntropySection(type="cross_entropy", label_smoothing=0.2)
    criterion = build_criterion(section, found, CPU)
    outputs, targets = torch.randn(2, 2), torch.tensor([0, 1])
    torch.testing.assert_close(
        criterion.train(outputs, {"target": targets}),
        F.cross_entropy(outputs, targets, label_smoothing=0.2),
    )
    torch.testing.assert_close(
        criterion.measure(outputs, {"target": targets}), F.cross_entropy(outputs, targets)
    )


def test_a_wrong_number_of_class_weights_is_refused_with_the_classes() -> None:
    section = CrossEntropySection(type="cross_entropy", class_weights=(1.0, 2.0))
    with pytest.raises(ConfigError, match="2 weights for 3 classes: 0, 1, 2"):
        build_criterion(section, dataset(torch.tensor([0, 1, 2]), 3), CPU)


def test_regression_metrics_are_in_units_of_the_target() -> None:
    targets = torch.tensor([[-1.0], [0.0], [1.0], [2.0]])
    found = dataset(targets, 1, "regression")

    class Shifted(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            position = (
                (tensors(found.test).inputs[:, None] == inputs[None]).all(2).float().argmax(0)
            )
            return targets[position] + 0.5

    measured = measure(
        Forward(Shifted()), found.test, found, Criterion.of_targets(F.mse_loss).measure, 3
    )
    assert measured is not None
    metrics = measured.metrics
    assert metrics["loss"] == pytest.approx(0.25)
    assert metrics["mae"] == pytest.approx(1.0)
    assert metrics["rmse"] == pytest.approx(1.0)
    assert metrics["r2"] == pytest.approx(1 - 0.25 / 1.25)


def test_the_bits_of_a_text_are_those_of_the_cross_entropy_whatever_the_loss_is() -> None:
    tokens = torch.arange(10)[:, None].expand(10, 4) % 3
    found = dataset(tokens, 3, "language_modelling")
    model = nn.Linear(4, 12)

    class Tokens(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = model(inputs)
            return logits.view(-1, 4, 3)

    by_loss = {}
    for section in (CrossEntropySection(type="cross_entropy"), FocalSection(type="focal")):
        loss = build_criterion(section, found, CPU).measure
        measured = measure(Forward(Tokens()), found.test, found, loss, 4)
        assert measured is not None
        by_loss[section.type] = measured.metrics
    right, focal = by_loss["cross_entropy"], by_loss["focal"]
    assert right["bits_per_byte"] == pytest.approx(right["loss"] / math.log(2))
    assert right["perplexity"] == pytest.approx(math.exp(right["loss"]))
    assert focal["loss"] < right["loss"]
    for name in ("bits_per_byte", "perplexity"):
        assert focal[name] == pytest.approx(right[name])


def test_measuring_leaves_mode_and_random_numbers_alone() -> None:
    found = dataset(torch.tensor([0, 1, 0, 1]), 2)
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)).train()
    before = torch.get_rng_state()
    assert (
        measure(Forward(model), found.val, found, Criterion.of_targets(F.cross_entropy).measure, 3)
        is not None
    )
    assert model.training
    assert torch.get_rng_state().equal(before)


def test_the_confusion_matrix_counts_true_classes_by_row() -> None:
    targets = torch.tensor([0, 0, 1, 2, 2, 2])
    guesses = torch.tensor([0, 1, 1, 0, 2, 2])
    found = dataset(targets, 3)
    tensors(found.test).inputs[:] = F.pad(F.one_hot(guesses, 3), (0, 1)).float()
    counted = measure(
        Forward(Cut()),
        found.test,
        found,
        Criterion.of_targets(F.cross_entropy).measure,
        4,
        with_result=True,
    )
    assert counted is not None
    assert counted.result == Result(confusion=((1, 1, 0), (0, 1, 0), (1, 0, 2)))
    assert counted.metrics["accuracy"] == pytest.approx(4 / 6)
    without = measure(
        Forward(Cut()), found.test, found, Criterion.of_targets(F.cross_entropy).measure, 4
    )
    assert without == Measurement(counted.metrics)


def test_a_thousand_classes_have_no_confusion_matrix() -> None:
    many = MOST_CLASSES + 1
    found = dataset(torch.arange(many), many)
    model = Forward(nn.Linear(4, many))
    counted = measure(
        model,
        found.test,
        found,
        Criterion.of_targets(F.cross_entropy).measure,
        50,
        with_result=True,
    )
    assert counted is not None
    assert counted.result is None


class Cut(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs[:, :3]


def test_the_validation_that_closes_a_run_is_told(tmp_path: Path, data: Path) -> None:
    experiment = small_experiment(data, training={"max_steps": 5})
    run = Run.new(tmp_path / "run", experiment)
    outcome = run.start()
    told = [event.step for event in run.events if isinstance(event, ValidationEnded)]
    assert told == [3, 5]
    assert outcome.confusion is not None
    assert outcome.test is not None
    right = sum(row[n] for n, row in enumerate(outcome.confusion))
    total = sum(map(sum, outcome.confusion))
    assert right / total == pytest.approx(outcome.test["accuracy"])
    assert outcome.classes == ("0", "1", "2")


def test_baselines_are_what_they_are_called() -> None:
    targets = torch.tensor([0, 0, 0, 1])
    whole = dataset(targets, 2)
    found = compute(baselines_of(whole, whole.test))
    assert found["majority_class"]["accuracy"] == 0.75
    assert found["nearest_neighbour"]["accuracy"] == 1.0
    line = dataset(torch.zeros(4, 1), 1, "regression")
    exact = (tensors(line.train).inputs @ torch.tensor([[1.0], [2.0], [0.0], [-1.0]]))[:3]
    part = TensorSplit(tensors(line.train).inputs[:3], exact, torch.arange(3))
    info = replace(line.info, target_mean=0.0, target_std=1.0)
    fitted = replace(line, train=part, info=info)
    linear = compute(baselines_of(fitted, part))
    assert linear["linear_regression"]["rmse"] == pytest.approx(0.0, abs=1e-5)
    assert linear["mean"]["r2"] == pytest.approx(0.0, abs=1e-6)


def test_better_knows_the_direction_of_a_metric() -> None:
    assert better("loss", 0.4, 0.5)
    assert not better("loss", 0.45, 0.5, by=0.1)
    assert better("accuracy", 0.9, 0.8)
    assert not better("accuracy", math.nan, 0.8)
    assert not better("loss", math.nan, 0.8)


def test_a_threshold_ends_the_training(tmp_path: Path, data: Path) -> None:
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            data,
            early_stopping={"patience": None, "threshold": 0.2},
            checkpoint={"monitor": "accuracy"},
        ),
    )
    outcome = run.start()
    assert outcome.reason == "accuracy reached 0.2"
    assert outcome.step == 3


def test_validation_by_steps_and_a_live_change_of_it(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training={"validate_every_steps": 2}))
    run.start(at_step(6, Set(key="training.validate_every_steps", value=5)))
    steps = [event.step for event in run.events if isinstance(event, ValidationEnded)]
    assert steps[:4] == [2, 4, 6, 10]
    with_validation = [line["step"] for line in run.lines() if "val/loss" in line]
    assert with_validation == [2, 4, 6, 10, 12], "the last step is validated when it ends"


def test_seconds_are_a_limit(tmp_path: Path, data: Path) -> None:
    seconds = iter(range(10**9))
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            data,
            schedule={"type": "constant"},
            training={"epochs": None, "max_seconds": 200.0},
        ),
    )
    outcome = run.start(clock=lambda: float(next(seconds)))
    assert outcome.reason == "200 s have passed"
