"""`Cnn`: blocks of convolution, norm, activation and 2x2 pooling, then a fully connected head.

Layer: models. Each block halves height and width, so the image limits how many there can be. The
last feature map is flattened, not averaged: on small images the place of a feature matters.

Shapes: B batch, C channels, H height, W width, D features, K outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from tui_trainer.config.errors import ConfigError, Problem
from tui_trainer.config.models import CnnSection
from tui_trainer.data.signature import Signature
from tui_trainer.models.activations import ACTIVATIONS
from tui_trainer.models.fit import check_images


class Cnn(nn.Module):
    """Images (C, H, W) to `outputs` numbers a sample; ConfigError when they do not fit."""

    def __init__(self, section: CnnSection, signature: Signature) -> None:
        super().__init__()
        _check(section, signature)
        channels, height, width = signature.input_shape
        blocks: list[nn.Module] = []
        for wider in section.channels:
            blocks.append(_block(section, channels, wider))
            channels, height, width = wider, height // 2, width // 2
        self.blocks = nn.Sequential(*blocks)
        self.flatten = nn.Flatten()
        self.head = _head(section, channels * height * width, signature.outputs)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        features_BD = self.flatten(self.blocks(images_BCHW))
        logits_BK: Tensor = self.head(features_BD)
        return logits_BK


def _check(section: CnnSection, signature: Signature) -> None:
    check_images(section.type, signature)
    if section.kernel_size % 2 == 0:
        message = f"{section.kernel_size} is even; take an odd size, so that a layer keeps the size"
        raise ConfigError([Problem(message, "model.kernel_size")])
    _, height, width = signature.input_shape
    # Halving s rounded down can be done this many times before nothing is left.
    most = min(height, width).bit_length() - 1
    if len(section.channels) > most:
        message = f"{len(section.channels)} blocks, and images of {height}x{width} can be halved "
        advice = "use mlp" if most == 0 else f"name at most {most}"
        raise ConfigError([Problem(f"{message}{most} times; {advice}", "model.channels")])


def _block(section: CnnSection, channels: int, wider: int) -> nn.Sequential:
    size = section.kernel_size
    block = nn.Sequential()
    has_norm = section.norm == "batch"
    block.add_module("conv", nn.Conv2d(channels, wider, size, padding=size // 2, bias=not has_norm))
    if has_norm:
        block.add_module("norm", nn.BatchNorm2d(wider))
    block.add_module("activation", ACTIVATIONS[section.activation]())
    block.add_module("pool", nn.MaxPool2d(2))
    return block


def _head(section: CnnSection, width: int, outputs: int) -> nn.Sequential:
    head = nn.Sequential()
    if section.hidden > 0:
        head.add_module("hidden", nn.Linear(width, section.hidden))
        head.add_module("activation", ACTIVATIONS[section.activation]())
        width = section.hidden
    if section.dropout > 0:
        head.add_module("dropout", nn.Dropout(section.dropout))
    head.add_module("output", nn.Linear(width, outputs))
    return head
