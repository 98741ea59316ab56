"""The errors a user can cause or meet, and the exit code each one ends in.

Layer: text. Everything that is raised on purpose derives from `TrainerError`; the command
line prints it as one line and no traceback. Any other exception is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from pydantic_core import ErrorDetails


class ExitCode(IntEnum):
    """Exit status of every command; a signal n ends in 128 + n after the work is saved."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    CANNOT_WRITE = 3
    CHECKPOINT_UNUSABLE = 4


class TrainerError(Exception):
    """Something to tell the user in one line, with the fix in it."""

    exit_code: ExitCode = ExitCode.FAILED


class BadInput(TrainerError):
    """A wrong argument, name, file or combination of settings."""

    exit_code = ExitCode.BAD_INPUT


class CannotWrite(TrainerError):
    """The run directory, or a file in it, cannot be written."""

    exit_code = ExitCode.CANNOT_WRITE


class CheckpointUnusable(TrainerError):
    """A checkpoint is damaged, foreign, of another model or of a newer format."""

    exit_code = ExitCode.CHECKPOINT_UNUSABLE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration, with the place where it stands."""

    message: str
    key: str = ""
    source: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.source
        if place and self.line is not None:
            place += f":{self.line}" if self.column is None else f":{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(BadInput):
    """Every problem of a configuration at once, one a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


# `worded`: what is wrong with a value, in the words of every message, field and dialog.
#
# Pydantic speaks of integers, tuples and strings; who edits a preset or types into a field is
# told of whole numbers, lists and texts.


_WORDS = (
    ("input should", "should"),
    ("be a valid integer", "be a whole number"),
    ("be a valid number", "be a number"),
    ("be a valid boolean", "be true or false"),
    ("be a valid string", "be a text"),
    ("be a valid tuple", "be a list"),
    ("be a valid list", "be a list"),
    ("be a valid dictionary", "be keys with values"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("greater than", "above"),
    ("less than", "below"),
    ("tuple should", "should"),
    ("list should", "should"),
    (" item after validation", " value"),
    (" items after validation", " values"),
    ("string should", "should"),
)


def worded(error: ErrorDetails) -> str:
    """What should be the case, as `should be above 0`: without the key and what was given."""
    text = error["msg"][:1].lower() + error["msg"][1:]
    # What follows explains it by Python's parsing.
    text = text.partition(", unable to parse")[0]
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    return text
