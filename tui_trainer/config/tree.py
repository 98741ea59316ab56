"""`Tree`: the values of an experiment before they are checked, with the places they come from.

Layer: config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_trainer.config.yaml.parser import shown_key
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import Problem

COMMAND_LINE = "command line"

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The place a value was written in."""

    source: str = ""
    line: int | None = None
    column: int | None = None
    folder: Path | None = None
    """The folder that relative file names start from; None: the current directory."""


@dataclass(slots=True)
class Tree:
    """Values by section, and the places where they were written, by key path."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Notes for the user about the origin of the values."""

    def place(self, path: Path_) -> Place:
        """Return the place of a key, or of the nearest key above it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place()

    def problem(self, path: Path_, message: str) -> Problem:
        """Return a problem at the place of a key."""
        place = self.place(path)
        return Problem(message, shown_key(path), place.source, place.line, place.column)


def places_of(document_places: Mapping[Path_, tuple[int, int]], source: Path) -> dict[Path_, Place]:
    """Return the places of a document as `Place`s; relative file names start from its folder."""
    folder = source.resolve().parent
    places = {
        path: Place(clean(str(source)), line, column, folder)
        for path, (line, column) in document_places.items()
    }
    places.setdefault((), Place(clean(str(source)), 1, None, folder))
    return places
