"""Overrides of the command line: `optimizer.lr=3e-4`, `model.layers=[128,64]`, `optimizer=sgd`.

Layer: config. Whole sections are replaced before types, and types before other fields are set,
whatever their order on the command line; of two overrides of a key the later one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.experiment import COMMAND_LINE, SECTIONS
from tui_trainer.config.reading import parse_value
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput, ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Override:
    """One KEY=VALUE; `field` is empty where a whole section is meant."""

    section: str
    field: str
    value: Any

    @property
    def key(self) -> str:
        return f"{self.section}.{self.field}" if self.field else self.section


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """Overrides from KEY=VALUE words; ConfigError names every one that is not of that form."""
    problems: list[Problem] = []
    overrides: list[Override] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        section, _, name = key.partition(".")
        shown = clean(argument, 80)
        if not equals or not key or key.endswith("."):
            problems.append(Problem(f"expected KEY=VALUE, got {shown!r}", "", COMMAND_LINE))
        elif section not in SECTIONS:
            hint = suggest(section, SECTIONS) or f"; there are: {', '.join(SECTIONS)}"
            problems.append(Problem(f"unknown section{hint}", clean(key, 80), COMMAND_LINE))
        else:
            try:
                overrides.append(Override(section, name, parse_value(text)))
            except BadInput as error:
                problems.append(Problem(str(error), clean(key, 80), COMMAND_LINE))
    if problems:
        raise ConfigError(problems)
    return overrides
