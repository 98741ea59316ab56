"""The JSON schema says of a file what the program says, and describes every key."""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.config.experiment import PLAIN, REGISTRIES, resolve
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.schema import json_schema
from tui_trainer.config.tree import Tree
from tui_trainer.config.yaml.reader import parse_document, read_document

SCHEMA = json_schema()
FILES = sorted((builtin_dir() / "experiments").glob("*.yaml"))
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
IGNORED = {
    *("$schema", "$defs", "title", "description", "default"),
    *("unit", "live", "path", "limit", "words"),
}


LIMITS: dict[str, tuple[tuple[type, ...], Callable[[Any, Any], bool]]] = {
    "minItems": ((list,), lambda data, limit: len(data) >= limit),
    "maxItems": ((list,), lambda data, limit: len(data) <= limit),
    "minLength": ((str,), lambda data, limit: len(data) >= limit),
    "pattern": ((str,), lambda data, limit: re.search(limit, data) is not None),
    "items": ((list,), lambda data, schema: all(fits(item, schema) for item in data)),
    "minimum": ((int, float), operator.ge),
    "maximum": ((int, float), operator.le),
    "exclusiveMinimum": ((int, float), operator.gt),
    "exclusiveMaximum": ((int, float), operator.lt),
    "required": ((dict,), lambda data, keys: set(keys) <= set(data)),
}


def fits(data: Any, schema: dict[str, Any]) -> bool:
    """Whether data fits a schema; fails for a word that is not understood here."""
    return all(_fits_word(data, word, schema) for word in schema if word not in IGNORED)


def _fits_word(data: Any, word: str, schema: dict[str, Any]) -> bool:
    asked = schema[word]
    if word in LIMITS:
        kinds, holds = LIMITS[word]
        return not isinstance(data, kinds) or holds(data, asked)
    match word:
        case "type":
            of_type = isinstance(data, TYPES[asked])
            return of_type and (asked == "boolean" or not isinstance(data, bool))
        case "$ref":
            _, *names = asked.split("/")
            return fits(data, functools.reduce(operator.getitem, names, SCHEMA))
        case "anyOf":
            return any(fits(data, option) for option in asked)
        case "const":
            return bool(data == asked)
        case "enum":
            return data in asked
        case "properties":
            present = [key for key in asked if key in data] if isinstance(data, dict) else []
            return all(fits(data[key], asked[key]) for key in present)
        case "additionalProperties":
            others = set(data) - set(schema.get("properties", ())) if isinstance(data, dict) else ()
            return not others if asked is False else all(fits(data[key], asked) for key in others)
        case "propertyNames":
            return all(fits(key, asked) for key in data) if isinstance(data, dict) else True
        case _:
            raise AssertionError(f"the schema says {word!r}, which this test cannot judge")


def test_the_schema_is_json_and_whole() -> None:
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA
    assert set(SCHEMA["properties"]) == {"name", "description", *REGISTRIES, *PLAIN}
    names = {f"{kind}-{name}" for kind in REGISTRIES for name in REGISTRIES[kind].names}
    assert set(SCHEMA["$defs"]) == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_experiment_fits(path: Path) -> None:
    assert fits(read_document(path).data, SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_resolved_experiment_fits(path: Path) -> None:
    plain = PresetLibrary([builtin_dir()]).experiment(str(path)).to_dict()
    assert fits(plain, SCHEMA)
    assert resolve(Tree(plain), "x").to_dict() == plain


@pytest.mark.parametrize("kind", ["dataset", "model", "optimizer"])
def test_every_shipped_part_fits_the_definition_of_its_type(kind: str) -> None:
    for preset in PresetLibrary([builtin_dir()]).list(kind):
        data = dict(read_document(preset.path).data)
        data.pop("description")
        assert fits(data, {"$ref": f"#/$defs/{kind}-{data['type']}"})
        assert fits(data, SCHEMA["properties"][kind])


@pytest.mark.parametrize(
    "text",
    [
        "trainin: {epochs: 1}",
        "training: {epoch: 1}",
        "training: {epochs: ten}",
        "training: {epochs: 0}",
        "training: {drop_last: 1}",
        "training: {max_seconds: 0}",
        "training: 3",
        "optimizer: {type: sgd, lr: -1}",
        "optimizer: {type: sgd, lr: true}",
        "optimizer: {type: sgd, betas: [0.5, 0.5]}",
        "optimizer: {type: adam, betas: [0.5]}",
        "optimizer: {type: adam, betas: [0.5, 1]}",
        "optimizer: {lr: 1}",
        "optimizer: {type: os.system}",
        "model: {type: mlp, layers: 3}",
        "model: {type: mlp, layers: [0]}",
        "model: [mlp]",
        "dataset: {type: pixels}",
        "dataset: {type: pixels, path: x, shape: [1, 8]}",
        "loss: {type: cross_entropy, class_weights: even}",
        "name: 3",
    ],
)
def test_fault_34_what_the_program_refuses_does_not_fit(text: str) -> None:
    assert not fits(parse_document(text, "").data, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "training: {epochs: null, max_steps: 5}",
        "optimizer: {type: sgd, lr: 1}",
        "optimizer: sgd",
        "optimizer: {preset: sgd, lr: 0.5}",
        "schedule: {type: constant, warmup_steps: 3}",
        "loss: {type: cross_entropy, class_weights: [1, 2.5]}",
        "loss: {type: cross_entropy, class_weights: balanced}",
    ],
)
def test_what_the_program_takes_fits(text: str) -> None:
    assert fits(parse_document(text, "").data, SCHEMA)


def test_every_key_is_described() -> None:
    sections = [*SCHEMA["$defs"].values(), *(SCHEMA["properties"][key] for key in PLAIN)]
    bare = [
        (section["title"], key)
        for section in sections
        for key, described in section["properties"].items()
        if key != "type" and not described.get("description")
    ]
    assert bare == []


def test_live_settings_and_units_are_in_the_schema() -> None:
    training = SCHEMA["properties"]["training"]["properties"]
    assert training["max_seconds"]["unit"] == "s"
    assert training["max_seconds"]["live"] is True
    assert "live" not in training["seed"]
