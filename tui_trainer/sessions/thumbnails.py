"""Small forms of pictures, to be shown in a terminal: of a file, of a folder, or kept by a run.

Layer: sessions, without torch. Pictures may belong to anybody: only plain formats are opened, as
when they are trained on, and names are cleaned. Reading may take a while, so it belongs into a
thread.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.paths import names_in, read_file
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_LOOKED_AT = 2000
"""So many entries of a folder are read."""
_MOST_BYTES = 64 << 20
_MOST_LETTERS = 20_000


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture; two of its rows are one line of a terminal."""

    name: str
    width: int
    height: int
    pixels: bytes
    """Red, green and blue of each pixel, row by row."""


def is_picture(path: Path) -> bool:
    """Whether the name of a file is one of a picture."""
    from tui_trainer.data.files.picture_opener import SUFFIXES

    return path.suffix.lower() in SUFFIXES


def thumbnails_at(path: Path, count: int, size: tuple[int, int]) -> list[Thumbnail]:
    """Return small forms of a picture, or of some pictures in a folder and in its folders.

    Of folders in the folder, the first picture of each comes first. Files that cannot be read are
    left out.

    Args:
        count: at most so many.
        size: the columns and lines for each.
    """
    found: list[Thumbnail] = []
    for file in islice(_pictures_at(path), 2 * count):
        with suppress(BadInput, OSError, ValueError):
            found.append(_read(file, path, size))
        if len(found) == count:
            break
    return found


def _pictures_at(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    here, folders = _entries(path)
    below = [_entries(folder) for folder in folders[:50]]
    # train/cats/1.png: a folder of folders.
    deeper = [_entries(one)[0][:1] for _, inner in below for one in inner[:20]]
    firsts = [pictures[:1] for pictures, _ in below]
    for pictures in (*firsts, *deeper, here):
        yield from pictures
    # In turns, so that no class fills the place of all others.
    for row in zip_longest(*(pictures[1:] for pictures, _ in below)):
        yield from filter(None, row)


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the pictures and the folders in a folder, by name."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(islice(entries, MOST_LOOKED_AT), key=lambda entry: entry.name)
    except OSError:
        return [], []
    visible = [Path(entry.path) for entry in found if not entry.name.startswith(".")]
    return [path for path in visible if is_picture(path)], [p for p in visible if p.is_dir()]


def _read(file: Path, above: Path, size: tuple[int, int]) -> Thumbnail:
    from tui_trainer.data.files.picture_opener import open_picture

    name = file.name if file == above else str(file.relative_to(above))
    with open_picture(os.fspath(file)) as picture:
        return _small(picture, clean(name, 60), size)


def _small(picture: Image, name: str, size: tuple[int, int]) -> Thumbnail:
    from PIL import Image, ImageOps

    from tui_trainer.data.files.picture_opener import with_8_bits

    columns, lines = size
    picture.draft("RGB", (4 * columns, 8 * lines))
    whole = with_8_bits(ImageOps.exif_transpose(picture)).convert("RGBA")
    page = Image.new("RGBA", whole.size, "white")
    flat = Image.alpha_composite(page, whole).convert("RGB")
    share = min(columns / flat.width, 2 * lines / flat.height)
    # A small picture is enlarged by whole numbers only, so that its pixels stay squares.
    share = max(int(share), 1) if share > 1 else share
    width = max(round(flat.width * share), 1)
    height = max(round(flat.height * share), 1)
    method = Image.Resampling.NEAREST if share >= 1 else Image.Resampling.LANCZOS
    small = flat.resize((width, height), method)
    return Thumbnail(name, width, height, small.tobytes())


def preview_names(run: RunDirectory) -> list[str]:
    """Return the names of the previews that a run has kept, in the order of their steps."""
    with suppress(OSError):
        names = names_in(run.previews)
        return sorted(name for name in names if name.startswith("step-") and len(name) < 40)
    return []


def read_preview(run: RunDirectory, name: str, size: tuple[int, int]) -> Thumbnail | str:
    """Return a preview of a run: its picture in so many columns and lines, or its text.

    Raises:
        BadInput: it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    shown = clean(name, 60)
    try:
        content = read_file(run.previews / name, _MOST_BYTES)
        if name.endswith(".txt"):
            return clean(content.decode("utf-8", "replace"), _MOST_LETTERS, multiline=True)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.width * picture.height > _MOST_BYTES:
                raise BadInput(f"{shown}: is too large")
            return _small(picture, shown, size)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise BadInput(f"{shown}: cannot be read: {clean(str(error), 100)}") from error
