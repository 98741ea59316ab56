"""Infers from the first sample of a plugin's data what they are: their problem, shapes and sizes.

Layer: data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tui_trainer.config.own_samples import Data
from tui_trainer.config.plugin_loader import may_have_it
from tui_trainer.config.problem_specs import PROBLEMS, ProblemName, base_of
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.data.batches.sample_spec import is_image
from tui_trainer.problems.batch import describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.own_settings import with_problem
from tui_trainer.problems.problem import Sample
from tui_trainer.problems.signature import Kind, SampleField, Signature
from tui_trainer.text.clean import suggest
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_KINDS: dict[int, Kind] = {1: "features", 2: "sequence", 3: "image"}


def problem_of(
    data: Data, first: Sample, name: str, wanted: str = "auto"
) -> tuple[ProblemName, str]:
    """Return the problem and why it is that one.

    Raises:
        BadInput: it cannot be inferred, or does not fit the classes.
    """
    target = first.get("target")
    if wanted == "none" or (wanted == "auto" and data.problem == "none"):
        return "none", "nothing is predicted"
    if target is None:
        raise BadInput(
            f"{name}: the first sample has no target, only {', '.join(first)}; return a pair "
            "(input, target), or a dict with the key target; only a recipe (recipe=NAME) or a "
            "model that computes its own loss (problem=none loss=model) needs none"
        )
    problem, reason = data.problem, "Data names it"
    if wanted in PROBLEMS:
        problem, reason = wanted, "problem.type names it"
    elif problem == "auto":
        if _are_labels(target, data):
            if _are_tags(target, first, data):
                raise BadInput(
                    f"{name}: the target of the first sample has {len(target):,} ints, as many as "
                    "there are classes and as many as steps; say which it is, "
                    "Data(..., problem='multilabel') or Data(..., problem='token_classification')"
                )
            problem = "multilabel"
            reason = f"the target has a 0 or 1 for each of {len(data.classes):,} classes"
        elif _are_tags(target, first, data):
            problem = "token_classification"
            reason = f"the target has one of {len(data.classes):,} classes at each step"
        elif data.classes and _is_mask(target, first):
            problem = "segmentation"
            reason = f"the target has one of {len(data.classes):,} classes at each pixel"
        elif data.classes:
            problem, reason = "classification", f"Data has {len(data.classes):,} classes"
        elif target.is_floating_point():
            problem, reason = "regression", "the target is a float"
        elif target.dim() == 1 and len(target) == len(_first_field(first)):
            problem, reason = "language_modelling", "the target has an int for each token"
        else:
            raise BadInput(
                f"{name}: the target of the first sample is {describe(target)}, and Data has no "
                "classes: name them, Data(..., classes=(...)), or return a float to predict a "
                "number"
            )
    _check_classes(data, problem, name)
    return problem, reason


def _check_classes(data: Data, problem: ProblemName, name: str) -> None:
    if problem not in PROBLEMS:
        raise BadInput(
            f"{name}: Data(problem={problem!r}): no problem {problem!r}{suggest(problem, PROBLEMS)}"
            f"; available: {', '.join(PROBLEMS)}{may_have_it()}"
        )
    least, count = PROBLEMS[problem].least_classes, len(data.classes)
    if count and not least:
        raise BadInput(
            f"{name}: {problem} has no classes, but Data names {count:,}; leave them out"
        )
    if count < least:
        needed = counted(least, "class", "classes")
        raise BadInput(f"{name}: {problem} needs {needed} or more, but Data names {count:,}")


def _are_tags(target: Tensor, first: Sample, data: Data) -> bool:
    """Whether a target is a class for each of several steps."""
    inputs = _first_field(first)
    has_steps = inputs.dim() == 2 or (inputs.dim() == 1 and not inputs.is_floating_point())
    is_whole = target.dim() == 1 and not target.is_floating_point()
    return bool(data.classes) and has_steps and is_whole and 1 < len(target) == len(inputs)


def _is_mask(target: Tensor, first: Sample) -> bool:
    """Whether a target is meant as a mask, if only by its dimensions."""
    return target.dim() >= 2 and _first_field(first).dim() == 3


def _first_field(first: Sample) -> Tensor:
    if "input" in first:
        return first["input"]
    return next(values for name, values in first.items() if name != "target")


def _are_labels(target: Tensor, data: Data) -> bool:
    """Whether a target says of each class whether the sample has it."""
    if len(data.classes) < 2 or target.shape != (len(data.classes),):
        return False
    return bool(((target == 0) | (target == 1)).all())


def described_by(
    first: Sample,
    data: Data,
    problem: ProblemName,
    name: str,
    section: ProblemSection = AUTO,
) -> DatasetInfo:
    """Describe the data by their first sample; `section` has the settings of the problem."""
    names = [field for field in first if field != "target"]
    names.sort(key=lambda field: field != "input")
    inputs = first[names[0]]
    kind = _kind(names[0], inputs, name)
    if kind == "tokens" and data.vocabulary < 1:
        raise BadInput(
            f"{name}: {names[0]} is a vector of ints, which are tokens, but Data has no "
            "vocabulary; give the number of tokens, or return floats"
        )
    if unknown := [field for field in data.padding if field not in names]:
        raise BadInput(
            f"{name}: Data(padding=...) names {', '.join(map(repr, unknown))}; the fields are "
            f"{', '.join(names)}"
        )
    signature = Signature(
        kind,
        data.input_shape or tuple(inputs.shape),
        outputs=1,
        vocabulary=data.vocabulary,
        places=PROBLEMS[problem].places,
        causal=base_of(problem) == "language_modelling",
    )
    fields = tuple(
        SampleField(field, tuple(first[field].shape), _dtype_of(first[field])) for field in names
    )
    if names == ["input"]:
        fields = ()
    info = DatasetInfo(signature, problem, tuple(data.classes), fields=fields)
    return with_problem(info, problem, section, first.get("target"))


def _dtype_of(value: Tensor) -> str:
    """Return the dtype that a model gets."""
    return "float32" if is_image(value) else str(value.dtype).removeprefix("torch.")


def _kind(field: str, inputs: Tensor, name: str) -> Kind:
    if inputs.dtype == torch.int64 and inputs.dim() == 1:
        return "tokens"
    if not (inputs.is_floating_point() or is_image(inputs)) or inputs.dim() not in _KINDS:
        raise BadInput(
            f"{name}: {field} is {describe(inputs)}; the first field of a sample is floats of 1 to "
            "3 dimensions, or a vector of ints"
        )
    return _KINDS[inputs.dim()]
