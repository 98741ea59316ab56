"""The names that a setting may have where these are not fixed, such as those of metrics.

Layer: config. Forms list them, and the schema of an experiment has them.
"""

from __future__ import annotations

from typing import Any

from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.config.sections.section import Section


def named_choices(word: object) -> tuple[str, ...]:
    """Return the names behind the `choices` of a setting; empty if it has none."""
    return tuple(METRICS) if word == "metrics" else ()


def schema_of(section: type[Section]) -> dict[str, Any]:
    """Return the JSON schema of a section, with the names that its settings may have."""
    schema = section.model_json_schema()
    for described in schema["properties"].values():
        if names := named_choices(described.pop("choices", "")):
            place = described["items"] if described.get("type") == "array" else described
            place["enum"] = list(names)
    return schema
