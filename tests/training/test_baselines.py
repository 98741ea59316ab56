"""What no training would give, for each kind of data; sizes beyond a bound are left out aloud."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tui_trainer.config.sections.datasets import (
    SequencesSection,
    TableSection,
    TextFoldersSection,
    TextSection,
)
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.signature import Kind, Signature
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.load import load
from tui_trainer.training import baselines as module
from tui_trainer.training.baselines import baselines, left_out
from tui_trainer.training.regressions import fit_logistic

VOWELS = SequencesSection(
    type="sequences",
    path="builtin:japanese-vowels.csv.gz",
    sequence="utterance",
    step="frame",
    target="speaker",
    split="split",
    task="classification",
)
CARS = TableSection(
    type="table",
    path="builtin:auto-mpg.csv",
    target="mpg",
    categorical=("origin",),
    drop=("name",),
)


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


def test_sequences_have_a_majority_a_neighbour_and_a_linear_baseline() -> None:
    dataset = load(VOWELS)
    found = baselines(dataset, dataset.test)

    assert set(found) == {"majority_class", "nearest_neighbour", "logistic_regression"}
    assert found["majority_class"]["accuracy"] < 0.2
    assert found["nearest_neighbour"]["accuracy"] > 0.95
    assert found["logistic_regression"]["accuracy"] > 0.95


def test_features_of_sequences_are_means_and_deviations_of_what_is_no_padding() -> None:
    inputs = torch.zeros(2, 4, 1)
    inputs[0, :2, 0] = torch.tensor([1.0, 3.0])
    inputs[1, :, 0] = torch.tensor([2.0, 2.0, 2.0, 6.0])
    split = TensorSplit(inputs, torch.zeros(2), torch.arange(2), torch.tensor([2, 4]))
    found = module._features("sequence", split)
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0], [3.0, math.sqrt(3)]]))


def test_a_number_of_a_sequence_is_predicted_linearly() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 5, 2, generator=generator)
    targets = inputs.mean(dim=1) @ torch.tensor([[1.0], [-2.0]])
    split = TensorSplit(inputs, targets, torch.arange(40), torch.full((40,), 5))
    dataset = replace(
        load(CARS), train=split, test=split, signature=Signature("sequence", (5, 2), 1)
    )
    found = baselines(dataset, split)
    assert found["linear_regression"]["r2"] == pytest.approx(1.0, abs=1e-5)


def test_cars_are_predicted_in_miles_a_gallon() -> None:
    dataset = load(CARS)
    found = baselines(dataset, dataset.test)
    assert 2 < found["linear_regression"]["mae"] < 4 < found["mean"]["mae"] < 8
    assert found["linear_regression"]["r2"] > 0.7


def test_texts_are_compared_with_gzip_of_each_file_alone(tmp_path: Path) -> None:
    dataset = load(texts(tmp_path))
    assert isinstance(dataset.test, TextSplit)
    held_out = list(dataset.test.texts())
    packed = sum(len(gzip.compress(text, 9)) for text in held_out)
    found = baselines(dataset, dataset.test)

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
    found = baselines(dataset, dataset.test)
    assert set(found) == {"majority_class", "bag_of_bytes"}
    assert found["bag_of_bytes"]["accuracy"] == 1.0

    tokens = torch.tensor([[65, 66, 65, 0], [66, 0, 0, 0]], dtype=torch.uint8)
    split = TensorSplit(tokens, torch.zeros(2), torch.arange(2), torch.tensor([3, 1]))
    shares = module._features("tokens", split)
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
    baselines(dataset, dataset.test)
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
    return replace(
        load(CARS),
        train=split,
        test=split,
        task="classification" if outputs > 1 else "regression",
        signature=Signature(kind, shape, outputs),
    )


@pytest.mark.parametrize(
    ("kind", "shape", "outputs", "names"),
    [
        ("sequence", (2, 24), 200, ["nearest_neighbour", "logistic_regression"]),
        ("tokens", (2,), 100, ["bag_of_bytes"]),
        ("features", (2000,), 1, ["linear_regression"]),
    ],
)
def test_what_would_take_too_long_is_left_out_and_said(
    kind: Kind, shape: tuple[int, ...], outputs: int, names: list[str]
) -> None:
    dataset = huge(kind, shape, outputs)
    assert not set(names) & set(baselines(dataset, dataset.test))
    notes = left_out(dataset, dataset.test)
    assert [note.split()[1] for note in notes] == names
    assert all(" left out: " in note and ", more than " in note for note in notes)


def test_more_text_than_can_be_compressed_in_a_while_is_not() -> None:
    data = torch.full((65_000_000,), 65, dtype=torch.uint8)
    split = TextSplit(data, (0, len(data)), (0,), 100)
    dataset = replace(load(CARS), train=split, test=split, task="language_modelling")
    assert set(baselines(dataset, split)) == {"unigram"}
    assert left_out(dataset, split) == (
        "baseline gzip left out: 65,000,000 bytes, more than 64,000,000",
    )


def test_nothing_is_left_out_of_the_data_that_ship_with_the_program() -> None:
    for section in (VOWELS, CARS):
        dataset = load(section)
        assert left_out(dataset, dataset.test) == ()
