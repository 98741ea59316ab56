"""Chooses the fields of a batch that a model is called with, by the parameters of its `forward`.

Layer: models. Each parameter gets the field of its name. The first one, if no field has its name,
gets `input`, or else the first field. The parameters `lengths`, `NAME_lengths` and `NAME_mask` get
the lengths, or the mask, of a field that may be padded. A model that computes its own loss gets the
target, too; then that is one of the fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from tui_trainer.config.user_code import place_of
from tui_trainer.problems.batch import LENGTHS, MASK, TARGET, Batch, lengths_of
from tui_trainer.problems.signature import SampleField
from tui_trainer.text.errors import BadInput


@dataclass(frozen=True, slots=True)
class Argument:
    """The part of a batch that a parameter of `forward` is given."""

    parameter: str
    field: str
    part: Literal["values", "lengths", "mask"] = "values"
    by_keyword: bool = False
    may_be_left_out: bool = False
    """Whether lengths are not given if no sample of a batch is padded."""


def arguments_of(model: nn.Module, fields: Sequence[str]) -> tuple[Argument, ...]:
    """Return what to call a model with, given the names of the fields; the first one is `input`
    unless there is no such field.

    Raises:
        BadInput: a parameter has neither a default nor a field, or there is no parameter.
    """
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        # Compiled modules have none that can be read.
        return (Argument("", fields[0]),)
    found: list[Argument] = []
    left_out = False
    for place, parameter in enumerate(signature.parameters.values()):
        argument = _argument(parameter, fields, is_first=place == 0)
        if argument is None:
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                raise BadInput(_missing(model, parameter.name, fields))
            left_out = True
            continue
        by_keyword = left_out or parameter.kind is parameter.KEYWORD_ONLY
        # Behind an argument that may be left out, positions would shift.
        left_out = left_out or argument.may_be_left_out
        found.append(replace(argument, by_keyword=by_keyword))
    if any(it.kind is it.VAR_KEYWORD for it in signature.parameters.values()):
        taken = {argument.field for argument in found if argument.part == "values"}
        rest = [name for name in fields if name not in taken and name != TARGET]
        found += [Argument(name, name, by_keyword=True) for name in rest]
    if not any(argument.part == "values" for argument in found):
        raise BadInput(
            f"{place_of(type(model).forward)}: forward takes none of {', '.join(fields)}"
        )
    return tuple(found)


def _argument(
    parameter: inspect.Parameter, fields: Sequence[str], *, is_first: bool
) -> Argument | None:
    """Return the argument for a parameter, or None if there is no field for it."""
    name = parameter.name
    if parameter.kind is parameter.VAR_KEYWORD:
        return None
    if name in fields:
        return Argument(name, name)
    if is_first:
        return Argument(name, fields[0])
    if parameter.kind is parameter.VAR_POSITIONAL:
        return None
    may_be_left_out = parameter.default is None
    for field in fields:
        names = {lengths_of(field)} | ({LENGTHS} if field == fields[0] else set())
        if name in names:
            return Argument(name, field, "lengths", may_be_left_out=may_be_left_out)
        if name == f"{field}_{MASK}":
            return Argument(name, field, "mask", may_be_left_out=may_be_left_out)
    return None


def _missing(model: nn.Module, parameter: str, fields: Sequence[str]) -> str:
    place = place_of(type(model).forward)
    if parameter == TARGET:
        return (
            f"{place}: forward wants the target, which a model gets only with loss=model, and "
            "never to predict: give the parameter a default, target=None"
        )
    return f"{place}: forward wants {parameter}; the batch has {', '.join(fields)}"


def unread_fields(arguments: Sequence[Argument], fields: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the fields that a model is not given."""
    read = {argument.field for argument in arguments}
    return tuple(name for name in fields if name not in read)


def sees_padding(arguments: Sequence[Argument], field: str) -> bool:
    """Whether a model is told which steps of a field are padding."""
    return any(argument.field == field and argument.part != "values" for argument in arguments)


def values_of(
    arguments: Sequence[Argument], batch: Batch
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the values to call a model with: by position, and by keyword."""
    positional: list[Tensor] = []
    named: dict[str, Tensor] = {}
    for argument in arguments:
        value = _value(argument, batch)
        if value is None:
            continue
        if argument.by_keyword:
            named[argument.parameter] = value
        else:
            positional.append(value)
    return positional, named


def _value(argument: Argument, batch: Batch) -> Tensor | None:
    values = batch[argument.field]
    if argument.part == "values":
        return values
    lengths = batch.get(lengths_of(argument.field))
    if lengths is None and argument.may_be_left_out:
        return None
    steps = values.shape[1]
    if lengths is None:
        lengths = torch.full((len(values),), steps)
    if argument.part == "lengths":
        return lengths
    return torch.arange(steps, device=values.device) < lengths.to(values.device)[:, None]


def shape_example(fields: Sequence[SampleField], batch_size: int) -> Batch:
    """Return a batch without numbers, on the `meta` device."""
    return {
        field.name: torch.empty(
            (batch_size, *field.shape), dtype=getattr(torch, field.dtype), device="meta"
        )
        for field in fields
    }
