"""`DatasetInfo`: describes a data set without its samples.

Layer: problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tui_trainer.config.problems import PROBLEMS, ProblemName
from tui_trainer.problems.signature import Field, Signature

MOST_SIZE = 2**31
"""Sizes of samples and outputs read from a checkpoint must be below this."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Describes a data set without its samples; saved in every checkpoint."""

    signature: Signature
    problem: ProblemName
    classes: tuple[str, ...]
    target_mean: float = 0.0
    target_std: float = 1.0
    """`targets * target_std + target_mean` is in the units of the file."""
    fields: tuple[Field, ...] = ()
    """The fields of a sample but its target, the one that `signature` describes first. () means
    that there is one, `input`."""

    @property
    def all_fields(self) -> tuple[Field, ...]:
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
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> DatasetInfo:
        """Rebuild the object from the output of `to_dict`; KeyError or TypeError for other data."""
        shape = tuple(plain["signature"]["input_shape"])
        signature = Signature(**{**plain["signature"], "input_shape": shape})
        fields = tuple(
            Field(str(field["name"]), tuple(field["shape"]), str(field["dtype"]))
            for field in plain.get("fields", ())
        )
        sizes = [*shape, signature.outputs, signature.vocabulary]
        for size in sizes + [size for field in fields for size in field.shape]:
            if type(size) is not int or not 0 <= size < MOST_SIZE:
                raise TypeError(f"a size of {size!r:.40}")
        if plain["task"] not in PROBLEMS:
            raise TypeError(f"a problem of {plain['task']!r:.40}")
        return DatasetInfo(
            signature,
            plain["task"],
            tuple(plain["classes"]),
            plain["target_mean"],
            plain["target_std"],
            fields,
        )
