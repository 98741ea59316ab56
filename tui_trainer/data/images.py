"""Random changes of a batch of images: mirrored, cropped, a part blanked out, moved.

Layer: data. All of a batch is changed by a few operations on its device; what comes in from
outside the frame, or is blanked out, is the background: a black pixel after normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.datasets import ImagesSection
from tui_trainer.data.affine import RandomAffine
from tui_trainer.data.augment import Change


def image_changes(section: ImagesSection, background: float) -> tuple[Change, ...]:
    """The changes that a section asks for, in the order they are made."""
    changes: list[Change] = []
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


@dataclass(frozen=True, slots=True)
class RandomFlip:
    """Mirror each image (B, C, H, W) along a dimension, or not, as a coin falls."""

    dimension: int

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.rand(len(images), generator=generator, device=images.device)
        return torch.where((drawn < 0.5)[:, None, None, None], images.flip(self.dimension), images)


@dataclass(frozen=True, slots=True)
class RandomCrop:
    """Pad images by the background on all sides, and crop each somewhere to its old size."""

    padding: int
    background: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = images.shape
        padded = F.pad(images, [self.padding] * 4, value=self.background)
        corners = torch.randint(
            2 * self.padding + 1, (2, count, 1), generator=generator, device=images.device
        )
        rows = corners[0] + torch.arange(height, device=images.device)
        columns = corners[1] + torch.arange(width, device=images.device)
        which = torch.arange(count, device=images.device)[:, None, None]
        # The channels come last where they lie between index tensors.
        cropped = padded[which, :, rows[:, :, None], columns[:, None, :]]
        return cropped.permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class Cutout:
    """Blank out a square of each image, whose centre may be anywhere in it (T. DeVries, G. Taylor,
    Improved Regularization of Convolutional Neural Networks with Cutout, 2017).
    """

    side: int
    background: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = images.shape
        drawn = torch.rand(2, count, 1, generator=generator, device=images.device)
        inside = [
            _covered((where * size).floor() - self.side // 2, self.side, size)
            for where, size in zip(drawn, (height, width), strict=True)
        ]
        blank = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(blank, self.background)


def _covered(first: Tensor, side: int, size: int) -> Tensor:
    """(B, size) which places lie in `side` places from the first (B, 1)."""
    places = torch.arange(size, device=first.device)
    return (places >= first) & (places < first + side)
