"""`build`: puts data, model, loss and optimizer together into a `Task`.

Layer: training. The only place that looks up implementations in the registries; training,
evaluation and the preview all start here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import nn, optim

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.metrics import Direction, directions_of, extras_of
from tui_trainer.config.sections.problems import ProblemSection
from tui_trainer.config.sections.recipes import SUPERVISED
from tui_trainer.config.sections.transforms import NO_TRANSFORM
from tui_trainer.config.tree import placed_problems
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.in_turn import combine_augments
from tui_trainer.data.base.random import derive_seed, seed_all
from tui_trainer.data.base.split import Order
from tui_trainer.data.base.to_device import DeviceBatches
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.feed import DataFeed
from tui_trainer.data.load import load
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.models.build import build_model, subject_of
from tui_trainer.models.inputs import sees_padding, unread_fields
from tui_trainer.problems.batch import MASK, lengths_of
from tui_trainer.runs.events import Stage, Topic
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.training.advice import with_text_read
from tui_trainer.training.forward import Forward
from tui_trainer.training.frozen_layers import freeze
from tui_trainer.training.losses import Criterion, build_criterion
from tui_trainer.training.optimizers import AnyOptimizer, build_optimizer, set_part_factors
from tui_trainer.training.own_recipe import OwnRecipe, check_settings
from tui_trainer.training.own_transform import OwnTransform
from tui_trainer.training.parameter_groups import check_trains
from tui_trainer.training.preparation import read_weights, recompute_blocks, take_weights
from tui_trainer.training.ranks import Ranks
from tui_trainer.training.step_checks import check_graphs
from tui_trainer.training.task_checks import (
    check_batches,
    check_measurable,
    check_norm,
    notes_on_length,
)


@dataclass(frozen=True, slots=True)
class Task:
    """Everything needed to train, on its device; the loop decides what happens when."""

    experiment: Experiment
    device: torch.device
    ranks: Ranks
    dataset: Dataset
    batches: DeviceBatches
    model: nn.Module
    forward: Forward
    criterion: Criterion | None
    """None if a recipe has losses of its own."""
    recipe: OwnRecipe | None
    transform: OwnTransform | None
    optimizer: AnyOptimizer
    feed: DataFeed

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; a last, smaller group of micro-batches counts as one."""
        return -(-self.batches.per_epoch // self.experiment.training.grad_accumulation)

    @property
    def eval_batch_size(self) -> int:
        training = self.experiment.training
        return training.eval_batch_size or 4 * training.batch_size

    @property
    def extras(self) -> tuple[str, ...]:
        """The metrics to compute in addition to the usual ones of the problem."""
        experiment = self.experiment
        return extras_of(
            self.dataset.problem, experiment.training.metrics, experiment.checkpoint.monitor
        )

    @property
    def directions(self) -> dict[str, Direction]:
        """The direction in which each metric is better."""
        own = {} if self.recipe is None else self.recipe.better
        return directions_of(self.dataset.problem, self.extras) | own


class StageReport(Protocol):
    """Is told how far the building of a task is; `sessions.startup.Startup` is one."""

    def enter(self, stage: Stage) -> None: ...

    def tell(self, topic: Topic, text: str) -> None: ...


class NoReport:
    """For a task without an audience: drops the reports."""

    def enter(self, stage: Stage) -> None:
        return

    def tell(self, topic: Topic, text: str) -> None:
        return


ReadData = Callable[
    [DatasetSection, dict[str, Any] | None, ProblemSection, SplitRecord | None], Dataset
]
"""Reads the data, as `load` does."""


def build(
    experiment: Experiment,
    ranks: Ranks,
    device: torch.device,
    fitted: dict[str, Any] | None = None,
    report: StageReport | None = None,
    *,
    record: SplitRecord | None = None,
    read: ReadData = load,
) -> Task:
    """Load the data and build the model, seeded by `training.seed`.

    Seeds torch's global generator, from which the weights and later dropout are drawn. `fitted` is
    the preprocessing of a checkpoint, used instead of fitting it to the data again, and `record`
    the split of its run. The caller then loads the weights of that checkpoint, and
    `training.init_from` is not read.

    Raises:
        BadInput: the data cannot be read, or data and model do not fit each other.
    """
    report, is_new = report or NoReport(), fitted is None
    with placed_problems(experiment.places):
        report.enter("read the data")
        dataset = read(experiment.dataset, fitted, experiment.asked_problem, record)
        dataset = check_measurable(experiment, dataset, is_new=is_new)
        report.tell("data", _sizes(dataset))
        report.enter("build the model")
        return _build_on(dataset, experiment, ranks, device, is_new=is_new)


def _build_on(
    dataset: Dataset, experiment: Experiment, ranks: Ranks, device: torch.device, *, is_new: bool
) -> Task:
    """Build the model and all that trains it for data that were read."""
    model, weight_notes = _model(experiment, dataset, is_new=is_new)
    dataset = replace(dataset, notes=(*dataset.notes, *weight_notes))
    # In our own text datasets each row continues from batch to batch; the samples of a plugin are
    # independent of each other. A model that computes its own loss needs the targets, which
    # `advance` is not given.
    stateful = isinstance(dataset.train, TextSplit) and hasattr(model, "advance")
    stateful = stateful and not experiment.loss_is_of_model
    if experiment.training.gradient_checkpointing:
        recompute_blocks(model, stateful=stateful)
    feed = DataFeed(experiment.loader, device, experiment.training.seed)
    transform = _transform(experiment)
    placed = _transformed(feed.prepare(dataset), transform)
    batches = _batches(experiment, placed, feed, ranks, device, stateful=stateful)
    check_batches(experiment, batches, dataset)
    check_norm(experiment, model, batches)
    # Before the recipe and the optimizer, which keep the tensors that they are given.
    model.to(device)
    recipe, criterion = _recipe(experiment, dataset, model, device), None
    forward = _forward(experiment, model, dataset, stateful=stateful)
    if recipe is None:
        placed = replace(placed, notes=(*placed.notes, *_notes_on_fields(placed, forward)))
        own_model = subject_of(model, experiment.model.type)
        criterion = build_criterion(experiment.loss, dataset, device, own_model)
        check_graphs(experiment, model, device, stateful=stateful, is_new=is_new)
    task = Task(
        experiment,
        device,
        ranks,
        placed,
        batches,
        model,
        forward,
        criterion,
        recipe,
        transform,
        _optimizer(experiment, model, recipe),
        feed,
    )
    if not is_new:
        return task
    notes = notes_on_length(experiment, model, task.steps_per_epoch)
    return replace(task, dataset=replace(placed, notes=(*placed.notes, *notes)))


def _transformed(dataset: Dataset, transform: OwnTransform | None) -> Dataset:
    """Return the data with a transform of their batches, after their own augmentation."""
    if transform is None:
        return dataset
    augments = [augment for augment in (dataset.augment, transform) if augment is not None]
    return replace(dataset, augment=combine_augments(augments))


def _transform(experiment: Experiment) -> OwnTransform | None:
    if experiment.transform.type == NO_TRANSFORM:
        return None
    return OwnTransform(experiment.transform)


def _recipe(
    experiment: Experiment, dataset: Dataset, model: nn.Module, device: torch.device
) -> OwnRecipe | None:
    """Return the recipe for a model that is on its device; None for the supervised step."""
    if experiment.recipe.type == SUPERVISED:
        return None
    recipe = OwnRecipe(experiment.recipe, dataset.info, model, device)
    check_settings(recipe, experiment.training, experiment.optimizer.type)
    return recipe


def _optimizer(experiment: Experiment, model: nn.Module, recipe: OwnRecipe | None) -> AnyOptimizer:
    """Build the optimizer, with groups of its own for each part that a recipe updates."""
    parts = recipe.parts if recipe is not None and recipe.takes_steps else None
    arithmetic = experiment.training.arithmetic
    optimizer = build_optimizer(experiment.optimizer, model, parts, arithmetic)
    if recipe is not None and parts is not None:
        set_part_factors(optimizer, recipe.lr_factors())
    check_trains(experiment, optimizer.param_groups)
    return optimizer


def _model(
    experiment: Experiment, dataset: Dataset, *, is_new: bool
) -> tuple[nn.Module, list[str]]:
    """Return the model on the CPU, and a note on the weights that it takes over if it is new."""
    training, notes = experiment.training, []
    seed = derive_seed(training.seed, "model")
    # The weights are drawn on the CPU, so that those of a seed are the same on any device.
    torch.manual_seed(seed)
    # numpy and Python too: code of plugins may draw from them.
    seed_all(seed)
    try:
        # A recipe may call the model with something else than the inputs.
        checks = dataset.problem != "none"
        model = build_model(experiment.model, dataset.signature, checks_outputs=checks)
    except ConfigError as error:
        raise with_text_read(error, experiment, dataset) from error
    if training.init_from and is_new:
        weights, source = read_weights(training.init_from)
        notes = [take_weights(model, weights, training.init_skip, source)]
    elif training.init_skip and is_new:
        notes = [
            "training.init_skip has no effect: name what to take weights from (training.init_from)"
        ]
    freeze(model, training.freeze, experiment.optimizer.groups)
    return model, notes


def _forward(
    experiment: Experiment, model: nn.Module, dataset: Dataset, *, stateful: bool
) -> Forward:
    training = experiment.training
    if training.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Forward(
        model,
        fields=dataset.info.names,
        stateful=stateful,
        precision=training.precision,
        channels_last=training.channels_last,
        compiled=training.compile is True,
        is_called=dataset.problem != "none" or experiment.loss_is_of_model,
        with_loss=experiment.loss_is_of_model,
    )


def _notes_on_fields(dataset: Dataset, forward: Forward) -> list[str]:
    """Return notes on fields that the model does not read, or whose padding it takes for data."""
    info = dataset.info
    notes = []
    if unread := unread_fields(forward.arguments, info.names):
        notes.append(f"the model does not read {', '.join(unread)}")
    train = dataset.train
    may_be_padded = not isinstance(train, TensorSplit) or train.lengths is not None
    if info.signature.causal or not may_be_padded:
        return notes
    for field in info.all_fields:
        is_read = field.name not in unread
        if field.has_length and is_read and not sees_padding(forward.arguments, field.name):
            notes.append(
                f"the padding of {field.name} counts as data: forward has no parameter "
                f"{lengths_of(field.name)} or {field.name}_{MASK}"
            )
    return notes


def _sizes(dataset: Dataset) -> str:
    train, val, test = len(dataset.train), len(dataset.val), len(dataset.test)
    sizes = f"{train:,} samples to train on, {val:,} to validate, {test:,} to test"
    return "; ".join(filter(None, (sizes, dataset.split_summary)))


def _batches(
    experiment: Experiment,
    data: Dataset,
    feed: DataFeed,
    ranks: Ranks,
    device: torch.device,
    *,
    stateful: bool,
) -> DeviceBatches:
    training = experiment.training
    if training.group_by_length and getattr(data.train, "lengths", None) is None:
        message = (
            "is for texts and sequences of different lengths that are known, and not for these"
        )
        raise ConfigError([Problem(message, "training.group_by_length")])
    order = Order(
        training.batch_size,
        training.seed,
        drop_last=training.drop_last,
        group_by_length=training.group_by_length,
        rank=ranks.rank,
        world=ranks.world,
        stateful=stateful,
    )
    source = feed.batches(data.train, order)
    return DeviceBatches(source, device, data.augment, seed=training.seed, rank=ranks.rank)


def warm_up() -> None:
    """Take a step with a throw-away optimizer of torch, if there is a GPU.

    The first one in a process imports torch's compiler, for a second. On the CPU, the optimizers of
    this program do without. Draws no random numbers.
    """
    if not torch.cuda.is_available():
        return
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = optim.AdamW([parameter], fused=True)
    parameter.grad = torch.zeros(1)
    optimizer.step()
