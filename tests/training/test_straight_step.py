"""A step that was planned at a border has the bits of one that was not, and is really taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.test_direct_calls import torch_calls
from tests.plugins import restored
from tests.training.harness import Run, at_step, cut_at, same, small_experiment, write_images
from tui_trainer.data.base.split import Split
from tui_trainer.plugins import model, optimizer
from tui_trainer.problems.signature import Signature
from tui_trainer.runs.commands import Set
from tui_trainer.training import layer_gradients, loss_gradients
from tui_trainer.training.compiled_step import CompiledStep
from tui_trainer.training.layer_gradients import LayerChain
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.progress import Progress
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.start import state_of
from tui_trainer.training.straight_step import StraightStep
from tui_trainer.training.supervised_step import StepTaken, SupervisedStep
from tui_trainer.training.task import Task, build

CPU = torch.device("cpu")
HEAD = [{"match": "head.*", "lr": 0.1}]
FORMS: dict[str, dict[str, Any]] = {
    "as ever": {},
    "norm": {"model": {"type": "mlp", "layers": [8, 6], "norm": "batch", "dropout": 0.2}},
    "linear without bias": {"model": {"type": "linear", "bias": False, "dropout": 0.2}},
    "mean, clipped": {"training": {"ema_decay": 0.9, "grad_clip_norm": 0.05}},
    "plain": {"training": {"arithmetic": "plain", "grad_clip_norm": None}},
    "values clipped": {"training": {"grad_clip_norm": None, "grad_clip_value": 1e-3}},
    "groups": {"optimizer": {"type": "adam", "lr": 0.01, "groups": HEAD}},
    "of torch": {"optimizer": {"type": "muon", "lr": 0.01}},
    "momentum": {"optimizer": {"type": "sgd", "lr": 0.01, "momentum": 0.9}},
    "constant": {"schedule": {"type": "constant", "warmup_steps": 3}},
    "of a plugin": {"optimizer": {"type": "fading", "lr": 0.1}, "schedule": {"type": "constant"}},
}
# Widths of which hardly a gradient begins at a line of memory.
BY_LAYERS: dict[str, dict[str, Any]] = {
    "relu": {"model": {"type": "mlp", "layers": [7, 5]}, "loss": {"type": "cross_entropy"}},
    "gelu": {"model": {"type": "mlp", "layers": [7, 5], "activation": "gelu"}},
    "silu": {
        "model": {"type": "mlp", "layers": [7], "activation": "silu"},
        "loss": {"type": "cross_entropy", "class_weights": "balanced"},
    },
    "tanh": {
        "model": {"type": "mlp", "layers": [1, 3], "activation": "tanh"},
        "loss": {"type": "focal"},
    },
    "linear": {"model": {"type": "linear"}, "loss": {"type": "cross_entropy"}},
    "plain sgd": {
        "model": {"type": "mlp", "layers": [7, 5]},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.9},
        "training": {"arithmetic": "plain", "ema_decay": 0.9},
    },
}
BY_AUTOGRAD: dict[str, dict[str, Any]] = {
    "dropout": {},
    "another activation": {"model": {"type": "mlp", "layers": [7], "activation": "elu"}},
    "frozen": {
        "model": {"type": "mlp", "layers": [7]},
        "optimizer": {"type": "adam", "lr": 0.01, "groups": [{"match": "head.*", "freeze": True}]},
    },
    "of torch": {"model": {"type": "mlp", "layers": [7]}, "optimizer": {"type": "muon", "lr": 0.1}},
}
BY_TORCH: dict[str, dict[str, Any]] = {
    "another model": {"model": {"type": "cnn", "channels": [4]}},
    "another precision": {"training": {"precision": "bf16"}},
}


class Fading(torch.optim.SGD):
    """Changes the rates of its groups in each step, as those do that find a rate themselves."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step(closure)
        for group in self.param_groups:
            group["lr"] /= 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with restored():
        model("bounded")(Bounded)
        optimizer("fading")(lambda groups, lr: Fading(groups, lr=lr))
        yield write_images(tmp_path_factory.mktemp("data") / "images.csv")


def training_of(
    data: Path, kind: type[SupervisedStep], **sections: Any
) -> tuple[Task, Callable[..., StepTaken]]:
    """Return a task, and a function that takes a step of it, from 1."""
    training = {"grad_accumulation": 1, **sections.pop("training", {})}
    experiment = small_experiment(data, training=training, **sections)
    torch.manual_seed(0)
    task = build(experiment, SingleRank(), CPU)
    state = state_of(task)
    task.model.train()
    progress = Progress()
    settings = LiveSettings(experiment, task.steps_per_epoch, progress)
    assert task.criterion is not None
    step = kind(task.forward, task.criterion, state, settings)

    def take(number: int, **fields: Tensor) -> StepTaken:
        if number % 4 == 1:
            step.prepare()
        split: Split = task.dataset.train
        (batch, *_) = split.in_order(10)
        taken = step.take(number, [{**batch, **fields}], [1.0], None, settings.lr)
        progress.step = number
        return taken

    return task, take


@pytest.mark.parametrize("form", [*FORMS, *BY_LAYERS])
def test_its_bits_are_those_of_the_step_that_looks_everything_up(data: Path, form: str) -> None:
    outcomes: list[tuple[list[Any], dict[str, Tensor]]] = []
    for kind in (SupervisedStep, StraightStep):
        task, take = training_of(data, kind, **(FORMS | BY_LAYERS)[form])
        torch.manual_seed(1)
        taken = [take(number) for number in range(1, 9)]
        numbers = [(one.loss.item(), one.grad_norm.item(), one.lr) for one in taken]
        outcomes.append((numbers, dict(task.model.state_dict())))
    (wanted, weights), (numbers, own) = outcomes
    assert numbers == wanted
    assert all(own[name].equal(weights[name]) for name in weights)
    assert len(set(numbers)) == len(numbers)


class Bounded(nn.Module):
    """Keeps its weights small, by a tensor in the place of another."""

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(signature.input_shape), signature.outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        self.head.weight.data = self.head.weight.data.clamp(-0.2, 0.2)
        outputs: Tensor = self.head(inputs.flatten(1))
        return outputs


def test_a_model_whose_code_runs_in_a_step_may_exchange_the_memory_of_a_parameter(
    data: Path,
) -> None:
    weights: list[Tensor] = []
    for kind in (SupervisedStep, CompiledStep):
        task, take = training_of(
            data, kind, model={"type": "bounded"}, optimizer={"type": "sgd", "lr": 0.1}
        )
        for number in range(1, 4):
            take(number, lengths=torch.ones(10, dtype=torch.int64))
        weights.append(task.model.state_dict()["head.weight"])
    assert weights[0].equal(weights[1])


def test_only_plain_layers_are_taken_apart_and_only_while_nobody_watches_them(data: Path) -> None:
    task, take = training_of(data, StraightStep)
    mlp: Any = task.model
    inner = mlp.hidden[0].linear
    seen: list[nn.Module] = []
    for module in (mlp, inner):
        handle = module.register_forward_hook(lambda module, *_: seen.append(module))
        take(5)
        assert seen.pop() is module
        handle.remove()
    take(9)
    assert torch_calls(lambda: take(10)) == 0
    for sections in BY_TORCH.values():
        task, take = training_of(data, StraightStep, **sections)
        assert task.forward.direct() is None
        assert take(1).loss.isfinite()


def chained_steps(monkeypatch: pytest.MonkeyPatch, take: Callable[..., StepTaken]) -> int:
    """Take two steps, and return how many of them had their gradients without autograd."""
    count, add_gradients = 0, LayerChain.add_gradients

    def counted(chain: LayerChain, *arguments: Any) -> None:
        nonlocal count
        count += 1
        add_gradients(chain, *arguments)

    with monkeypatch.context() as patches:
        patches.setattr(LayerChain, "add_gradients", counted)
        take(1)
        take(2)
    return count


def test_autograd_is_passed_over_only_where_nothing_depends_on_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form, sections in (BY_LAYERS | BY_AUTOGRAD).items():
        task, take = training_of(data, StraightStep, **sections)
        assert chained_steps(monkeypatch, take) == (2 if form in BY_LAYERS else 0), form
    task, take = training_of(data, StraightStep, **BY_LAYERS["relu"])
    told: list[Tensor] = []
    handle = next(task.model.parameters()).register_hook(  # type: ignore[no-untyped-call]
        told.append
    )
    assert chained_steps(monkeypatch, take) == 0
    assert len(told) == 2
    handle.remove()
    assert chained_steps(monkeypatch, take) == 2


@pytest.mark.parametrize("kernel", ["threshold_backward", "nll_loss_backward"])
def test_where_torch_has_other_kernels_autograd_is_taken(
    data: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    def other(*arguments: Any) -> Any:
        return own(*arguments) * 2

    own = getattr(torch.ops.aten, kernel).default
    probes = (layer_gradients._has_bits_of_autograd, loss_gradients._is_right)
    outcomes = []
    for is_other in (False, True):
        for probe in probes:
            probe.cache_clear()
        with monkeypatch.context() as patches:
            if is_other:
                patches.setattr(getattr(torch.ops.aten, kernel), "default", other)
            task, take = training_of(data, StraightStep, **BY_LAYERS["relu"])
            chained = chained_steps(monkeypatch, take)
            assert chained == (0 if is_other and kernel == "threshold_backward" else 2)
        outcomes.append(torch.cat([p.flatten() for p in task.model.parameters()]))
    for probe in probes:
        probe.cache_clear()
    assert outcomes[0].equal(outcomes[1])


@pytest.mark.parametrize("form", ["as ever", "relu"])
def test_an_error_names_the_inputs(data: Path, form: str) -> None:
    _, take = training_of(data, StraightStep, **(FORMS | BY_LAYERS)[form])
    with pytest.raises(RuntimeError) as caught:
        take(1, input=torch.zeros(10, 2))
    assert caught.value.__notes__ == ["the inputs are 10x2 of float32"]


@pytest.mark.parametrize("form", ["norm", "relu"])
def test_cut_at_any_step_it_equals_a_run_with_borders_at_epochs_alone(
    tmp_path: Path, data: Path, form: str
) -> None:
    sections: dict[str, Any] = {
        **(FORMS | BY_LAYERS)[form],
        "training": {"grad_accumulation": 1, "ema_decay": 0.9, "epochs": 2},
    }
    changes = [("optimizer.lr", 0.02), ("optimizer.weight_decay", 0.3)]
    edits = [Set(key=key, value=value) for key, value in changes]
    rarely = small_experiment(data, **sections, logging={"every_steps": 1, "every_seconds": 60})
    uncut = Run.new(tmp_path / "uncut", rarely)
    end = uncut.start(at_step(5, *edits)).step
    # Not at the end of the first epoch, where the edits are made.
    for number, steps in enumerate([(1, 3, 6, 8), (2, 4, 7, 9)]):
        cut = Run.new(tmp_path / f"cut-{number}", small_experiment(data, **sections))
        assert cut_at(cut, steps, at_step(5, *edits)).step == end == 10
        assert cut.lines() == uncut.lines()
        assert same(cut.final(), uncut.final())
