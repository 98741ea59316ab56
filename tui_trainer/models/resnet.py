"""`ResNet`: residual networks for small images, in the variant designed for CIFAR.

Layer: models. As in He et al., arXiv:1512.03385, section 4.2: a 3x3 stem and no pooling before the
end, so that 8x8 images still have 2x2 features. Each stage after the first halves height and width.

Shapes: B batch, C channels, H height, W width, K outputs.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config.sections.models import ResNetSection
from tui_trainer.models.compatibility import check_images
from tui_trainer.models.layers import ACTIVATIONS, channel_norm
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError, Problem


class ResNet(nn.Module):
    """Maps images (C, H, W) to `outputs` numbers per sample; ConfigError if they are too small."""

    def __init__(self, section: ResNetSection, signature: Signature) -> None:
        super().__init__()
        _check(section, signature)
        width = section.width
        self.stem = nn.Sequential()
        self.stem.add_module("conv", _convolution(signature.input_shape[0], width, 1))
        self.stem.add_module("norm", channel_norm(section.norm, width, section.groups))
        self.stem.add_module("activation", ACTIVATIONS[section.activation]())
        self.blocks = nn.ModuleList()
        channels = width
        for stage in range(section.stages):
            wider = width * 2**stage
            for number in range((section.depth - 2) // (2 * section.stages)):
                stride = 2 if stage > 0 and number == 0 else 1
                self.blocks.append(ResidualBlock(section, channels, wider, stride))
                channels = wider
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Sequential()
        if section.dropout > 0:
            self.head.add_module("dropout", nn.Dropout(section.dropout))
        self.head.add_module("output", nn.Linear(channels, signature.outputs))
        _initialise(self, section)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, K)."""
        features_BCHW = self.stem(images_BCHW)
        for block in self.blocks:
            features_BCHW = block(features_BCHW)
        logits_BK: Tensor = self.head(self.flatten(self.pool(features_BCHW)))
        return logits_BK


class ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input."""

    def __init__(self, section: ResNetSection, channels: int, wider: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, wider, stride)
        self.norm1 = channel_norm(section.norm, wider, section.groups)
        self.activation1 = ACTIVATIONS[section.activation]()
        self.conv2 = _convolution(wider, wider, 1)
        self.norm2 = channel_norm(section.norm, wider, section.groups)
        self.activation2 = ACTIVATIONS[section.activation]()
        self.shortcut = _shortcut(section, channels, wider, stride)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to `wider` channels, at half the size if the stride is 2."""
        features = self.activation1(self.norm1(self.conv1(images_BCHW)))
        features = self.norm2(self.conv2(features))
        passed = images_BCHW if self.shortcut is None else self.shortcut(images_BCHW)
        outputs_BCHW: Tensor = self.activation2(features + passed)
        return outputs_BCHW


class _PaddedShortcut(nn.Module):
    """Subsamples the input by the stride, and appends channels of zeros (option A)."""

    def __init__(self, stride: int, added: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = added

    def forward(self, images_BCHW: Tensor) -> Tensor:
        sampled_BCHW = images_BCHW[:, :, :: self.stride, :: self.stride]
        return F.pad(sampled_BCHW, (0, 0, 0, 0, 0, self.added))


def _shortcut(section: ResNetSection, channels: int, wider: int, stride: int) -> nn.Module | None:
    """Return the module that gives the input the output's shape; None if it has it already."""
    if stride == 1 and channels == wider:
        return None
    if section.shortcut == "pad":
        return _PaddedShortcut(stride, wider - channels)
    shortcut = nn.Sequential()
    shortcut.add_module("conv", nn.Conv2d(channels, wider, 1, stride=stride, bias=False))
    shortcut.add_module("norm", channel_norm(section.norm, wider, section.groups))
    return shortcut


def _convolution(channels: int, wider: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, wider, 3, stride=stride, padding=1, bias=False)


def _initialise(model: ResNet, section: ResNetSection) -> None:
    """Draw initial weights from the global generator.

    Convolutions follow He et al., arXiv:1502.01852. With `zero_init`, the last norm of each block
    is zero, so that the block passes on its input at first (Goyal et al., arXiv:1706.02677, section
    5.1).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, ResidualBlock) and section.zero_init:
            nn.init.zeros_(module.norm2.get_parameter("weight"))


def _check(section: ResNetSection, signature: Signature) -> None:
    check_images(section.type, signature)
    _, height, width = signature.input_shape
    # The smaller side can be halved, rounding down, this many times before it is 0.
    most = min(height, width).bit_length() - 1
    if section.stages > most + 1:
        message = (
            f"{section.stages} stages halve an image {section.stages - 1} times, but those of "
            f"{height}x{width} can be halved {most} times; "
        )
        advice = "use mlp" if most == 0 else f"use at most {most + 1}"
        raise ConfigError([Problem(message + advice, "model.stages")])
