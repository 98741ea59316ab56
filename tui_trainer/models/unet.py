"""`UNet`: contracts an image, expands it again, and makes a prediction for each pixel.

Layer: models. After Ronneberger et al., arXiv:1505.04597: each level halves height and width and
doubles the channels, and on the way up the features of the same size on the way down are appended.
Unlike there, convolutions are padded, so that there is a prediction for every pixel. Images whose
sides cannot be halved evenly are padded with zeros on the right and below, and the outputs cropped.

Shapes: B batch, C channels, H height, W width, K outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config.sections.models import UNetSection
from tui_trainer.models.compatibility import check_images
from tui_trainer.models.layers import ACTIVATIONS, channel_norm, initialise
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError, Problem


class UNet(nn.Module):
    """Maps images (C, H, W) to `outputs` numbers per pixel; ConfigError if they are too small."""

    def __init__(self, section: UNetSection, signature: Signature) -> None:
        super().__init__()
        _check(section, signature)
        widths = [section.width * 2**level for level in range(section.depth + 1)]
        channels = signature.input_shape[0]
        # Down to the smallest size, and then up again to the size of the image.
        self.blocks = nn.ModuleList()
        for width in widths:
            self.blocks.append(_block(section, channels, width))
            channels = width
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(section.dropout) if section.dropout > 0 else None
        self.ups = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.ups.append(nn.ConvTranspose2d(2 * width, width, 2, stride=2))
            self.blocks.append(_block(section, 2 * width, width))
        self.head = nn.Conv2d(section.width, signature.outputs, 1)
        initialise(self, section.init, section.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K, H, W)."""
        height, width = images_BCHW.shape[2:]
        multiple = 2 ** len(self.ups)
        # Zeros and not the pixels at the edge: their gradient is not deterministic on CUDA.
        features = F.pad(images_BCHW, (0, -width % multiple, 0, -height % multiple))
        kept: list[Tensor] = []
        for block in self.blocks[: len(self.ups)]:
            kept.append(block(features))
            features = self.pool(kept[-1])
        features = self.blocks[len(self.ups)](features)
        if self.dropout is not None:
            features = self.dropout(features)
        for up, block in zip(self.ups, self.blocks[len(self.ups) + 1 :], strict=True):
            features = block(torch.cat([kept.pop(), up(features)], dim=1))
        logits_BKHW: Tensor = self.head(features[:, :, :height, :width])
        return logits_BKHW


def _block(section: UNetSection, channels: int, wider: int) -> nn.Sequential:
    """Return two convolutions of 3x3, each with an optional norm and an activation."""
    block = nn.Sequential()
    for number in (1, 2):
        has_norm = section.norm != "none"
        conv = nn.Conv2d(channels, wider, 3, padding=1, bias=not has_norm)
        block.add_module(f"conv{number}", conv)
        if has_norm:
            block.add_module(f"norm{number}", channel_norm(section.norm, wider, section.groups))
        block.add_module(f"activation{number}", ACTIVATIONS[section.activation]())
        channels = wider
    return block


def _check(section: UNetSection, signature: Signature) -> None:
    check_images(section.type, signature)
    _, height, width = signature.input_shape
    # Two pixels a side are left at the smallest size: batch norm needs more than one.
    most = (min(height, width) - 1).bit_length() - 1
    if section.depth <= most:
        return
    if most < 1:
        message = f"unet halves images at least once, but those of {height}x{width} are too small"
        raise ConfigError([Problem(message, "model.type")])
    message = (
        f"images of {height}x{width} halved {section.depth} times have less than 2 pixels a side; "
        f"use at most {most}"
    )
    raise ConfigError([Problem(message, "model.depth")])
