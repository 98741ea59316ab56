"""`as_in_run`: lets a run read its table by the rules with which it began.

Layer: data. Separators and quotes are recognised in the file, and decide which rows a run knows. A
new run records which rules recognised them; runs of earlier versions have no such record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tui_trainer.config.sections.datasets import DatasetSection

RULES = 2
"""Raised when separators or quotes are recognised in another way; older runs keep their rules."""
_KEY = "table_rules"

SectionOfData = TypeVar("SectionOfData", bound=DatasetSection)


def with_rules(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preprocessing of a new run, with the rules by which its table was read."""
    return {**preprocessing, _KEY: RULES}


def as_in_run(section: SectionOfData, preprocessing: Mapping[str, Any]) -> SectionOfData:
    """Return the settings that read a table by the rules of a run with this preprocessing."""
    return section if _KEY in preprocessing else section.for_earlier_run()
