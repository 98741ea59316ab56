"""`Tree`: the values of an experiment before they are checked, with the places they come from.

Layer: config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tui_trainer.config.yaml.parser import shown_key
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, Problem

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


@contextmanager
def placed_problems(places: Mapping[Path_, Place]) -> Iterator[None]:
    """Say of problems that only the data or the model show where their settings were written.

    Raises:
        ConfigError: the same problems, with the files and lines of their keys, or the command line.
    """
    try:
        yield
    except ConfigError as error:
        placed = ConfigError([_placed(problem, places) for problem in error.problems])
        placed.key = error.key
        raise placed from error


def _placed(problem: Problem, places: Mapping[Path_, Place]) -> Problem:
    path = tuple(int(part) if part.isdecimal() else part for part in problem.key.split("."))
    # The place of the section says nothing but of its type: the setting may have its default.
    least = 1 if path[1:] == ("type",) else 2
    for length in range(len(path), least - 1, -1):
        place = places.get(path[:length])
        if place is not None and not problem.source:
            return replace(problem, source=place.source, line=place.line, column=place.column)
    return problem


def places_of(document_places: Mapping[Path_, tuple[int, int]], source: Path) -> dict[Path_, Place]:
    """Return the places of a document as `Place`s; relative file names start from its folder."""
    folder = source.resolve().parent
    places = {
        path: Place(clean(str(source)), line, column, folder)
        for path, (line, column) in document_places.items()
    }
    places.setdefault((), Place(clean(str(source)), 1, None, folder))
    return places
