"""The metrics of each problem equal those computed by hand, for every batch size."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import Prediction, Result, SampleMismatch
from tui_trainer.problems.signature import Signature

LABELS = ("a", "b", "c", "d")


def info(problem: ProblemName, outputs: int, classes: tuple[str, ...] = ()) -> DatasetInfo:
    return DatasetInfo(Signature("features", (3,), outputs), problem, classes)


def measured(
    about: DatasetInfo, outputs: Tensor, targets: Tensor, batch: int, extras: tuple[str, ...] = ()
) -> tuple[dict[str, float], Result | None]:
    totals = KINDS[about.problem].totals(about, torch.device("cpu"), extras, with_result=True)
    for one, other in zip(torch.split(outputs, batch), torch.split(targets, batch), strict=True):
        loss = (one - other.reshape(len(other), -1)).square().mean()
        totals.update(one, {"target": other}, loss)
    return totals.compute(), totals.result()


@pytest.fixture(scope="module")
def labelled() -> tuple[Tensor, Tensor]:
    """Logits and labels of 37 samples; no sample has the last label, all have the third."""
    generator = torch.Generator().manual_seed(4)
    targets = (torch.rand(37, 4, generator=generator) > 0.6).float()
    targets[:, 2], targets[:, 3] = 1, 0
    return torch.randn(37, 4, generator=generator) + targets, targets


def f1(true: list[bool], guess: list[bool]) -> float:
    right = sum(one and other for one, other in zip(true, guess, strict=True))
    return 2 * right / (sum(true) + sum(guess))


def area_under_roc(true: list[bool], scores: list[float]) -> float:
    """The share of pairs of a sample with and one without the label that are in order."""
    have = [score for it, score in zip(true, scores, strict=True) if it]
    lack = [score for it, score in zip(true, scores, strict=True) if not it]
    return sum((a > b) + 0.5 * (a == b) for a in have for b in lack) / (len(have) * len(lack))


def average_precision(true: list[bool], scores: list[float]) -> float:
    """The mean, over the samples with the label, of the precision down to each of them."""
    ranked = [it for _, it in sorted(zip(scores, true, strict=True), reverse=True)]
    found = [sum(ranked[: place + 1]) / (place + 1) for place, it in enumerate(ranked) if it]
    return sum(found) / len(found)


@pytest.mark.parametrize("batch", [1, 5, 37])
def test_the_metrics_of_labels(labelled: tuple[Tensor, Tensor], batch: int) -> None:
    outputs, targets = labelled
    names = ("macro_f1", "precision", "recall", "auroc", "average_precision")
    found, result = measured(info("multilabel", 4, LABELS), outputs, targets, batch, names)
    true, guess = (targets == 1).tolist(), (outputs > 0).tolist()
    columns = [([row[k] for row in true], [row[k] for row in guess]) for k in range(4)]
    scores = [outputs[:, k].tolist() for k in range(4)]
    flat_true, flat_guess = list(chain(*true)), list(chain(*guess))
    right = sum(one and other for one, other in zip(flat_true, flat_guess, strict=True))
    expected = {
        "loss": (outputs - targets).square().mean().item(),
        "f1": f1(flat_true, flat_guess),
        "exact_match": sum(one == other for one, other in zip(true, guess, strict=True)) / 37,
        "macro_f1": sum(f1(*columns[k]) for k in range(3)) / 3,
        "precision": right / sum(flat_guess),
        "recall": right / sum(flat_true),
        "auroc": sum(area_under_roc(columns[k][0], scores[k]) for k in range(2)) / 2,
        "average_precision": sum(average_precision(columns[k][0], scores[k]) for k in range(3)) / 3,
    }
    assert found == pytest.approx(expected, rel=1e-6)
    assert list(found) == list(expected)
    assert result is not None
    assert result.labels == tuple(
        (sum(one), sum(other), sum(a and b for a, b in zip(one, other, strict=True)))
        for one, other in columns
    )


@pytest.mark.parametrize("batch", [1, 5, 41])
@pytest.mark.parametrize(("positive", "threshold"), [(1, 0.5), (0, 0.3), (1, 0.8)])
def test_the_metrics_of_a_positive_class(batch: int, positive: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(3)
    targets = (torch.rand(41, generator=generator) > 0.7).long()
    outputs = torch.randn(41, 2, generator=generator) + F.one_hot(targets, 2)
    about = replace(info("classification", 2, ("a", "b")), positive=positive, threshold=threshold)
    names = ("f1", "precision", "recall", "balanced_accuracy", "auroc")
    found, result = measured(about, outputs, targets, batch, names)
    shares = outputs.double().softmax(1)[:, positive].tolist()
    true, guess = (targets == positive).tolist(), [share > threshold for share in shares]
    right = sum(one and other for one, other in zip(true, guess, strict=True))
    wrongly = sum(other and not one for one, other in zip(true, guess, strict=True))
    rejected = 41 - sum(true) - wrongly
    assert found == pytest.approx(
        {
            "loss": found["loss"],
            "accuracy": (right + rejected) / 41,
            "f1": f1(true, guess),
            "precision": right / sum(guess),
            "recall": right / sum(true),
            "balanced_accuracy": (right / sum(true) + rejected / (41 - sum(true))) / 2,
            "auroc": area_under_roc(true, shares),
        },
        rel=1e-6,
    )
    cells = [[rejected, wrongly], [sum(true) - right, right]]
    assert result is not None
    assert (
        result.confusion
        == tuple(tuple(row[:: 1 if positive else -1]) for row in cells)[:: 1 if positive else -1]
    )
    decoded = KINDS["classification"].decode(outputs.double(), about)
    assert [it.value for it in decoded] == ["ab"[positive if it else 1 - positive] for it in guess]


def test_a_positive_class_that_nobody_has_has_no_recall() -> None:
    about = replace(info("classification", 2, ("a", "b")), positive=1)
    names = ("f1", "precision", "recall", "balanced_accuracy", "auroc")
    outputs, targets = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.zeros(2, dtype=torch.int64)
    found, _ = measured(about, outputs, targets, 2, names)
    assert (found["accuracy"], found["precision"], found["balanced_accuracy"]) == (1, 0, 1)
    assert all(math.isnan(found[name]) for name in ("f1", "recall", "auroc"))


def test_a_threshold_decides_which_labels_are_predicted(labelled: tuple[Tensor, Tensor]) -> None:
    outputs, targets = labelled
    about = replace(info("multilabel", 4, LABELS), threshold=0.9)
    found, _ = measured(about, outputs, targets, 5)
    guess = outputs.sigmoid() > 0.9
    assert found["f1"] == pytest.approx(
        f1((targets == 1).flatten().tolist(), guess.flatten().tolist())
    )
    decoded = KINDS["multilabel"].decode(outputs.double(), about)
    assert [{*it.value} for it in decoded] == [  # type: ignore[misc]
        {label for label, is_there in zip(LABELS, row, strict=True) if is_there}
        for row in guess.tolist()
    ]


def test_labels_that_nobody_has_or_predicts_are_no_score() -> None:
    outputs, targets = torch.full((3, 2), -1.0), torch.zeros(3, 2)
    names = ("macro_f1", "precision", "recall", "auroc", "average_precision")
    found, _ = measured(info("multilabel", 2, ("a", "b")), outputs, targets, 2, names)
    assert found["exact_match"] == 1
    assert found["precision"] == 0
    for name in ("f1", "macro_f1", "recall", "auroc", "average_precision"):
        assert math.isnan(found[name])
    outputs[0, 0] = math.inf
    found, _ = measured(info("multilabel", 2, ("a", "b")), outputs, 1 - targets, 2, names)
    assert math.isnan(found["average_precision"])


@pytest.mark.parametrize("batch", [1, 4, 23])
@pytest.mark.parametrize("count", [1, 3])
def test_the_metrics_of_numbers_are_means_over_them(batch: int, count: int) -> None:
    generator = torch.Generator().manual_seed(2)
    targets = torch.randn(23, count, generator=generator) * torch.tensor([1.0, 20.0, 0.1])[:count]
    outputs = targets + torch.randn(23, count, generator=generator)
    about = DatasetInfo(Signature("features", (3,), count), "regression", (), 5.0, 2.0)
    found, result = measured(about, outputs, targets, batch)
    error = (outputs - targets).double()
    variation = (targets.double() - targets.double().mean(0)).square().sum(0)
    assert found == pytest.approx(
        {
            "loss": (outputs - targets).square().mean().item(),
            "mae": 2 * error.abs().mean(0).mean().item(),
            "rmse": 2 * error.square().mean(0).sqrt().mean().item(),
            "r2": (1 - error.square().sum(0) / variation).mean().item(),
        },
        rel=1e-6,
    )
    assert result is not None
    assert result.scatter is not None
    wanted = torch.cat([targets, outputs], 1).double() * 2 + 5
    assert result.scatter[3] == pytest.approx(wanted[3].tolist())
    assert len(result.scatter) == 23


@pytest.mark.parametrize(("count", "points"), [(1, 500), (40, 50), (3000, None)])
def test_a_result_is_small(count: int, points: int | None) -> None:
    numbers = torch.zeros(600, count)
    _, result = measured(info("regression", count), numbers, numbers, 256)
    shown = None if result is None or result.scatter is None else len(result.scatter)
    assert shown == points


@pytest.mark.parametrize(
    ("problem", "outputs", "target", "text"),
    [
        (
            "multilabel",
            3,
            [0, 1],
            "is 2 of int64; it should have a 0 or 1 for each of 3 labels",
        ),
        ("multilabel", 2, [0, 2], "the target has a 2; each label is 0 or 1"),
        ("multilabel", 2, [0.5, 1.0], "the target has a 0.5"),
        ("multilabel", 2, 1, "the target is a number of int64"),
        ("regression", 2, [1.0, 2.0, 3.0], "3 of float32; it should be 2 numbers to predict"),
        ("regression", 2, [[1.0], [2.0]], "2x1 of float32; it should be 2 numbers"),
    ],
)
def test_a_target_of_another_problem_is_described(
    problem: ProblemName, outputs: int, target: Any, text: str
) -> None:
    about = info(problem, outputs, LABELS[:outputs] if problem == "multilabel" else ())
    value = torch.tensor(target)
    with pytest.raises(SampleMismatch, match=text):
        KINDS[problem].check(value[None], torch.zeros(1, 3), about)


def test_outputs_are_decoded() -> None:
    labels = info("multilabel", 3, ("a", "b", "c"))
    decoded = KINDS["multilabel"].decode(
        torch.tensor([[0.0, 2.0, -1.0], [-1.0, -1.0, -2.0]]), labels
    )
    assert [it.value for it in decoded] == [["b"], []]
    assert list(decoded[0].shares) == ["b", "a", "c"]
    about = DatasetInfo(Signature("features", (3,), 2), "regression", (), 5.0, 2.0)
    assert KINDS["regression"].decode(torch.tensor([[0.0, 1.0]]), about) == [
        Prediction([5.0, 7.0], {})
    ]
    named = DatasetInfo(
        Signature("features", (3,), 2), "regression", (), (5.0, 0.0), (2.0, 1.0), (), ("x", "y")
    )
    assert KINDS["regression"].decode(torch.tensor([[0.0, 1.0]]), named)[0].value == {
        "x": 5.0,
        "y": 1.0,
    }
