"""Losses and metrics of plugins in a training: edited live, resumed, and tried before a run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.plugins import restored
from tests.training.harness import Run, at_step, both, cut_at, same, small_experiment, write_images
from tests.training.own_code import register
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import LOSS_FACTORIES
from tui_trainer.data.base.random import GeneratorStates
from tui_trainer.plugins import (
    dataset,
    loss,
    metric,
    model,
    optimizer,
    recipe,
    schedule,
    setting,
    transform,
)
from tui_trainer.problems.own_metrics import totals_of
from tui_trainer.runs.commands import Set, Stop
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.task import Task
from tui_trainer.training.trial import has_own_code, try_step

SCALES = [0.0, 0.25]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        register()
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images.csv")


def experiment(data: Path, **sections: Any) -> Experiment:
    own = {
        "loss": {"type": "smoothed"},
        "checkpoint": {"monitor": "top2"},
        "training": {"metrics": ["widest", "batches"]},
    }
    return small_experiment(data, **{**own, **sections})


def test_an_edited_loss_is_replayed_bit_for_bit(tmp_path: Path, data: Path) -> None:
    chosen = experiment(data)
    edit = Set(key="loss.alpha", value=0.5)
    whole = Run.new(tmp_path / "whole", chosen)
    assert whole.start(at_step(5, edit)).state == "finished"
    for steps in ((4, 8), (5,)):
        cut = Run.new(tmp_path / f"cut-{len(steps)}", chosen)
        cut_at(cut, steps, at_step(5, edit))
        assert cut.lines() == whole.lines()
        assert same(cut.final()["model"], whole.final()["model"])
    plain = Run.new(tmp_path / "plain", chosen)
    plain.start()
    assert plain.lines()[:5] == whole.lines()[:5]
    assert plain.lines()[5:] != whole.lines()[5:]


def test_the_best_checkpoint_is_that_of_the_own_metric(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", experiment(data))
    outcome = run.start()
    values = {line["step"]: line["val/top2"] for line in run.lines() if "val/top2" in line}
    assert outcome.best is not None
    assert outcome.best["value"] == max(values.values())
    assert outcome.test is not None
    assert outcome.test["batches"] == 15, "each sample is counted once"


@pytest.mark.parametrize("size", [1, 7, 50])
def test_metrics_do_not_depend_on_the_batch_size(data: Path, size: int, tmp_path: Path) -> None:
    info = Run.new(tmp_path / "run", experiment(data)).task().dataset.info
    outputs, targets = (
        torch.randn(50, 3, generator=torch.Generator().manual_seed(1)),
        torch.arange(50) % 3,
    )
    totals = totals_of(info, torch.device("cpu"), ("top2", "widest", "balanced_accuracy"))
    for part, wanted in zip(torch.split(outputs, size), torch.split(targets, size), strict=True):
        totals.update(part, {"target": wanted}, torch.tensor(1.0))
    found = totals.compute()
    by_hand = (outputs.argsort(descending=True)[:, :2] == targets[:, None]).any(1)
    assert found["top2"] == pytest.approx(by_hand.double().mean().item())
    assert found["widest"] == pytest.approx(3 * (outputs.max() - outputs.min()).item())
    assert {"loss", "accuracy", "balanced_accuracy"} < found.keys()


def test_further_numbers_of_a_loss_are_means_over_the_samples(tmp_path: Path, data: Path) -> None:
    @loss("double")
    def double(outputs: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean = nn.functional.cross_entropy(outputs, batch["target"])
        return {"loss": mean, "twice": 2 * mean, "size": torch.tensor(float(len(outputs)))}

    run = Run.new(tmp_path / "run", experiment(data, loss={"type": "double"}))
    run.start()
    lines = run.lines()
    assert [line["train/twice"] for line in lines] == pytest.approx(
        [2 * line["train/loss"] for line in lines], rel=1e-5
    )
    # Steps of 10 and 10, 10 and 10, and 8 samples.
    assert [line["train/size"] for line in lines[:3]] == [10, 10, 8]


def test_a_loss_is_refused_for_another_problem(tmp_path: Path, data: Path) -> None:
    @loss("for_numbers", problems=("regression",))
    def for_numbers(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - target).abs().mean()

    with pytest.raises(ConfigError, match="for_numbers is not a loss for classification"):
        Run.new(tmp_path / "run", experiment(data, loss={"type": "for_numbers"})).task()


def everything(task: Task) -> list[Any]:
    """All that a trial could leave changed."""
    generators = GeneratorStates.capture()
    return [
        *(tensor.clone() for tensor in task.model.state_dict().values()),
        generators.cpu.clone(),
        *(np.asarray(part).tolist() for part in generators.numpy[1:3]),
        generators.python,
        [parameter.grad for parameter in task.model.parameters()],
        [module.training for module in task.model.modules()],
        task.optimizer.state_dict()["state"],
    ]


def test_a_trial_leaves_no_trace(tmp_path: Path, data: Path) -> None:
    # Batch norm and dropout change buffers and generators.
    model = {"type": "cnn", "channels": [4], "dropout": 0.5}
    task = Run.new(tmp_path / "run", experiment(data, model=model)).task()
    assert has_own_code(task.experiment)
    task.model.eval()
    before = everything(task)
    try_step(task)
    assert same(everything(task), before)
    task.model.train()(next(task.batches.epoch(0))["input"])
    assert not same(everything(task), before), "the comparison sees a change"


def _vector(outputs: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, target, reduction="none")


def _missing(outputs: Tensor, batch: dict[str, Tensor]) -> Tensor:
    return batch["labels"].float().mean()


def _detached(outputs: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.detach(), target)


def _infinite(outputs: Tensor, target: Tensor) -> Tensor:
    return outputs.sum() / 0


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_vector, "loss wrong returned 10 of float32; it should return the mean"),
        (_missing, "KeyError: 'labels'; the outputs are 10x3 of float32; the batch has input "),
        (_detached, "the loss wrong does not depend on any weight that is trained"),
        (_infinite, "the loss wrong of the first batch is "),
    ],
)
def test_a_wrong_loss_is_found_with_its_line(
    tmp_path: Path, data: Path, function: Callable[..., Tensor], text: str
) -> None:
    loss("wrong")(function)
    task = Run.new(tmp_path / "run", experiment(data, loss={"type": "wrong"})).task()
    with pytest.raises(BadInput) as caught:
        try_step(task)
    place = f"{__file__}:{function.__code__.co_firstlineno}: "
    assert str(caught.value).startswith(place + text)


def test_a_metric_of_a_batch_is_refused(tmp_path: Path, data: Path) -> None:
    @metric("scalar", better="higher")
    def scalar(outputs: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return outputs.mean()

    chosen = experiment(data, training={"metrics": ["scalar"]})
    with pytest.raises(BadInput, match=r"metric scalar returned a number of .* mean of means"):
        try_step(Run.new(tmp_path / "run", chosen).task())


def test_names_are_taken_once_and_the_refusal_names_both_places() -> None:
    own = LOSS_FACTORIES["smoothed"]
    with pytest.raises(ValueError, match=r"loss 'smoothed' is registered by .*own_code.py:\d+"):
        loss("smoothed")(own)
    with pytest.raises(ValueError, match="loss 'focal' is built in"):
        loss("focal")(own)
    with pytest.raises(ValueError, match="metric 'accuracy' is built in"):
        metric("accuracy", better="higher")(own)
    with pytest.raises(ValueError, match=r"registered by .*own_code.py:\d+"):
        metric("top2", better="higher")(own)
    with pytest.raises(ValueError, match=r"no problem 'classificaton'.*did you mean"):
        metric("other", better="higher", problems=("classificaton",))(own)
    with pytest.raises(ValueError, match="is not a name"):
        metric("Other!", better="higher")(own)


def test_a_metric_may_take_the_targets_alone(tmp_path: Path, data: Path) -> None:
    @metric("hits", better="higher")
    def hits(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs.argmax(1) == target).float()

    chosen = experiment(data, training={"metrics": ["hits", "accuracy"]})
    run = Run.new(tmp_path / "run", chosen)
    try_step(run.task())
    test = run.start().test
    assert test is not None
    assert test["hits"] == pytest.approx(test["accuracy"])


class _Module(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return outputs.mean()


class _Wide:
    def __init__(self, width: int) -> None:
        self.width = width


def _keras(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return y_pred.mean()


def _swapped(target: Tensor, outputs: Tensor) -> Tensor:
    return outputs.mean()


@pytest.mark.parametrize(
    ("register", "made", "text"),
    [
        (loss("mine"), _Module, r"the loss 'mine' is a class; write a function: def "),
        (loss("mine"), _keras, r"begin with \(y_pred, y_true\); they must begin with \(outputs"),
        (loss("mine"), _swapped, r"begin with \(target, outputs\); they must begin with"),
        (model("mine"), _Module, r"takes \(\); its first parameter is signature, which says"),
        (metric("mine", better="lower"), len, r"'mine' is called with \(outputs, batch\), but"),
        (metric("mine", better="lower"), _Wide, r"'mine' is called with \(\), but takes \(width"),
    ],
)
def test_what_cannot_be_called_is_refused_where_it_is_registered(
    register: Callable[[Any], Any], made: Any, text: str
) -> None:
    with pytest.raises(TypeError, match=text):
        register(made)


def _live_model(signature: Any, width: int = setting(4, "units", live=True)) -> Any: ...


def _live_data(path: str, width: int = setting(4, "units", live=True)) -> Any: ...


class Answer:
    """As the models of Hugging Face's library return it."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


@pytest.mark.parametrize(
    "wrap", [lambda logits: {"logits": logits, "hidden": 1}, Answer], ids=["dict", "object"]
)
def test_a_model_may_return_its_logits_in_something(
    tmp_path: Path, data: Path, wrap: Callable[[Tensor], Any]
) -> None:
    class Net(nn.Module):
        def __init__(self, wraps: bool) -> None:
            super().__init__()
            self.inner = nn.Linear(16, 3)
            self.wraps = wraps

        def forward(self, inputs: Tensor) -> Any:
            logits = self.inner(inputs.flatten(1))
            return wrap(logits) if self.wraps else logits

    @model("wrapped")
    def wrapped(signature: Any, wraps: bool = True) -> nn.Module:
        return Net(wraps)

    runs = [
        Run.new(tmp_path / str(wraps), experiment(data, model={"type": "wrapped", "wraps": wraps}))
        for wraps in (True, False)
    ]
    assert [run.start().state for run in runs] == ["finished", "finished"]
    assert runs[0].lines() == runs[1].lines()


def test_settings_of_data_and_models_are_not_live() -> None:
    text = "the setting 'width' of the model 'wide' cannot be live; those of losses, transforms and"
    with pytest.raises(ValueError, match=text):
        model("wide")(_live_model)
    with pytest.raises(ValueError, match="'width' of the data set 'wide' cannot be live"):
        dataset("wide")(_live_data)


@pytest.mark.parametrize("decorator", [loss, model, dataset, recipe])
def test_a_decorator_without_a_name_is_refused(decorator: Any) -> None:
    with pytest.raises(TypeError, match=r"the name is missing.*\(\"NAME\"\)"):
        decorator(_keras)


def test_a_transform_is_exact_and_live(tmp_path: Path, data: Path) -> None:
    @transform("jitter")
    def jitter(
        batch: dict[str, Tensor],
        generator: torch.Generator,
        size: float = setting(0.5, "deviation", ge=0, live=True),
    ) -> dict[str, Tensor]:
        inputs = batch["input"]
        noise = torch.randn(inputs.shape, generator=generator)
        return {**batch, "input": inputs + size * noise}

    chosen = experiment(data, transform={"type": "jitter"})
    edit = Set(key="transform.size", value=2.0)
    whole = Run.new(tmp_path / "whole", chosen)
    assert whole.start(at_step(5, edit)).state == "finished"
    cut = Run.new(tmp_path / "cut", chosen)
    cut_at(cut, (4, 8), at_step(5, edit))
    assert cut.lines() == whole.lines()
    plain = Run.new(tmp_path / "plain", experiment(data))
    plain.start()
    assert plain.lines()[0] != whole.lines()[0]


def test_what_draws_from_numpy_or_python_is_the_same_for_a_seed(tmp_path: Path, data: Path) -> None:
    @transform("shaken")
    def shaken(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {**batch, "input": batch["input"] + np.random.randn() + random.random()}

    chosen = experiment(data, transform={"type": "shaken"})
    lines = []
    for number, name in enumerate(("one", "other", "cut")):
        # As a new process has them.
        np.random.seed(number)
        random.seed(number)
        run = Run.new(tmp_path / name, chosen)
        if name == "cut":
            cut_at(run, (3,))
        else:
            run.start()
        lines.append(run.lines())
    assert lines[0] == lines[1] == lines[2]


class Signs(torch.optim.Optimizer):
    """Steps by the signs of a running mean of the gradients (Bernstein et al., 2018)."""

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                mean = state.setdefault("mean", torch.zeros_like(parameter))
                mean.lerp_(parameter.grad, 1 - group["momentum"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(group["lr"] * mean.sign())


def test_an_optimizer_is_exact_and_its_learning_rate_live(tmp_path: Path, data: Path) -> None:
    @optimizer("signs")
    def signs(groups: Any, lr: float, momentum: float = setting(0.9, "of the mean", ge=0)) -> Any:
        return Signs(groups, lr, momentum)

    chosen = experiment(
        data,
        optimizer={
            "type": "signs",
            "lr": 0.01,
            "weight_decay": 0.1,
            "momentum": 0.5,
            "groups": [{"match": "head", "lr": 0.02, "freeze_until": 6}],
        },
    )
    assert has_own_code(chosen)
    edit = Set(key="optimizer.lr", value=0.002)
    whole = Run.new(tmp_path / "whole", chosen)
    assert whole.start(at_step(5, edit)).state == "finished"
    assert whole.task().optimizer.param_groups[0]["momentum"] == 0.5
    for step in (4, 8):
        cut = Run.new(tmp_path / f"cut{step}", chosen)
        cut.start(both(at_step(5, edit), at_step(step, Stop())))
        cut.resume(at_step(5, edit) if step == 4 else lambda event: ())
        assert cut.lines() == whole.lines()
        assert same(cut.final(), whole.final())
    plain = Run.new(tmp_path / "plain", chosen)
    plain.start()
    assert plain.lines()[5:] != whole.lines()[5:]


def test_a_schedule_is_the_same_after_a_resume(tmp_path: Path, data: Path) -> None:
    @schedule("steps")
    def steps(step: int, total: int, fall: float = 0.5) -> float:
        return fall if 2 * step >= total else 1.0

    chosen = experiment(
        data,
        optimizer={"type": "sgd", "lr": 0.1},
        schedule={"type": "steps", "fall": 0.25, "warmup_steps": 2},
        early_stopping={"patience": None},
    )
    assert has_own_code(chosen)
    whole, cut = (Run.new(tmp_path / name, chosen) for name in ("whole", "cut"))
    whole.start()
    rates = [line["lr"] for line in whole.lines()]
    assert rates == pytest.approx([0.05] + [0.1] * 5 + [0.025] * 6)
    cut.start(at_step(7, Stop()))
    cut.resume()
    assert cut.lines() == whole.lines()
    limits = {"epochs": None, "max_steps": None, "max_seconds": 9.0}
    with pytest.raises(ConfigError, match="steps needs to know the number of steps"):
        experiment(data, schedule={"type": "steps"}, training=limits)


def test_a_wrong_schedule_is_found_with_its_line(tmp_path: Path, data: Path) -> None:
    @schedule("wrong")
    def wrong(step: int, total: int, kind: str = "error") -> float:
        return [1.0][step] if kind == "error" else -1.0

    for kind, text in (
        ("error", r"IndexError: list index .*in schedule wrong, step 11\)"),
        ("sign", "schedule wrong is -1.0 at step 0; a factor is a number from 0"),
    ):
        chosen = experiment(data, schedule={"type": "wrong", "kind": kind})
        with pytest.raises(BadInput, match=f"test_own_code.py:.*{text}"):
            try_step(Run.new(tmp_path / kind, chosen).task())
    with pytest.raises(TypeError, match=r"begin with \(outputs\); they must begin with"):
        schedule("other")(_vector)


def _own_groups(groups: Any, lr: float) -> Any:
    return torch.optim.SGD([one for group in groups for one in group["params"]], lr=lr)


def _failing(groups: Any, lr: float) -> Any:
    return groups["all"]


def _nothing(groups: Any, lr: float) -> Any:
    return None


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_own_groups, "optimizer mine has other groups of parameters than it was given"),
        (_failing, "TypeError: list indices must be integers"),
        (_nothing, "optimizer mine is a NoneType, not a torch.optim.Optimizer"),
    ],
)
def test_a_wrong_optimizer_is_refused_with_its_line(
    tmp_path: Path, data: Path, function: Any, text: str
) -> None:
    optimizer("mine")(function)
    with pytest.raises(BadInput, match=f"test_own_code.py:.*{text}"):
        Run.new(tmp_path / "run", experiment(data, optimizer={"type": "mine"})).task()
    with pytest.raises(TypeError, match=r"begin with \(outputs, target\); they must begin"):
        optimizer("other")(_vector)


def test_an_optimizer_that_fails_is_found_before_the_run(tmp_path: Path, data: Path) -> None:
    class Misnamed(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step()
            return self.param_groups[0]["rate"]

    @optimizer("misnamed")
    def misnamed(groups: Any, lr: float) -> Any:
        return Misnamed(groups, lr=lr, momentum=0.9)

    task = Run.new(tmp_path / "run", experiment(data, optimizer={"type": "misnamed"})).task()
    before = everything(task)
    with pytest.raises(BadInput, match=r"test_own_code.py:\d+: KeyError: 'rate'"):
        try_step(task)
    assert same(before, everything(task)), "not even the steps of the optimizer"


def test_a_transform_that_loses_samples_is_refused(tmp_path: Path, data: Path) -> None:
    @transform("half")
    def half(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value[::2] for name, value in batch.items()}

    task = Run.new(tmp_path / "run", experiment(data, transform={"type": "half"})).task()
    with pytest.raises(BadInput, match="transform half returned input, target; it should return"):
        try_step(task)
