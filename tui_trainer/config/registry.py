"""Registries of specs: what can be named in a preset, without the code that builds it.

Layer: config. A spec knows no torch; the implementation binds to it by name in `data`, `models`
or `training`, and a test holds the two sets of names equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tui_trainer.config.section import TypedSection
from tui_trainer.text.clean import clean, suggest


@dataclass(frozen=True, slots=True)
class Spec:
    """One thing that a configuration can name.

    `params` is the section that configures it; its `type` field accepts exactly `name`.
    """

    name: str
    description: str
    params: type[TypedSection]
    suits: tuple[str, ...] = ()
    """Of a model: the kinds of data for which a message proposes it, and `per_step` if it can
    predict something at each step."""


class Registry:
    """The specs of one kind, in the order they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._specs: dict[str, Spec] = {}

    def add(self, spec: Spec) -> None:
        """Add a spec; a name that is taken is refused with ValueError."""
        if spec.name in self._specs:
            raise ValueError(f"{self.kind} {spec.name!r} is registered already")
        self._specs[spec.name] = spec

    def find(self, name: object) -> Spec | None:
        """The spec of that name, or None."""
        return self._specs.get(name) if isinstance(name, str) else None

    def complaint(self, name: object) -> str:
        """Why `name` is not in this registry, with what is."""
        known = ", ".join(self._specs)
        hint = suggest(name, self._specs) if isinstance(name, str) else ""
        return f"no {self.kind} type {clean(repr(name), 80)}{hint}; there are: {known}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._specs)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._specs.values())
