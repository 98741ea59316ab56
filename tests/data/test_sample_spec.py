"""What a sample of a user's data set has to be, and what is said of one that is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tui_trainer.config.problem_specs import PROBLEMS, ProblemName
from tui_trainer.data.batches.collation import as_sample
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import Failure, SampleMaker
from tui_trainer.problems.batch import IGNORED
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import SampleMismatch
from tui_trainer.problems.signature import Kind, Signature

SHAPES: dict[Kind, tuple[int, ...]] = {
    "features": (4,),
    "image": (3, 8, 8),
    "sequence": (6, 2),
    "tokens": (6,),
}


def form(
    kind: Kind = "features", task: ProblemName = "classification", *, vocabulary: int = 9
) -> SampleSpec:
    outputs = {"classification": 2, "regression": 1, "language_modelling": vocabulary}[task]
    signature = Signature(kind, SHAPES[kind], outputs, vocabulary, PROBLEMS[task].places)
    classes = ("a", "b") if task == "classification" else ()
    return SampleSpec(DatasetInfo(signature, task, classes))


def fitted(a_form: SampleSpec, inputs: Any, target: Any) -> torch.Tensor:
    """The target of a sample that fits."""
    return a_form.conform(as_sample((inputs, target)))["target"]


@pytest.mark.parametrize("target", [3, 3.0, [3], torch.tensor(3), torch.tensor([3.0])], ids=repr)
def test_a_number_to_predict_is_one_float_however_it_is_given(target: Any) -> None:
    found = fitted(form(task="regression"), torch.zeros(4), target)
    assert (found.tolist(), found.dtype) == ([3.0], torch.float32)


@pytest.mark.parametrize("target", [1, True, [1], torch.tensor([[1]])], ids=repr)
def test_a_class_is_one_int_however_it_is_given(target: Any) -> None:
    found = fitted(form(), torch.zeros(4), target)
    assert (found.dim(), found.item(), found.dtype) == (0, 1, torch.int64)


def test_sequences_and_texts_may_have_any_length_but_none() -> None:
    for kind, inputs in (("sequence", torch.zeros(9, 2)), ("tokens", torch.zeros(9).long())):
        assert fitted(form(kind), inputs, 0) == 0  # type: ignore[arg-type]
        with pytest.raises(SampleMismatch, match="the input has no steps"):
            fitted(form(kind), inputs[:0], 0)  # type: ignore[arg-type]


def test_a_text_to_predict_has_a_target_for_each_token_or_one_that_is_left_out() -> None:
    language = form("tokens", "language_modelling")
    tokens = torch.tensor([1, 2, 8])
    assert fitted(language, tokens, [2, IGNORED, 0]).tolist() == [2, IGNORED, 0]
    with pytest.raises(SampleMismatch, match="the target is 2 of int64 for an input of 3 steps"):
        fitted(language, tokens, [2, 0])
    with pytest.raises(SampleMismatch, match="a target is 9, and tokens go from 0 to 8"):
        fitted(language, tokens, [2, 9, 0])


@pytest.mark.parametrize(
    ("kind", "task", "inputs", "target", "text"),
    [
        ("features", "classification", torch.zeros(4), 2, "the target is 2, and classes go from 0"),
        ("features", "classification", torch.zeros(4), -1, "the target is -1, and classes"),
        ("features", "classification", torch.zeros(4), IGNORED, "the target is -100, and classes"),
        ("features", "classification", torch.zeros(4), 1.0, "classes are ints, from 0"),
        ("features", "classification", torch.zeros(4), [0, 1], "it should be one class"),
        ("features", "regression", torch.zeros(4), [1.0, 2.0], "it should be one number"),
        ("features", "classification", torch.zeros(5), 0, "5 of float32, but that of the first"),
        (
            "features",
            "classification",
            torch.zeros(2, 2),
            0,
            "was 4 floats; all must have the same form",
        ),
        ("image", "classification", torch.zeros(1, 8, 8), 0, "first sample was 3x8x8 floats"),
        ("sequence", "classification", torch.zeros(6, 3), 0, "first sample was Tx2 floats"),
        ("tokens", "classification", torch.tensor([1, 9]), 0, "a token is 9, and tokens go"),
        ("tokens", "classification", torch.tensor([1.0]), 0, "first sample was T ints"),
    ],
)
def test_fault_20_a_sample_that_is_not_as_the_others_is_described(
    kind: Kind, task: ProblemName, inputs: Any, target: Any, text: str
) -> None:
    with pytest.raises(SampleMismatch) as caught:
        fitted(form(kind, task), inputs, target)
    assert text in str(caught.value)


def test_fault_20_a_misfit_is_named_with_its_number() -> None:
    samples = [(torch.zeros(4), 0), (torch.zeros(4), 7)]
    made = SampleMaker(samples, 0, "train", form()).make(0, [0, 1])
    assert isinstance(made, Failure)
    assert made.message == ("sample 1 of the data set: the target is 7, and classes go from 0 to 1")
