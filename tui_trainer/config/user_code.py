"""Finds the line of the user's own code that an exception came from, and describes it from there.

Layer: config. The user's code is a plugin and what it imports from its own folder. An exception
that passed through it is the user's to mend, and never a bug of this program, wherever it was
raised in the end.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

from tui_trainer.config.garbage_collection import insist_on_last_collection
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError

_FOLDERS: set[str] = set()
"""The folders of the plugins that were loaded, each with a separator at its end."""
_OURS = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = (os.path.dirname(os.__file__) + os.sep, _OURS)
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def add_folder(folder: str) -> None:
    """Take the files in a folder for the user's own code, except for libraries in it."""
    _FOLDERS.add(os.path.join(folder, ""))
    insist_on_last_collection()


def describe_user_error(error: BaseException) -> str:
    """Describe an exception from the user's code: file, line, exception, shapes if known.

    Empty if it did not pass through such code.
    """
    place = _place_in_user_code(error)
    return f"{place}: {described(error)}" if place else ""


def describe_error_near(error: BaseException, place: str) -> str:
    """Describe an exception that the user's code led to; `place` is for one raised elsewhere."""
    return describe_user_error(error) or f"{clean(place, 300)}: {described(error)}"


def described(error: BaseException) -> str:
    """Return the exception in one line, with the notes that were added to it."""
    # The text of a syntax error would repeat file and line.
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    text = clean(said, 300)
    if not isinstance(error, TrainerError):
        text = type(error).__name__ + (f": {text}" if text else "")
    return "; ".join([text, *(clean(note, 200) for note in getattr(error, "__notes__", ()))])


def place_of(function: Callable[..., Any]) -> str:
    """Return the file and line of a function's definition."""
    # Of ours there may be one around it.
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return f"{code.co_filename}:{code.co_firstlineno}"
    if isinstance(function, type):
        with contextlib.suppress(OSError, TypeError):
            file = inspect.getsourcefile(function)
            return f"{file}:{inspect.getsourcelines(function)[1]}"
        # The source of a plugin is not that of an imported module: its first method is near.
        for own in vars(function).values():
            if isinstance(getattr(own, "__code__", None), CodeType):
                return place_of(own)
    return str(getattr(function, "__module__", "a plugin"))


def is_of_user(place: str) -> bool:
    """Whether a place such as `/home/me/scans.py:14` is in a plugin or beside it."""
    return _is_users(place.rpartition(":")[0])


def names_user_code(message: str) -> bool:
    """Whether a message begins with a file of the user's code, or one beside it."""
    return message.startswith(tuple(_FOLDERS))


def file_of(place: str) -> str:
    """Return the name of the file in a place such as `/home/me/scans.py:14`, or of a module."""
    return os.path.basename(place.rpartition(":")[0] or place)


def place_of_users(*functions: Callable[..., Any] | None) -> str:
    """Return the place of the first function that is the user's, or of the last one."""
    known = [function for function in functions if function is not None]
    users = (one for one in known if _is_users(place_of(one).rpartition(":")[0]))
    return place_of(next(users, known[-1]))


def _place_in_user_code(error: BaseException) -> str:
    """Return the innermost line of the user's code that the exception passed through."""
    if isinstance(error, SyntaxError) and _is_users(error.filename or ""):
        return clean(f"{error.filename}:{error.lineno}", 300)
    place, is_called_by_us = "", False
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        # Outside of our code there is only the script that started us.
        is_called_by_us = is_called_by_us or file.startswith(_OURS)
        if is_called_by_us and _is_users(file):
            place = clean(f"{file}:{line}", 300)
    return place


def _is_users(file: str) -> bool:
    folder = next((folder for folder in _FOLDERS if file.startswith(folder)), None)
    if folder is None or file.startswith(_LIBRARIES):
        return False
    # An installed plugin is itself below site-packages; what is installed below its folder is not.
    return not any(part in os.sep + file.removeprefix(folder) for part in _INSTALLED)
