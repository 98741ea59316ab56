"""`Experiment`: the complete configuration of a run; `resolve` makes it from a tree of values.

Layer: config. A `Tree` holds values and the place each came from. `resolve` turns it into frozen
sections, and reports the problems of all sections together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tui_trainer.config.item_settings import (
    hint_on_none,
    plain_value,
    section_of_items,
    setting_info,
    setting_value,
)
from tui_trainer.config.plugin_loader import RECIPE_FACTORIES
from tui_trainer.config.problem_key import move_problem
from tui_trainer.config.sections.arrays import ARRAY_DATASETS
from tui_trainer.config.sections.datasets import DATASETS, DatasetSection, is_file_name
from tui_trainer.config.sections.huggingface import HUGGINGFACE_DATASETS
from tui_trainer.config.sections.losses import LOSSES, MODEL_LOSS
from tui_trainer.config.sections.models import MODELS
from tui_trainer.config.sections.optimizers import OPTIMIZERS, OptimizerSection
from tui_trainer.config.sections.parameter_groups import group_contradictions, idle_settings
from tui_trainer.config.sections.picture_datasets import PICTURE_DATASETS
from tui_trainer.config.sections.problems import PROBLEM_TYPES, ProblemSection
from tui_trainer.config.sections.recipes import RECIPES, SUPERVISED
from tui_trainer.config.sections.schedules import SCHEDULES, needs_horizon, needs_length
from tui_trainer.config.sections.section import Registry, Section, TypedSection
from tui_trainer.config.sections.text_datasets import TEXT_DATASETS
from tui_trainer.config.sections.training import (
    CheckpointSection,
    EarlyStoppingSection,
    LoaderSection,
    LoggingSection,
    TrainingSection,
)
from tui_trainer.config.sections.transforms import NO_TRANSFORM, TRANSFORMS
from tui_trainer.config.setting_names import other_name, suggest_key
from tui_trainer.config.tree import Path_, Place, Tree
from tui_trainer.config.user_code import describe_user_error
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.text.value_errors import worded

for picture_dataset in PICTURE_DATASETS:
    DATASETS.add(picture_dataset)
for array_dataset in ARRAY_DATASETS:
    DATASETS.add(array_dataset)
for text_dataset in TEXT_DATASETS:
    DATASETS.add(text_dataset)
for huggingface_dataset in HUGGINGFACE_DATASETS:
    DATASETS.add(huggingface_dataset)

REGISTRIES: dict[str, Registry] = {
    "dataset": DATASETS,
    "problem": PROBLEM_TYPES,
    "model": MODELS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "recipe": RECIPES,
    "transform": TRANSFORMS,
}
PLAIN: dict[str, type[Section]] = {
    "training": TrainingSection,
    "checkpoint": CheckpointSection,
    "logging": LoggingSection,
    "early_stopping": EarlyStoppingSection,
    "loader": LoaderSection,
}
SECTIONS: tuple[str, ...] = (*REGISTRIES, *PLAIN)
DEFAULT_TYPES = {
    "problem": "auto",
    "schedule": "constant",
    "loss": "auto",
    "recipe": SUPERVISED,
    "transform": NO_TRANSFORM,
}
"""The types of sections that an experiment may leave out."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A resolved configuration: every section present, valid and frozen."""

    name: str
    description: str
    dataset: DatasetSection
    problem: ProblemSection
    model: TypedSection
    optimizer: OptimizerSection
    schedule: TypedSection
    loss: TypedSection
    recipe: TypedSection
    transform: TypedSection
    training: TrainingSection
    checkpoint: CheckpointSection
    logging: LoggingSection
    early_stopping: EarlyStoppingSection
    loader: LoaderSection
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Notes for the user about its origin; not part of the configuration."""
    places: Mapping[Path_, Place] = field(default_factory=dict, compare=False, repr=False)
    """Where its values were written; not part of the configuration."""

    @property
    def asked_problem(self) -> ProblemSection:
        """The problem to read the data for: that of the settings, or else of the recipe."""
        recipe = RECIPE_FACTORIES.get(self.recipe.type)
        if recipe is None or self.problem.type != "auto" or recipe.problem == "auto":
            return self.problem
        spec = PROBLEM_TYPES.find(recipe.problem)
        assert spec is not None, "a recipe is registered with a problem that exists"
        return cast(ProblemSection, spec.params(type=recipe.problem))

    @property
    def loss_is_of_model(self) -> bool:
        """Whether the model computes the loss itself."""
        return self.recipe.type == SUPERVISED and self.loss.type == MODEL_LOSS

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as written to config.yaml; reading it gives an equal experiment."""
        plain: dict[str, Any] = {"name": self.name, "description": self.description}
        for section in SECTIONS:
            plain[section] = getattr(self, section).model_dump(mode="json")
        # A version without them can read the file then.
        if self.recipe.type == SUPERVISED:
            del plain["recipe"]
        if self.transform.type == NO_TRANSFORM:
            del plain["transform"]
        for name in ("groups", "layer_decay"):
            if not plain["optimizer"][name]:
                del plain["optimizer"][name]
        return plain

    def get(self, key: str) -> Any:
        """Return the value of `section.field`; KeyError if there is no such field.

        Of a list of sections, it is plain data.
        """
        if self.info(key) is None:
            raise KeyError(key)
        section, _, name = key.partition(".")
        return plain_value(setting_value(getattr(self, section), name))

    def info(self, key: str) -> FieldInfo | None:
        """Return the field of a key, also of `section.list.0.field`; None if there is none."""
        section, _, name = key.partition(".")
        return setting_info(getattr(self, section), name) if section in SECTIONS else None

    def all_keys(self) -> list[str]:
        """Return every key that has a value, as `section.field`."""
        return [
            f"{section}.{name}"
            for section in SECTIONS
            for name in type(getattr(self, section)).model_fields
        ]


def keys_in(tree: Tree) -> list[str]:
    """Return the keys of an experiment; a section without a type has the keys of all types."""
    keys: dict[str, None] = {}
    for section in SECTIONS:
        values = tree.values.get(section)
        spec = None
        if section in REGISTRIES and isinstance(values, dict):
            spec = REGISTRIES[section].find(values.get("type"))
        kinds = [spec.params] if spec else kinds_of(section)
        keys.update({f"{section}.{name}": None for kind in kinds for name in kind.model_fields})
    return list(keys)


def every_key() -> list[str]:
    """Return the keys of all types together."""
    return keys_in(Tree())


def kinds_of(section: str) -> list[type[Section]]:
    """Return the sections, one per type, that can stand under a key."""
    if section in PLAIN:
        return [PLAIN[section]]
    return [spec.params for spec in REGISTRIES[section]]


def resolve(tree: Tree, name: str, *, is_new: bool = True) -> Experiment:
    """Validate a tree; raises ConfigError with every problem found in it.

    A run that exists keeps settings without effect, which are refused in a new experiment.
    """
    move_problem(tree.values, tree.places)
    problems: list[Problem] = []
    parts: dict[str, Section] = {}
    for key in tree.values:
        if key not in (*SECTIONS, "name", "description"):
            message = f"unknown section{suggest_key(key, SECTIONS)}"
            problems.append(tree.problem((key,), message))
    for key in SECTIONS:
        section = _section(tree, key, problems)
        if section is not None:
            parts[key] = section
    given_name = tree.values.get("name", name)
    description = tree.values.get("description", "")
    for key, value in (("name", given_name), ("description", description)):
        if not isinstance(value, str):
            problems.append(tree.problem((key,), "should be a text"))
    if not problems:
        notes = tuple(tree.notes)
        experiment = Experiment(
            given_name, description, **cast(Any, parts), notes=notes, places=dict(tree.places)
        )
        found = contradictions(experiment)
        if is_new:
            found += idle_settings(experiment.optimizer.groups)
        problems = [tree.problem(path, message) for path, message in found]
        if not problems:
            return experiment
    raise ConfigError(problems)


def check_section(tree: Tree, key: str) -> Section:
    """Resolve a single section of a tree; raises ConfigError."""
    move_problem(tree.values, tree.places)
    problems: list[Problem] = []
    section = _section(tree, key, problems)
    if section is None:
        raise ConfigError(problems)
    return section


def _section(tree: Tree, key: str, problems: list[Problem]) -> Section | None:
    """Return the section of a key, or None after adding to `problems`."""
    values = tree.values.get(key, {})
    if not isinstance(values, dict):
        problems.append(tree.problem((key,), "should be a mapping of settings"))
        return None
    kind = PLAIN.get(key)
    if kind is None:
        registry = REGISTRIES[key]
        if "type" not in values and key in DEFAULT_TYPES:
            values = {"type": DEFAULT_TYPES[key], **values}
        if "type" not in values:
            problems.append(tree.problem((key,), "missing; name a preset or a type"))
            return None
        spec = registry.find(values["type"])
        if spec is None:
            problems.append(tree.problem((key, "type"), registry.complaint(values["type"])))
            return None
        kind = spec.params
    try:
        return kind.model_validate(absolute_paths(tree, key, kind, values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        problems.extend(_translated(tree, key, kind, found))
    except Exception as error:
        # A plugin's section may have validators of its own.
        if not (text := describe_user_error(error)):
            raise
        problems.append(tree.problem((key,), text))
    return None


def absolute_paths(
    tree: Tree, key: str, kind: type[Section], values: dict[str, Any]
) -> dict[str, Any]:
    """Return the values, with relative file names resolved from the place they were written in."""
    resolved = dict(values)
    for name, info in kind.model_fields.items():
        value = resolved.get(name)
        if isinstance(value, str) and is_file_name(info, value):
            folder = tree.place((key, name)).folder or Path.cwd()
            resolved[name] = str(folder / os.path.expanduser(value)) if value else value
    return resolved


def _translated(
    tree: Tree, section: str, kind: type[Section], errors: list[ErrorDetails]
) -> list[Problem]:
    """Turn pydantic's errors into problems, one per key, with our words for unknown and missing
    keys.
    """
    problems: dict[Path_, Problem] = {}
    wrong_inside = {error["loc"][0] for error in errors if len(error["loc"]) > 1}
    for error in errors:
        location = error["loc"]
        path, inside = _blamed(kind, location)
        if error["type"] == "too_short" and inside is kind and location[0] in wrong_inside:
            continue  # pydantic counts only valid items, so the list may not be too short at all
        known = list(inside.model_fields)
        path = (section, *path)
        if error["type"] == "extra_forbidden" and inside is not kind:
            hint = suggest_key(str(path[-1]), known) or f"; available: {', '.join(known)}"
            message = f"unknown key{hint}"
        elif error["type"] == "extra_forbidden":
            message = "unknown key" + _elsewhere(section, str(location[0]), known)
        elif error["type"] == "missing":
            message = "missing; this setting has no default"
        else:
            given = clean(repr(error["input"]), 60)
            info = inside.model_fields.get(str(path[-1]))
            message = f"{_expected(kind, error)}{_meant(error, info)}"
            if error["type"] != "unknown_metric":
                message += f" (got {given})"
        if path in problems:
            message = _either(problems[path].message, message)
        problems[path] = tree.problem(path, message)
    return list(problems.values())


def _either(first: str, second: str) -> str:
    """Join what two branches of a union say of a value, and name the value once."""
    expected, _, given = second.partition(" (got ")
    if expected in first:
        return first
    if given:
        first = first.removesuffix(f" (got {given}")
    return f"{first}, or {second.removeprefix('should ')}"


def _blamed(kind: type[Section], location: Path_) -> tuple[Path_, type[Section]]:
    """Return the keys to blame for an error at a location, and the section that has the last one.

    Parts after a field and its index name a branch of a union, and not a key, unless the field is a
    list of sections.
    """
    if len(location) < 2 or not isinstance(location[1], int):
        return location[:1], kind
    info = kind.model_fields.get(str(location[0]))
    inside = None if info is None else section_of_items(info)
    if inside is None or len(location) < 3:
        return location[:2], kind
    return location[:3], inside


def _expected(kind: type[Section], error: ErrorDetails) -> str:
    """Return what a value should be; of a list of sections, how one is written."""
    info = kind.model_fields.get(str(error["loc"][0]))
    is_whole = error["type"] in ("tuple_type", "model_type") and len(error["loc"]) < 3
    if is_whole and info is not None and section_of_items(info) is not None:
        if len(error["loc"]) > 1:
            return "should be settings, as {match: head, lr: 1e-3}"
        return "should be a list of settings, as [{match: head, lr: 1e-3}]"
    return worded(error)


def _meant(error: ErrorDetails, info: FieldInfo | None) -> str:
    """Return a hint for a word that is not one of the choices, or that stands for none."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return hint_on_none(info, error["input"])
    choices = str(error.get("ctx", {}).get("expected", "")).split("'")[1::2]
    return suggest(error["input"], choices)


def _elsewhere(section: str, word: str, known: list[str]) -> str:
    """Return a hint for an unknown key: the same key in another section, or one here that is
    similar or has this name in other programs.
    """
    for other, kind in PLAIN.items():
        if other != section and word in kind.model_fields:
            return f" (did you mean '{other}.{word}'?)"
    for other, registry in REGISTRIES.items():
        keys = {name for spec in registry for name in spec.params.model_fields} - {"type"}
        if other != section and word in keys:
            return f" (did you mean '{other}.{word}'?)"
    here = [f"{section}.{name}" for name in known]
    found = other_name(f"{section}.{word}", here) or other_name(word, every_key())
    hint = suggest_key(f"{section}.{word}", found) if found else suggest(word, known)
    return hint or f"; available: {', '.join(known)}"


def contradictions(experiment: Experiment) -> list[tuple[Path_, str]]:
    """Return contradictions between fields that are each valid, with the key to blame for each."""
    training, optimizer = experiment.training, experiment.optimizer
    found: list[tuple[Path_, str]] = []
    if training.epochs is None and training.max_steps is None and training.max_seconds is None:
        found.append(
            (("training",), "no limit; set training.epochs, training.max_steps or max_seconds")
        )
    has_length = training.epochs is not None or training.max_steps is not None
    if needs_horizon(experiment.schedule) and not has_length:
        found.append((("schedule", "type"), needs_length(experiment.schedule)))
    if getattr(optimizer, "nesterov", False) and getattr(optimizer, "momentum", 0.0) == 0:
        found.append((("optimizer", "nesterov"), "needs optimizer.momentum above 0"))
    found += group_contradictions(optimizer.groups, has_length=has_length)
    if training.grad_clip_norm is not None and training.grad_clip_value is not None:
        found.append((("training", "grad_clip_value"), "set this or grad_clip_norm, not both"))
    if getattr(experiment.model, "kernel_size", 1) % 2 == 0:
        found.append((("model", "kernel_size"), "should be odd, so that a layer keeps the size"))
    return found
