"""Checks of a task while it is built: what it would fail or mislead on later.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.metrics import extras_of, why_no_metric
from tui_trainer.config.sections.recipes import SUPERVISED
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Batches
from tui_trainer.problems.class_metrics import MEANS
from tui_trainer.problems.own_metrics import totals_of
from tui_trainer.runs.limits import horizon
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.training.advice import against_batches_of_one
from tui_trainer.training.few_rows import check_measured, uncertainty_notes
from tui_trainer.training.metrics import why_undefined
from tui_trainer.training.parameter_groups import summarize_groups


def check_measurable(experiment: Experiment, dataset: Dataset, *, is_new: bool) -> Dataset:
    """Return the data with notes on what can be measured on them.

    Raises:
        ConfigError: nothing can be learned from them, or a metric does not fit them.
    """
    check_measured(experiment, dataset)
    supervised = experiment.recipe.type == SUPERVISED
    if dataset.problem == "none" and supervised and not experiment.loss_is_of_model:
        message = (
            "is none, so only a recipe can learn from the data, or a model that computes its own "
            "loss: recipe=NAME or loss=model"
        )
        raise ConfigError([Problem(message, "problem.type")])
    notes = uncertainty_notes(dataset) if is_new else []
    notes += _check_metrics(experiment, dataset, is_new=is_new)
    return replace(dataset, notes=(*dataset.notes, *notes))


def _check_metrics(experiment: Experiment, dataset: Dataset, *, is_new: bool) -> list[str]:
    """Return notes on metrics that are not what their names promise on the validation split.

    Raises:
        ConfigError: a metric does not fit the data, or the monitored metric of a new run cannot be
            computed. A checkpoint of an older run goes on all the same.
    """
    monitored = experiment.checkpoint.monitor
    asked = [("checkpoint.monitor", monitored)]
    asked += [("training.metrics", name) for name in experiment.training.metrics]
    reasons = [(key, why_no_metric(name, dataset.problem, dataset.outputs)) for key, name in asked]
    if any(reason for _, reason in reasons):
        doubt = f"; {dataset.doubt}" if dataset.doubt else ""
        raise ConfigError([Problem(reason + doubt, key) for key, reason in reasons if reason])
    extras = extras_of(dataset.problem, experiment.training.metrics, monitored)
    if extras:
        # Takes a second to import; if torchmetrics is missing, fail now and not after an epoch.
        totals_of(dataset.info, torch.device("cpu"), extras)
    notes: list[str] = []
    if not len(dataset.val):
        return notes
    for name in (*PROBLEMS[dataset.problem].metrics, *extras):
        why = why_undefined(name, dataset)
        if why and name == monitored and is_new:
            message = (
                f"{name} cannot be computed on the validation split: {why}; monitor another "
                f"metric, such as loss, or have other {dataset.noun}s for validation: change "
                "dataset.val_fraction or dataset.split_seed"
            )
            raise ConfigError([Problem(message, "checkpoint.monitor")])
        if why:
            notes.append(f"{name} is not computed on the validation split: {why}")
    there = sum(count > 0 for count in dataset.val_counts)
    means = [name for name in extras if name in MEANS] if dataset.info.positive is None else []
    if means and 0 < there < dataset.outputs:
        notes.append(
            f"{', '.join(means)}: in validation the mean over the {there} of {dataset.outputs} "
            f"classes that have a {dataset.noun} there"
        )
    return notes


def check_batches(experiment: Experiment, batches: Batches, dataset: Dataset) -> None:
    if batches.per_epoch == 0:
        raise BadInput(
            f"training.batch_size {experiment.training.batch_size} is more than the "
            f"{len(dataset.train)} training samples, and training.drop_last leaves no batch; "
            "make it smaller or set training.drop_last=false"
        )


def check_norm(experiment: Experiment, model: nn.Module, batches: Batches) -> None:
    """Refuse batch norm over features if a batch has one sample, on which it would fail later."""
    flat = any(isinstance(module, nn.BatchNorm1d) for module in model.modules())
    if flat and any(batches.size(index) == 1 for index in (0, batches.per_epoch - 1)):
        raise BadInput(
            f"batch norm needs two samples in a batch, and training.batch_size "
            f"{experiment.training.batch_size} leaves a batch of one; "
            f"{against_batches_of_one(experiment)}"
        )


def notes_on_length(
    experiment: Experiment, model: nn.Module, steps_per_epoch: int
) -> Iterator[str]:
    """Yield notes on warm-ups that the run is too short for, and on groups that it never trains."""
    total_steps = horizon(experiment, steps_per_epoch)
    if total_steps is None:
        return
    end = f"the run ends at step {total_steps:,}"
    for key, schedule, start in _schedules(experiment):
        warmup_steps = getattr(schedule, "warmup_steps", 0)
        if start < total_steps < start + warmup_steps:
            since = f" from step {start + 1:,}" if start else ""
            yield (
                f"the warm-up lasts longer than the run: {key}.warmup_steps is "
                f"{warmup_steps:,}{since}, and {end}"
            )
    for group in summarize_groups(experiment.optimizer, model):
        if not group.is_frozen and group.first_step > total_steps:
            yield f"{group.match} is never trained: freeze_until is {group.first_step:,}, and {end}"


def _schedules(experiment: Experiment) -> Iterator[tuple[str, TypedSection, int]]:
    """Yield each schedule with its key, and the number of steps before the first that it is for."""
    yield "schedule", experiment.schedule, 0
    for number, group in enumerate(experiment.optimizer.groups):
        if group.schedule is not None and not group.freeze:
            yield f"optimizer.groups.{number}.schedule", group.schedule, group.first_step - 1
