from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tui_trainer.config.sections.datasets import PixelsSection, TableSection
from tui_trainer.data.base.augment import Cutout, Mixup, Noise, RandomCrop, RandomFlip
from tui_trainer.data.base.in_turn import Augment, combine_augments
from tui_trainer.data.base.split import Order
from tui_trainer.data.base.to_device import DeviceBatches
from tui_trainer.data.load import load
from tui_trainer.problems.batch import Batch, to_device
from tui_trainer.text.errors import BadInput

BACKGROUND = -0.5
CPU = torch.device("cpu")


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def images(count: int = 64, height: int = 5, width: int = 7) -> torch.Tensor:
    return torch.rand(count, 2, height, width, generator=seeded(9))


def classes(count: int = 64) -> Batch:
    return {"input": images(count), "target": torch.arange(count) % 3}


def digits(**settings: Any) -> PixelsSection:
    values = {"type": "pixels", "path": "builtin:digits.csv.gz", "max_value": 16, **settings}
    return PixelsSection.model_validate(values)


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    batch = images(400)
    for dimension in (-1, -2):
        flipped = RandomFlip(dimension)(batch, seeded())
        is_flipped = (flipped == batch.flip(dimension)).flatten(1).all(1)
        is_kept = (flipped == batch).flatten(1).all(1)
        assert (is_flipped ^ is_kept).all()
        assert 150 < int(is_flipped.sum()) < 250


def test_a_crop_is_a_part_of_the_padded_image() -> None:
    batch = images(300)
    cropped = RandomCrop(2, BACKGROUND)(batch, seeded())
    padded = F.pad(batch, [2] * 4, value=BACKGROUND)
    corners = set()
    for image, whole in zip(cropped, padded, strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if image.equal(whole[:, top : top + 5, left : left + 7])
        ]
        assert len(found) == 1
        corners.add(found[0])
    assert len(corners) == 25


def test_a_cutout_blanks_a_square_that_may_stick_out() -> None:
    batch = images(500)
    changed = Cutout(3, BACKGROUND)(batch, seeded())
    sizes = set()
    for image, before in zip(changed, batch, strict=True):
        blank = image[0] == BACKGROUND
        assert blank.equal(image[1] == BACKGROUND)
        assert image[:, ~blank].equal(before[:, ~blank])
        rows, columns = blank.any(1).nonzero()[:, 0], blank.any(0).nonzero()[:, 0]
        assert len(rows) * len(columns) == blank.sum(), "a rectangle"
        sizes.add((len(rows), len(columns)))
    assert sizes == {(height, width) for height in (2, 3) for width in (2, 3)}
    for side in (1, 2, 4):
        blanks = (Cutout(side, BACKGROUND)(batch, seeded()) == BACKGROUND)[:, 0].sum((1, 2))
        assert blanks.max() == side * side
        assert blanks.min() >= 1


def test_noise_has_its_deviation_and_spares_categories() -> None:
    batch = {"input": torch.zeros(4000, 3), "target": torch.zeros(4000)}
    noisy = Noise(0.3)(batch, seeded())["input"]
    assert noisy.std(0).tolist() == pytest.approx([0.3] * 3, rel=0.1)
    spared = Noise(0.3, (True, False, True))(batch, seeded())["input"]
    assert not spared[:, 1].any()
    assert spared[:, [0, 2]].equal(noisy[:, [0, 2]])


def test_mixup_mixes_inputs_and_classes_in_the_same_shares() -> None:
    batch = classes()
    mixed = Mixup(0.5, 3)(batch, seeded())
    assert mixed["target"].shape == (64, 3)
    assert mixed["target"].dtype == torch.float32
    torch.testing.assert_close(mixed["target"].sum(1), torch.ones(64))
    own = mixed["target"].gather(1, batch["target"][:, None])
    assert own.min() >= 0.5 - 1e-6, "a sample is most of itself"
    assert ((own < 0.99) & (own > 0.5)).sum() > 10
    # Inputs that say their class come out as the targets do.
    told = {"input": F.one_hot(batch["target"], 3).float(), "target": batch["target"]}
    again = Mixup(0.5, 3)(told, seeded())
    torch.testing.assert_close(again["input"], again["target"])


def test_mixup_mixes_numbers_too() -> None:
    numbers = torch.randn(50, 1, generator=seeded(1))
    mixed = Mixup(1.0, 0)({"input": numbers.expand(50, 4), "target": numbers}, seeded())
    assert mixed["target"].shape == (50, 1)
    torch.testing.assert_close(mixed["input"], mixed["target"].expand(50, 4))
    assert not mixed["target"].equal(numbers)


def test_a_batch_of_one_is_mixed_with_itself() -> None:
    one = {"input": torch.ones(1, 4), "target": torch.tensor([2])}
    mixed = Mixup(0.4, 3)(one, seeded())
    assert mixed["input"].equal(one["input"])
    assert mixed["target"].tolist() == [[0, 0, 1]]


ALL: list[Augment] = [
    Mixup(0.3, 3),
    Noise(0.1),
    lambda batch, generator: {**batch, "input": RandomFlip(-1)(batch["input"], generator)},
    lambda batch, generator: {**batch, "input": RandomCrop(2, 0.0)(batch["input"], generator)},
    lambda batch, generator: {**batch, "input": Cutout(3, 0.0)(batch["input"], generator)},
]


@pytest.mark.parametrize("augment", ALL)
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)
def test_a_change_is_a_function_of_the_generator_alone(augment: Augment, device: str) -> None:
    batch = to_device(classes(), torch.device(device))
    before = torch.get_rng_state()
    first = augment(batch, seeded(1, device))
    torch.rand(3)
    again, other = (augment(batch, seeded(seed, device)) for seed in (1, 2))
    assert first["input"].device.type == device
    assert first["input"].shape == batch["input"].shape
    assert first["input"].dtype == torch.float32
    assert first["input"].equal(again["input"])
    assert first["target"].equal(again["target"])
    assert not first["input"].equal(other["input"])
    torch.set_rng_state(before)
    assert batch["input"].cpu().equal(images())


def test_changes_are_made_in_turn() -> None:
    assert combine_augments([]) is None
    double = lambda batch, _: {**batch, "input": batch["input"] * 2}  # noqa: E731
    add = lambda batch, _: {**batch, "input": batch["input"] + 1}  # noqa: E731
    both = combine_augments([double, add])
    assert both is not None
    assert both({"input": torch.ones(1), "target": torch.ones(1)}, seeded())["input"].item() == 3


def test_every_setting_of_images_changes_training_batches_and_no_others() -> None:
    plain = load(digits())
    assert plain.augment is None
    assert not plain.soft_targets
    batch = next(plain.train.in_order(200))
    for setting in (
        {"flip_horizontal": True},
        {"flip_vertical": True},
        {"crop_padding": 1},
        {"cutout_pixels": 3},
        {"noise": 0.1},
        {"mixup": 0.2},
        {"shift_pixels": 1.0, "flip_horizontal": True, "mixup": 0.2, "noise": 0.1},
    ):
        dataset = load(digits(**setting))
        assert dataset.augment is not None
        changed = dataset.augment(batch, seeded())
        assert changed["input"].shape == batch["input"].shape
        assert not changed["input"].equal(batch["input"])
        assert dataset.soft_targets == ("mixup" in setting)
        assert changed["target"].is_floating_point() == dataset.soft_targets
        assert next(dataset.val.in_order(9))["input"].equal(next(plain.val.in_order(9))["input"])


def test_augmented_batches_from_the_middle_of_an_epoch_are_its_tail() -> None:
    dataset = load(digits(crop_padding=1, cutout_pixels=2, noise=0.1, mixup=0.2))
    delivery = DeviceBatches(dataset.train.shuffled(Order(300, 1)), CPU, dataset.augment, seed=1)
    whole = list(delivery.epoch(2))
    tail = list(delivery.epoch(2, 3))
    assert len(tail) == len(whole) - 3 > 0
    for one, other in zip(whole[3:], tail, strict=True):
        assert one["input"].equal(other["input"])
        assert one["target"].equal(other["target"])


@pytest.mark.parametrize("key", ["crop_padding", "cutout_pixels"])
def test_a_change_that_leaves_nothing_of_an_image_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match=rf"dataset.{key}: should be below 8, the smaller side"):
        load(digits(**{key: 8}))


def test_a_table_has_noise_on_its_numbers_and_can_be_mixed(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{n * 7 % 40},{'uvw'[n % 3]},{n * 2},{['no', 'yes'][n % 2]}" for n in range(40)]
    path.write_text("a,b,c,y\n" + "\n".join(rows) + "\n")
    values = {"type": "table", "path": str(path), "target": "y"}
    dataset = load(TableSection.model_validate({**values, "noise": 0.1}))
    batch = next(dataset.train.in_order(40))
    assert dataset.augment is not None
    changed = dataset.augment(batch, seeded())["input"] != batch["input"]
    assert changed.all(0).tolist() == [True, False, False, False, True]

    mixed = load(TableSection.model_validate({**values, "mixup": 0.4}))
    assert mixed.soft_targets
    number = load(TableSection.model_validate({**values, "mixup": 0.4, "target": "c"}))
    assert not number.soft_targets
    assert number.augment is not None
    targets = number.augment(next(number.train.in_order(9)), seeded())["target"]
    assert targets.shape == (9, 1)
