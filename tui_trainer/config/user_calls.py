"""Checks that what a plugin registers can be called as it will be.

Layer: config. An error that is raised here comes from the line of the decorator, which is named;
without it the first call would fail with a message about arguments that the user never wrote.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel

from tui_trainer.config.sections.section import extra_of


def check_name(name: object) -> None:
    """Raise an error unless `name` can be the name of what a decorator registers.

    Raises:
        TypeError: it is no text, as for a decorator that was written without parentheses.
        ValueError: it has other characters.
    """
    if not isinstance(name, str):
        raise TypeError(
            'the name is missing; write it in parentheses after the decorator: ("NAME")'
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError(f"{name!r} is not a name: use lower-case letters, digits, _ and - only")


def check_loss(name: str, function: Callable[..., Any]) -> None:
    """Raise TypeError unless it is a function of the outputs and the targets or the batch."""
    if isinstance(function, type):
        raise TypeError(
            f"the loss {name!r} is a class; write a function: def {function.__name__.lower()}"
            "(outputs, target): ..."
        )
    names = list(inspect.signature(function).parameters)
    if names[:1] != ["outputs"] or names[1:2] not in (["batch"], ["target"], ["targets"]):
        raise TypeError(
            f"the parameters of the loss {name!r} begin with ({', '.join(names[:2])}); they must "
            "begin with (outputs, target) or (outputs, batch), and the others are settings"
        )


def check_recipe(name: str, made: type) -> None:
    """Raise an error unless a recipe has one of the two methods, and can be made and called."""
    has_loss, has_step = hasattr(made, "compute_loss"), hasattr(made, "training_step")
    if has_loss == has_step:
        found = "both compute_loss and training_step" if has_loss else "neither"
        raise ValueError(
            f"the recipe {name!r} has {found}; it needs either compute_loss(self, model, batch, "
            "step) or training_step(self, model, batch, step)"
        )
    check_call(f"the recipe {name!r}", made, (), "; settings are attributes: weight: float = 0.5")
    step = "compute_loss" if has_loss else "training_step"
    method = getattr(made, step)
    check_call(f"{step} of {name!r}", method, ("self", "model", "batch", "step"))


def check_call(
    subject: str,
    made: Callable[..., Any],
    arguments: tuple[str, ...],
    hint: str = "",
    *,
    named: tuple[str, ...] = (),
) -> None:
    """Raise TypeError if a function or class of the user's cannot be called with the arguments.

    Args:
        subject: begins the message.
        arguments: the names of those that are given by position.
        hint: ends the message.
        named: those that are given by name.
    """
    try:
        signature = inspect.signature(made)
    except ValueError:  # some that are written in C do not say
        return
    try:
        signature.bind(*arguments, **dict.fromkeys(named))
    except TypeError as error:
        taken = ", ".join(signature.parameters)
        given = ", ".join([*arguments, *(f"{name}=..." for name in named)])
        raise TypeError(f"{subject} is called with ({given}), but takes ({taken}){hint}") from error


def check_not_live(
    subject: str, section: type[BaseModel], names: Collection[str] | None = None
) -> None:
    """Raise ValueError if a setting is live of what is not made again while a run is training.

    `names` are the settings that are looked at; None: all.
    """
    for name, info in section.model_fields.items():
        if (names is None or name in names) and extra_of(info).get("live"):
            raise ValueError(
                f"the setting {name!r} of {subject} cannot be live; those of losses, transforms "
                "and recipes can"
            )


def check_model(name: str, made: Callable[..., Any]) -> None:
    """Raise TypeError unless the first parameter of a model with settings is the signature."""
    names = list(inspect.signature(made).parameters)
    if names[:1] != ["signature"]:
        raise TypeError(
            f"the model {name!r} takes ({', '.join(names)}); its first parameter is signature, "
            "which says what the data are; the others are settings: (signature, width: int = 64)"
        )
