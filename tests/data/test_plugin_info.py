"""The problem that is inferred from the first sample of a plugin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.data.sources.plugin_info import described_by, problem_of
from tui_trainer.plugins import Data
from tui_trainer.text.errors import BadInput

FEATURES, TOKENS, SEQUENCE = torch.zeros(4), torch.zeros(4).long(), torch.zeros(4, 2)
IMAGE = torch.zeros(1, 4, 5)


def inferred(inputs: Tensor, target: Any, classes: str, **options: Any) -> ProblemName:
    data = Data([], classes=tuple(classes), **options)
    return problem_of(data, {"target": torch.as_tensor(target), "x": inputs}, "d")[0]


@pytest.mark.parametrize(
    ("inputs", "target", "classes", "problem"),
    [
        (FEATURES, 1, "ab", "classification"),
        (FEATURES, [0, 1, 1, 0], "abcd", "multilabel"),
        (SEQUENCE, [0, 1], "ab", "multilabel"),
        (SEQUENCE, [0, 1, 1, 0], "ab", "token_classification"),
        (TOKENS, [0, 2, -100, 0], "abcd", "token_classification"),
        (TOKENS, [0, 2, 1, 0], "", "language_modelling"),
        (TOKENS[:1], [1], "ab", "classification"),
        (IMAGE, torch.zeros(4, 5).long(), "ab", "segmentation"),
        # What is wrong with these is said when they are checked.
        (IMAGE, torch.zeros(1, 4, 5).long(), "ab", "segmentation"),
        (IMAGE, torch.zeros(4, 5), "ab", "segmentation"),
        (IMAGE, 1, "ab", "classification"),
        (FEATURES, 0.5, "", "regression"),
    ],
)
def test_it_follows_from_the_target_and_the_classes(
    inputs: Tensor, target: Any, classes: str, problem: ProblemName
) -> None:
    assert inferred(inputs, target, classes) == problem


def test_labels_that_could_be_tags_have_to_be_said() -> None:
    with pytest.raises(BadInput, match="has 4 ints, as many as there are classes and as many as"):
        inferred(TOKENS, [0, 1, 1, 0], "abcd")
    named: ProblemName = "token_classification"
    assert inferred(TOKENS, [0, 1, 1, 0], "abcd", problem=named) == named


@pytest.mark.parametrize(
    ("problem", "classes", "text"),
    [
        ("token_classification", "a", "token_classification needs 2 classes or more, but Data nam"),
        ("multilabel", "", "multilabel needs 1 class or more, but Data names 0"),
        ("regression", "ab", "regression has no classes, but Data names 2; leave them out"),
    ],
)
def test_classes_that_do_not_fit_the_problem_are_refused(
    problem: ProblemName, classes: str, text: str
) -> None:
    with pytest.raises(BadInput, match=text):
        inferred(TOKENS, [0, 1, 1, 0], classes, problem=problem)


def test_tags_are_described_by_step() -> None:
    data = Data([], classes=("a", "b"), vocabulary=9)
    first = {"words": TOKENS, "target": TOKENS}
    info = described_by(first, data, "token_classification", "d")
    assert (info.signature.places, info.signature.causal) == ("step", False)
    assert (info.signature.outputs, info.names) == (2, ("words",))


def test_masks_are_described_by_pixel() -> None:
    data = Data([], classes=("a", "b"))
    first = {"input": IMAGE, "target": torch.zeros(4, 5).long()}
    info = described_by(first, data, "segmentation", "d")
    assert (info.signature.places, info.signature.outputs) == ("pixel", 2)
    assert info.signature.input_shape == (1, 4, 5)
