"""`MaskFolder`: the folder of `predict --out`, and the names of the masks in it.

Layer: cli.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tui_trainer.cli.output_file import check_free, make_folder


class MaskFolder:
    """The folder that masks are written to; a mask has the name of its picture."""

    def __init__(self, folder: Path, pictures: Sequence[str], *, force: bool = False) -> None:
        """Make the folder unless it is there; with `force`, masks of before are replaced.

        Raises:
            BadInput: a mask would replace a picture, or a file of before; none is written.
            CannotWrite: it cannot be made.
        """
        self._folder = folder
        self._pictures = pictures
        self._force = force
        self._written: set[Path] = set()
        for picture in pictures:
            self.path_for(picture, "")
        self._written.clear()
        make_folder(folder)

    def path_for(self, picture: str, place: str) -> Path:
        """Return the path for the mask of a picture, or of one at a place in a file of several.

        A name that this command has used gets a number.

        Raises:
            BadInput: the mask would replace one of the pictures, or a file of before.
        """
        stem = Path(picture).stem
        if place:
            stem += "-" + re.sub(r"[^\w.]+", "-", place)
        path, number = self._folder / f"{stem}.png", 1
        while path in self._written:
            number += 1
            path = self._folder / f"{stem}-{number}.png"
        check_free(path, self._pictures, force=self._force, what="picture")
        self._written.add(path)
        return path
