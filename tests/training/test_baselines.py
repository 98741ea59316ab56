"""What no training would give, for each kind of data; sizes beyond a bound are left out aloud."""

from __future__ import annotations

import contextlib
import gzip
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tui_trainer.config.overrides import edited
from tui_trainer.config.preset_files import builtin_dir
from tui_trainer.config.presets import PresetLibrary
from tui_trainer.config.sections.datasets import SequencesSection, TableSection
from tui_trainer.config.sections.problems import ClassificationSection
from tui_trainer.config.sections.text_datasets import TextFoldersSection, TextSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.load import load
from tui_trainer.problems.signature import Kind, Signature
from tui_trainer.training import baselines as module
from tui_trainer.training.baseline_costs import (
    ALWAYS,
    TIMES,
    is_affordable,
    left_out,
    training_cost,
)
from tui_trainer.training.baselines import Baseline, Metrics, baselines_of, compute
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.regressions import fit_linear, fit_logistic, with_bias
from tui_trainer.training.task import build

VOWELS = SequencesSection(
    type="sequences",
    path="builtin:japanese-vowels.csv.gz",
    sequence="utterance",
    step="frame",
    target="speaker",
    split="split",
)
CARS = TableSection(
    type="table",
    path="builtin:auto-mpg.csv",
    target="mpg",
    categorical=("origin",),
    drop=("name",),
)


def of_bytes(split: TextSplit) -> Dataset:
    """Return a data set of texts with this split for all."""
    signature = Signature("tokens", (100,), 256, 256, "step", causal=True)
    problem = "language_modelling"
    return with_info(load(CARS), train=split, test=split, problem=problem, signature=signature)


def with_info(dataset: Dataset, train: Any, test: Any, **changes: Any) -> Dataset:
    """Return the data set with other splits and other entries of its description."""
    return replace(dataset, train=train, test=test, info=replace(dataset.info, **changes))


def texts(folder: Path) -> TextSection:
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"line {number} of a text\n" * (number + 3))
    return TextSection(type="text", path=str(folder), sequence_length=10)


def passages(folder: Path) -> TextFoldersSection:
    for name, letters in (("a", "abcx"), ("b", "bcdx")):
        (folder / name).mkdir()
        for number in range(12):
            lines = "".join(f"{letters[(number + n) % 4] * (n + 1)}\n" for n in range(9))
            (folder / name / f"{number}.txt").write_text(lines + f"{number}\n" * 3)
    return TextFoldersSection(type="text_folders", path=str(folder), passage_lines=12)


def all_of(dataset: Dataset) -> dict[str, Metrics]:
    return compute(baselines_of(dataset, dataset.test))


def with_test(dataset: Dataset) -> tuple[Dataset, Split]:
    return dataset, dataset.test


def test_sequences_have_a_majority_a_neighbour_and_a_linear_baseline() -> None:
    dataset = load(VOWELS, problem=ClassificationSection(type="classification"))
    found = all_of(dataset)

    assert set(found) == {"majority_class", "nearest_neighbour", "logistic_regression"}
    assert found["majority_class"]["accuracy"] < 0.2
    assert found["nearest_neighbour"]["accuracy"] > 0.95
    assert found["logistic_regression"]["accuracy"] > 0.95


def test_features_of_sequences_are_means_and_deviations_of_what_is_no_padding() -> None:
    inputs = torch.zeros(2, 4, 1)
    inputs[0, :2, 0] = torch.tensor([1.0, 3.0])
    inputs[1, :, 0] = torch.tensor([2.0, 2.0, 2.0, 6.0])
    split = TensorSplit(inputs, torch.zeros(2), torch.arange(2), torch.tensor([2, 4]))
    found = module._features(Signature("sequence", (4, 1), 1), split)
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0], [3.0, math.sqrt(3)]]))


def test_a_number_of_a_sequence_is_predicted_linearly() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, 2, generator=generator)
    targets = inputs.mean(dim=1) @ torch.tensor([[1.0], [-2.0]])
    split = TensorSplit(inputs, targets, torch.arange(40), torch.full((40,), 5))
    dataset = with_info(
        load(CARS), train=split, test=split, signature=Signature("sequence", (5, 2), 1)
    )
    found = all_of(dataset)
    assert found["linear_regression"]["r2"] == pytest.approx(1.0, abs=1e-5)


def test_cars_are_predicted_in_miles_a_gallon() -> None:
    dataset = load(CARS)
    found = all_of(dataset)
    assert 2 < found["linear_regression"]["mae"] < 4 < found["mean"]["mae"] < 8
    assert found["linear_regression"]["r2"] > 0.7


def test_texts_are_compared_with_gzip_of_each_file_alone(tmp_path: Path) -> None:
    dataset = load(texts(tmp_path))
    assert isinstance(dataset.test, TextSplit)
    held_out = list(dataset.test.texts())
    packed = sum(len(gzip.compress(text, 9)) for text in held_out)
    found = all_of(dataset)

    assert found["gzip"]["bits_per_byte"] == 8 * packed / sum(map(len, held_out))
    assert isinstance(dataset.train, TextSplit)
    counts = [1] * 256
    for text in dataset.train.texts():
        for byte in text:
            counts[byte] += 1
    total = sum(counts[1:])
    bits = [-math.log2(counts[byte] / total) for text in held_out for byte in text]
    assert found["unigram"]["bits_per_byte"] == pytest.approx(sum(bits) / len(bits))


def test_passages_are_compared_with_a_bag_of_their_bytes(tmp_path: Path) -> None:
    dataset = load(passages(tmp_path))
    found = all_of(dataset)
    assert set(found) == {"majority_class", "bag_of_bytes"}
    assert found["bag_of_bytes"]["accuracy"] == 1.0

    tokens = torch.tensor([[65, 66, 65, 0], [66, 0, 0, 0]], dtype=torch.uint8)
    split = TensorSplit(tokens, torch.zeros(2), torch.arange(2), torch.tensor([3, 1]))
    shares = module._features(dataset.signature, split)
    assert shares[:, [0, 65, 66]].tolist() == [
        [0, pytest.approx(2 / 3), pytest.approx(1 / 3)],
        [0, 0, 1],
    ]


def test_a_logistic_regression_stands_still_where_its_loss_is_least() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 6, generator=generator) * torch.tensor([1, 9, 0.1, 1, 1, 0])
    targets = (features[:, :3] / torch.tensor([1, 9, 0.1])).argmax(dim=1)
    fitted = fit_logistic(features, targets, 3)

    assert fitted.weight.equal(fit_logistic(features, targets, 3).weight)
    assert (fitted.predict(features) == targets).double().mean() > 0.95
    weight = fitted.weight.clone().requires_grad_()
    scaled = (features.double() - fitted.mean) / fitted.std
    loss = F.cross_entropy(scaled @ weight[:-1] + weight[-1], targets)
    (loss + weight[:-1].square().sum() / 400).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.abs().max() < 1e-6


def test_baselines_draw_nothing_and_keep_the_model_in_its_gradients(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    dataset = load(passages(tmp_path))
    all_of(dataset)
    assert before.equal(torch.get_rng_state())
    assert torch.is_grad_enabled()


def huge(kind: Kind, shape: tuple[int, ...], outputs: int) -> Dataset:
    """Many samples that take no memory."""
    count = 20_000
    dtype = torch.uint8 if kind == "tokens" else torch.float32
    lengths = torch.ones(1, dtype=torch.int64).expand(count) if kind != "features" else None
    targets = torch.zeros((count,) if outputs > 1 else (count, 1))
    split = TensorSplit(
        torch.zeros(1, *shape, dtype=dtype).expand(count, *shape),
        targets.long() if outputs > 1 else targets,
        torch.arange(count),
        lengths,
    )
    return with_info(
        load(CARS),
        train=split,
        test=split,
        problem="classification" if outputs > 1 else "regression",
        signature=Signature(kind, shape, outputs, vocabulary=256 if kind == "tokens" else 0),
    )


@pytest.mark.parametrize(
    ("kind", "shape", "outputs", "costs"),
    [
        (
            "sequence",
            (2, 24),
            200,
            {
                "majority_class": 0,
                "nearest_neighbour": 2 * 20_000 * 20_000 * 48,
                "logistic_regression": 4 * 20_000 * 48 * 200 * 300,
            },
        ),
        ("tokens", (2,), 100, {"majority_class": 0, "bag_of_bytes": 4 * 20_000 * 256 * 100 * 300}),
        ("features", (2000,), 1, {"mean": 0, "linear_regression": 8 * 20_000 * 2000**2}),
    ],
)
def test_what_a_baseline_costs_follows_from_sizes(
    kind: Kind, shape: tuple[int, ...], outputs: int, costs: dict[str, int]
) -> None:
    dataset = huge(kind, shape, outputs)
    assert {one.name: one.cost for one in baselines_of(dataset, dataset.test)} == costs


def test_compressing_costs_by_the_byte() -> None:
    data = torch.full((1000,), 65, dtype=torch.uint8)
    split = TextSplit(data, (0, len(data)), (0,), 100)
    dataset = of_bytes(split)
    costs = {one.name: one.cost for one in baselines_of(dataset, split)}
    assert costs == {"unigram": 0, "gzip": 500_000}


def test_what_costs_far_more_than_the_training_is_left_out_with_its_command() -> None:
    def costing(cost: int) -> Baseline:
        return Baseline("nearest_neighbour", lambda tick: {}, cost)

    assert is_affordable(costing(ALWAYS), 1)
    assert not is_affordable(costing(ALWAYS + 1), 1)
    long = 100 * ALWAYS
    assert is_affordable(costing(TIMES * long), long)
    dear = costing(25 * long)
    assert not is_affordable(dear, long)
    assert left_out([costing(long), dear], long, "tui-trainer evaluate mine --baselines") == [
        "baseline nearest neighbour left out: by its sizes it costs 25 times as much as the "
        "training; tui-trainer evaluate mine --baselines computes it"
    ]


@pytest.mark.parametrize("name", ["vowels-gru", "auto-mpg-mlp", "digits-cnn", "stdlib-gpt"])
def test_nothing_is_left_out_of_the_experiments_that_ship(name: str) -> None:
    experiment = PresetLibrary([builtin_dir()]).experiment(name)
    if experiment.training.max_steps is None:
        experiment = edited(experiment, "training.epochs", 1)
    else:
        experiment = edited(experiment, "training.max_steps", 30)
    task = build(experiment, SingleRank(), torch.device("cpu"))
    steps = experiment.training.max_steps or task.steps_per_epoch
    found = baselines_of(task.dataset, task.dataset.test)
    assert left_out(found, training_cost(task, steps), name) == []


class Ended(Exception):
    """What a tick raises."""


def ended_after(baseline: Baseline, ticks: int) -> list[tuple[int, int]]:
    """The ticks of a baseline that is ended at the last of them."""
    seen: list[tuple[int, int]] = []

    def tick(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == ticks:
            raise Ended

    with torch.inference_mode(), contextlib.suppress(Ended):
        baseline.compute(tick)
    return seen


def test_the_dear_baselines_can_be_ended_within(tmp_path: Path) -> None:
    rows = baselines_of(*with_test(huge("features", (8,), 2)))
    (neighbour,) = [one for one in rows if one.name == "nearest_neighbour"]
    assert ended_after(neighbour, 3) == [(0, 20_000), (1024, 20_000), (2048, 20_000)]
    (_, linear) = baselines_of(*with_test(huge("features", (8,), 1)))
    assert ended_after(linear, 2) == [(0, 20_000), (4096, 20_000)]
    (_, bag) = baselines_of(*with_test(load(passages(tmp_path))))
    assert ended_after(bag, 9) == [(0, 0)] * 9
    data = torch.full((10_000_000,), 65, dtype=torch.uint8)
    split = TextSplit(data, (0, len(data)), (0,), 100)
    dataset = of_bytes(split)
    (_, gzipped) = baselines_of(dataset, split)
    assert ended_after(gzipped, 3) == [(0, 10**7), (1 << 22, 10**7), (2 << 22, 10**7)]


def test_a_long_text_is_compressed_as_a_whole() -> None:
    text = random.Random(0).randbytes(3_000_000) * 3
    data = torch.frombuffer(bytearray(b"\0" + text), dtype=torch.uint8)
    split = TextSplit(data, (0, len(data)), (0,), 100)
    dataset = of_bytes(split)
    assert all_of(dataset)["gzip"]["bits_per_byte"] == 8 * len(gzip.compress(text, 9)) / len(text)


def test_a_linear_fit_in_parts_is_that_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(9000, 5, generator=generator)
    # Two equal columns: of all fits, that with the smallest weights shares between them.
    features = torch.cat([columns, columns[:, :1]], dim=1)
    targets = columns @ torch.tensor([[2.0], [0.5], [-1.0], [0.0], [3.0]]) + 0.25
    fitted = fit_linear(with_bias(features), targets)
    expected = torch.tensor([1.0, 0.5, -1.0, 0.0, 3.0, 1.0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(fitted[:, 0], expected, rtol=0, atol=1e-6)


def test_a_logistic_fit_in_parts_is_that_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 4, generator=generator)
    targets = features[:, :3].argmax(dim=1)
    whole = fit_logistic(features, targets, 3)
    parts = fit_logistic(features, targets, 3, at_once=4 * 4 * 3 * 70)
    torch.testing.assert_close(parts.weight, whole.weight, rtol=0, atol=1e-5)
