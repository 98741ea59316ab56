"""The errors a user can cause or run into, and the exit code for each of them.

Layer: text. Every exception that we raise on purpose derives from `TrainerError`; the command line
prints it as one line, without a traceback. Any other exception is a bug in this program, unless it
came from a plugin (`config/user_code.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every command; signal n leads to 128 + n, after the work is saved."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    CANNOT_WRITE = 3
    CHECKPOINT_UNUSABLE = 4


class TrainerError(Exception):
    """An error to show to the user as one line that includes the fix."""

    exit_code: ExitCode = ExitCode.FAILED
    key: str = ""
    """The setting to change, as `dataset.path`; empty if it is unknown or in the message."""


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
    """One problem in a configuration, with its location."""

    message: str
    key: str = ""
    source: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        location = self.source
        if location and self.line is not None:
            location += f":{self.line}" if self.column is None else f":{self.line}:{self.column}"
        return ": ".join(part for part in (location, self.key, self.message) if part)


class ConfigError(BadInput):
    """All problems of a configuration together, one per line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
