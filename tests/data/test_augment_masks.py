"""Masks are moved as their images are, and images with the random numbers of older versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS, DatasetSection, ImagesSection
from tui_trainer.data.base.augment import (
    Cutout,
    ImageChange,
    InputsChanged,
    RandomAffine,
    RandomCrop,
    RandomFlip,
)
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.plugins import Data, DatasetParams, dataset, setting
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.errors import BadInput

SHAPE = (40, 1, 8, 10)
MOVES: list[ImageChange] = [
    RandomFlip(-1),
    RandomFlip(-2),
    RandomCrop(3, 0.0),
    RandomAffine(0.0, 180.0, 0.0),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def areas() -> Tensor:
    """Masks of large areas of three classes: quarters of the picture."""
    masks = torch.zeros(SHAPE[0], *SHAPE[2:], dtype=torch.int64)
    masks[:, 4:, 5:] = 1
    masks[:, :4, 5:] = 2
    return masks


def changed(
    changes: tuple[ImageChange, ...], images: Tensor, masks: Tensor
) -> tuple[Tensor, Tensor]:
    batch = {"scan": images, "target": masks}
    turned = InputsChanged(changes, "scan", has_masks=True)(batch, seeded())
    return turned["scan"], turned["target"]


@pytest.mark.parametrize("change", [*MOVES, RandomAffine(3.0, 0.0, 0.0)])
def test_a_mask_is_moved_as_its_image_is(change: ImageChange) -> None:
    masks = areas()
    # An image that shows the mask: 1, 2 and 3, and 0 is the background.
    images, turned = changed((change,), (masks + 1)[:, None].float(), masks)
    assert turned.dtype == torch.int64
    assert set(turned.flatten().tolist()) <= {IGNORED, 0, 1, 2}
    # What bilinear images mix, at edges, is not compared.
    is_clear = images[:, 0] == images[:, 0].round()
    assert is_clear.float().mean() > 0.5
    outside = turned == IGNORED
    assert (images[:, 0][is_clear & ~outside] == (turned + 1)[is_clear & ~outside]).all()
    assert not images[:, 0][is_clear & outside].any()
    assert not torch.equal(turned, masks)
    assert outside.any() == (not isinstance(change, RandomFlip))


def test_several_changes_move_the_mask_by_the_same_numbers() -> None:
    masks = torch.randint(0, 3, areas().shape, generator=seeded(4))
    exact = (RandomFlip(-1), RandomFlip(-2), RandomCrop(2, float(IGNORED)))
    images, turned = changed(exact, masks[:, None].float(), masks)
    assert torch.equal(images[:, 0], turned.float())
    _, moved = changed((*MOVES, Cutout(3, 0.0)), masks[:, None].float(), masks)
    assert set(moved.flatten().tolist()) == {IGNORED, 0, 1, 2}


def test_a_cutout_leaves_the_mask_and_what_is_ignored_stays_so() -> None:
    masks = torch.full_like(areas(), IGNORED)
    for change in (*MOVES, Cutout(3, 0.0)):
        _, turned = changed((change,), torch.rand(SHAPE), masks)
        assert torch.equal(turned, masks)
    _, turned = changed((Cutout(3, 0.0),), torch.rand(SHAPE), areas())
    assert torch.equal(turned, areas())


def test_images_alone_get_the_same_bits() -> None:
    images = torch.rand(SHAPE)
    changes = (*MOVES, Cutout(3, 0.0))
    alone = InputsChanged(changes)({"input": images, "target": areas()}, seeded())
    assert torch.equal(alone["input"], changed(changes, images, areas())[0])
    assert torch.equal(alone["target"], areas())


def test_the_numbers_are_drawn_as_in_older_versions() -> None:
    drawn = [change.draw(40, seeded()) for change in (*MOVES[1:], Cutout(3, 0.0))]
    for found, expected in zip(
        drawn,
        [
            torch.rand(40, generator=seeded()),
            torch.randint(7, (2, 40, 1), generator=seeded()).transpose(0, 1),
            torch.rand(40, 3, generator=seeded()) * 2 - 1,
            torch.rand(2, 40, 1, generator=seeded()).transpose(0, 1),
        ],
        strict=True,
    ):
        assert torch.equal(found, expected)


class Params(DatasetParams):
    kind: str = setting("masks", "what the samples are")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    @dataset("test-augmented", description="pictures", params=Params, augment="images")
    def augmented(params: Params) -> Data:
        images, classes = torch.rand(SHAPE), ("a", "b", "c")
        if params.kind == "masks":
            return Data({"scan": images, "target": areas()}, classes=classes)
        columns = {"scan": images, "target": torch.arange(40) % 3}
        if params.kind == "two":
            columns["age"] = torch.rand(40)
        if params.kind == "rows":
            columns["scan"] = images.flatten(1)
        return Data(columns, classes=classes)

    yield
    DATASETS._specs.pop("test-augmented", None)
    DATASET_FACTORIES.pop("test-augmented", None)


def section(**settings: Any) -> DatasetSection:
    spec = DATASETS.find("test-augmented")
    assert spec is not None
    made = spec.params.model_validate({"type": "test-augmented", **settings})
    assert isinstance(made, ImagesSection)
    return made


def loaded(**settings: Any) -> Dataset:
    return load(section(**settings))


def test_the_settings_of_images_are_added_to_those_of_a_plugin() -> None:
    names = list(type(section()).model_fields)
    assert names[-1] == "kind"
    assert {"path", "stratify", "rotate_degrees", "cutout_pixels", "mixup"} < set(names)
    assert loaded().augment is None


def test_a_plugins_images_are_changed_with_their_masks_only_to_train_on() -> None:
    data = loaded(rotate_degrees=180.0, noise=0.1)
    assert data.augment is not None
    batch = next(data.train.in_order(100))
    turned = data.augment(batch, seeded())
    assert turned["scan"].shape == batch["scan"].shape
    assert (turned["target"] == IGNORED).any()
    assert not data.soft_targets


def test_classes_of_a_plugins_images_can_be_mixed() -> None:
    data = loaded(kind="classes", mixup=0.3)
    assert data.soft_targets
    assert data.augment is not None
    batch = data.augment(next(data.train.in_order(100)), seeded())
    assert batch["target"].shape[1] == 3


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mixup": 0.3}, "dataset.mixup: masks cannot be mixed: .* leave it empty"),
        ({"kind": "two", "mixup": 0.3}, "only scan would be mixed, but samples have scan, age"),
        ({"crop_padding": 8}, "should be below 8, the smaller side of 1x8x10"),
        ({"kind": "rows"}, "changes the first field, but scan is not an image"),
    ],
)
def test_changes_that_are_impossible_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        loaded(**settings)


def test_names_that_clash_and_other_words_are_refused(tmp_path: Path) -> None:
    class Noisy(DatasetParams):
        noise: float = setting(0.0, "something else")

    with pytest.raises(ValueError, match="'noise' of the data set 'n' is one of augment='images'"):
        dataset("n", params=Noisy, augment="images")
    with pytest.raises(ValueError, match="augment='audio' of the data set 'n': use 'images'"):
        dataset("n", augment="audio")  # type: ignore[arg-type]
