"""The U-Net: a prediction for each pixel, whatever the size of the image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.specimens import model_of
from tui_trainer.config.sections.models import MODELS
from tui_trainer.models.summary import count_parameters, summarize
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput


def built(shape: tuple[int, ...] = (1, 8, 8), outputs: int = 3, **settings: Any) -> nn.Module:
    signature = Signature("image", shape, outputs, places="pixel")
    return model_of("unet", signature, **{"width": 4, "depth": 2, **settings})


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (2, 5, 40), (1, 31, 7), (1, 10, 12)])
def test_every_pixel_gets_a_prediction(shape: tuple[int, ...]) -> None:
    assert built(shape)(torch.randn(2, *shape)).shape == (2, 3, *shape[1:])


def test_padding_is_on_the_right_and_below() -> None:
    model = built((1, 9, 10), norm="none").eval()
    images = torch.randn(2, 1, 9, 10)
    padded = model(F.pad(images, (0, 2, 0, 3)))
    torch.testing.assert_close(model(images), padded[:, :, :9, :10])


def test_it_has_the_layers_of_the_paper() -> None:
    """Two convolutions of 3x3 per level, one of 2x2 on the way up, one of 1x1 at the end."""
    w, plain = 4, built((1, 16, 16), norm="none", width=4, depth=1)

    def block(channels: int, wider: int) -> int:
        return 9 * channels * wider + wider + 9 * wider * wider + wider

    down, bottom, up = block(1, w), block(w, 2 * w), block(2 * w, w)
    expand, head = 4 * 2 * w * w + w, w * 3 + 3
    assert count_parameters(plain) == down + bottom + expand + up + head
    layers = summarize(plain, [Signature("image", (1, 16, 16), 3).field()])
    shapes = {layer.name: layer.output_shape for layer in layers}
    assert shapes["blocks.1.conv2"] == (8, 8, 8)
    assert shapes["ups.0"] == (4, 16, 16)
    assert layers[-1].output_shape == (3, 16, 16)
    assert sum(layer.parameters for layer in layers) == count_parameters(plain)


def test_a_pixel_far_away_changes_a_prediction_only_through_the_levels() -> None:
    images = torch.randn(1, 1, 32, 32)
    changed = images.clone()
    changed[..., 24, 24] += 1
    reached = []
    for depth in (1, 3):
        model = built((1, 32, 32), norm="none", depth=depth).double().eval()
        difference = (model(images.double()) - model(changed.double())).abs().amax((0, 1))
        assert difference[24, 24] > 0
        reached.append(int((difference > 0).sum()))
    assert reached[0] < reached[1]


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_every_parameter_gets_a_gradient(norm: str) -> None:
    model = built((1, 9, 9), norm=norm, groups=2, width=8, init="kaiming")
    model(torch.randn(4, 1, 9, 9)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_it_is_deterministic_and_follows_the_global_generator() -> None:
    images = torch.randn(2, 1, 8, 8)
    first, second = (built() for _ in range(2))
    assert torch.equal(first(images), second(images))


def test_dropout_is_there_in_training_only() -> None:
    model, images = built(dropout=0.5, norm="none"), torch.randn(2, 1, 8, 8)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_discs_are_learned() -> None:
    """Whether a pixel lies in a disc cannot be seen from the pixel alone: discs are hollow."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    centres = torch.randint(5, 11, (32, 2, 1, 1), generator=generator)
    distance = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2).sqrt()
    targets = (distance < 4.5).long()
    images = ((distance - 4).abs() < 0.7).float()[:, None]
    model = built((1, 16, 16), 2, width=8).train()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    right = (model.eval()(images).argmax(1) == targets).float().mean()
    assert right > 0.97


def test_what_it_cannot_take_is_refused_with_what_can() -> None:
    def refusal(signature: Signature, **settings: Any) -> str:
        with pytest.raises(BadInput) as caught:
            model_of("unet", signature, **settings)
        return str(caught.value)

    images = Signature("image", (1, 28, 28), 3)
    assert "unet gives a prediction for each pixel, but the data need one prediction for each " in (
        refusal(images)
    )
    assert "use cnn or resnet" in refusal(images)
    assert "images of 8x8 halved 3 times have less than 2 pixels a side; use at most 2" in refusal(
        Signature("image", (1, 8, 8), 3, places="pixel"), depth=3
    )
    assert "those of 2x9 are too small" in refusal(
        Signature("image", (1, 2, 9), 3, places="pixel"), depth=1
    )
    assert "cnn gives one prediction for each sample, but the data need a prediction for each " in (
        str(refused_cnn())
    )
    spec = MODELS.find("unet")
    assert spec is not None
    with pytest.raises(ValueError, match="8 groups do not divide 12 channels"):
        spec.params.model_validate({"type": "unet", "norm": "group", "width": 12})


def refused_cnn() -> BadInput:
    with pytest.raises(BadInput, match="use unet") as caught:
        model_of("cnn", Signature("image", (1, 8, 8), 3, places="pixel"))
    return caught.value
