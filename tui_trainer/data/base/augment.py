"""Augmentation: random changes to training batches, for numbers and for images.

Layer: data. Each change draws only from the generator it is given. Changes to images run on the
whole batch, on its device; pixels that come in from outside the frame, or are blanked out, get
the background colour, which is a black pixel after normalisation. A change that moves pixels moves
those of a mask by the same numbers, and what comes in from outside is IGNORED there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.sections.datasets import ImagesSection, NumbersSection
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.problems.batch import IGNORED, Batch, lengths_of
from tui_trainer.text.errors import ConfigError, Problem


class ImageChange(Protocol):
    """A random change to images (B, C, H, W), and to masks (B, H, W) of them; keeps the shapes."""

    def draw(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the numbers for these images."""
        ...

    def of_images(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return the images changed by numbers that `draw` returned."""
        ...

    def of_masks(self, masks: Tensor, numbers: Tensor) -> Tensor:
        """Return the masks changed by the same numbers."""
        ...

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images changed by new numbers."""
        return self.of_images(images, self.draw(images, generator))


@dataclass(frozen=True, slots=True)
class InputsChanged:
    """Applies changes to the images, one after the other, and to the targets if these are masks; an
    `Augment`.
    """

    changes: tuple[ImageChange, ...]
    field: str = "input"
    has_masks: bool = False

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        images, targets = batch[self.field], batch["target"]
        for change in self.changes:
            numbers = change.draw(images, generator)
            images = change.of_images(images, numbers)
            if self.has_masks:
                targets = change.of_masks(targets, numbers)
        return {**batch, self.field: images, "target": targets}


def number_augments(
    section: NumbersSection,
    features: tuple[bool, ...] | None,
    classes: int,
    field: str = "input",
) -> list[Augment]:
    """Return the section's augmentations that suit any numbers: noise, then mixup.

    `features` is as in `Noise`, `classes` as in `Mixup`; `field` is the name of the inputs.
    """
    augments: list[Augment] = []
    if section.noise > 0:
        augments.append(Noise(section.noise, features, field))
    if section.mixup is not None:
        augments.append(Mixup(section.mixup, classes, field))
    return augments


@dataclass(frozen=True, slots=True)
class Noise:
    """Adds normal noise to numbers, but not to padding; an `Augment`."""

    std: float
    """In units of the inputs, which are standardised."""
    features: tuple[bool, ...] | None = None
    """Which features (of the last dimension) get noise; None: all."""
    field: str = "input"

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs = batch[self.field]
        unit_noise = torch.randn(
            inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype
        )
        noise = unit_noise * self.std
        if self.features is not None:
            noise = noise * torch.tensor(self.features).to(inputs.device, non_blocking=True)
        if (name := lengths_of(self.field)) in batch:
            lengths = batch[name].to(inputs.device, non_blocking=True)
            positions = torch.arange(inputs.shape[1], device=inputs.device)
            noise = noise * (positions < lengths[:, None])[..., None]
        return {**batch, self.field: inputs + noise}


@dataclass(frozen=True, slots=True)
class Mixup:
    """Mixes each sample with another one of the batch, and their targets in the same shares (H.
    Zhang and others, mixup: Beyond Empirical Risk Minimization, 2018); an `Augment`.

    Each sample draws its own share. Classes become shares of classes, (B, classes) float32.
    """

    alpha: float
    classes: int
    """The number of classes; 0 if the targets are numbers."""
    field: str = "input"

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs, targets = batch[self.field], batch["target"]
        if self.classes:
            targets = F.one_hot(targets, self.classes).to(inputs.dtype)
        partners = torch.randperm(len(inputs), generator=generator, device=inputs.device)
        share = _draw_beta(self.alpha, len(inputs), generator, inputs.device)
        # Each sample keeps the larger share of itself, so that no mix occurs twice in the batch.
        share = torch.maximum(share, 1 - share)
        return {
            **batch,
            self.field: inputs + _expand(1 - share, inputs) * (inputs[partners] - inputs),
            "target": targets + _expand(1 - share, targets) * (targets[partners] - targets),
        }


def _expand(share: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, ...), to be multiplied with `like`."""
    return share.to(like.dtype).view(-1, *(1,) * (like.dim() - 1))


def _draw_beta(
    alpha: float, count: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Draw from Beta(alpha, alpha): float32 (count,)."""
    shape = torch.full((2, count), alpha, dtype=torch.float64, device=device)
    # A gamma variate of a small shape may underflow to 0, and 0 / 0 is NaN.
    gammas = torch._standard_gamma(shape, generator=generator).clamp(min=1e-300)
    return (gammas[0] / gammas.sum(dim=0)).float()


def image_changes(section: ImagesSection, background: float) -> tuple[ImageChange, ...]:
    """Return the image changes that a section asks for, in the order they are applied."""
    changes: list[ImageChange] = []
    if section.flip_horizontal:
        changes.append(RandomFlip(-1))
    if section.flip_vertical:
        changes.append(RandomFlip(-2))
    if section.shift_pixels > 0 or section.rotate_degrees > 0:
        changes.append(RandomAffine(section.shift_pixels, section.rotate_degrees, background))
    if section.crop_padding > 0:
        changes.append(RandomCrop(section.crop_padding, background))
    if section.cutout_pixels > 0:
        changes.append(Cutout(section.cutout_pixels, background))
    return tuple(changes)


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

    def draw(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(len(images), generator=generator, device=images.device)

    def of_images(self, images: Tensor, numbers: Tensor) -> Tensor:
        return torch.where(
            (numbers < 0.5)[:, None, None, None], images.flip(self.dimension), images
        )

    def of_masks(self, masks: Tensor, numbers: Tensor) -> Tensor:
        return self.of_images(masks[:, None], numbers)[:, 0]


@dataclass(frozen=True, slots=True)
class RandomCrop(ImageChange):
    """Pads images with the background on all sides, and crops each at random to its old size."""

    padding: int
    background: float

    def draw(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randint(
            2 * self.padding + 1, (2, len(images), 1), generator=generator, device=images.device
        )

    def of_images(self, images: Tensor, numbers: Tensor) -> Tensor:
        return self._cropped(images, numbers, self.background)

    def of_masks(self, masks: Tensor, numbers: Tensor) -> Tensor:
        return self._cropped(masks[:, None], numbers, IGNORED)[:, 0]

    def _cropped(self, images: Tensor, corners: Tensor, background: float) -> Tensor:
        count, _, height, width = images.shape
        padded = F.pad(images, [self.padding] * 4, value=background)
        rows = corners[0] + torch.arange(height, device=images.device)
        columns = corners[1] + torch.arange(width, device=images.device)
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

    def draw(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(2, len(images), 1, generator=generator, device=images.device)

    def of_images(self, images: Tensor, numbers: Tensor) -> Tensor:
        inside = [
            _span_mask((centre * size).floor() - self.side // 2, self.side, size)
            for centre, size in zip(numbers, images.shape[2:], strict=True)
        ]
        blank = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(blank, self.background)

    def of_masks(self, masks: Tensor, numbers: Tensor) -> Tensor:
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

    def draw(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(len(images), 3, generator=generator, device=images.device) * 2 - 1

    def of_images(self, images: Tensor, numbers: Tensor) -> Tensor:
        return move(images, *self._amounts(numbers), self.background)

    def of_masks(self, masks: Tensor, numbers: Tensor) -> Tensor:
        # Whole numbers of classes are exact in float32.
        moved = move(masks[:, None].float(), *self._amounts(numbers), IGNORED, "nearest")
        return moved[:, 0].to(masks.dtype)

    def _amounts(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        angles = numbers[:, 0] * math.radians(self.rotate_degrees)
        return angles, numbers[:, 1:] * self.shift_pixels


def move(
    images: Tensor,
    angles: Tensor,
    shifts: Tensor,
    background: float,
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """Rotate images (B, C, H, W) counter-clockwise by `angles` (B,) in radians about the centre,
    after a shift by `shifts` (B, 2) pixels to the right and down.
    """
    height, width = images.shape[-2:]
    cos, sin = angles.cos(), angles.sin()
    across, down = shifts.unbind(1)
    # Each row maps output to input positions, in units of half the width and half the height.
    x_row = [cos, -sin * (height / width), -2 * across / width]
    y_row = [sin * (width / height), cos, -2 * down / height]
    theta = torch.stack([*x_row, *y_row], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    # grid_sample fills with zeros from outside the frame: make the background zero meanwhile.
    return F.grid_sample(images - background, grid, mode=mode, align_corners=False) + background
