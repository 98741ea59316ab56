"""Losses against torch and against formulas, their means, and what they are refused for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS, ProblemName
from tui_trainer.config.sections.losses import LOSSES
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.fingerprint import Fingerprint
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.batch import IGNORED
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.losses import Criterion, build_criterion

CPU = torch.device("cpu")


def dataset(task: ProblemName = "classification", outputs: int = 3) -> Dataset:
    """A data set whose rows nobody looks at; the classes have 4, 2, 1, ... training samples."""
    split = TensorSplit(torch.zeros(1, 1), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    has_classes = task in ("classification", "segmentation")
    return Dataset(
        train=split,
        val=split,
        test=split,
        info=DatasetInfo(
            Signature("features", (1,), outputs, places=PROBLEMS[task].places),
            task,
            tuple("abc"[:outputs]) if has_classes else (),
        ),
        preprocessing={},
        augment=None,
        fingerprint=Fingerprint("", ""),
        notes=(),
        class_counts=(4, 2, 1)[:outputs] if has_classes else (),
    )


def criterion(settings: dict[str, Any] | str, data: Dataset) -> Criterion:
    given = {"type": settings} if isinstance(settings, str) else settings
    spec = LOSSES.find(given["type"])
    assert spec is not None
    return build_criterion(spec.params.model_validate(given), data, CPU)


def logits(*shape: int) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def classes(*shape: int, below: int) -> Tensor:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(2))


def test_binary_cross_entropy_is_the_cross_entropy_of_two_classes() -> None:
    outputs, targets = logits(8, 2), classes(8, below=2)
    found = criterion("binary_cross_entropy", dataset(outputs=2)).train(
        outputs, {"target": targets}
    )
    torch.testing.assert_close(found, F.cross_entropy(outputs, targets))


def test_the_weight_of_binary_cross_entropy_is_of_the_second_class() -> None:
    outputs, targets = logits(8, 2), classes(8, below=2)
    each = F.cross_entropy(outputs, targets, reduction="none")
    given = {"type": "binary_cross_entropy", "pos_weight": 5.0}
    found = criterion(given, dataset(outputs=2)).train(outputs, {"target": targets})
    torch.testing.assert_close(found, (each * torch.where(targets == 1, 5.0, 1.0)).mean())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_is_the_formula_of_the_paper(gamma: float) -> None:
    outputs, targets = logits(6, 3), classes(6, below=3)
    p = outputs.softmax(dim=1)[torch.arange(6), targets]
    alpha = torch.tensor([0.2, 0.3, 0.5])
    given = {"type": "focal", "gamma": gamma, "class_weights": alpha.tolist()}
    found = criterion(given, dataset()).train(outputs, {"target": targets})
    expected = (-alpha[targets] * (1 - p) ** gamma * p.log()).mean()
    torch.testing.assert_close(found, expected)


def test_focal_without_focus_is_cross_entropy() -> None:
    outputs, targets = logits(6, 3), classes(6, below=3)
    weighted = {"gamma": 0.0, "class_weights": "balanced"}
    plain = {"type": "cross_entropy", "class_weights": "balanced"}
    torch.testing.assert_close(
        criterion({"type": "focal", **weighted}, dataset()).train(outputs, {"target": targets}),
        criterion(plain, dataset()).train(outputs, {"target": targets}),
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_slope_where_the_class_is_certain(gamma: float) -> None:
    outputs = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    targets = torch.tensor([0, 0])
    criterion({"type": "focal", "gamma": gamma}, dataset()).train(
        outputs, {"target": targets}
    ).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert outputs.grad[1].abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({"type": "mse"}, F.mse_loss),
        ({"type": "auto"}, F.mse_loss),
        ({"type": "l1"}, F.l1_loss),
        ({"type": "huber"}, F.huber_loss),
        ({"type": "huber", "delta": 0.3}, lambda o, t: F.huber_loss(o, t, delta=0.3)),
    ],
    ids=["mse", "auto", "l1", "huber", "huber-0.3"],
)
def test_losses_of_numbers_are_those_of_torch(settings: dict[str, Any], plain: Any) -> None:
    outputs, targets = logits(9, 1), logits(9, 1).flip(0)
    found = criterion(settings, dataset("regression", 1))
    assert found.train(outputs, {"target": targets}).equal(plain(outputs, targets))
    assert found.measure(outputs, {"target": targets}).equal(plain(outputs, targets))


@pytest.mark.parametrize("name", ["auto", "cross_entropy", "focal"])
def test_in_language_modelling_the_mean_is_over_tokens_that_count(name: str) -> None:
    outputs, targets = logits(2, 4, 5), classes(2, 4, below=5)
    targets[0, 2:] = IGNORED
    known = targets != IGNORED
    each = F.cross_entropy(outputs[known], targets[known], reduction="none")
    if name == "focal":
        each = each * (1 - (-each).exp()) ** 2
    found = criterion(name, dataset("language_modelling", 5))
    torch.testing.assert_close(found.train(outputs, {"target": targets}), each.mean())
    torch.testing.assert_close(found.measure(outputs, {"target": targets}), each.mean())


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_batch_without_a_target_has_no_loss_and_no_slope(name: str) -> None:
    outputs = logits(2, 3, 5).requires_grad_()
    targets = torch.full((2, 3), IGNORED)
    loss = criterion(name, dataset("language_modelling", 5)).train(outputs, {"target": targets})
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "binary_cross_entropy"])
def test_a_mean_is_over_samples_whatever_their_weights(name: str) -> None:
    settings: dict[str, Any] = {"type": name}
    settings |= {"pos_weight": 3.0} if "binary" in name else {"class_weights": [1.0, 7.0]}
    loss = criterion(settings, dataset(outputs=2)).train
    outputs, targets = logits(6, 2), classes(6, below=2)
    first = loss(outputs[:2], {"target": targets[:2]})
    second = loss(outputs[2:], {"target": targets[2:]})
    parts = first * 2 + second * 4
    torch.testing.assert_close(parts / 6, loss(outputs, {"target": targets}))


@pytest.mark.parametrize(
    ("settings", "data", "words"),
    [
        (
            "cross_entropy",
            ("regression", 1),
            "or several, for each sample; use loss=mse or l1",
        ),
        ("focal", ("regression", 1), "or several, for each sample; use loss=mse or l1"),
        ("binary_cross_entropy", ("regression", 1), "use loss=mse or l1 or huber"),
        (
            "binary_cross_entropy",
            ("classification", 3),
            "this dataset has 3; use loss=cross_entropy",
        ),
        ("binary_cross_entropy", ("language_modelling", 2), "use loss=cross_entropy"),
        (
            "mse",
            ("classification", 3),
            "one class for each sample; use loss=cross_entropy",
        ),
        ("huber", ("language_modelling", 9), "huber is not a loss for language modelling"),
        ("l1", ("classification", 2), "cross_entropy or focal or binary_cross_entropy"),
        (
            {"type": "focal", "class_weights": [1.0, 1.0]},
            ("classification", 3),
            "2 weights for 3 classes: a, b, c",
        ),
        (
            {"type": "cross_entropy", "class_weights": "balanced"},
            ("language_modelling", 9),
            "class weights do not apply to tokens",
        ),
    ],
    ids=str,
)
def test_a_loss_that_does_not_fit_is_refused_with_one_that_does(
    settings: Any, data: tuple[ProblemName, int], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        criterion(settings, dataset(*data))
