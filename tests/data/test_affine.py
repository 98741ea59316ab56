from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tui_trainer.data.base.augment import RandomAffine, move

BACKGROUND = -0.75


def images(count: int = 3, height: int = 6, width: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 2, height, width, generator=generator)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def turns(angle: float, count: int = 3) -> Tensor:
    """The cosine and the sine of an angle in radians, for each image."""
    return torch.tensor([[math.cos(angle), math.sin(angle)]] * count)


def test_no_turn_and_no_shift_leave_images_as_they_are() -> None:
    batch = images()

    moved = move(batch, turns(0.0), torch.zeros(3, 2), BACKGROUND)
    torch.testing.assert_close(moved, batch)


def test_a_shift_goes_right_and_down_and_brings_in_the_background() -> None:
    batch = images(height=6, width=5)

    moved = move(batch, turns(0.0), torch.tensor([[1.0, 2.0]] * 3), BACKGROUND)
    torch.testing.assert_close(moved[..., 2:, 1:], batch[..., :-2, :-1])
    torch.testing.assert_close(moved[..., :2, :], torch.full((3, 2, 2, 5), BACKGROUND))
    torch.testing.assert_close(moved[..., :, 0], torch.full((3, 2, 6), BACKGROUND))


def test_half_a_pixel_is_interpolated() -> None:
    batch = images()

    moved = move(batch, turns(0.0), torch.tensor([[0.5, 0.0]] * 3), BACKGROUND)
    torch.testing.assert_close(moved[..., 1:], (batch[..., 1:] + batch[..., :-1]) / 2)


def test_a_quarter_turn_goes_counter_clockwise() -> None:
    batch = images()

    moved = move(batch, turns(math.pi / 2), torch.zeros(3, 2), BACKGROUND)
    torch.testing.assert_close(moved, torch.rot90(batch, 1, dims=(2, 3)))


def test_a_half_turn_of_a_wide_image_keeps_its_proportions() -> None:
    batch = images(height=4, width=7)

    moved = move(batch, turns(math.pi), torch.zeros(3, 2), BACKGROUND)
    torch.testing.assert_close(moved, batch.flip(2, 3))

    dot = torch.zeros(1, 1, 4, 8)
    dot[0, 0, 1, 3] = dot[0, 0, 1, 4] = 1.0
    turned = move(dot, turns(math.pi / 2, 1), torch.zeros(1, 2), 0.0)
    assert turned[0, 0, :, 3].tolist() == pytest.approx([0, 1, 1, 0], abs=1e-6)


def test_images_are_moved_each_by_its_own_amount() -> None:
    same = images(1).expand(16, -1, -1, -1)

    moved = RandomAffine(2.0, 30.0, BACKGROUND)(same, seeded())
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 16


def test_the_result_is_a_function_of_the_generator_alone() -> None:
    batch = images(8)
    augment = RandomAffine(1.0, 15.0, BACKGROUND)
    before = torch.get_rng_state()

    first, again, other = (
        augment(batch, seeded(1)),
        augment(batch, seeded(1)),
        augment(batch, seeded(2)),
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_an_empty_image_stays_background_however_it_is_moved() -> None:
    empty = torch.full((32, 1, 8, 8), BACKGROUND)

    moved = RandomAffine(4.0, 180.0, BACKGROUND)(empty, seeded())
    torch.testing.assert_close(moved, empty)


def test_shifts_fill_the_range_and_do_not_leave_it() -> None:
    dot = torch.zeros(400, 1, 9, 9)
    dot[:, 0, 4, 4] = 1.0
    moved = RandomAffine(2.0, 0.0, 0.0)(dot, seeded())[:, 0]

    columns = (moved.sum(1) * torch.arange(9.0)).sum(1) - 4
    rows = (moved.sum(2) * torch.arange(9.0)).sum(1) - 4
    for shifts in (columns, rows):
        assert shifts.abs().max() <= 2.0 + 1e-4
        assert shifts.min() < -1.8
        assert shifts.max() > 1.8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_batch_on_the_gpu_is_moved_there() -> None:
    device = torch.device("cuda")
    generator = torch.Generator(device).manual_seed(0)

    moved = RandomAffine(1.0, 10.0, 0.0)(images().to(device), generator)
    assert moved.device.type == "cuda"
    assert moved.shape == images().shape
