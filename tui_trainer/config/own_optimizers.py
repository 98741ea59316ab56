"""`optimizer`: the decorator that registers a plugin's optimizer.

Layer: config, without torch. `training.optimizers` calls the function and checks what it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tui_trainer.config.plugin_loader import OPTIMIZER_FACTORIES
from tui_trainer.config.sections.optimizers import OPTIMIZERS, OptimizerSection
from tui_trainer.config.signature_settings import settings_of
from tui_trainer.config.type_registration import register_type
from tui_trainer.config.user_calls import check_name, check_not_live

Made = TypeVar("Made", bound=Callable[..., Any])
FILLED = ("groups", "lr")
"""The parameters that are no settings of its own."""


def optimizer(name: str, *, description: str = "") -> Callable[[Made], Made]:
    """Register a function as the optimizer `type: NAME`; it returns a `torch.optim.Optimizer`.

    It is called with `groups`, the parameter groups for that optimizer, and `lr`. All other
    parameters are settings. `optimizer.lr` and `optimizer.weight_decay` can be edited live, as
    those of the built-in ones, and are set in the groups before each step.
    """
    check_name(name)

    def register(function: Made) -> Made:
        names = list(inspect.signature(function).parameters)
        if names[:2] != [*FILLED]:
            raise TypeError(
                f"the parameters of the optimizer {name!r} begin with ({', '.join(names[:2])}); "
                "they must begin with (groups, lr), and the others are settings"
            )
        section = cast(type[OptimizerSection], settings_of(function, FILLED, OptimizerSection))
        own = section.model_fields.keys() - OptimizerSection.model_fields.keys()
        check_not_live(f"the optimizer {name!r}", section, own)
        register_type(OPTIMIZERS, OPTIMIZER_FACTORIES, name, description, section, function)
        return function

    return register
