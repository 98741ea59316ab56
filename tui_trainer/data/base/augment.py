"""Augmentation: random changes to training batches, for numbers and for images.

Layer: data. Each change draws only from the generator it is given. Changes to images run on one or
more batches at once, on their device; pixels that come in from outside the frame, or are blanked
out, get the background colour, which is a black pixel after normalisation. A change that moves
pixels moves those of a mask by the same numbers, and what comes in from outside is IGNORED there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.sections.datasets import DatasetSection, ImagesSection, NumbersSection
from tui_trainer.data.base.in_turn import Augment, DrawnAugment, Numbers, combine_augments, joined
from tui_trainer.problems.batch import IGNORED, Batch, lengths_of
from tui_trainer.text.errors import ConfigError, Problem


class ImageChange(Protocol):
    """A random change to images (B, C, H, W), and to masks (B, H, W) of them; keeps the shapes.

    The numbers are given by batch, in the order of the images.
    """

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the numbers for so many images, (count, ...), on the device of the generator."""
        ...

    def of_images(self, images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        """Return the images changed by numbers that `draw` returned."""
        ...

    def of_masks(self, masks: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        """Return the masks changed by the same numbers."""
        ...

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images changed by new numbers."""
        return self.of_images(images, [self.draw(len(images), generator)])


@dataclass(frozen=True, slots=True)
class InputsChanged(DrawnAugment):
    """Applies changes to the images, one after the other, and to the targets if these are masks."""

    changes: tuple[ImageChange, ...]
    field: str = "input"
    has_masks: bool = False

    def draw(self, batch: Batch, count: int, generator: torch.Generator) -> Numbers:
        return tuple(change.draw(count, generator) for change in self.changes)

    def apply(self, samples: Batch, numbers: Sequence[Numbers]) -> Batch:
        images, targets = samples[self.field], samples["target"]
        for change, own in zip(self.changes, zip(*numbers, strict=True), strict=True):
            images = change.of_images(images, own)
            if self.has_masks:
                targets = change.of_masks(targets, own)
        return {**samples, self.field: images, "target": targets}


def augment_images(
    section: ImagesSection,
    background: float,
    classes: int,
    field: str = "input",
    *,
    has_masks: bool = False,
) -> Augment | None:
    """Return all changes that a section asks for, those of images first; None if there are none.

    `background` is the number of a black pixel, and the rest is as in `augment_numbers`. With
    `has_masks` the targets are masks, which are moved like their images.
    """
    changes = _image_changes(section, background)
    moved = [InputsChanged(changes, field, has_masks)] if changes else []
    return combine_augments([*moved, *_number_augments(section, None, classes, field)])


def augment_numbers(
    section: NumbersSection,
    features: tuple[bool, ...] | None,
    classes: int,
    field: str = "input",
) -> Augment | None:
    """Return the changes of a section that suit any numbers: noise, then mixup; None without any.

    `features` is as in `Noise`, `classes` as in `Mixup`; `field` is the name of the inputs.
    """
    return combine_augments(_number_augments(section, features, classes, field))


def _number_augments(
    section: NumbersSection, features: tuple[bool, ...] | None, classes: int, field: str
) -> list[Augment]:
    augments: list[Augment] = []
    if section.noise > 0:
        augments.append(Noise(section.noise, features, field))
    if section.mixup is not None:
        augments.append(Mixup(section.mixup, classes, field))
    return augments


@dataclass(frozen=True, slots=True)
class Noise(DrawnAugment):
    """Adds normal noise to numbers, but not to padding."""

    std: float
    """In units of the inputs, which are standardised."""
    features: tuple[bool, ...] | None = None
    """Which features (of the last dimension) get noise; None: all."""
    field: str = "input"

    def draw(self, batch: Batch, count: int, generator: torch.Generator) -> Numbers:
        inputs = batch[self.field]
        shape = (count, *inputs.shape[1:])
        noise = torch.randn(shape, generator=generator, device=inputs.device, dtype=inputs.dtype)
        return (noise,)

    def apply(self, samples: Batch, numbers: Sequence[Numbers]) -> Batch:
        inputs = samples[self.field]
        noise = joined([own for (own,) in numbers]) * self.std
        if self.features is not None:
            noise = noise * torch.tensor(self.features).to(inputs.device, non_blocking=True)
        if (name := lengths_of(self.field)) in samples:
            lengths = samples[name].to(inputs.device, non_blocking=True)
            positions = torch.arange(inputs.shape[1], device=inputs.device)
            noise = noise * (positions < lengths[:, None])[..., None]
        return {**samples, self.field: inputs + noise}


@dataclass(frozen=True, slots=True)
class Mixup(DrawnAugment):
    """Mixes each sample with another one of the batch, and their targets in the same shares (H.
    Zhang and others, mixup: Beyond Empirical Risk Minimization, 2018).

    Each sample draws its own share. Classes become shares of classes, (B, classes) float32.
    """

    alpha: float
    classes: int
    """The number of classes; 0 if the targets are numbers."""
    field: str = "input"

    def draw(self, batch: Batch, count: int, generator: torch.Generator) -> Numbers:
        partners = torch.randperm(count, generator=generator, device=generator.device)
        return partners, _draw_beta(self.alpha, count, generator)

    def apply(self, samples: Batch, numbers: Sequence[Numbers]) -> Batch:
        inputs, targets = samples[self.field], samples["target"]
        if self.classes:
            targets = F.one_hot(targets, self.classes).to(inputs.dtype)
        starts = accumulate((len(own) for own, _ in numbers), initial=0)
        partners = joined([own + start for (own, _), start in zip(numbers, starts, strict=False)])
        share = joined([own for _, own in numbers])
        # Each sample keeps the larger share of itself, so that no mix occurs twice in the batch.
        share = torch.maximum(share, 1 - share)
        return {
            **samples,
            self.field: inputs + _expand(1 - share, inputs) * (inputs[partners] - inputs),
            "target": targets + _expand(1 - share, targets) * (targets[partners] - targets),
        }


def _expand(share: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, ...), to be multiplied with `like`."""
    return share.to(like.dtype).view(-1, *(1,) * (like.dim() - 1))


def _draw_beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha): float32 (count,)."""
    shape = torch.full((2, count), alpha, dtype=torch.float64, device=generator.device)
    # A gamma variate of a small shape may underflow to 0, and 0 / 0 is NaN.
    gammas = torch._standard_gamma(shape, generator=generator).clamp(min=1e-300)
    return (gammas[0] / gammas.sum(dim=0)).float()


def _image_changes(section: ImagesSection, background: float) -> tuple[ImageChange, ...]:
    """Return the image changes that a section asks for, in the order they are applied."""
    changes: list[ImageChange] = []
    if section.flip_horizontal:
        changes.append(RandomFlip(-1))
    if section.flip_vertical:
        changes.append(RandomFlip(-2))
    if section.are_moved:
        changes.append(RandomAffine(section.shift_pixels, section.rotate_degrees, background))
    if section.crop_padding > 0:
        changes.append(RandomCrop(section.crop_padding, background))
    if section.cutout_pixels > 0:
        changes.append(Cutout(section.cutout_pixels, background))
    return tuple(changes)


_MOVES = 2
"""The version of the arithmetic of `move`; its bits are others than those of version 1."""


def version_of_moves(section: DatasetSection) -> int:
    """Return the version of the arithmetic that shifts and turns images; 1 if nothing does."""
    return _MOVES if isinstance(section, ImagesSection) and section.are_moved else 1


def check_changes(section: ImagesSection, shape: Sequence[int], shown: str) -> None:
    """Raise ConfigError for an augmentation as large as the images (C, H, W), which are `shown`."""
    smaller = min(shape[1:])
    for key in ("crop_padding", "cutout_pixels"):
        if getattr(section, key) >= smaller:
            message = f"should be below {smaller}, the smaller side of {shown}"
            raise ConfigError([Problem(message, f"dataset.{key}")])


@dataclass(frozen=True, slots=True)
class RandomFlip(ImageChange):
    """Mirrors each image along a dimension, with probability 1/2."""

    dimension: int

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device)

    def of_images(self, images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        is_flipped = joined(numbers) < 0.5
        return torch.where(is_flipped[:, None, None, None], images.flip(self.dimension), images)

    def of_masks(self, masks: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        return self.of_images(masks[:, None], numbers)[:, 0]


@dataclass(frozen=True, slots=True)
class RandomCrop(ImageChange):
    """Pads images with the background on all sides, and crops each at random to its old size."""

    padding: int
    background: float

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        most = 2 * self.padding + 1
        shape = (2, count, 1)
        corners = torch.randint(most, shape, generator=generator, device=generator.device)
        return corners.transpose(0, 1)

    def of_images(self, images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        return self._cropped(images, joined(numbers), self.background)

    def of_masks(self, masks: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        return self._cropped(masks[:, None], joined(numbers), IGNORED)[:, 0]

    def _cropped(self, images: Tensor, corners: Tensor, background: float) -> Tensor:
        count, _, height, width = images.shape
        padded = F.pad(images, [self.padding] * 4, value=background)
        rows = corners[:, 0] + torch.arange(height, device=images.device)
        columns = corners[:, 1] + torch.arange(width, device=images.device)
        indices = torch.arange(count, device=images.device)[:, None, None]
        # Indexing puts the channels last, because they stand between index tensors.
        cropped = padded[indices, :, rows[:, :, None], columns[:, None, :]]
        return cropped.permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class Cutout(ImageChange):
    """Blanks out a square in each image; its centre may be anywhere in the image (T. DeVries, G.
    Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017).
    """

    side: int
    background: float

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        centres = torch.rand(2, count, 1, generator=generator, device=generator.device)
        return centres.transpose(0, 1)

    def of_images(self, images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        inside = [
            _span_mask((centre * size).floor() - self.side // 2, self.side, size)
            for centre, size in zip(joined(numbers).unbind(1), images.shape[2:], strict=True)
        ]
        blank = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(blank, self.background)

    def of_masks(self, masks: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        return masks


def _span_mask(start: Tensor, side: int, size: int) -> Tensor:
    """Return which of `size` positions are among the `side` ones from `start` (B, 1): (B, size)."""
    positions = torch.arange(size, device=start.device)
    return (positions >= start) & (positions < start + side)


@dataclass(frozen=True, slots=True)
class RandomAffine(ImageChange):
    """Shifts and rotates each image of a batch by random amounts of its own."""

    shift_pixels: float
    rotate_degrees: float
    background: float

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        numbers = torch.empty(count, 3, device=generator.device)
        return numbers.uniform_(-1, 1, generator=generator)

    def of_images(self, images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        return move(images, *self._amounts(numbers), self.background)

    def of_masks(self, masks: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        # Whole numbers of classes are exact in float32.
        moved = move(masks[:, None].float(), *self._amounts(numbers), IGNORED, "nearest")
        return moved[:, 0].to(masks.dtype)

    def _amounts(self, numbers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what `move` takes; by batch, as a kernel may round cosines by their places."""
        together = joined(numbers)
        angles = together[:, 0] * math.radians(self.rotate_degrees)
        cos, sin = torch.empty_like(angles), torch.empty_like(angles)
        sizes = [len(own) for own in numbers]
        parts = [torch.split(one, sizes) for one in (angles, cos, sin)]
        for angle, into_cos, into_sin in zip(*parts, strict=True):
            torch.cos(angle, out=into_cos)
            torch.sin(angle, out=into_sin)
        return torch.stack([cos, sin], dim=1), together[:, 1:] * self.shift_pixels


def move(
    images: Tensor,
    turns: Tensor,
    shifts: Tensor,
    background: float,
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """Rotate images (B, C, H, W) counter-clockwise about the centre, by angles whose cosine and
    sine are `turns` (B, 2), after a shift by `shifts` (B, 2) pixels to the right and down.
    """
    height, width = images.shape[-2:]
    cos, sin = turns[:, :, None].unbind(1)
    right, down = shifts[:, :, None].unbind(1)
    x, y = _positions(width, images.device), _positions(height, images.device)
    # Each coordinate of an input position is the sum of a row (B, W) and a column (B, H). The small
    # matrix products of `affine_grid` take longer than all the rest, and may round by the place of
    # an image among the others.
    x_by_column, x_by_row = cos * x - right * (2 / width), sin * (-height / width) * y
    y_by_column, y_by_row = sin * (width / height) * x, cos * y - down * (2 / height)
    # As complex numbers, x and y lie side by side, as in the grid, and are added in one operation.
    by_column, by_row = torch.complex(x_by_column, y_by_column), torch.complex(x_by_row, y_by_row)
    grid = torch.view_as_real(by_column[:, None, :] + by_row[:, :, None])
    # grid_sample fills with zeros from outside the frame: make the background zero meanwhile.
    return F.grid_sample(images - background, grid, mode=mode, align_corners=False) + background


@lru_cache(maxsize=16)
def _positions(size: int, device: torch.device) -> Tensor:
    """Return the centres of pixels between -1 and 1, the edges of the image: (size,)."""
    return (torch.arange(size, device=device) * 2 + (1 - size)) / size
