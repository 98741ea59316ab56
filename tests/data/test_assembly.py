"""A batch that is assembled as its samples are read is the one that `Collation` makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.batches.assembly import Assembly
from tui_trainer.data.batches.collation import Collation
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import Failure, SampleMaker
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind, SampleField, Signature

MAKE = np.random.default_rng(0)
PIXELS = MAKE.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


def spec_of(
    kind: Kind, shape: tuple[int, ...], problem: ProblemName, outputs: int, **more: Any
) -> SampleSpec:
    classes = tuple("abcdef") if problem == "classification" else ()
    return SampleSpec(DatasetInfo(Signature(kind, shape, outputs, **more), problem, classes))


CLASSES = spec_of("image", (3, 5, 4), "classification", 6)
NUMBER = spec_of("features", (4,), "regression", 1)
TOKENS = spec_of("tokens", (9,), "classification", 6, vocabulary=50)
ALONE = spec_of("image", (3, 5, 4), "none", 1)
NAMED = SampleSpec(
    DatasetInfo(
        Signature("image", (3, 5, 4), 6),
        "classification",
        tuple("abcdef"),
        fields=(SampleField("picture", (3, 5, 4), "float32"), SampleField("age", (), "int64")),
    )
)


def picture(index: int) -> torch.Tensor:
    return torch.from_numpy(PIXELS[index]).permute(2, 0, 1)


KINDS: dict[str, tuple[SampleSpec | None, Callable[[int], Any]]] = {
    "bytes": (CLASSES, lambda index: (picture(index), index)),
    "floats": (CLASSES, lambda index: (picture(index) / 255, np.int64(index))),
    "doubles": (CLASSES, lambda index: (picture(index).double() / 7, torch.tensor(index))),
    "arrays": (CLASSES, lambda index: [PIXELS[index].transpose(2, 0, 1)[:, ::-1], index]),
    "turned": (
        CLASSES,
        lambda index: (picture(index).contiguous() if index % 2 else picture(index), index),
    ),
    "gradients": (CLASSES, lambda index: ((picture(index) / 255).requires_grad_(), index)),
    "other labels": (
        CLASSES,
        lambda index: (picture(index), [index, torch.tensor(index)][index % 2]),
    ),
    "names": (NAMED, lambda index: {"age": index, "picture": picture(index), "target": index}),
    "number": (NUMBER, lambda index: (torch.arange(4.0) * index, index / 7)),
    "whole numbers": (NUMBER, lambda index: ([0.5, index, 2, 3], index)),
    "large": (NUMBER, lambda index: (torch.arange(4.0), 1e39 if index == 2 else 0.1)),
    "tokens": (TOKENS, lambda index: (torch.arange(4) + index, index)),
    "lengths": (TOKENS, lambda index: (torch.arange(3 + index // 3), index)),
    "no target": (ALONE, picture),
    "anything": (None, lambda index: {"a": picture(index), "b": index / 3}),
    "four sides": (None, lambda index: (torch.ones(2, 3, 4, 5).permute(0, 3, 1, 2) * index, 1)),
}


class Listed(torch.utils.data.Dataset[Any]):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, index: int) -> Any:
        return KINDS[self.kind][1](index)


def facts(batch: Batch) -> list[Any]:
    return [
        (name, field.dtype, tuple(field.shape), field.stride(), field.tolist())
        for name, field in batch.items()
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_assembled_batch_is_that_of_the_collation(kind: str) -> None:
    spec, read = KINDS[kind]
    collation, assembly = (
        Collation(padding={"input": 3}),
        Assembly(Collation(padding={"input": 3}), spec),
    )
    for index in range(len(PIXELS)):
        if not assembly.defer(raw := read(index)):
            assembly.add(raw)
    assembly.settle()
    expected = collation.batch([collation.sample(read(i), spec) for i in range(len(PIXELS))], spec)
    assert facts(assembly.batch()) == facts(expected)


def test_workers_send_the_same_batches() -> None:
    pools = [WorkerPool(LoaderSection(num_workers=workers)) for workers in (0, 2)]
    found: list[list[Any]] = []
    for pool in pools:
        splits = [
            MapSplit(Listed(kind), torch.arange(6), form=spec).through(pool, kind, 5)
            for kind, (spec, _) in KINDS.items()
        ]
        found.append([facts(batch) for split in splits for batch in split.in_order(4)])
        pool.close()
    assert found[0] == found[1]
    assert len(found[0]) == 2 * len(KINDS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((picture(0), 6), "sample 4 of the data set: the target is 6, and classes go from 0 to 5"),
        ((picture(0), True), ""),
        ((picture(0), 1.5), "the target is 1 of float32; classes are ints, from 0"),
        (
            (picture(0)[:2], 1),
            "the input is 2x5x4 of uint8, but that of the first sample was 3x5x4",
        ),
        ((picture(0)[None], 1), "the input is 1x3x5x4 of uint8"),
        ((picture(0), "cat"), "the target is of type str, not numbers"),
        ({"input": picture(0)}, "sample 4 of the data set: it has no target, only input"),
        ((picture(0), 1, 2), "a sample is a pair (input, target)"),
    ],
)
def test_a_wrong_sample_among_good_ones_is_named(wrong: Any, message: str) -> None:
    samples = [(picture(index), index) for index in range(4)]
    made = SampleMaker([*samples, wrong], 0, "train", CLASSES).make(0, range(5))
    if message:
        assert isinstance(made, Failure)
        assert message in made.message
        assert "sample 4 of the data set" in made.message
    else:
        assert not isinstance(made, Failure)
        assert made["target"].tolist() == [0, 1, 2, 3, 1]


def test_a_buffer_that_is_filled_anew_for_each_sample_is_read_in_time() -> None:
    buffer = np.zeros(4)

    class Reused:
        def __getitem__(self, index: int) -> Any:
            buffer[:] = index
            return buffer, index / 2

    made = SampleMaker(Reused(), 0, "train", NUMBER).make(0, range(3))
    assert not isinstance(made, Failure)
    assert made["input"].tolist() == [[0.0] * 4, [1.0] * 4, [2.0] * 4]


def test_a_wrong_sample_is_named_before_one_that_cannot_be_read() -> None:
    class Broken:
        def __getitem__(self, index: int) -> Any:
            if index == 3:
                raise OSError("no such file")
            return picture(index), 9 if index == 1 else index

    maker = SampleMaker(Broken(), 0, "train", CLASSES)
    first, second = maker.make(0, range(5)), maker.make(0, [0, 2, 3, 1])
    assert isinstance(first, Failure)
    assert first.message.startswith("sample 1 of the data set: the target is 9")
    assert isinstance(second, Failure)
    assert second.message.startswith("sample 3 of the data set cannot be read: OSError")
