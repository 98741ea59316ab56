"""Files that `predict --out` writes: never over another file unasked, and complete or not there.

Layer: cli. The same rule holds for tables of predictions and for masks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CannotWrite

_LONGEST = 80
"""How much of a name its temporary name repeats, since a name has at most 255 bytes."""


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there; raises CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        shown, reason = clean(str(folder), 200), (error.strerror or str(error)).lower()
        raise CannotWrite(f"--out {shown}: {reason}") from error


def check_free(path: Path, inputs: Sequence[str], *, force: bool, what: str = "input") -> None:
    """Check that a file may be written.

    Raises:
        BadInput: it would replace one of the inputs, which are `what`; or it exists, and `force` is
            not given; or it is no regular file.
    """
    shown = clean(str(path), 200)
    if not os.path.lexists(path):
        return
    for other in inputs:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, other):
                raise BadInput(f"{shown}: would replace the {what}; write to another place")
    if not path.is_file():
        raise BadInput(f"{shown}: exists and is not a file; write to another place")
    if not force:
        raise BadInput(f"{shown}: already exists; --force replaces it")


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a name in the same folder for a file that becomes `path` when it is complete.

    Nothing is left of it after an error or Ctrl-C, and `path` is as it was before.

    Raises:
        CannotWrite: the disk is full, for example.
    """
    temporary = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            reason = (error.strerror or str(error)).lower()
            raise CannotWrite(f"{clean(str(path), 200)}: {reason}") from error
        raise
