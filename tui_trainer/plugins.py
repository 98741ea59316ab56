"""The API for plugins: `dataset`, `model`, `problem`, `loss`, `metric`, `recipe`, `Data`.

Layer: plugins. docs/plugins.md shows one of each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from pydantic import create_model

from tui_trainer.config.own_optimization import optimizer, schedule
from tui_trainer.config.own_problems import register_problem
from tui_trainer.config.own_samples import Data
from tui_trainer.config.plugin_loader import (
    DATASET_FACTORIES,
    LOSS_FACTORIES,
    MODEL_FACTORIES,
    OWN_METRICS,
    RECIPE_FACTORIES,
    RECIPE_METRICS,
    TRANSFORM_FACTORIES,
    OwnMetric,
    RecipeSpec,
)
from tui_trainer.config.problem_specs import PROBLEMS, ProblemName, add_loss
from tui_trainer.config.sections.datasets import DATASETS, ImagesSection, RowsSection
from tui_trainer.config.sections.losses import LOSSES
from tui_trainer.config.sections.metrics import METRICS, Direction, MetricSpec, register_metric
from tui_trainer.config.sections.models import MODELS
from tui_trainer.config.sections.recipes import RECIPES
from tui_trainer.config.sections.section import Items, TypedSection, setting
from tui_trainer.config.sections.transforms import TRANSFORMS
from tui_trainer.config.signature_settings import (
    SIGNATURE,
    called_with_settings,
    has_settings,
    settings_of,
    settings_of_class,
)
from tui_trainer.config.type_registration import add_type, first_line, register_type
from tui_trainer.config.user_calls import (
    check_call,
    check_loss,
    check_model,
    check_name,
    check_not_live,
    check_recipe,
)
from tui_trainer.config.user_code import place_of

__all__ = [
    "Data",
    "DatasetParams",
    "Items",
    "ModelParams",
    "dataset",
    "loss",
    "metric",
    "model",
    "optimizer",
    "problem",
    "recipe",
    "schedule",
    "setting",
    "transform",
]

Made = TypeVar("Made", bound=Callable[..., Any])


class DatasetParams(RowsSection):
    """Base class for the settings of a dataset; add fields in a subclass, with `setting`."""

    path: str = setting("", "a file or folder, for data sets that have one", path=True)


class ModelParams(TypedSection):
    """Base class for the settings of a model; add fields in a subclass, with `setting`."""


def dataset(
    name: str,
    *,
    description: str = "",
    params: type[DatasetParams] = DatasetParams,
    augment: Literal["none", "images"] = "none",
) -> Callable[[Made], Made]:
    """Register a function as the dataset `type: NAME`; it returns `Data`.

    Its parameters are settings, with a type and a default; those that every data set has, such as
    `path`, need no type. Or it has one, `params`, which is a section of the class `params`.

    `augment="images"` adds the settings of the random changes to training images, which are applied
    to the first field of a batch on its device, and to the target if that is a mask.
    """
    check_name(name)
    if augment not in ("images", "none"):
        raise ValueError(f"augment={augment!r} of the data set {name!r}: use 'images' or 'none'")
    if augment == "images":
        # Refused here already, where the line of the decorator is.
        _with_images(params, name)

    def register(function: Made) -> Made:
        section, make = params, cast(Callable[..., Any], function)
        if params is DatasetParams and has_settings(function, DatasetParams):
            section = cast(type[DatasetParams], settings_of(function, (), DatasetParams))
            make = called_with_settings(function)
        else:
            check_call(f"the data set {name!r}", function, ("params",))
        if augment == "images":
            section = _with_images(section, name)
        check_not_live(f"the data set {name!r}", section)
        register_type(DATASETS, DATASET_FACTORIES, name, description, section, make)
        return function

    return register


def _with_images(params: type[DatasetParams], name: str) -> type[DatasetParams]:
    own = params.model_fields.keys() - DatasetParams.model_fields.keys()
    if clash := own & ImagesSection.model_fields.keys():
        raise ValueError(
            f"the setting {min(clash)!r} of the data set {name!r} is one of augment='images'; give "
            "it another name"
        )
    bases: tuple[type[Any], ...] = (params, ImagesSection)
    section: type[DatasetParams] = create_model(
        params.__name__, __base__=bases, __doc__=params.__doc__
    )
    return section


def model(
    name: str, *, description: str = "", params: type[ModelParams] = ModelParams
) -> Callable[[Made], Made]:
    """Register a function as the model `type: NAME`; it returns a `torch.nn.Module`.

    Its first parameter is `signature`, which says what the data are; the others are settings. Or
    its parameters are `params`, a section of the class `params`, and `signature`.
    """
    check_name(name)

    def register(function: Made) -> Made:
        section, make = params, cast(Callable[..., Any], function)
        if params is ModelParams and has_settings(function, ModelParams):
            check_model(name, function)
            section = cast(type[ModelParams], settings_of(function, (SIGNATURE,), ModelParams))
            make = called_with_settings(function)
        else:
            check_call(f"the model {name!r}", function, ("params", "signature"))
        check_not_live(f"the model {name!r}", section)
        register_type(MODELS, MODEL_FACTORIES, name, description, section, make)
        return function

    return register


LOSS_ARGUMENTS = ("outputs", "batch", "target", "targets")
"""The parameters of a loss that are no settings."""


def loss(
    name: str, *, description: str = "", problems: Sequence[str] = ()
) -> Callable[[Made], Made]:
    """Register a function as the loss `type: NAME`; it is chosen with `loss=NAME`.

    It is called with the outputs of the model, as the model returned them, and the batch, a dict of
    tensors; a parameter called `target` instead of `batch` gets what is to be predicted alone. It
    returns the mean over the samples of the batch, a scalar. All other parameters are settings:
    those declared by `setting(..., live=True)` can be edited while a run is training.

    Args:
        problems: those that can be trained with it; empty: all.
    """

    check_name(name)

    def register(function: Made) -> Made:
        check_loss(name, function)
        section = settings_of(function, LOSS_ARGUMENTS)
        text = description or first_line(function)
        add_type(LOSSES, name, text, section, place_of(function))
        add_loss(name, problems)
        LOSS_FACTORIES[name] = function
        return function

    return register


def metric(
    name: str,
    *,
    better: Direction,
    description: str = "",
    problems: Sequence[str] = (),
    collect: bool = False,
    percent: bool = False,
) -> Callable[[Made], Made]:
    """Register a metric, which `training.metrics=[NAME]` or `checkpoint.monitor=NAME` asks for.

    A function `(outputs, batch)`, or `(outputs, target)`, returns one number for each sample, (B,),
    whose mean over the split is the metric. With `collect`, a function `(outputs, targets)` gets
    those of the whole split at once, on the CPU, and returns a number. A class has `update(outputs,
    batch)` and `compute()`, as those of torchmetrics; each measurement makes a new object.

    Args:
        better: `higher` or `lower`.
        problems: those that have it; empty: all.
        percent: show it as a percentage.
    """

    check_name(name)

    def register(made: Made) -> Made:
        if better not in ("higher", "lower"):
            raise ValueError(f"better={better!r} of the metric {name!r}: use 'higher' or 'lower'")
        arguments = () if isinstance(made, type) else ("outputs", "batch")
        check_call(f"the metric {name!r}", made, arguments)
        spec = MetricSpec(
            name,
            description or first_line(made),
            better == "higher",
            is_share=percent,
            origin=place_of(made),
        )
        register_metric(spec, problems)
        OWN_METRICS[name] = OwnMetric(made, collect)
        return made

    return register


def problem(
    name: str,
    *,
    like: str,
    description: str = "",
    losses: Sequence[str] = (),
    better: Mapping[str, Direction] | None = None,
) -> Callable[[type], type]:
    """Register a class as the problem `type: NAME`, for `problem=NAME` or `Data(problem=NAME)`.

    docs/plugins.md describes the methods that the class may have; the rest is that of the problem
    that it is `like`. Its annotated attributes are settings.

    Args:
        like: the problem that it has the rest from, with its losses and metrics.
        losses: those it is trained with, if they are others; the first is that of `loss=auto`.
        better: `higher` or `lower`, by name, for the metrics that its `totals` compute in place of
            those of `like`; the loss is one of them without being named.
    """

    check_name(name)

    def register(made: type) -> type:
        text = description or first_line(made)
        register_problem(
            name, made, like=like, description=text, losses=losses, better=dict(better or {})
        )
        return made

    return register


def transform(name: str, *, description: str = "") -> Callable[[Made], Made]:
    """Register a function as the transform `type: NAME`, which changes training batches.

    It is called with the batch, a dict of tensors on the device, after the changes of the data set,
    and with `generator`, if it has that parameter, from which random numbers are drawn. It returns
    the batch with the same fields and samples. All other parameters are settings.
    """

    check_name(name)

    def register(function: Made) -> Made:
        section = settings_of(function, ("batch", "generator"))
        register_type(TRANSFORMS, TRANSFORM_FACTORIES, name, description, section, function)
        return function

    return register


def recipe(
    name: str,
    *,
    description: str = "",
    problem: ProblemName = "auto",
    better: Mapping[str, Direction] | None = None,
) -> Callable[[type], type]:
    """Register a class as the recipe `type: NAME`: its own way to take a step.

    Its annotated attributes are its settings. It has `compute_loss(model, batch, step)`, which
    returns the loss of a micro-batch, or `training_step(model, batch, step)`, which updates the
    parts of the model itself by `step.update(part, loss)`. docs/recipes.md describes all methods.

    Args:
        problem: `none` if it learns without a target; `auto`: that of the data.
        better: `higher` or `lower`, by name, for the numbers of its `validation_step` that
            `checkpoint.monitor` may name.
    """

    check_name(name)

    def register(made: type) -> type:
        check_recipe(name, made)
        if problem != "auto" and problem not in PROBLEMS:
            raise ValueError(f"problem={problem!r} of {name!r}; available: {', '.join(PROBLEMS)}")
        place = place_of(made)
        section = settings_of_class(made)
        for metric_name, direction in (better or {}).items():
            if direction not in ("higher", "lower"):
                raise ValueError(f"better={direction!r} of {metric_name!r}: 'higher' or 'lower'")
            check_name(metric_name)
            if metric_name not in METRICS:
                text = f"of the recipe {name}"
                spec = MetricSpec(metric_name, text, direction == "higher", origin=place)
                register_metric(spec, ())
                RECIPE_METRICS.add(metric_name)
        add_type(RECIPES, name, description or first_line(made), section, place)
        RECIPE_FACTORIES[name] = RecipeSpec(made, problem, dict(better or {}))
        return made

    return register
