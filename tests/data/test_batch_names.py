"""Samples as pairs, single arrays, dicts of names and columns, and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Order
from tui_trainer.data.batches.collation import as_sample, collate
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.plugin_data import loaded
from tui_trainer.plugins import Data, DatasetParams
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.text.errors import BadInput


def load(data: Any) -> Dataset:
    section = DatasetParams.model_validate({"type": "scans"})
    return loaded(section, data, None, "dataset scans")


def items(count: int, **fields: Callable[[int], Any]) -> list[dict[str, Any]]:
    return [{name: make(index) for name, make in fields.items()} for index in range(count)]


def same(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].equal(other[name]) for name in one
    )


def test_a_pair_a_dict_and_a_single_array_are_samples() -> None:
    x = torch.ones(3)
    for sample in ((x, 1), [x, 1], {"input": x, "target": 1}):
        assert same(as_sample(sample), {"input": x, "target": torch.tensor(1)})
    assert same(as_sample(np.ones((2, 3))), {"input": torch.ones(2, 3)})


def test_fields_get_the_dtypes_of_a_batch() -> None:
    given = {
        "input": np.arange(3),
        "image": np.ones((3, 4, 4), np.uint8),
        "age": np.float64(3),
        "city": np.int32(4),
        "known": np.bool_(True),
        "target": np.float64(1),
    }
    found = {name: str(value.dtype)[6:] for name, value in as_sample(given).items()}
    assert found == {
        "input": "int64",
        "image": "uint8",
        "age": "float32",
        "city": "int64",
        "known": "bool",
        "target": "float32",
    }


@pytest.mark.parametrize(
    "array",
    [
        np.arange(4, dtype=">f8").reshape(2, 2),
        np.frombuffer(np.arange(4, dtype=np.float32).tobytes(), np.float32).reshape(2, 2),
        np.arange(3, -1, -1, dtype=np.float32)[::-1].reshape(2, 2)[:, ::-1][:, ::-1],
        np.arange(4, dtype=np.float32).reshape(2, 2)[:, ::-1][:, ::-1],
    ],
    ids=["big-endian", "read-only", "backwards", "mirrored"],
)
def test_arrays_of_any_layout_are_taken(array: Any) -> None:
    for given in (array, array[:, ::-1]):
        assert torch.equal(
            as_sample(given)["input"], torch.tensor(given.astype(np.float32).tolist())
        )


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        ((1, 2, 3), "or a dict of names and values, not tuple of 3"),
        ({"Input": 1, "target": 0}, "a field is called 'Input'; names have small letters"),
        ({3: 1, "target": 0}, "a field is called 3; names"),
        ({"weight": 1, "target": 0}, "the name weight is reserved"),
        ({"text_lengths": 1, "target": 0}, "the name text_lengths is reserved"),
        ({"target": 0}, "a sample has no field but its target"),
        ({"image": "cat.png", "target": 0}, "the image is of type str, not numbers"),
    ],
)
def test_what_cannot_be_a_sample_is_told(sample: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text.replace("(", r"\(")):
        as_sample(sample)


def test_each_field_is_padded_and_has_its_lengths() -> None:
    samples = items(
        3,
        input=lambda n: torch.ones(n + 1),
        words=lambda n: torch.ones(n + 2, 2),
        age=float,
        target=lambda n: torch.zeros(n + 1).long(),
    )
    batch = collate([as_sample(sample) for sample in samples])
    assert {name: tuple(field.shape) for name, field in batch.items()} == {
        "input": (3, 3),
        "words": (3, 4, 2),
        "age": (3,),
        "target": (3, 3),
        "lengths": (3,),
        "words_lengths": (3,),
    }
    assert batch["words_lengths"].tolist() == [2, 3, 4]
    assert batch["words"][0].tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    assert batch["target"][0].tolist() == [0, IGNORED, IGNORED]


def columns(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    full = {
        "image": generator.integers(0, 255, (40, 3, 4, 4), dtype=np.uint8),
        "age": generator.random(40),
        "target": np.arange(40) % 2,
    }
    return {name: value for name, value in (full | changes).items() if value is not None}


def test_columns_give_the_batches_that_single_samples_give() -> None:
    held = columns()
    rows = zip(*held.values(), strict=True)
    whole = load(Data(held, classes=("no", "yes")))
    single = load(Data([dict(zip(held, row, strict=True)) for row in rows], classes=("no", "yes")))
    assert isinstance(whole.train, TensorSplit)
    assert isinstance(single.train, MapSplit)
    assert whole.info == single.info
    # Only columns are divided by class.
    assert (whole.class_counts, single.class_counts) == ((13, 14), ())
    read = replace(single.train, rows=whole.train.rows)
    order = Order(7, seed=3)
    shuffled = (split.shuffled(order).epoch(1) for split in (whole.train, read))
    in_order = (split.in_order(9) for split in (whole.train, read))
    for batches in (shuffled, in_order):
        assert all(same(one, other) for one, other in zip(*batches, strict=True))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"age": np.zeros(39)}, "different numbers of samples: image 40, age 39, target 40"),
        ({"target": None}, "the first sample has no target, only image, age"),
        ({"target": np.arange(40)}, "a target is 39, and classes go from 0 to 1"),
        ({"target": np.zeros(40)}, "classes are ints, from 0"),
        ({"target": np.zeros((40, 3), int)}, "it should be one class"),
        ({"image": np.zeros((40, 1, 1, 1, 1))}, "floats of 1 to 3 dimensions"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_training(
    changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadInput, match=f"dataset scans: .*{text}"):
        load(Data(columns(**changes), classes=("no", "yes")))


def test_a_tensor_dataset_is_columns_of_inputs_and_targets() -> None:
    x, y = torch.rand(30, 5), torch.rand(30, 1)
    found = load(Data(torch.utils.data.TensorDataset(x, y)))
    assert isinstance(found.train, TensorSplit)
    assert (found.problem, found.input_shape) == ("regression", (5,))
    with pytest.raises(BadInput, match="a TensorDataset of 3 tensors; two are input and target"):
        load(Data(torch.utils.data.TensorDataset(x, x, y)))


@pytest.mark.parametrize(
    ("data", "problem", "reason"),
    [
        (lambda: Data([([1.0], 0)] * 9, classes=("a", "b")), "classification", "2 classes"),
        (lambda: Data([([1.0], 0.5)] * 9), "regression", "the target is a float"),
        (
            lambda: Data([([1, 2], [2, 3])] * 9, vocabulary=4),
            "language_modelling",
            "the target has an int for each token",
        ),
        (
            lambda: Data([{"words": [1, 2], "target": [2, 3]}] * 9, vocabulary=4),
            "language_modelling",
            "the target has an int for each token",
        ),
        (lambda: Data([([1.0], 3)] * 9, problem="regression"), "regression", "Data names it"),
    ],
)
def test_the_problem_is_inferred_and_the_reason_is_told(
    data: Callable[[], Data], problem: str, reason: str
) -> None:
    found = load(data())
    assert found.problem == problem
    assert f"{problem}: {reason}" in found.notes[0] or reason in found.notes[0]


def test_ints_without_classes_are_refused_with_both_ways_out() -> None:
    with pytest.raises(BadInput, match=r"classes=.*or return a float to predict a number"):
        load(Data([([1.0], 1)] * 9))


def test_the_first_sample_is_described() -> None:
    note = load(Data(columns(), classes=("no", "yes"))).notes[0]
    assert note.startswith("the first sample: image 3x4x4 of uint8 from ")
    assert note.endswith("target class 0 'no'; classification: Data has 2 classes")


def test_the_older_name_of_the_problem_is_refused_with_the_new_one() -> None:
    with pytest.raises(TypeError, match="write problem='regression'"):
        Data([], task="regression")


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"image": np.zeros((3, 4, 4))}, "it has no target, only image"),
        ({"image": np.zeros((3, 4, 4)), "target": 0}, "the first sample had image, age, target"),
        ({"image": np.zeros((3, 4, 4)), "age": 1, "target": 0}, "the age is a number of int64"),
        ({"image": np.zeros((3, 5, 4)), "age": 1.0, "target": 0}, "the image is 3x5x4 of float32"),
    ],
)
def test_a_sample_with_other_fields_than_the_first_is_described(other: Any, text: str) -> None:
    first = {"image": np.zeros((3, 4, 4)), "age": 0.5, "target": 1}
    data = load(Data([first] * 20, classes=("no", "yes")))
    assert isinstance(data.train, MapSplit)
    split = MapSplit([first, other], torch.arange(2), form=data.train.form)
    with pytest.raises(Exception, match=f"sample 1 of the data set: .*{text}"):
        list(split.in_order(2))


def words(index: int) -> dict[str, Any]:
    """A text, which no tensor can hold, and a class."""
    return {"text": "ab" * (1 + index % 3), "class": index % 2}


def collated(samples: list[Any]) -> dict[str, Any]:
    """Bytes of the texts, padded with 1, and their lengths."""
    lengths = [len(sample["text"]) for sample in samples]
    rows = torch.ones(len(samples), max(lengths), dtype=torch.int64)
    for row, sample in zip(rows, samples, strict=True):
        row[: len(sample["text"])] = torch.tensor(list(sample["text"].encode()))
    return {
        "input": rows,
        "lengths": lengths,
        "target": np.array([sample["class"] for sample in samples]),
    }


def test_a_function_of_the_user_makes_the_batches() -> None:
    found = load(
        Data([words(n) for n in range(20)], collate=collated, classes=("a", "b"), vocabulary=128)
    )
    assert found.signature.kind == "tokens"
    batch = next(found.train.in_order(3))
    assert {name: str(field.dtype) for name, field in batch.items()} == dict.fromkeys(
        ("input", "lengths", "target"), "torch.int64"
    )
    assert batch["lengths"].tolist() == [int((row != 1).sum()) for row in batch["input"]]


@pytest.mark.parametrize(
    ("collate", "text"),
    [
        (lambda samples: None, "collate: a sample is a pair"),
        (
            lambda samples: {"input": torch.zeros(3, 2), "target": [0] * 3},
            "3x2 of float32",
        ),
        (lambda samples: 1 / 0, "ZeroDivisionError"),
        (
            lambda samples: {"input": torch.zeros(len(samples), 2), "target": [7] * len(samples)},
            "target is 7, and classes go from 0 to 1",
        ),
        (lambda samples: {"input": torch.zeros(len(samples), 2)}, "has no target, only input"),
    ],
)
def test_what_a_collate_function_returns_is_checked(collate: Any, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        load(Data([words(n) for n in range(20)], collate=collate, classes=("a", "b")))


def test_a_padded_field_is_filled_with_a_number_of_its_own() -> None:
    samples = items(20, words=lambda n: [3] * (2 + n % 2), target=lambda n: n % 2)
    given: dict[str, Any] = {"classes": ("a", "b"), "vocabulary": 9}
    found = load(Data(samples, padding={"words": 8}, **given))
    batch = next(found.val.in_order(len(found.val)))
    assert {number for row in batch["words"].tolist() for number in row} == {3, 8}
    with pytest.raises(BadInput, match=r"padding=.* names 'text'; the fields are words"):
        load(Data(samples, padding={"text": 8}, **given))
