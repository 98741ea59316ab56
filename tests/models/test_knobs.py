"""Settings of linear, mlp and cnn, and what holds for every model of inputs of one size."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tests.models.specimens import IMAGES, losses_of_training, model_of, samples
from tui_trainer.models.layers import RmsNorm
from tui_trainer.models.summary import count_parameters, summarize
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

ROWS = Signature("features", (10,), 3)
DIGITS = Signature("image", (1, 8, 8), 10)
ALL: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"dropout": 0.1, "init": "zeros"}),
    ("mlp", {"norm": "rms", "dropout": 0.1, "init": "kaiming", "activation": "mish"}),
    ("mlp", {"norm": "batch", "activation": "hardswish"}),
    ("cnn", {"norm": "group", "pooling": "avg", "readout": "avg", "init": "orthogonal"}),
    ("cnn", {"stride": 2, "pooling": "none", "hidden": 8, "kernel_size": 5}),
    ("resnet", {"depth": 8}),
    ("resnet", {"depth": 8, "norm": "group", "shortcut": "conv", "dropout": 0.1}),
]
every = pytest.mark.parametrize(("kind", "settings"), ALL)


def weights(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in model.parameters()]


def same(model: nn.Module, layers: list[nn.Module]) -> bool:
    drawn = [tensor for layer in layers for tensor in weights(layer)]
    return all(torch.equal(a, b) for a, b in zip(weights(model), drawn, strict=True))


def test_defaults_keep_the_names_and_the_first_weights_of_old_checkpoints() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(64, 10)]
    assert same(model_of("linear", DIGITS), layers)
    torch.manual_seed(0)
    layers = [nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 10)]
    assert same(model_of("mlp", DIGITS), layers)
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 32, 3, bias=False), nn.BatchNorm2d(32)]
    layers += [nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.Linear(256, 10)]
    assert same(model_of("cnn", DIGITS), layers)
    assert list(model_of("linear", DIGITS).state_dict()) == ["head.weight", "head.bias"]
    assert list(model_of("mlp", DIGITS, layers=[4]).state_dict()) == [
        *("hidden.0.linear.weight", "hidden.0.linear.bias", "head.weight", "head.bias")
    ]
    assert list(dict(model_of("cnn", DIGITS, channels=[4]).named_parameters())) == [
        *("blocks.0.conv.weight", "blocks.0.norm.weight", "blocks.0.norm.bias"),
        *("head.output.weight", "head.output.bias"),
    ]


def test_a_linear_model_can_begin_with_zeros() -> None:
    model = model_of("linear", ROWS, init="zeros")

    assert not model(samples(ROWS)).any()
    assert losses_of_training(model, samples(ROWS), torch.arange(4) % 3, 60, 0.1)[-1] < 0.3


def test_a_linear_model_drops_inputs_in_training_only() -> None:
    model = model_of("linear", ROWS, dropout=0.5)
    inputs = samples(ROWS)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("init", ["kaiming", "xavier", "orthogonal"])
def test_first_weights_are_drawn_as_named(kind: str, init: str) -> None:
    name = "hidden.0.linear.weight" if kind == "mlp" else "blocks.1.conv.weight"
    sizes = {"layers": [256, 200]} if kind == "mlp" else {"channels": [32, 64], "norm": "none"}
    signature = Signature("features", (300,), 3) if kind == "mlp" else IMAGES
    model = model_of(kind, signature, init=init, **sizes)
    weight = model.get_parameter(name).detach().flatten(1)
    outputs, inputs = weight.shape
    variance = float(weight.var())

    if init == "kaiming":
        assert variance == pytest.approx(2 / inputs, rel=0.05)
    elif init == "xavier":
        fan_out = outputs * (9 if kind == "cnn" else 1)
        limit = math.sqrt(2) * math.sqrt(6 / (inputs + fan_out))
        assert 0.99 * limit < float(weight.abs().max()) <= limit
    else:
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(outputs), atol=1e-4, rtol=0)
    assert all(not p.any() for n, p in model.named_parameters() if n.endswith("bias"))
    head = model.get_parameter("head.weight" if kind == "mlp" else "head.output.weight").detach()
    if init == "kaiming":
        assert float(head.var()) == pytest.approx(1 / head.shape[1], rel=0.15)


def test_the_gain_of_first_weights_follows_the_activation() -> None:
    def deviation(activation: str) -> float:
        model = model_of("mlp", ROWS, layers=[512], init="kaiming", activation=activation)
        return float(model.get_parameter("hidden.0.linear.weight").detach().std()) * math.sqrt(10)

    assert deviation("relu") == pytest.approx(math.sqrt(2), rel=0.05)
    assert deviation("tanh") == pytest.approx(5 / 3, rel=0.05)
    assert deviation("identity") == pytest.approx(1, rel=0.05)


def test_an_rms_norm_divides_by_the_root_of_the_mean_square() -> None:
    model = model_of("mlp", ROWS, layers=[8], norm="rms")
    plain = count_parameters(model_of("mlp", ROWS, layers=[8]))
    norm = model.get_submodule("hidden.0.norm")
    inputs = torch.randn(5, 8)

    assert count_parameters(model) == plain + 8
    assert isinstance(norm, RmsNorm)
    expected = inputs / inputs.square().mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(norm(inputs), expected, atol=1e-3, rtol=1e-3)


def shapes(**settings: Any) -> dict[str, tuple[int, ...]]:
    model = model_of("cnn", IMAGES, channels=[4, 8], **settings)
    return {layer.name: layer.output_shape for layer in summarize(model, [IMAGES.field()])}


def test_stride_and_pooling_set_the_size_of_the_features() -> None:
    assert shapes()["flatten"] == (8 * 2 * 2,)
    assert shapes(pooling="avg")["flatten"] == (8 * 2 * 2,)
    assert shapes(pooling="none")["flatten"] == (8 * 8 * 8,)
    assert shapes(pooling="none", stride=2)["flatten"] == (8 * 2 * 2,)
    assert shapes(readout="avg")["flatten"] == (8,)
    assert model_of("cnn", IMAGES, channels=[2] * 9, pooling="none")(samples(IMAGES)).shape == (
        4,
        3,
    )


def test_a_pool_takes_the_largest_or_the_mean() -> None:
    inputs = torch.arange(16.0).view(1, 1, 4, 4)
    for pooling, expected in (("max", 5.0), ("avg", 2.5)):
        pool = model_of("cnn", IMAGES, pooling=pooling).get_submodule("blocks.0.pool")
        assert float(pool(inputs)[0, 0, 0, 0]) == expected


def test_strides_that_leave_nothing_say_how_many_blocks_there_can_be() -> None:
    with pytest.raises(BadInput) as caught:
        model_of("cnn", IMAGES, channels=[2, 2, 2], stride=2)
    assert str(caught.value) == (
        "model.channels: 3 blocks, but images of 8x8 can be divided by 4 1 times; use at most 1"
    )


def test_a_group_norm_takes_the_place_of_a_batch_norm() -> None:
    model = model_of("cnn", IMAGES, norm="group", groups=4)
    norms = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]

    assert [norm.num_groups for norm in norms] == [4, 4]
    assert count_parameters(model) == count_parameters(model_of("cnn", IMAGES))


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_the_numbers_only_a_little(
    kind: str, settings: dict[str, Any], dtype: torch.dtype
) -> None:
    model = model_of(kind, IMAGES, **settings).eval()
    exact = model(samples(IMAGES))
    with torch.autocast("cpu", dtype):
        outputs = model(samples(IMAGES))
    outputs.float().sum().backward()

    torch.testing.assert_close(outputs.float(), exact, atol=0.1, rtol=0.05)


@every
def test_other_weights_can_be_put_in_for_a_call(kind: str, settings: dict[str, Any]) -> None:
    model = model_of(kind, IMAGES, **settings).eval()
    doubled = {name: p.detach() * 2 + 0.1 for name, p in model.named_parameters()}
    called = functional_call(model, doubled, (samples(IMAGES),))
    before = model(samples(IMAGES))
    model.load_state_dict({**model.state_dict(), **doubled})

    assert torch.equal(called, model(samples(IMAGES)))
    assert not torch.allclose(called, before)


@every
def test_the_order_of_the_channels_in_memory_changes_nothing(
    kind: str, settings: dict[str, Any]
) -> None:
    model = model_of(kind, IMAGES, **settings).eval()
    expected = model(samples(IMAGES))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = samples(IMAGES).contiguous(memory_format=torch.channels_last)

    torch.testing.assert_close(model(inputs), expected, atol=1e-5, rtol=1e-4)


@every
def test_gradients_are_right_in_double_precision(kind: str, settings: dict[str, Any]) -> None:
    model = model_of(kind, IMAGES, **settings).double().eval()
    inputs = samples(IMAGES, 2).double().requires_grad_()

    assert torch.autograd.gradcheck(lambda x: model(x).sum(), (inputs,), fast_mode=True)


@pytest.mark.parametrize(("kind", "settings"), ALL[3:])
def test_blocks_can_be_computed_again_in_the_backward_pass(
    kind: str, settings: dict[str, Any]
) -> None:
    settings = {**settings, "dropout": 0.0}
    plain = gradients(model_of(kind, IMAGES, **settings))
    model = model_of(kind, IMAGES, **settings)
    for block in model.get_submodule("blocks").children():
        block.forward = recomputed(block.forward)

    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, plain[name], msg=name)


def recomputed(original: Any) -> Any:
    return lambda *inputs: checkpoint(original, *inputs, use_reentrant=False)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    model(samples(IMAGES)).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@every
def test_the_summary_adds_up(kind: str, settings: dict[str, Any]) -> None:
    model = model_of(kind, IMAGES, **settings)
    layers = summarize(model, [IMAGES.field()])

    assert sum(layer.parameters for layer in layers) == count_parameters(model)
    assert layers[-1].output_shape == (3,)
