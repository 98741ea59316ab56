"""`Cnn`: blocks of convolution, norm, activation and 2x2 pooling, then a fully connected head.

Layer: models. A block with pooling halves height and width, so the image size limits the number of
blocks. By default the last feature map is flattened, not averaged: on small images the position of
a feature matters.

Shapes: B batch, C channels, H height, W width, D features, K outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from tui_trainer.config.sections.models import CnnSection
from tui_trainer.models.compatibility import check_images
from tui_trainer.models.layers import ACTIVATIONS, build_head, channel_norm, initialise
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError, Problem


class Cnn(nn.Module):
    """Maps images (C, H, W) to `outputs` numbers per sample; ConfigError if they do not fit."""

    def __init__(self, section: CnnSection, signature: Signature) -> None:
        super().__init__()
        _check(section, signature)
        channels = signature.input_shape[0]
        blocks: list[nn.Module] = []
        for wider in section.channels:
            blocks.append(_block(section, channels, wider))
            channels = wider
        self.blocks = nn.Sequential(*blocks)
        averages = section.readout == "avg"
        self.pool = nn.AdaptiveAvgPool2d(1) if averages else None
        self.flatten = nn.Flatten()
        height, width = _sizes(section, signature)[-1]
        places = 1 if averages else height * width
        self.head = build_head(section, channels * places, signature.outputs)
        initialise(self, section.init, section.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        features_BCHW = self.blocks(images_BCHW)
        if self.pool is not None:
            features_BCHW = self.pool(features_BCHW)
        features_BD = self.flatten(features_BCHW)
        logits_BK: Tensor = self.head(features_BD)
        return logits_BK


def _check(section: CnnSection, signature: Signature) -> None:
    check_images(section.type, signature)
    if section.kernel_size % 2 == 0:
        message = f"{section.kernel_size} is even; use an odd size, so that a layer keeps the size"
        raise ConfigError([Problem(message, "model.kernel_size")])
    most = len(_sizes(section, signature)) - 1
    if most < len(section.channels):
        _, height, width = signature.input_shape
        smaller = "halved" if section.stride == 1 else f"divided by {2 * section.stride}"
        message = (
            f"{len(section.channels)} blocks, but images of {height}x{width} can be {smaller} "
        )
        advice = "use mlp" if most == 0 else f"use at most {most}"
        raise ConfigError([Problem(f"{message}{most} times; {advice}", "model.channels")])


def _sizes(section: CnnSection, signature: Signature) -> list[tuple[int, int]]:
    """Return height and width of the image and after each block, until nothing is left."""
    _, height, width = signature.input_shape
    sizes = [(height, width)]
    for _ in section.channels:
        # A padded convolution rounds up, and pooling rounds down.
        height, width = ((side - 1) // section.stride + 1 for side in (height, width))
        if section.pooling != "none":
            height, width = height // 2, width // 2
        if min(height, width) == 0:
            break
        sizes.append((height, width))
    return sizes


def _block(section: CnnSection, channels: int, wider: int) -> nn.Sequential:
    size = section.kernel_size
    block = nn.Sequential()
    has_norm = section.norm != "none"
    conv = nn.Conv2d(
        channels, wider, size, stride=section.stride, padding=size // 2, bias=not has_norm
    )
    block.add_module("conv", conv)
    if has_norm:
        block.add_module("norm", channel_norm(section.norm, wider, section.groups))
    block.add_module("activation", ACTIVATIONS[section.activation]())
    if section.pooling != "none":
        block.add_module("pool", nn.MaxPool2d(2) if section.pooling == "max" else nn.AvgPool2d(2))
    return block
