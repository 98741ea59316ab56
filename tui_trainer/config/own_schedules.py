"""`schedule`: the decorator that registers a plugin's schedule.

Layer: config, without torch. `sections.schedules.factor` calls the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from tui_trainer.config.plugin_loader import SCHEDULE_FACTORIES
from tui_trainer.config.sections.schedules import SCHEDULES, ScheduleSection
from tui_trainer.config.signature_settings import settings_of
from tui_trainer.config.type_registration import register_type
from tui_trainer.config.user_calls import check_name, check_not_live

Made = TypeVar("Made", bound=Callable[..., Any])
FILLED = ("step", "total")
"""The parameters that are no settings."""


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
        section = settings_of(function, FILLED, ScheduleSection)
        check_not_live(f"the schedule {name!r}", section)
        register_type(SCHEDULES, SCHEDULE_FACTORIES, name, description, section, function)
        return function

    return register
