"""Random shifts and turns of a batch of images, as one operation on their device.

Layer: data. What comes in from outside the frame is the background, a black pixel after
normalisation, and not the zero that `grid_sample` would put there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RandomAffine:
    """Shift and turn each image of a batch by its own random amounts.

    Call it with images (B, C, H, W) and a generator on the same device, from which alone it draws.
    """

    shift_pixels: float
    rotate_degrees: float
    background: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.rand(len(images), 3, generator=generator, device=images.device) * 2 - 1
        angles = drawn[:, 0] * math.radians(self.rotate_degrees)
        return move(images, angles, drawn[:, 1:] * self.shift_pixels, self.background)


def move(images: Tensor, angles: Tensor, shifts: Tensor, background: float) -> Tensor:
    """Turn images (B, C, H, W) counter-clockwise by `angles` (B,) in radians about the centre,
    after a shift by `shifts` (B, 2) pixels to the right and down; bilinear.
    """
    height, width = images.shape[-2:]
    cos, sin = angles.cos(), angles.sin()
    across, down = shifts.unbind(1)
    # Rows map output to input places in units of half the width and half the height.
    first = [cos, -sin * (height / width), -2 * across / width]
    second = [sin * (width / height), cos, -2 * down / height]
    theta = torch.stack([*first, *second], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images - background, grid, align_corners=False) + background
