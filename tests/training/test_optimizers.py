"""Optimizers against those of torch, their groups, and what a checkpoint says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.sections.optimizers import (
    OPTIMIZERS,
    AdamSection,
    AdamWSection,
    MuonSection,
    OptimizerSection,
    SgdSection,
)
from tui_trainer.config.sections.training import Arithmetic
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.flat_optimizer import FlatOptimizer
from tui_trainer.training.optimizers import AnyOptimizer, build_optimizer, retune
from tui_trainer.training.state import State

CPU = torch.device("cpu")
STEPS = 4
SETTINGS: list[dict[str, Any]] = [
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.9, "nesterov": True},
    {"type": "adam", "betas": [0.8, 0.95], "eps": 1e-6},
    {"type": "adamw"},
    {"type": "rmsprop"},
    {"type": "rmsprop", "alpha": 0.9, "momentum": 0.5, "centered": True},
    {"type": "adagrad"},
    {"type": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.2},
    {"type": "nadam"},
    {"type": "nadam", "momentum_decay": 0.1, "decoupled_weight_decay": True},
    {"type": "radam"},
    {"type": "radam", "decoupled_weight_decay": True},
    {"type": "adafactor"},
    {"type": "adafactor", "beta2_decay": -0.5, "d": 2.0},
]
THEIRS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adafactor": optim.Adafactor,
}


class Small(nn.Module):
    """Tokens, a hidden layer, a norm and a head."""

    def __init__(self, *, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.hidden = nn.Linear(4, 6)
        self.cell = nn.GRU(6, 4, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 7)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        features, _ = self.cell(self.hidden(self.embedding(tokens)).relu())
        logits: Tensor = self.head(self.norm(features))
        return logits


def small(*, tied: bool = False) -> Small:
    torch.manual_seed(0)
    return Small(tied=tied)


def section_of(settings: dict[str, Any]) -> OptimizerSection:
    spec = OPTIMIZERS.find(settings["type"])
    assert spec is not None
    section = spec.params.model_validate(settings)
    assert isinstance(section, OptimizerSection)
    return section


def state_of(settings: dict[str, Any], model: nn.Module, arithmetic: Arithmetic = "fused") -> State:
    optimizer = build_optimizer(section_of(settings), model, arithmetic=arithmetic)
    return State(model, optimizer, CPU, arithmetic=arithmetic)


def train(model: nn.Module, *optimizers: AnyOptimizer, state: State | None = None) -> None:
    """Steps on made-up gradients, the same for every model."""
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = gradient if parameter.grad is None else parameter.grad.copy_(gradient)
        if state is not None:
            state.set_lr(0.01 * (step + 1))
        for optimizer in optimizers:
            optimizer.step()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changes(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "type"}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_steps_are_those_of_torch(settings: dict[str, Any]) -> None:
    shared = {"lr": 0.1, "weight_decay": 0.01}
    ours, theirs = small(), small()
    train(ours, state_of({**settings, **shared, "decay": "all"}, ours).optimizer)
    plain: Any = THEIRS[settings["type"]]
    train(theirs, plain(theirs.parameters(), **changes(settings), **shared))
    torch.testing.assert_close(weights(ours), weights(theirs))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_defaults_are_those_of_torch(settings: dict[str, Any]) -> None:
    group = build_optimizer(section_of(settings), small()).param_groups[0]
    plain: Any = THEIRS[settings["type"]]
    theirs = plain(small().parameters(), **changes(settings)).param_groups[0]
    # torch's 1e-3 is too little for plain gradients.
    ours = ("lr",) if settings["type"] == "sgd" else ()
    how = ("params", "fused", "foreach", "decays", *ours)
    # Flat optimizers have the settings alone, and no others.
    same = {name: group[name] for name in theirs if name not in how and name in group}
    expected = {name: value for name, value in theirs.items() if name in same}
    assert set(changes(settings)) <= set(same)
    for name in ("betas",) if "betas" in same else ():
        same[name], expected[name] = list(same[name]), list(expected[name])
    assert same == expected


def test_every_optimizer_but_muon_is_compared_with_that_of_torch() -> None:
    assert {settings["type"] for settings in SETTINGS} == set(OPTIMIZERS.names) - {"muon"}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_muon_trains_hidden_matrices_and_adamw_the_rest(adjust: Any, tied: bool) -> None:
    section = MuonSection(
        type="muon", lr=0.02, adamw_lr=0.005, weight_decay=0.1, adjust_lr_fn=adjust
    )
    ours, theirs = small(tied=tied), small(tied=tied)
    built = build_optimizer(section, ours)
    state = State(ours, built, CPU)
    state.set_lr(section.lr)
    train(ours, built)
    named = dict(theirs.named_parameters())
    matrices = [named[n] for n in ("hidden.weight", "cell.weight_ih_l0", "cell.weight_hh_l0")]
    rest = [p for p in theirs.parameters() if all(p is not matrix for matrix in matrices)]
    undecayed = [p for p in rest if p.ndim < 2]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.1},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    train(
        theirs,
        optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn=adjust),
        optim.AdamW(groups, lr=0.005),
    )
    torch.testing.assert_close(weights(ours), weights(theirs))


def test_both_rates_of_muon_follow_the_schedule_and_can_be_edited() -> None:
    section = MuonSection(type="muon", lr=0.02, adamw_lr=0.005)
    model = small()
    optimizer = build_optimizer(section, model)
    state = State(model, optimizer, CPU)
    state.set_lr(0.02 * 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [0.01, 0.0025, 0.0025]
    )
    retune(optimizer, section.model_copy(update={"lr": 0.04, "momentum": 0.5}))
    state.set_lr(0.04 * 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [0.02, 0.0025, 0.0025]
    )
    assert optimizer.param_groups[0]["momentum"] == 0.5


def test_muon_is_refused_where_there_is_nothing_for_it() -> None:
    model = nn.Sequential()
    model.add_module("convolution", nn.Conv2d(1, 2, 3))
    model.add_module("head", nn.Linear(4, 2))
    with pytest.raises(ConfigError, match="use optimizer=adamw"):
        build_optimizer(MuonSection(type="muon"), model)


def test_muon_alone_has_one_group() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    optimizer = build_optimizer(MuonSection(type="muon"), model)
    train(model, optimizer)
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_norms_and_biases_do_not_decay_unless_asked_for(kind: str) -> None:
    model = small()
    before = weights(model)
    optimizer = state_of({"type": kind, "weight_decay": 0.5}, model).optimizer
    optimizer.step()
    for name, after in weights(model).items():
        assert after.equal(before[name]) == (after.ndim < 2), name
    everything = build_optimizer(section_of({"type": kind, "decay": "all"}), model)
    assert all(group["weight_decay"] > 0 for group in everything.param_groups)


def test_a_live_weight_decay_does_not_reach_what_does_not_decay() -> None:
    optimizer = build_optimizer(AdamWSection(type="adamw"), small())
    retune(optimizer, AdamWSection(type="adamw", weight_decay=0.3))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]


def test_frozen_parameters_are_left_out_and_the_rest_keeps_its_names() -> None:
    model = small()
    model.embedding.weight.requires_grad_(False)
    state = State(model, build_optimizer(AdamWSection(type="adamw"), model), CPU)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.fill_(1.0)
    state.optimizer.step()
    saved = state.snapshot().optimizer["state"]
    assert set(saved) == {name for name, _ in model.named_parameters()} - {"embedding.weight"}
    assert all(
        entry["exp_avg"].shape == dict(model.named_parameters())[name].shape
        for name, entry in saved.items()
    )


@pytest.mark.parametrize("settings", [*SETTINGS, {"type": "muon"}], ids=str)
def test_a_loaded_state_goes_on_with_the_same_bits(settings: dict[str, Any]) -> None:
    section = section_of({**settings, "weight_decay": 0.1})
    uncut, cut = small(), small()
    whole = State(uncut, build_optimizer(section, uncut), CPU)
    train(uncut, whole.optimizer, state=whole)
    half = State(cut, build_optimizer(section, cut), CPU)
    train(cut, half.optimizer, state=half)
    other = small()
    resumed = State(other, build_optimizer(section, other), CPU)
    resumed.load(half.snapshot())
    train(uncut, whole.optimizer, state=whole)
    train(other, resumed.optimizer, state=resumed)
    assert all(a.equal(b) for a, b in zip(uncut.parameters(), other.parameters(), strict=True))
    again = resumed.snapshot().optimizer
    assert again["param_groups"] == whole.snapshot().optimizer["param_groups"]


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_checkpoint_with_one_group_of_everything_is_loaded_by_name(kind: str) -> None:
    ours, theirs = small(), small()
    together = State(theirs, build_optimizer(AdamSection(type="adam"), theirs), CPU)
    train(theirs, together.optimizer, state=together)
    saved = together.snapshot()
    assert len(saved.optimizer["param_groups"]) == 1
    section = section_of({"type": kind, "decay": "matrices", "weight_decay": 0.2})
    state = State(ours, build_optimizer(section, ours), CPU)
    state.load(saved)
    assert [group["weight_decay"] for group in state.optimizer.param_groups] == [0.2, 0.0]
    loaded = state.snapshot().optimizer["state"]
    assert sorted(loaded) == sorted(saved.optimizer["state"])
    for name, entry in saved.optimizer["state"].items():
        assert all(loaded[name][key].equal(value) for key, value in entry.items())


def test_what_torch_has_fused_is_fused_and_the_rest_runs_by_groups() -> None:
    def form(kind: str, model: nn.Module) -> tuple[Any, Any]:
        group = build_optimizer(section_of({"type": kind}), model).param_groups[-1]
        return group.get("fused"), group.get("foreach")

    for kind in ("sgd", "adam", "adamw"):
        assert isinstance(build_optimizer(section_of({"type": kind}), small()), FlatOptimizer)
    assert form("adagrad", small()) == (True, None)
    assert form("muon", small()) == (True, None)
    for kind in ("rmsprop", "nadam", "radam"):
        assert form(kind, small())[1] is True
    complex_one = nn.ParameterList([nn.Parameter(torch.zeros(2, dtype=torch.complex64))])
    assert form("adam", complex_one)[1] is True


def test_building_draws_no_random_numbers() -> None:
    model = small()
    before = torch.get_rng_state()
    for name in OPTIMIZERS.names:
        build_optimizer(section_of({"type": name}), model)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize(
    "path", sorted((builtin_dir() / "optimizers").iterdir()), ids=lambda path: path.stem
)
def test_a_shipped_preset_is_of_its_name_and_trains(path: Path) -> None:
    library = PresetLibrary([builtin_dir()])
    section = library.experiment(
        "digits-mlp", parse_overrides([f"optimizer={path.stem}"])
    ).optimizer
    assert section.type == path.stem
    model = small()
    tokens = torch.arange(7).repeat(4, 1)
    state = State(model, build_optimizer(section, model), CPU)
    losses = []
    for _ in range(100):
        state.clear_gradients()
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_sgd_keeps_torchs_decay_of_everything() -> None:
    assert SgdSection(type="sgd").decay == "all"


def test_muon_trains_the_hidden_layer_of_a_head_but_not_its_output() -> None:
    head = nn.Sequential()
    head.add_module("hidden", nn.Linear(4, 3))
    head.add_module("output", nn.Linear(3, 2))
    model = nn.Sequential()
    model.add_module("convolution", nn.Conv2d(1, 4, 3))
    model.add_module("head", head)
    optimizer = build_optimizer(MuonSection(type="muon"), model)
    assert [p.shape for p in optimizer.param_groups[0]["params"]] == [(3, 4)]
