"""`as_in_run`: the settings by which a run goes on to read tables as it did when it began.

Layer: data. What separates fields, and what quotes are, is not in a checkpoint otherwise, and tells
which rows a run knows. Earlier versions recorded no rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tui_trainer.config.sections.datasets import DatasetSection

RULES = 2
"""To be raised when a text is told to have another style; the runs before keep their rules."""
_KEY = "table_rules"

SectionOfData = TypeVar("SectionOfData", bound=DatasetSection)


def with_rules(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preprocessing of a new run, with the rules by which its table was read."""
    return {**preprocessing, _KEY: RULES}


def as_in_run(section: SectionOfData, preprocessing: Mapping[str, Any]) -> SectionOfData:
    """Return the settings that read a table by the rules of a run with this preprocessing."""
    return section if _KEY in preprocessing else section.for_earlier_run()
