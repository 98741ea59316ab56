"""`DatasetInfo`: describes a data set without its samples.

Layer: problems.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS, Places, ProblemName, base_of
from tui_trainer.problems.signature import SampleField, Signature

Scale = float | tuple[float, ...]
"""Of a target: one number, or one for each of several."""

MOST_SIZE = 2**31
"""Sizes of samples and outputs read from a checkpoint must be below this."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Describes a data set without its samples; saved in every checkpoint."""

    signature: Signature
    problem: ProblemName
    classes: tuple[str, ...]
    target_mean: Scale = 0.0
    target_std: Scale = 1.0
    """`targets * target_std + target_mean` is in the units of the file."""
    fields: tuple[SampleField, ...] = ()
    """The fields of a sample but its target, the one that `signature` describes first. () means
    that there is one, `input`."""
    target_names: tuple[str, ...] = ()
    """Of the numbers to predict, if there are several and they have names."""
    positive: int | None = None
    """Of two classes, the one that precision, recall and F1 describe; None: the mean of both."""
    threshold: float = 0.5
    """The probability above which a label, or the positive class, is predicted."""
    ignore: int | None = None
    """A number in targets of steps or pixels that counts nowhere, as IGNORED does."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Those of a problem of a plugin, by name."""

    @property
    def base(self) -> ProblemName:
        """The built-in problem whose rules hold: `problem` itself unless that is a plugin's."""
        return base_of(self.problem)

    @property
    def units(self) -> tuple[float, ...]:
        """The size of one standardised unit of each number, in units of the file."""
        if isinstance(self.target_std, tuple):
            return self.target_std
        return (self.target_std,) * self.signature.outputs

    def in_units(self, values: Tensor) -> Tensor:
        """Return standardised targets or outputs (N, K) in the units of the file."""
        mean, std = self.target_mean, self.target_std
        if isinstance(mean, tuple) or isinstance(std, tuple):
            return values * values.new_tensor(std) + values.new_tensor(mean)
        return values * std + mean

    @property
    def all_fields(self) -> tuple[SampleField, ...]:
        """The fields but the target, also if there is only one."""
        return (self.signature.field(self.names[0]), *self.fields[1:])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields; built-in models are built for the first."""
        return tuple(field.name for field in self.fields) or ("input",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the problem is called `task` in checkpoints."""
        plain = asdict(self)
        plain["task"] = plain.pop("problem")
        plain["settings"] = dict(self.settings)
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> DatasetInfo:
        """Rebuild the object from the output of `to_dict`; KeyError or TypeError for other data."""
        signature = _signature_of(plain["signature"])
        fields = tuple(
            SampleField(str(field["name"]), tuple(field["shape"]), str(field["dtype"]))
            for field in plain.get("fields", ())
        )
        sizes = [*signature.input_shape, signature.outputs, signature.vocabulary]
        sizes.append(signature.numbers)
        for size in sizes + [size for field in fields for size in field.shape]:
            if type(size) is not int or not 0 <= size < MOST_SIZE:
                raise TypeError(f"a size of {size!r:.40}")
        if plain["task"] not in PROBLEMS:
            raise TypeError(f"a problem of {plain['task']!r:.40}")
        return DatasetInfo(
            signature,
            plain["task"],
            tuple(plain["classes"]),
            _scale_of(plain["target_mean"]),
            _scale_of(plain["target_std"]),
            fields,
            tuple(map(str, plain.get("target_names", ()))),
            *_two_classes_of(plain),
            _ignored_in(plain),
            tuple(dict(plain.get("settings", {})).items()),
        )


def _ignored_in(plain: Mapping[str, Any]) -> int | None:
    ignored = plain.get("ignore")
    if ignored is not None and (type(ignored) is not int or abs(ignored) >= MOST_SIZE):
        raise TypeError(f"an ignored target of {ignored!r:.40}")
    return ignored


def _signature_of(plain: Mapping[str, Any]) -> Signature:
    values = {**plain, "input_shape": tuple(plain["input_shape"])}
    if "per_step" in values:
        # Written by versions in which a prediction at each step meant language modelling.
        is_stepped = values.pop("per_step") is True
        values |= {"places": "step" if is_stepped else "one", "causal": is_stepped}
    if values.get("places") not in get_args(Places) or type(values.get("causal")) is not bool:
        raise TypeError(f"predictions at {values.get('places')!r:.40}")
    return Signature(**values)


def _two_classes_of(plain: Mapping[str, Any]) -> tuple[int | None, float]:
    """Return the positive class and the threshold, which older checkpoints do not have."""
    positive, threshold = plain.get("positive"), plain.get("threshold", 0.5)
    if positive is not None and not (type(positive) is int and 0 <= positive < 2):
        raise TypeError(f"a positive class of {positive!r:.40}")
    if type(threshold) is not float or not 0 < threshold < 1:
        raise TypeError(f"a threshold of {threshold!r:.40}")
    return positive, threshold


def _scale_of(value: Any) -> Scale:
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        # An int of any size is compared as it is; a float cannot hold it.
        if not isinstance(number, int | float) or abs(number) > sys.float_info.max:
            raise TypeError(f"a scale of {value!r:.40}")
    return float(value) if numbers is not value else tuple(map(float, value))
