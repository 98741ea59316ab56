"""`training.cuda_graphs`: all of a recorded step but the recording itself, which needs a GPU.

In the place of a graph stands the work itself, done again at each replay. It reads and writes the
same tensors as a graph, so whatever is not in its place, or undone too late, shows in the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, optim

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import RunStarted
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.average import Average
from tui_trainer.training.failures import known
from tui_trainer.training.graph_capture import CaptureFailed, Work
from tui_trainer.training.graphed_step import GraphedStep, form_to_record
from tui_trainer.training.optimizers import retune
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.progress import Progress
from tui_trainer.training.state import State
from tui_trainer.training.step_checks import check_graphs
from tui_trainer.training.supervised_step import SupervisedStep
from tui_trainer.training.task import Task

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
PLAIN = {"grad_accumulation": 1}
CNN = {"type": "cnn", "channels": [4, 4], "dropout": 0.2}
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {"adamw": optim.AdamW, "sgd": optim.SGD}


class Again:
    """A capture that rehearses as on a GPU, and whose replay is the work itself."""

    def __init__(self, *, fails: bool = False) -> None:
        self.is_recording = False
        self.recorded = 0
        self.finished = 0
        self._fails = fails

    def rehearse(self, work: Work) -> None:
        for _ in range(3):
            work()

    def record(self, work: Work) -> Work:
        if self._fails:
            raise CaptureFailed("operation not permitted when stream is capturing")
        self.recorded += 1
        return work

    def finish(self) -> None:
        self.finished += 1


@dataclass
class Driven:
    """Steps of a task, taken one after the other on an optimizer of torch."""

    task: Task
    capture: Again | None = None
    numbers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """The loss and the norm of each step, read only at the end, as a run does."""

    def __post_init__(self) -> None:
        task = self.task
        experiment = task.experiment
        kind = OPTIMIZERS[experiment.optimizer.type]
        # Without the rates of the task, which are set for each step.
        optimizer = kind([{**group} for group in task.optimizer.param_groups], lr=0.0, fused=True)
        average = Average(task.model, 0.9)
        self.state = State(task.model, optimizer, CPU, average=average)
        self.settings = LiveSettings(experiment, task.steps_per_epoch, Progress())
        assert task.criterion is not None
        parts = (task.forward, task.criterion, self.state, self.settings)
        self.step = (
            SupervisedStep(*parts)
            if self.capture is None
            else GraphedStep(*parts, capture=self.capture, full_size=task.batches.size(0))
        )

    def edit(self, key: str, value: Any) -> None:
        self.settings.change(edited(self.settings.experiment, key, value))
        retune(self.state.optimizer, self.settings.experiment.optimizer)

    def epoch(self, number: int) -> None:
        """Take the steps of an epoch, at rates that float32 holds exactly."""
        self.task.model.train()
        for place, batch in enumerate(self.task.batches.epoch(number)):
            rate = (1 + place) * 2.0**-9
            step = number * self.task.batches.per_epoch + place + 1
            taken = self.step.take(step, [batch], [1.0], None, partial(float, rate))
            assert taken.lr == rate
            self.numbers.append((taken.loss, taken.grad_norm))

    def weights(self) -> dict[str, Tensor]:
        snapshot = self.state.snapshot()
        assert snapshot.ema is not None
        return {**snapshot.model, **{f"mean of {k}": v for k, v in snapshot.ema.items()}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def experiment_of(data: Path, *, optimizer: str = "adamw", **training: Any) -> Experiment:
    section: dict[str, Any] = {"type": optimizer, "lr": 0.01, "weight_decay": 0.01}
    if optimizer == "sgd":
        section["momentum"] = 0.9
    return small_experiment(data, model=CNN, optimizer=section, training={**PLAIN, **training})


def driven(folder: Path, experiment: Experiment, capture: Again | None = None) -> Driven:
    return Driven(Run.new(folder, experiment).task(), capture)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_recorded_step_has_the_bits_of_an_eager_one(
    tmp_path: Path, data: Path, optimizer: str
) -> None:
    experiment = experiment_of(data, optimizer=optimizer)
    capture = Again()
    eager = driven(tmp_path / "eager", experiment)
    graphed = driven(tmp_path / "graphed", experiment, capture)
    for taken in (eager, graphed):
        torch.manual_seed(3)
        taken.epoch(0)
        # Not in the graph, so it stays.
        taken.edit("optimizer.lr", 0.02)
        taken.epoch(1)
    assert capture.recorded == 1
    for taken in (eager, graphed):
        torch.manual_seed(4)
        # Numbers of the graph, so each makes another one.
        taken.edit("optimizer.weight_decay", 0.1)
        taken.epoch(2)
        taken.edit("training.grad_clip_norm", 0.1)
        taken.epoch(3)
    assert capture.recorded == 3
    assert same(graphed.numbers, eager.numbers)
    assert same(graphed.weights(), eager.weights())
    one, other = (taken.state.snapshot().optimizer for taken in (eager, graphed))
    assert same(one["state"], other["state"])
    # The checkpoint has the rate as a number, whatever the graph reads.
    assert one["param_groups"][0]["lr"] == other["param_groups"][0]["lr"]


def test_graphs_are_freed_and_recorded_again_where_tensors_are_others(
    tmp_path: Path, data: Path
) -> None:
    capture = Again()
    taken = driven(tmp_path, experiment_of(data), capture)
    assert isinstance(taken.step, GraphedStep)
    taken.epoch(0)
    # As a pause does that gives memory back.
    for let_go in taken.state.on_offload:
        let_go()
    assert not taken.step.graphs
    assert capture.finished == 1
    taken.epoch(1)
    assert capture.recorded == 2
    taken.state.freeze_groups(frozenset())
    taken.epoch(2)
    assert capture.recorded == 3
    assert capture.finished == 2


def test_a_step_that_cannot_be_recorded_changes_nothing_and_says_what_to_do(
    tmp_path: Path, data: Path
) -> None:
    taken = driven(tmp_path, experiment_of(data), Again(fails=True))
    torch.manual_seed(3)
    before, generator = taken.weights(), torch.get_rng_state()
    with pytest.raises(CaptureFailed) as failure:
        taken.epoch(0)
    assert same(taken.weights(), before)
    assert torch.get_rng_state().equal(generator)
    assert not taken.step.is_updating
    fault = known(failure.value, taken.task)
    assert fault is not None
    assert "operation not permitted" in fault.what
    assert "training.cuda_graphs=false" in fault.advice
    assert not fault.device_is_lost


def test_full_batches_on_the_device_are_worth_a_graph() -> None:
    batch = {"input": torch.zeros(8, 3), "target": torch.zeros(8, dtype=torch.int64)}
    form = form_to_record([batch], 8)
    assert form is not None
    wide = {**batch, "input": torch.zeros(8, 4)}
    assert form_to_record([wide], 8) not in (None, form)
    assert form_to_record([{**batch, "input": torch.ones(8, 3)}], 8) == form
    # The last one of an epoch, several in a step, and sequences of different length are not.
    assert form_to_record([batch], 10) is None
    assert form_to_record([batch, batch], 8) is None
    assert form_to_record([{**batch, "lengths": torch.full((8,), 3)}], 8) is None


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"training": {"grad_accumulation": 2}}, "several micro-batches per step"),
        ({"training": {**PLAIN, "compile": True}}, "what torch compiles"),
        ({"training": {**PLAIN, "arithmetic": "plain"}}, "the bits of torch's default loop"),
        ({"training": {**PLAIN, "precision": "fp16"}}, "the loss scaler of fp16"),
        ({"training": {**PLAIN, "gradient_checkpointing": True}}, "gradient checkpointing"),
        ({"optimizer": {"type": "rmsprop"}}, "an optimizer other than sgd, adam and adamw"),
    ],
)
def test_it_refuses_what_it_cannot_record(data: Path, changes: Any, blamed: str) -> None:
    training = {**PLAIN, **changes.get("training", {}), "cuda_graphs": True}
    experiment = small_experiment(data, **{**changes, "training": training})
    with pytest.raises(ConfigError, match=f"training.cuda_graphs: cannot record {blamed}"):
        check_graphs(experiment, torch.nn.Linear(1, 1), CUDA, stateful=False, is_new=True)


def test_a_new_run_on_the_cpu_is_refused(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path, experiment_of(data, cuda_graphs=True))
    with pytest.raises(ConfigError, match=r"training.cuda_graphs: is for GPUs, .* cpu; set false"):
        run.task()


def test_a_run_goes_on_without_on_a_cpu_and_its_checkpoints_say_so(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path, experiment_of(data))
    run.start(at_step(3, Stop()))
    assert run.final()["origin"]["cuda_graphs"] is False
    run.experiment = experiment_of(data, cuda_graphs=True)
    run.directory.config.write_text(to_yaml(run.experiment.to_dict()))
    assert run.resume().state == "finished"
    *_, started = (event for event in run.events if isinstance(event, RunStarted))
    assert "not bitwise: cuda_graphs was False, is True" in started.notes
    assert run.final()["origin"]["cuda_graphs"] is True
