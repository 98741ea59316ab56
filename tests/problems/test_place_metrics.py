"""The metrics of classes at steps and pixels equal those by hand, for every batch size."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS, ProblemName
from tui_trainer.problems.batch import IGNORED
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import Result, SampleMismatch
from tui_trainer.problems.signature import Signature

CLASSES = ("a", "b", "c", "d", "e")
SIGNATURES: dict[ProblemName, Signature] = {
    "token_classification": Signature("tokens", (6,), 5, vocabulary=9, places="step"),
    "segmentation": Signature("image", (2, 3, 4), 5, places="pixel"),
}
PLACED = list(SIGNATURES)


def info(problem: ProblemName) -> DatasetInfo:
    return DatasetInfo(SIGNATURES[problem], problem, CLASSES)


def samples(problem: ProblemName) -> tuple[Tensor, Tensor]:
    """Outputs and targets of 23 samples, in which places are ignored, and the last one whole.

    No target is of the class d, which is predicted, and e is neither there nor predicted.
    """
    generator = torch.Generator().manual_seed(3)
    shape = (23, 6) if problem == "token_classification" else (23, 3, 4)
    targets = torch.randint(0, 3, shape, generator=generator)
    targets[torch.rand(shape, generator=generator) < 0.2] = IGNORED
    targets[-1] = IGNORED
    outputs = torch.randn((*shape, 5), generator=generator)
    outputs[..., 4] = -9
    outputs[targets == IGNORED] = torch.tensor([0.0, 0, 0, 0, 9])
    places = SIGNATURES[problem].places
    return (outputs.movedim(-1, 1) if places == "pixel" else outputs), targets


def measured(
    problem: ProblemName, outputs: Tensor, targets: Tensor, batch: int, *, extras: bool = True
) -> tuple[dict[str, float], Result | None]:
    names = PROBLEMS[problem].more_metrics if extras else ()
    totals = KINDS[problem].totals(info(problem), torch.device("cpu"), names, with_result=True)
    for part, wanted in zip(torch.split(outputs, batch), torch.split(targets, batch), strict=True):
        known = wanted[wanted != IGNORED].double()
        # As of a loss, the mean over the places that count; of none it is undefined.
        totals.update(part, {"target": wanted}, known.mean())
    return totals.compute(), totals.result()


def by_hand(true: list[int], guesses: list[int]) -> dict[str, float]:
    pairs = list(zip(true, guesses, strict=True))
    of = {name: true.count(k) for k, name in enumerate(CLASSES)}
    guessed = {name: guesses.count(k) for k, name in enumerate(CLASSES)}
    right = {name: pairs.count((k, k)) for k, name in enumerate(CLASSES)}
    there = [name for name in CLASSES if of[name]]
    seen = [name for name in CLASSES if of[name] or guessed[name]]
    assert (there, seen) == (list("abc"), list("abcd"))
    iou = [right[it] / (of[it] + guessed[it] - right[it]) for it in seen]
    return {
        "loss": sum(true) / len(true),
        "accuracy": sum(right.values()) / len(true),
        "mean_iou": sum(iou) / len(seen),
        "f1": sum(2 * right[it] / (of[it] + guessed[it]) for it in there) / len(there),
        "precision": sum(right[it] / guessed[it] for it in there) / len(there),
        "recall": sum(right[it] / of[it] for it in there) / len(there),
        "dice": sum(2 * right[it] / (of[it] + guessed[it]) for it in seen) / len(seen),
    }


@pytest.mark.parametrize(("problem", "batch"), [*product(PLACED, [1, 5, 23])])
def test_the_metrics_are_those_of_all_places_that_count(problem: ProblemName, batch: int) -> None:
    outputs, targets = samples(problem)
    last = outputs.movedim(1, -1) if SIGNATURES[problem].places == "pixel" else outputs
    known = targets != IGNORED
    true, guesses = targets[known].tolist(), last.argmax(-1)[known].tolist()
    found, result = measured(problem, outputs, targets, batch)
    spec = PROBLEMS[problem]
    assert list(found) == [*spec.metrics, *spec.more_metrics]
    expected = by_hand(true, guesses)
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-9)
    assert result is not None
    pairs = list(zip(true, guesses, strict=True))
    assert result.confusion == tuple(
        tuple(pairs.count((row, column)) for column in range(5)) for row in range(5)
    )
    areas = tuple((true.count(k), guesses.count(k), pairs.count((k, k))) for k in range(5))
    assert result.areas == (areas if SIGNATURES[problem].places == "pixel" else None)


@pytest.mark.parametrize("problem", PLACED)
def test_outputs_that_are_not_finite_are_no_score(problem: ProblemName) -> None:
    outputs, targets = samples(problem)
    outputs[-1] = math.nan
    found, _ = measured(problem, outputs, targets, 5)
    assert not any(math.isnan(value) for value in found.values()), "an ignored place"
    outputs[0] = math.inf
    found, _ = measured(problem, outputs, targets, 5)
    assert {name for name, value in found.items() if math.isnan(value)} == (
        found.keys() - {"loss", "accuracy"}
    )


@pytest.mark.parametrize("problem", PLACED)
def test_places_that_are_all_ignored_have_no_metrics(problem: ProblemName) -> None:
    outputs, targets = samples(problem)
    found, _ = measured(problem, outputs, torch.full_like(targets, IGNORED), 5)
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("targets", "text"),
    [
        ([0.0, 1.0, 2.0], "the target is 3 of float32; classes are ints, from 0"),
        ([0, 1], "the target is 2 of int64 for an input of 3 steps; it needs one class per step"),
        ([0, IGNORED, 5], "a target is 5, and classes go from 0 to 4"),
        ([0, -1, 4], "a target is -1, and classes go from 0 to 4"),
    ],
)
def test_tags_that_do_not_fit_are_described(targets: list[float], text: str) -> None:
    about, tokens = info("token_classification"), torch.zeros(1, 3).long()
    kind = KINDS["token_classification"]
    with pytest.raises(SampleMismatch, match=text):
        kind.check(torch.tensor([targets]), tokens, about)
    kept = kind.check(torch.tensor([[0, IGNORED, 4]]), tokens, about)
    assert kept.tolist() == [[0, IGNORED, 4]]


def test_each_token_is_decoded() -> None:
    outputs = torch.eye(5)[[1, 4, 0]][None].double()
    (found,) = KINDS["token_classification"].decode(outputs, info("token_classification"))
    assert (found.value, found.shares) == (["b", "e", "a"], {})


@pytest.mark.parametrize(
    ("targets", "shape", "text"),
    [
        ([[0.0, 1.0]], (1, 1, 1, 2), "the target is 1x2 of float32; classes are ints, from 0"),
        (
            [[0, 1]],
            (1, 1, 2, 2),
            "the target is 1x2 of int64 for an image of 2x2 pixels; it needs one class per pixel",
        ),
        ([[0, 5]], (1, 1, 1, 2), "a target is 5, and classes go from 0 to 4"),
        (
            [[[0, 1]]],
            (1, 1, 1, 2),
            "the target is 1x1x2 of int64 for an image of 1x2 pixels; it needs one class per pixel",
        ),
        ([[0, 4]], (1, 1, 2), r"needs an image \(C, H, W\), not 1x2 of float32"),
    ],
)
def test_masks_that_do_not_fit_are_described(
    targets: list[Any], shape: tuple[int, ...], text: str
) -> None:
    with pytest.raises(SampleMismatch, match=text):
        KINDS["segmentation"].check(
            torch.tensor([targets]), torch.zeros(shape), info("segmentation")
        )


@pytest.mark.parametrize(("classes", "dtype"), [(5, torch.uint8), (300, torch.int32)])
def test_masks_are_decoded_with_shares_of_their_pixels(classes: int, dtype: torch.dtype) -> None:
    names = tuple(f"c{index}" for index in range(classes))
    about = DatasetInfo(
        Signature("image", (1, 2, 2), classes, places="pixel"), "segmentation", names
    )
    wanted = torch.tensor([[4, 0], [4, classes - 1]])
    outputs = torch.nn.functional.one_hot(wanted, classes).movedim(-1, 0)[None].double()
    (found,) = KINDS["segmentation"].decode(outputs, about)
    assert found.mask is not None
    assert (found.mask.dtype, found.mask.tolist()) == (dtype, wanted.tolist())
    most = {"c4": 0.75, "c0": 0.25} if classes == 5 else {"c4": 0.5, "c0": 0.25, "c299": 0.25}
    assert list(found.shares.items()) == list(most.items())
