"""`try_step`: takes a step with the user's own code before a run begins, and undoes it.

Layer: training. What is wrong with a model, a loss or a metric of a plugin shows before there is
anything that a failed run could lose. Afterwards weights, buffers and generators are as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import (
    DATASET_FACTORIES,
    LOSS_FACTORIES,
    MODEL_FACTORIES,
    OPTIMIZER_FACTORIES,
    OWN_METRICS,
    PROBLEM_CLASSES,
    RECIPE_FACTORIES,
    SCHEDULE_FACTORIES,
    TRANSFORM_FACTORIES,
)
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.schedules import factor
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.config.user_code import describe_error_near, place_of, place_of_users
from tui_trainer.data.base.random import GeneratorStates, seeded
from tui_trainer.data.base.split import BatchLost, Split
from tui_trainer.data.base.to_device import placed_on
from tui_trainer.data.batches.iterated import IteratedSplit
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.read_rows import ReadSplit
from tui_trainer.models.outputs import logits_of
from tui_trainer.problems.batch import TARGET, Batch, describe
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.own_metrics import totals_of
from tui_trainer.runs.limits import horizon
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem, TrainerError
from tui_trainer.training.measurement import recipe_numbers
from tui_trainer.training.optimizers import build_optimizer
from tui_trainer.training.own_recipe import OwnRecipe
from tui_trainer.training.previews import check_preview
from tui_trainer.training.recipe_step import in_precision
from tui_trainer.training.step_context import StepContext
from tui_trainer.training.task import Task


def has_own_code(experiment: Experiment) -> bool:
    """Whether data, problem, model, recipe, loss or a metric of an experiment is of a plugin."""
    metrics = {*experiment.training.metrics, experiment.checkpoint.monitor}
    return (
        experiment.dataset.type in DATASET_FACTORIES
        or experiment.model.type in MODEL_FACTORIES
        or experiment.loss.type in LOSS_FACTORIES
        or experiment.problem.type in PROBLEM_CLASSES
        or experiment.optimizer.type in OPTIMIZER_FACTORIES
        or experiment.recipe.type in RECIPE_FACTORIES
        or any(schedule.type in SCHEDULE_FACTORIES for schedule in _schedules(experiment))
        or experiment.transform.type in TRANSFORM_FACTORIES
        or bool(metrics & OWN_METRICS.keys())
    )


def try_step(task: Task) -> None:
    """Compute loss, gradients and metrics of a batch; nothing of the task is changed.

    Raises:
        BadInput: the user's code fails, or returns what cannot be trained on; names its line.
    """
    _try_schedule(task)
    batch = _a_batch(task)
    if batch is None:
        return
    with _restored(task):
        if task.recipe is None:
            _train(task, batch)
        else:
            try_recipe(task, task.recipe, batch)
        _measure(task, batch)
        _update(task)


def _try_schedule(task: Task) -> None:
    """Compute the factors of the first and the last step, if it is known which that is."""
    last = horizon(task.experiment, task.steps_per_epoch)
    for schedule in _schedules(task.experiment):
        for step in {0, (last or 1) - 1}:
            if schedule.type in SCHEDULE_FACTORIES:
                factor(schedule, step, last)


def _schedules(experiment: Experiment) -> list[TypedSection]:
    """Return the schedule of a run, and those of groups of parameters."""
    own = [group.schedule for group in experiment.optimizer.groups]
    return [experiment.schedule, *(schedule for schedule in own if schedule is not None)]


def _a_batch(task: Task) -> Batch | None:
    """Return a batch on the device, read in this process; None if there is none to be had."""
    data, training = task.dataset, task.experiment.training
    # What comes in an order of its own cannot be put back.
    splits = [data.train] if not isinstance(data.train, IteratedSplit) else [data.val, data.test]
    split: Split | None = next((one for one in splits if len(one)), None)
    if split is None:
        return None
    if isinstance(split, MapSplit | ReadSplit):
        # Its workers would take longer to start than this takes.
        split = replace(split, pool=None)
    try:
        first = next(split.in_order(min(training.batch_size, len(split))))
    except BatchLost as error:
        raise BadInput(str(error)) from error
    batch = placed_on(task.device, first, split)
    if data.augment is None:
        return batch
    place = _place_of_model(task) if task.transform is None else task.transform.place
    with _blamed(place):
        return data.augment(batch, seeded(task.device, training.seed, "trial"))


@contextmanager
def _restored(task: Task) -> Iterator[None]:
    """Put weights, buffers, generators and the mode of the model back as they were."""
    model, generators = task.model, GeneratorStates.capture(task.device)
    kept = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(kept)
        for module, was_training in modes:
            module.training = was_training
        generators.restore(task.device)


def _train(task: Task, batch: Batch) -> None:
    task.model.train()
    outputs = _outputs(task, batch)
    loss = _loss(task, outputs, batch)
    place = _place_of_loss(task)
    name = f"loss {task.experiment.loss.type}"
    check_loss(loss, f"{place}: the {name}", batch)
    with _blamed(place):
        loss.backward()  # type: ignore[no-untyped-call]


def _update(task: Task) -> None:
    """Let an optimizer of the user's take a step with the gradients that are there.

    It is a second one, so that the first step of the run is that of a new optimizer.
    """
    section = task.experiment.optimizer
    if section.type not in OPTIMIZER_FACTORIES:
        return
    recipe = task.recipe
    parts = recipe.parts if recipe is not None and recipe.takes_steps else None
    optimizer = build_optimizer(section, task.model, parts)
    with _blamed(place_of_users(type(optimizer).step, OPTIMIZER_FACTORIES[section.type])):
        optimizer.step()


def check_loss(loss: Tensor, subject: str, batch: Batch) -> None:
    """Raise BadInput for a loss that nothing can be learned from."""
    if not loss.requires_grad:
        raise BadInput(
            f"{subject} does not depend on any weight that is trained: is it detached, computed "
            "under no_grad, or is every layer frozen?"
        )
    if not loss.isfinite():
        broken = [
            name
            for name, field in batch.items()
            if field.is_floating_point() and not field.isfinite().all()
        ]
        cause = f"; in {' and '.join(broken)} there are values that are not finite"
        raise BadInput(
            f"{subject} of the first batch is {loss.item()}, before any step; {_described(batch)}"
            f"{cause if broken else ''}"
        )


def try_recipe(task: Task, recipe: OwnRecipe, batch: Batch) -> None:
    """Let a recipe compute its losses, measure, predict and preview, without updating anything."""
    model, training = task.model.train(), task.experiment.training
    recipe.check_factors()
    updated: list[str] = []

    def update(part: str, loss: Tensor, retain_graph: bool) -> None:
        if part not in recipe.parts:
            known = ", ".join(map(repr, recipe.parts))
            raise BadInput(
                f"{recipe.place}: step.update of {recipe.name} names {part!r}, and its parts are "
                f"{known}"
            )
        check_loss(loss, f"{recipe.place}: the loss of {part!r} in {recipe.name}", batch)
        parameters = [p for p in recipe.parts[part].parameters() if p.requires_grad]
        torch.autograd.backward(loss.float(), inputs=parameters, retain_graph=retain_graph)
        updated.append(part)

    context = StepContext(
        task.device, training.seed, "trial", (), number=1, epoch=1, progress=0.0, update=update
    )
    with _blamed(recipe.place), _layer_named(model), in_precision(training.precision, task.device):
        if recipe.takes_steps:
            recipe.training_step(model, batch, context)
        else:
            loss, _ = recipe.loss(model, batch, context)
            check_loss(loss, f"{recipe.place}: the loss of {recipe.name}", batch)
            torch.autograd.backward(loss.float())
    if recipe.takes_steps and not updated:
        raise BadInput(
            f"{recipe.place}: training_step of {recipe.name} called no step.update(part, loss), so "
            "nothing is learned"
        )
    model.eval()
    with _blamed(recipe.place), _layer_named(model), torch.inference_mode():
        numbers = recipe_numbers(task, recipe, task.forward, batch, 0)
        if recipe.predicts:
            inputs = {name: field for name, field in batch.items() if name != "target"}
            predict = StepContext(task.device, training.seed, "predict", (0,))
            with in_precision(training.precision, task.device):
                recipe.predict_step(model, inputs, predict)
        if recipe.has_preview:
            preview = StepContext(task.device, training.seed, "preview", ())
            check_preview(recipe.preview(model, preview), recipe)
    _check_monitored(task, recipe, {*numbers})


def _check_monitored(task: Task, recipe: OwnRecipe, measured: set[str]) -> None:
    """Raise ConfigError if what decides the best step is not measured."""
    experiment = task.experiment
    monitored = experiment.checkpoint.monitor
    if task.dataset.problem != "none":
        measured = measured | {*PROBLEMS[task.dataset.problem].metrics, *task.extras}
    if monitored in measured:
        return
    there = ", ".join(sorted(measured)) or "nothing"
    message = f"{recipe.name} measures {there}, and no {monitored}"
    key = "checkpoint.monitor"
    if monitored == "loss":
        # The default, which needs no measurement unless something follows it.
        needed = {
            "early_stopping.patience": experiment.early_stopping.patience is not None,
            "early_stopping.threshold": experiment.early_stopping.threshold is not None,
            "schedule.type": experiment.schedule.type == "plateau",
        }
        if not any(needed.values()):
            return
        key = next(name for name, is_set in needed.items() if is_set)
        message += "; name a number of its validation_step in checkpoint.monitor, with better="
    raise ConfigError([Problem(message, key)])


def _outputs(task: Task, batch: Batch) -> Any:
    with _blamed(_place_of_model(task)), _layer_named(task.model):
        outputs, _ = task.forward.uncompiled()(batch)
    return outputs


def _loss(task: Task, outputs: Any, batch: Batch) -> Tensor:
    assert task.criterion is not None, "without a recipe there is a loss"
    with _blamed(_place_of_loss(task)):
        try:
            return task.criterion.train(outputs, batch)
        except TrainerError:
            raise
        except Exception as error:
            error.add_note(f"the outputs are {describe(outputs)}; {_described(batch)}")
            raise


def _measure(task: Task, batch: Batch) -> None:
    own = [name for name in task.extras if name in OWN_METRICS]
    if not task.forward.is_called:
        return
    info = task.dataset.info
    task.model.eval()
    with torch.inference_mode():
        outputs = _outputs(task, batch)
        loss = torch.zeros(()) if task.criterion is None else _loss(task, outputs, batch)
        outputs = logits_of(outputs)
        if task.forward.with_loss and info.problem != "none":
            _predict(task, batch)
        for name in own:
            with _blamed(place_of(OWN_METRICS[name].compute)):
                totals = totals_of(info, task.device, (name,))
                totals.update(outputs, batch, loss)
                totals.compute()
        if info.problem in PROBLEM_CLASSES:
            others = tuple(name for name in task.extras if name not in own)
            totals = totals_of(info, task.device, others, with_result=True)
            totals.update(outputs, batch, loss)
            totals.compute()
            totals.result()
            kind_of(info).decode(outputs.double().cpu(), info)


def _predict(task: Task, batch: Batch) -> None:
    """Call a model that computes its own loss as it is called to predict: without the target."""
    inputs = {name: field for name, field in batch.items() if name != TARGET}
    with _blamed(_place_of_model(task)), _layer_named(task.model):
        task.forward.without_loss()(inputs)


@contextmanager
def _blamed(place: str) -> Iterator[None]:
    """Raise BadInput for an exception, with the line of the user's code or else the place."""
    try:
        yield
    except (TrainerError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise BadInput(describe_error_near(error, place)) from error


@contextmanager
def _layer_named(model: nn.Module) -> Iterator[None]:
    """Add the layer that an exception was raised in, and its input, to the exception."""
    entered: list[tuple[str, nn.Module, str]] = []
    names = {module: name for name, module in model.named_modules() if name}

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        shapes = ", ".join(describe(one) for one in inputs if isinstance(one, Tensor))
        entered.append((names[module], module, shapes))

    def leave(module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        entered.pop()

    handles = [module.register_forward_pre_hook(enter) for module in names]
    handles += [module.register_forward_hook(leave) for module in names]
    try:
        yield
    except Exception as error:
        if entered:
            name, module, shapes = entered[-1]
            layer = clean(f"{name}, a {type(module).__name__}({module.extra_repr()})", 200)
            error.add_note(f"in {layer}, whose input is {shapes}" if shapes else f"in {layer}")
        raise
    finally:
        for handle in handles:
            handle.remove()


def _described(batch: Batch) -> str:
    fields = ", ".join(f"{name} {describe(field)}" for name, field in batch.items())
    return f"the batch has {fields}"


def _place_of_model(task: Task) -> str:
    # A model that is built in may be given data that it cannot take.
    made_by = MODEL_FACTORIES.get(task.experiment.model.type)
    read_by = DATASET_FACTORIES.get(task.experiment.dataset.type)
    return clean(place_of_users(type(task.model).forward, made_by, read_by), 300)


def _place_of_loss(task: Task) -> str:
    own = LOSS_FACTORIES.get(task.experiment.loss.type)
    return _place_of_model(task) if own is None else clean(place_of(own), 300)
