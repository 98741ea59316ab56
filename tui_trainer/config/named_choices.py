"""The names that a setting may have where these are not fixed, such as those of metrics.

Layer: config. Forms list them, and the schema of an experiment has them.
"""

from __future__ import annotations

from typing import Any

from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.config.sections.section import Section
from tui_trainer.config.user_code import file_of


def named_choices(word: object) -> dict[str, str]:
    """Return the names behind the `choices` of a setting, each with a description.

    Empty if it has none.
    """
    if word != "metrics":
        return {}
    return {spec.name: with_origin(spec.description, spec.origin) for spec in METRICS.values()}


def own_choices(word: object) -> str:
    """Return the names of plugins behind the `choices` of a setting, as `dice (scans.py)`."""
    specs = METRICS.values() if word == "metrics" else ()
    return ", ".join(f"{spec.name} ({file_of(spec.origin)})" for spec in specs if spec.origin)


def with_origin(description: str, origin: str) -> str:
    """Return a description behind the file of the plugin that it comes from, if it does."""
    return ": ".join(filter(None, (file_of(origin), description)))


def schema_of(section: type[Section]) -> dict[str, Any]:
    """Return the JSON schema of a section, with the names that its settings may have.

    Sections inside of it are written out, because the schema becomes a part of a larger one.
    """
    bare = section.model_json_schema()
    schema: dict[str, Any] = _written_out(bare, bare.pop("$defs", {}))
    for described in schema["properties"].values():
        if names := named_choices(described.pop("choices", "")):
            place = described["items"] if described.get("type") == "array" else described
            place["enum"] = list(names)
    return schema


def _written_out(schema: Any, sections: dict[str, Any]) -> Any:
    """Return a schema with its own sections in the places of their names."""
    if isinstance(schema, list):
        return [_written_out(item, sections) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(name := schema.get("$ref"), str):
        return _written_out(sections[name.rpartition("/")[2]], sections)
    if isinstance(name := schema.get("section"), str):
        # A section of the experiment that stands inside of another one.
        return {"$ref": f"#/properties/{name}"}
    return {key: _written_out(item, sections) for key, item in schema.items()}
