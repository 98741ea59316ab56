"""`MaskFolder`: the folder of `predict --out`, and the names of the masks in it.

Layer: cli.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CannotWrite


class MaskFolder:
    """The folder that masks are written to; a mask has the name of its picture."""

    def __init__(self, folder: Path, pictures: Sequence[str]) -> None:
        """Make the folder unless it is there.

        Raises:
            CannotWrite: it cannot be made.
        """
        self._folder = folder
        self._pictures = pictures
        self._written: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            shown, reason = clean(str(folder), 200), (error.strerror or str(error)).lower()
            raise CannotWrite(f"--out {shown}: {reason}") from error

    def path_for(self, picture: str, place: str) -> Path:
        """Return the path for the mask of a picture, or of one at a place in a file of several.

        A name that this command has used gets a number; a mask of an earlier one is replaced.

        Raises:
            BadInput: the mask would replace one of the pictures.
        """
        stem = Path(picture).stem
        if place:
            stem += "-" + re.sub(r"[^\w.]+", "-", place)
        path, number = self._folder / f"{stem}.png", 1
        while path in self._written:
            number += 1
            path = self._folder / f"{stem}-{number}.png"
        if any(path.exists() and path.samefile(other) for other in self._existing()):
            raise BadInput(
                f"{clean(str(path), 200)}: the mask would replace the picture; name another "
                "folder for --out"
            )
        self._written.add(path)
        return path

    def _existing(self) -> list[Path]:
        return [path for path in map(Path, self._pictures) if path.exists()]
