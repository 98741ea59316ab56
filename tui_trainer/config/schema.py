"""The JSON schema of an experiment file, for editors that complete and check YAML.

Layer: config. It is generated from the sections and the registries, so it includes the types of
loaded plugins.
"""

from __future__ import annotations

from typing import Any

from tui_trainer.config.experiment import PLAIN, REGISTRIES
from tui_trainer.config.named_choices import schema_of
from tui_trainer.config.sections.section import Registry

_PROBLEM_OF_DATA = {
    "$ref": "#/properties/problem",
    "description": "the problem of all experiments with these data that do not name one",
}


def json_schema() -> dict[str, Any]:
    """Return a JSON schema (draft 2020-12) of an experiment preset."""
    properties: dict[str, Any] = {
        "name": {"type": "string"},
        "description": {"type": "string"},
    }
    definitions: dict[str, Any] = {}
    for key, registry in REGISTRIES.items():
        properties[key] = _choice(key, registry, definitions)
    for key, section in PLAIN.items():
        properties[key] = schema_of(section)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tui-trainer experiment",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }


def _choice(key: str, registry: Registry, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section: a name, a preset with changes, or a mapping by type."""
    options: list[dict[str, Any]] = [
        {"type": "string", "description": f"a {key} preset or type"},
        {
            "type": "object",
            "required": ["preset"],
            "properties": {"preset": {"type": "string"}},
            "description": f"a {key} preset, with changes",
        },
    ]
    for spec in registry:
        name = f"{key}-{spec.name}"
        definition = {**schema_of(spec.params), "description": spec.description}
        if key == "dataset":
            definition["properties"].setdefault("problem", _PROBLEM_OF_DATA)
        definitions[name] = definition
        options.append({"$ref": f"#/$defs/{name}"})
    return {"anyOf": options}
