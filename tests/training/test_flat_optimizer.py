"""The bits of the flat optimizers are those of torch's, in both arithmetics and in any layout."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from tests.training.test_optimizers import section_of
from tui_trainer.config.sections.optimizers import NO_ARGUMENTS, OptimizerSection
from tui_trainer.config.sections.training import Arithmetic, TrainingSection
from tui_trainer.data.base.split import LINE_BYTES
from tui_trainer.text.errors import CheckpointUnusable
from tui_trainer.training.average import Average
from tui_trainer.training.flat_buffer import flat_buffers
from tui_trainer.training.flat_optimizer import FlatOptimizer
from tui_trainer.training.gradient_norm import TotalNorm
from tui_trainer.training.optimizers import build_optimizer, retune
from tui_trainer.training.state import State
from tui_trainer.training.supervised_step import clip

CPU = torch.device("cpu")
KINDS: list[dict[str, Any]] = [
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9},
    {"type": "sgd", "momentum": 0.9, "nesterov": True},
    {"type": "adam"},
    {"type": "adam", "betas": [0.8, 0.95], "eps": 1e-6},
    {"type": "adamw"},
    {"type": "adamw", "decay": "all"},
]
SHAPES = [(64, 16), (64,), (3, 5, 7), (9,), (1,), (33, 31), (128, 10), (10,), (2, 2), (777,)]


def parameters(*, frozen: int | None = None) -> nn.ParameterList:
    """Parameters of awkward sizes, one of them with its channels last in memory."""
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    kernel = torch.randn((4, 3, 3, 3), generator=generator)
    made.append(nn.Parameter(kernel.contiguous(memory_format=torch.channels_last)))
    if frozen is not None:
        made[frozen].requires_grad_(False)
    return nn.ParameterList(made)


def of_torch(
    section: OptimizerSection, model: nn.ParameterList, arithmetic: Arithmetic
) -> optim.Optimizer:
    """The optimizer of torch, with the groups that the section asks for."""
    trained = [p for p in model if p.requires_grad]
    decays = [p for p in trained if section.decay == "all" or p.ndim > 1]
    others = [p for p in trained if all(p is not one for one in decays)]
    groups = [
        {"params": decays, "weight_decay": section.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind: Any = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW}[section.type]
    settings = section.model_dump(exclude=set(NO_ARGUMENTS))
    form = {"fused": True} if arithmetic == "fused" else {"foreach": False}
    optimizer: optim.Optimizer = kind([g for g in groups if g["params"]], **settings, **form)
    return optimizer


def give_gradients(model: nn.ParameterList, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model:
        gradient = torch.randn(parameter.shape, generator=generator)
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(gradient)


def state_of(
    settings: dict[str, Any], model: nn.Module, arithmetic: Arithmetic, average: Average | None
) -> State:
    optimizer = build_optimizer(section_of(settings), model, arithmetic=arithmetic)
    assert isinstance(optimizer, FlatOptimizer)
    return State(model, optimizer, CPU, average=average, arithmetic=arithmetic)


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert own.equal(other), f"{name} {tuple(own.shape)}"


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("arithmetic", ["fused", "plain"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_bits_are_those_of_torch(
    kind: dict[str, Any], arithmetic: Arithmetic, decay: float
) -> None:
    """Weights, mean and state; the rate changes at each step, and one parameter is frozen."""
    settings = {**kind, "weight_decay": decay}
    ours, theirs = parameters(frozen=2), parameters(frozen=2)
    mean = parameters()
    state = state_of(settings, ours, arithmetic, average := Average(ours, 0.9))
    optimizer = of_torch(section_of(settings), theirs, arithmetic)
    for step in range(1, 13):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        lr = 0.01 / step
        state.set_lr(lr)
        for group in optimizer.param_groups:
            group["lr"] = lr
        state.update(step)
        optimizer.step()
        share = 1 - min(0.9, (1 + step) / (10 + step))
        with torch.no_grad():
            for own, now in zip(mean, theirs, strict=True):
                own.lerp_(now, share)
    assert_same(ours, theirs)
    assert_same(average.model, mean)
    saved = state.snapshot().optimizer["state"]
    for name, parameter in theirs.named_parameters():
        entry = optimizer.state.get(parameter, {})
        assert {key: value.tolist() for key, value in saved.get(name, {}).items()} == {
            key: value.tolist() for key, value in entry.items() if value is not None
        }


def test_parameters_begin_where_tensors_of_their_own_would() -> None:
    """Or the matrix products of some CPUs round in another way."""
    ours = parameters()
    state_of({"type": "adam"}, ours, "fused", average := Average(ours, 0.9))
    places = [p.data_ptr() % 64 for model in (ours, average.model) for p in model.parameters()]
    assert set(places) == {0}


def test_plain_clipping_is_that_of_torch() -> None:
    ours, theirs = parameters(), parameters()
    state = state_of({"type": "sgd"}, ours, "plain", None)
    give_gradients(ours, 1)
    give_gradients(theirs, 1)
    norm = state.gradient_norm()
    state.scale_gradients(torch.clamp(0.5 / (norm + 1e-6), max=1.0))
    assert norm.equal(nn.utils.clip_grad_norm_(theirs.parameters(), 0.5))
    for own, other in zip(ours, theirs, strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert own.grad.equal(other.grad)


@pytest.mark.parametrize("arithmetic", ["fused", "plain"])
def test_settings_edited_between_steps_count_from_the_next_one(arithmetic: Arithmetic) -> None:
    ours, theirs = parameters(), parameters()
    state = state_of({"type": "sgd"}, ours, arithmetic, None)
    optimizer = of_torch(section_of({"type": "sgd"}), theirs, arithmetic)
    edits: list[dict[str, Any]] = [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.1, "decay": "matrices"},
        {},
    ]
    for number, edit in enumerate(edits):
        section = section_of({"type": "sgd", **edit})
        retune(state.optimizer, section)
        for group in optimizer.param_groups:
            group["weight_decay"] = section.weight_decay
            group["momentum"] = edit.get("momentum", 0.0)
        for step in range(3):
            give_gradients(ours, 10 * number + step)
            give_gradients(theirs, 10 * number + step)
            state.update(1)
            optimizer.step()
        assert_same(ours, theirs)


def test_a_parameter_whose_memory_was_exchanged_is_trained_all_the_same() -> None:
    ours, theirs = parameters(), parameters()
    state = state_of({"type": "adam"}, ours, "fused", None)
    optimizer = of_torch(section_of({"type": "adam"}), theirs, "fused")
    for step in range(1, 5):
        for model in (ours, theirs):
            give_gradients(model, step)
            if step == 3:
                model[0].data = model[0].data.clamp(-0.5, 0.5)
        state.update(step)
        optimizer.step()
    assert_same(ours, theirs)


def test_parameters_without_state_begin_anew_beside_those_that_go_on() -> None:
    whole = parameters()
    first = state_of({"type": "adam"}, whole, "fused", None)
    for step in range(1, 4):
        give_gradients(whole, step)
        first.update(step)
    saved = first.snapshot()
    del saved.optimizer["state"]["3"], saved.optimizer["state"]["6"]
    ours, theirs = parameters(), parameters()
    state = state_of({"type": "adam"}, ours, "fused", None)
    state.load(saved)
    theirs.load_state_dict(saved.model)
    optimizer = of_torch(section_of({"type": "adam"}), theirs, "fused")
    for name, entry in saved.optimizer["state"].items():
        optimizer.state[theirs[int(name)]] = {key: value.clone() for key, value in entry.items()}
    give_gradients(ours, 9)
    give_gradients(theirs, 9)
    state.update(4)
    optimizer.step()
    assert_same(ours, theirs)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.pop("exp_avg_sq"),
        lambda entry: entry.update(exp_avg=torch.zeros(1)),
        lambda entry: entry.update(step=torch.tensor(math.nan)),
    ],
)
def test_a_state_of_another_form_is_refused(spoil: Any) -> None:
    model = parameters()
    state = state_of({"type": "adam"}, model, "fused", None)
    give_gradients(model, 1)
    state.update(1)
    saved = state.snapshot()
    spoil(saved.optimizer["state"]["0"])
    with pytest.raises(CheckpointUnusable, match="the state of the optimizer"):
        state.load(saved)


def test_parameters_that_share_memory_keep_sharing_it() -> None:
    model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    first, second = (layer.get_parameter("weight") for layer in model)
    second.data = first.data
    State(model, build_optimizer(section_of({"type": "adam"}), model), CPU)
    assert second.data_ptr() == first.data_ptr()


def test_a_part_that_was_updated_is_no_longer_passed_backward_through() -> None:
    """As with torch's optimizers: the values that the gradient needs are gone."""
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 1)})
    parts: dict[str, nn.Module] = dict(model.items())
    optimizer = build_optimizer(section_of({"type": "adam"}), model, parts)
    state = State(model, optimizer, CPU, parts=parts)
    loss: Tensor = model["b"](model["a"](torch.ones(2, 3))).sum()
    state.update_part("b")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("limit", [0.3, 1e-6, 1e-8])
def test_a_gradient_below_the_limit_has_the_bits_of_one_that_is_multiplied(limit: float) -> None:
    """Most steps need no clipping, and the gradient is not multiplied by 1."""
    layer = nn.Linear(7, 5)
    state = state_of({"type": "sgd"}, layer, "fused", None)
    bias, weight = layer.bias.grad, layer.weight.grad
    assert bias is not None
    assert weight is not None
    training = TrainingSection.model_validate({"grad_clip_norm": limit, "max_steps": 1})
    direction = torch.randn(40, generator=torch.Generator().manual_seed(0))
    direction /= direction.norm()
    for factor in (0.0, 0.5, 0.98, 0.99, 0.999999, 1.0, 1.000001, 3.0, math.inf, math.nan):
        gradient = direction * (limit * factor)
        weight.copy_(gradient[:35].view(5, 7))
        bias.copy_(gradient[35:])
        norm = clip(state, training)
        clipped = torch.cat([weight.flatten(), bias])
        expected = gradient * torch.clamp(limit / (norm + 1e-6), max=1.0)
        torch.testing.assert_close(clipped, expected, rtol=0, atol=0, equal_nan=True)


def test_a_large_buffer_begins_like_a_tensor_of_its_own_and_is_zero() -> None:
    wide = nn.Parameter(torch.ones(1500, 1500))
    (buffer,) = flat_buffers([wide], holds_values=True)
    assert buffer.values is not None
    for flat in (buffer.values, buffer.gradients, buffer.new_zeros()):
        assert flat.data_ptr() % LINE_BYTES == 0
        assert flat.storage_offset() == 0
    assert not buffer.new_zeros().any()
    assert not buffer.gradients.any()
    assert torch.equal(wide, torch.ones(1500, 1500))
    assert wide.data_ptr() == buffer.values.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_parameters_of_another_type_have_the_plain_bits_of_torch(dtype: torch.dtype) -> None:
    ours, theirs = parameters().to(dtype), parameters().to(dtype)
    state = state_of({"type": "adam"}, ours, "plain", None)
    optimizer = of_torch(section_of({"type": "adam"}), theirs, "plain")
    for step in range(1, 5):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        gradients = [p.grad for p in theirs if p.grad is not None]
        assert state.gradient_norm().equal(nn.utils.get_total_norm(gradients))
        state.set_lr(optimizer.param_groups[0]["lr"])
        state.update(step)
        optimizer.step()
    assert_same(ours, theirs)


def test_the_norm_does_not_depend_on_the_type_that_torch_makes_by_default() -> None:
    gradients = [torch.ones(3), torch.full((5,), 2.0)]
    default = torch.get_default_dtype()
    # As a plugin may do for its own tensors.
    torch.set_default_dtype(torch.float64)
    try:
        norm = TotalNorm(gradients)()
    finally:
        torch.set_default_dtype(default)
    assert norm.equal(nn.utils.get_total_norm(gradients))
