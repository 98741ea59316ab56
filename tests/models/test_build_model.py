from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from tui_trainer.config.sections.models import MODELS as SPECS
from tui_trainer.config.sections.models import Activation
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.models.build import MODELS, build_model
from tui_trainer.models.layers import ACTIVATIONS
from tui_trainer.models.summary import count_parameters
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput


def section(kind: str, **settings: Any) -> TypedSection:
    spec = SPECS.find(kind)
    assert spec is not None
    return spec.params.model_validate({"type": kind, **settings})


def built(kind: str, shape: tuple[int, ...], outputs: int = 3, **settings: Any) -> nn.Module:
    signature = Signature("image" if len(shape) == 3 else "features", shape, outputs)
    return build_model(section(kind, **settings), signature)


def refusal(kind: str, shape: tuple[int, ...], **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        built(kind, shape, **settings)
    return str(caught.value)


def test_every_registered_model_has_a_module_and_the_other_way_round() -> None:
    assert set(MODELS) == set(SPECS.names)


def test_every_activation_of_the_sections_exists_and_no_other() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("shape", [(5,), (1, 8, 8), (7, 2), (1,)])
def test_linear_and_mlp_take_inputs_of_any_shape(kind: str, shape: tuple[int, ...]) -> None:
    model = built(kind, shape, outputs=4)

    assert model(torch.randn(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (2, 4, 40)])
def test_a_cnn_takes_images_of_any_size_that_can_be_halved(shape: tuple[int, ...]) -> None:
    assert built("cnn", shape)(torch.randn(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    model = built(kind, (1, 8, 8))
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn", "resnet"])
def test_the_weights_follow_the_global_generator(kind: str) -> None:
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.flatten() for p in built(kind, (1, 8, 8)).parameters()]))

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_linear_is_one_affine_map() -> None:
    assert count_parameters(built("linear", (2, 3), 4)) == 6 * 4 + 4
    assert count_parameters(built("linear", (2, 3), 4, bias=False)) == 6 * 4
    model, inputs = built("linear", (2, 3), 4, bias=False), torch.randn(5, 2, 3)
    torch.testing.assert_close(model(3 * inputs), 3 * model(inputs))


def test_mlp_has_the_layers_that_are_named() -> None:
    assert count_parameters(built("mlp", (10,), 2, layers=[8, 4])) == 88 + 36 + 10
    assert count_parameters(built("mlp", (10,), 2, layers=[])) == 22


def test_a_norm_replaces_the_bias_or_adds_to_it() -> None:
    plain = count_parameters(built("mlp", (10,), 2, layers=[8]))
    batch = count_parameters(built("mlp", (10,), 2, layers=[8], norm="batch"))
    layer = count_parameters(built("mlp", (10,), 2, layers=[8], norm="layer"))

    assert (batch, layer) == (plain - 8 + 16, plain + 16)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_dropout_is_there_in_training_only(kind: str) -> None:
    inputs = torch.randn(4, 1, 8, 8)
    model = built(kind, (1, 8, 8), dropout=0.5)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))
    assert not any(isinstance(m, nn.Dropout) for m in built(kind, (1, 8, 8)).modules())


@pytest.mark.parametrize("activation", get_args(Activation))
def test_activations_are_applied(activation: str) -> None:
    kind = type(ACTIVATIONS[activation]())

    for model in (
        built("mlp", (4,), activation=activation),
        built("cnn", (1, 8, 8), activation=activation),
    ):
        assert sum(isinstance(module, kind) for module in model.modules()) == 2


def test_a_cnn_has_the_kernels_norm_and_head_that_are_named() -> None:
    bare = built("cnn", (1, 8, 8), 10, channels=[4], kernel_size=5, norm="none")
    assert count_parameters(bare) == (25 * 4 + 4) + (4 * 16 * 10 + 10)
    normed = built("cnn", (1, 8, 8), 10, channels=[4], kernel_size=5)
    assert count_parameters(normed) == (25 * 4 + 8) + (4 * 16 * 10 + 10)
    headed = built("cnn", (1, 8, 8), 10, channels=[4], kernel_size=5, hidden=6)
    assert count_parameters(headed) == (25 * 4 + 8) + (4 * 16 * 6 + 6) + (6 * 10 + 10)


def test_a_cnn_on_what_is_no_image_is_refused() -> None:
    message = refusal("cnn", (10,))

    assert message == ("model.type: cnn takes images, but the data are rows of 10 numbers; use mlp")


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn", "resnet"])
def test_models_of_one_size_refuse_what_has_many(kind: str) -> None:
    with pytest.raises(BadInput, match="sequences of up to 29 steps of 12 numbers; use rnn"):
        build_model(section(kind), Signature("sequence", (29, 12), 9))
    with pytest.raises(BadInput, match="texts of up to 64 tokens; use rnn, transformer or cnn1d"):
        build_model(section(kind), Signature("tokens", (64,), 9, vocabulary=256))


def test_a_cnn_with_too_many_blocks_says_how_many_there_can_be() -> None:
    assert built("cnn", (1, 8, 8), channels=[2, 2, 2])
    message = refusal("cnn", (1, 8, 9), channels=[2, 2, 2, 2])
    assert message == (
        "model.channels: 4 blocks, but images of 8x9 can be halved 3 times; use at most 3"
    )
    assert refusal("cnn", (1, 1, 64)).endswith("can be halved 0 times; use mlp")


def test_a_cnn_with_even_kernels_is_refused() -> None:
    assert refusal("cnn", (1, 8, 8), kernel_size=4).startswith("model.kernel_size: 4 is even")
