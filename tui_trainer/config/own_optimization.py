"""`optimizer` and `schedule`: the decorators that register these types of a plugin.

Layer: config, without torch. `training.optimizers` calls the function of an optimizer and checks
what it returns; `sections.schedules.factor` calls that of a schedule.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tui_trainer.config.plugin_loader import OPTIMIZER_FACTORIES, SCHEDULE_FACTORIES
from tui_trainer.config.sections.optimizers import OPTIMIZERS, OptimizerSection
from tui_trainer.config.sections.schedules import SCHEDULES, ScheduleSection
from tui_trainer.config.signature_settings import settings_of
from tui_trainer.config.type_registration import register_type
from tui_trainer.config.user_calls import check_name, check_not_live

Made = TypeVar("Made", bound=Callable[..., Any])
_OF_OPTIMIZER = ("groups", "lr")
"""The parameters of an optimizer that are no settings of its own."""
_OF_SCHEDULE = ("step", "total")
"""The parameters of a schedule that are no settings."""


def optimizer(name: str, *, description: str = "") -> Callable[[Made], Made]:
    """Register a function as the optimizer `type: NAME`; it returns a `torch.optim.Optimizer`.

    It is called with `groups`, the parameter groups for that optimizer, and `lr`. All other
    parameters are settings. `optimizer.lr` and `optimizer.weight_decay` can be edited live, as
    those of the built-in ones, and are set in the groups before each step.
    """
    check_name(name)

    def register(function: Made) -> Made:
        names = list(inspect.signature(function).parameters)
        if names[:2] != [*_OF_OPTIMIZER]:
            raise TypeError(
                f"the parameters of the optimizer {name!r} begin with ({', '.join(names[:2])}); "
                "they must begin with (groups, lr), and the others are settings"
            )
        section = cast(
            type[OptimizerSection], settings_of(function, _OF_OPTIMIZER, OptimizerSection)
        )
        own = section.model_fields.keys() - OptimizerSection.model_fields.keys()
        check_not_live(f"the optimizer {name!r}", section, own)
        register_type(OPTIMIZERS, OPTIMIZER_FACTORIES, name, description, section, function)
        return function

    return register


def schedule(name: str, *, description: str = "") -> Callable[[Made], Made]:
    """Register a function as the schedule `type: NAME`; it returns the factor of `optimizer.lr`.

    It is called with `step`, from 0, and, if it has that parameter, with `total`, the number of
    steps, which an experiment then has to limit. All other parameters are settings. It is a pure
    function: the same step has the same factor, also after a resume. The warm-up is ours.
    """
    check_name(name)

    def register(function: Made) -> Made:
        names = list(inspect.signature(function).parameters)
        if names[:1] != ["step"]:
            raise TypeError(
                f"the parameters of the schedule {name!r} begin with ({', '.join(names[:1])}); "
                "they must begin with (step) or (step, total), and the others are settings"
            )
        section = settings_of(function, _OF_SCHEDULE, ScheduleSection)
        check_not_live(f"the schedule {name!r}", section)
        register_type(SCHEDULES, SCHEDULE_FACTORIES, name, description, section, function)
        return function

    return register
