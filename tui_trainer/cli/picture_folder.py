"""`PictureFolder`: the folder of `predict --out`, and the names of masks and pictures in it.

Layer: cli.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tui_trainer.cli.output_file import check_free, make_folder


def _plain(place: str) -> str:
    """Return a place in a file or folder as a part of the name of a file."""
    return re.sub(r"[^\w.]+", "-", place)


class PictureFolder:
    """The folder that masks and pictures are written to; one has the name of its input file."""

    def __init__(self, folder: Path, inputs: Sequence[str], *, force: bool = False) -> None:
        """Make the folder unless it is there; with `force`, files of before are replaced.

        Raises:
            BadInput: one would replace an input, or a file of before; none is written.
            CannotWrite: it cannot be made.
        """
        self._folder = folder
        self._inputs = inputs
        self._force = force
        self._written: set[Path] = set()
        for file in inputs:
            self.path_for(file, "")
        self._written.clear()
        make_folder(folder)

    def path_for(self, file: str, place: str) -> Path:
        """Return the path for what is made of a file, or of a sample at a place in it.

        A picture in a folder gives its own name, after those of the folders below that one.
        A name that this command has used gets a number.

        Raises:
            BadInput: it would replace one of the inputs, or a file of before.
        """
        from tui_trainer.data.files.picture_opener import is_picture_name

        stem = Path(file).stem
        if place and is_picture_name(place):
            # A picture in a folder that was named.
            stem = _plain(str(Path(place).with_suffix("")))
        elif place:
            stem += f"-{_plain(place)}"
        path, number = self._folder / f"{stem}.png", 1
        while path in self._written:
            number += 1
            path = self._folder / f"{stem}-{number}.png"
        # All pictures in a folder and below it are inputs.
        is_below = self._folder.resolve().is_relative_to(Path(file).resolve())
        inputs = [*self._inputs, *([str(path)] if is_below else [])]
        check_free(path, inputs, force=self._force, what="picture")
        self._written.add(path)
        return path
