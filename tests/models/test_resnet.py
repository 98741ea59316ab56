from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.models.specimens import IMAGES, losses_of_training, model_of, samples
from tui_trainer.models.resnet import ResidualBlock
from tui_trainer.models.summary import count_parameters, summarize
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

CIFAR = Signature("image", (3, 32, 32), 10)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_the_parameters_are_those_of_the_paper(depth: int, millions: float) -> None:
    # Table 6 of arXiv:1512.03385.
    parameters = count_parameters(model_of("resnet", CIFAR, depth=depth))

    assert parameters / 1e6 == pytest.approx(millions, abs=0.05 if depth == 110 else 0.01)


@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_the_parameters_are_those_of_the_formula(shortcut: str) -> None:
    model = model_of("resnet", IMAGES, depth=8, width=4, shortcut=shortcut)

    def conv(channels: int, wider: int, size: int = 3) -> int:
        return size * size * channels * wider + 2 * wider

    stages = conv(4, 4) * 2 + conv(4, 8) + conv(8, 8) + conv(8, 16) + conv(16, 16)
    shortcuts = conv(4, 8, 1) + conv(8, 16, 1) if shortcut == "conv" else 0
    assert count_parameters(model) == conv(2, 4) + stages + shortcuts + 16 * 3 + 3


def test_stages_halve_the_size_and_double_the_channels() -> None:
    layers = {
        layer.name: layer.output_shape
        for layer in summarize(model_of("resnet", CIFAR), [CIFAR.field()])
    }

    assert layers["stem.conv"] == (16, 32, 32)
    assert [layers[f"blocks.{n}.conv2"] for n in (2, 3, 5, 6, 8)] == [
        (16, 32, 32),
        (32, 16, 16),
        (32, 16, 16),
        (64, 8, 8),
        (64, 8, 8),
    ]
    four = model_of("resnet", CIFAR, stages=4, depth=10)
    assert four.get_parameter("blocks.3.conv2.weight").shape[0] == 128


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 4), (1, 9, 17), (2, 32, 32)])
def test_small_and_odd_images_are_taken(shape: tuple[int, ...]) -> None:
    model = model_of("resnet", Signature("image", shape, 5), depth=8)

    assert model(torch.randn(2, *shape)).shape == (2, 5)


def test_images_that_are_too_small_are_refused_with_why() -> None:
    with pytest.raises(BadInput) as caught:
        model_of("resnet", Signature("image", (1, 2, 9), 5), stages=3)
    assert str(caught.value) == (
        "model.stages: 3 stages halve an image 2 times, but those of 2x9 can be halved 1 times; "
        "use at most 2"
    )
    with pytest.raises(BadInput, match="use mlp"):
        model_of("resnet", Signature("image", (1, 1, 9), 5))
    assert model_of("resnet", Signature("image", (1, 2, 9), 5), stages=2, depth=6)
    with pytest.raises(BadInput, match="resnet takes images, but the data are rows of 9 numbers"):
        model_of("resnet", Signature("features", (9,), 5))


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_a_block_passes_its_input_on_at_first(norm: str, shortcut: str) -> None:
    model = model_of("resnet", IMAGES, depth=14, norm=norm, shortcut=shortcut)
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    inputs = torch.rand(2, 16, 8, 8)

    assert len(blocks) == 6
    assert torch.equal(blocks[0](inputs), inputs)
    free = model_of("resnet", IMAGES, depth=14, norm=norm, zero_init=False)
    assert not torch.allclose(free.get_submodule("blocks.0")(inputs), inputs)


def test_a_padded_shortcut_takes_every_second_pixel() -> None:
    shortcut = model_of("resnet", IMAGES, depth=8).get_submodule("blocks.1.shortcut")
    inputs = torch.randn(2, 16, 7, 8)
    passed = shortcut(inputs)

    assert passed.shape == (2, 32, 4, 4)
    assert torch.equal(passed[:, :16], inputs[:, :, ::2, ::2])
    assert not passed[:, 16:].any()


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_every_parameter_gets_a_gradient(norm: str, shortcut: str) -> None:
    model = model_of("resnet", IMAGES, depth=8, norm=norm, shortcut=shortcut, zero_init=False)
    model(samples(IMAGES)).square().sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_norms_activations_and_dropout_are_those_that_are_named() -> None:
    model = model_of("resnet", IMAGES, depth=8, norm="group", activation="silu", dropout=0.5)
    kinds = [type(module) for module in model.modules()]

    assert kinds.count(nn.GroupNorm) == kinds.count(nn.SiLU) == 7
    assert nn.BatchNorm2d not in kinds
    assert not torch.equal(model(samples(IMAGES)), model(samples(IMAGES)))
    model.eval()
    assert torch.equal(model(samples(IMAGES)), model(samples(IMAGES)))


def test_a_few_images_are_learned_by_heart() -> None:
    model = model_of("resnet", IMAGES, depth=8)
    losses = losses_of_training(model, samples(IMAGES, 12), torch.arange(12) % 3, 30)

    assert losses[-1] < 0.05
    assert losses[0] > 0.8
