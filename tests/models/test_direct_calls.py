"""Modules that are called directly compute the same bits, and whoever watches them sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize

from tui_trainer.models.direct_calls import call


@pytest.fixture
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5)),
        nn.Sequential(nn.Linear(5, 4, bias=False), nn.LayerNorm(4), nn.GELU()),
    )


def torch_calls(function: Callable[[], Any]) -> int:
    """Count the modules that torch itself calls meanwhile."""
    count = 0

    def see(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is nn.Module._call_impl.__code__

    sys.setprofile(see)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def gradients(outputs: Tensor, layers: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(outputs.square().sum(), list(layers.parameters())))


def test_the_bits_are_those_of_torch_and_torch_calls_nothing(layers: nn.Sequential) -> None:
    inputs = torch.randn(3, 6)
    for training in (True, False):
        layers.train(training)
        torch.manual_seed(1)
        wanted = layers(inputs)
        torch.manual_seed(1)
        outputs = call(layers, inputs)
        assert outputs.equal(wanted)
        pairs = zip(gradients(outputs, layers), gradients(wanted, layers), strict=True)
        assert all(ours.equal(theirs) for ours, theirs in pairs)
    assert torch_calls(lambda: layers(inputs)) == 10
    assert torch_calls(lambda: call(layers, inputs)) == 0


@pytest.mark.parametrize("register", ["forward", "forward_pre", "full_backward", "everywhere"])
def test_hooks_are_called(layers: nn.Sequential, register: str) -> None:
    seen: list[nn.Module] = []
    linear = layers.get_submodule("0.0")
    if register == "everywhere":
        handle = register_module_forward_hook(lambda module, *_: seen.append(module))
    else:
        handle = getattr(linear, f"register_{register}_hook")(
            lambda module, *_: seen.append(module)
        )
    try:
        inputs = torch.randn(3, 6, requires_grad=True)
        torch.autograd.backward(call(layers, inputs).sum())
    finally:
        handle.remove()
    assert linear in seen


def test_what_was_put_in_the_place_of_a_layer_is_called(layers: nn.Sequential) -> None:
    inputs = torch.randn(3, 6)
    first = layers.get_submodule("0.0")
    assert isinstance(first, nn.Linear)
    vars(first)["forward"] = lambda inputs: torch.zeros(len(inputs), 5)
    assert call(first, inputs).eq(0).all()
    del vars(first)["forward"]

    class Twice(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

    before = first.weight.detach().clone()
    parametrize.register_parametrization(first, "weight", Twice())
    assert call(first, inputs).equal(nn.functional.linear(inputs, 2 * before, first.bias))
    linear = nn.Linear(6, 5)
    weight = linear.weight.detach()
    del linear.weight
    linear.register_buffer("weight", 3 * weight)
    assert call(linear, inputs).equal(nn.functional.linear(inputs, 3 * weight, linear.bias))


def test_what_was_put_in_the_place_of_functions_of_torch_is_called(
    layers: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = torch.randn(3, 6)
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda module, _: torch.zeros(3, module.out_features))
        assert call(nn.Linear(6, 5), inputs).eq(0).all()
    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "__call__", lambda module, _: torch.ones(1))
        assert call(layers, inputs).equal(torch.ones(1))
