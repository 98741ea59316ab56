"""`OwnType`: a type or metric that a plugin registered, and which of them an experiment takes.

Layer: config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.plugin_loader import LOADED, OWN_METRICS
from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.config.user_code import file_of, is_of_user
from tui_trainer.text.clean import clean

TAKEN = ("dataset", "problem", "model", "loss", "optimizer", "schedule", "transform", "recipe")
"""The kinds of which an experiment has one type."""


@dataclass(frozen=True, slots=True)
class OwnType:
    """A type or metric of a plugin."""

    kind: str
    name: str
    origin: str
    """Its file and line."""
    description: str = ""

    @property
    def path(self) -> str:
        """The file that registers it."""
        return self.origin.rpartition(":")[0]

    @property
    def file(self) -> str:
        """The name of this file, to be shown."""
        return clean(file_of(self.origin), 60)


def own_types(kind: str | None = None) -> list[OwnType]:
    """Return the types of plugins, of one kind or of all, in the order in which they came."""
    kinds = REGISTRIES if kind is None else {kind: REGISTRIES.get(kind, ())}
    return [
        OwnType(name, spec.name, spec.origin, spec.description)
        for name, registry in kinds.items()
        for spec in registry
        if is_of_user(spec.origin)
    ]


def types_of_files() -> list[OwnType]:
    """Return the types and metrics of the files that were named, and of what these import."""
    metrics = [METRICS[name] for name in OWN_METRICS]
    found = own_types()
    found += [OwnType("metric", one.name, one.origin, one.description) for one in metrics]
    files = {file.path for plugin in LOADED.values() for file in (plugin, *plugin.beside)}
    return [one for one in found if one.path in files]


def only_type(types: Sequence[OwnType], kind: str, path: str = "") -> str:
    """Return the name of the only type of a kind; empty if there is none, or several.

    With a path, one that this file registers goes before those of other files.
    """
    of_kind = [one for one in types if one.kind == kind]
    names = [one.name for one in of_kind if path and one.path == path]
    names = names or [one.name for one in of_kind]
    return names[0] if len(names) == 1 else ""
