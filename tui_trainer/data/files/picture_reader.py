"""`PictureReader`: decodes the pictures of many files in threads, and gives them in their order.

Layer: data. Pillow and torch let other threads run while they work. At any time only a few hundred
pictures are in memory. A file that is no picture is left out, with the reason.
"""

from __future__ import annotations

import math
import os
import warnings
import zlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from threading import Event
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.files.folders import ListedFile
from tui_trainer.data.files.mask_colours import ColourNumbers, TooManyColours, colour_name
from tui_trainer.data.files.picture_form import (
    PictureForm,
    check_shape,
    decode,
    decode_mask,
    is_grey,
    upright_size,
)
from tui_trainer.data.files.picture_opener import MOST_BYTES, NotAPicture, open_regular, picture_in
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

if TYPE_CHECKING:
    from PIL.Image import Image

RECORD = np.dtype(
    [
        *(("file", "<u8", 2), ("thumbnail", "<u8"), ("sum", "<u8"), ("squares", "<u8")),
        *(("place", "<i8"), ("check", "<u4"), ("check_all", "<u4")),
    ]
)
"""What is known of a picture: hashes of its file and its thumbnail, the sum of its numbers and that
of their squares, its place among the files, and the CRC-32 of its numbers, also with its mask."""
Records = NDArray[np.void]

_ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP"})
_PIECE_BYTES = 4 << 20
_MOST_PER_PIECE = 16
_MOST_THREADS = 16
_THUMBNAIL = 8
_MOST_COLOURS_NAMED = 8
_SHADES = 16
"""A thumbnail has so many, so that a picture that was saved again has the same."""


class Contents(Protocol):
    """Gives the bytes of pictures by their names; is sent to workers."""

    def content(self, name: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            OSError: they cannot be read.
            NotAPicture: there are none.
        """
        ...


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Files to be read as pictures."""

    root: str
    """The folder that their names are relative to; empty: the current one."""
    pictures: Sequence[ListedFile]
    masks: Sequence[ListedFile] = ()
    """The file with the classes of the pixels of each picture; or none at all."""
    contents: Contents | None = None
    """What gives the bytes of pictures that are no files of their own; None: they are files."""

    def __len__(self) -> int:
        return len(self.pictures)

    def path(self, file: ListedFile) -> str:
        return os.path.join(self.root, file.name)

    def some(self, count: int) -> PictureFiles:
        """Return about so many of the pictures, evenly spread, without masks."""
        step = max(1, len(self.pictures) // count)
        return PictureFiles(self.root, self.pictures[::step], contents=self.contents)

    @contextmanager
    def open(self, file: ListedFile) -> Iterator[Image]:
        """Open a picture; raises as `content_of` and `picture_in` do."""
        if self.contents is not None:
            with picture_in(BytesIO(self.contents.content(file.name))) as picture:
                yield picture
        else:
            with open_regular(self.path(file)) as stream, picture_in(stream) as picture:
                yield picture


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that is no picture, by its place among the files, and why it is none."""

    place: int
    reason: str


class ColourFound(Exception):
    """A picture has colours, though all were thought to be grey."""


@dataclass(slots=True)
class PictureReader:
    """Reads files as pictures of a form; once it is at the end, it knows which are none."""

    name: str
    """Of the folder or table, for the progress; cleaned."""
    files: PictureFiles
    form: PictureForm
    must_be_grey: bool = False
    broken: list[Broken] = field(default_factory=list)
    animated: int = 0
    is_changed: bool = False
    """Whether a file is not as it was listed."""
    mask_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    """How many pixels of the masks have each number."""
    colours: ColourNumbers = field(default_factory=ColourNumbers)
    """The numbers of the colours in masks, if these are the classes."""
    _is_stopped: Event = field(default_factory=Event, repr=False)
    """Is set once nobody takes any more pictures, as after Ctrl-C."""

    def __post_init__(self) -> None:
        if self.form.mask_colours:
            self.colours = ColourNumbers(self.form.mask_colours, has_all=True)

    def read(self) -> Generator[tuple[list[Tensor], Records], None, None]:
        """Yield the pictures, some at a time: the uint8 numbers of each sample, and the records.

        A sample is the picture (C, H, W), then its mask (H, W) if there is one.

        Raises:
            ColourFound: a picture has colours and must be grey.
        """
        from PIL import Image

        # Importing the readers of formats in several threads at once is not safe.
        Image.init()
        total = sum(file.size for file in (*self.files.pictures, *self.files.masks))
        pool = ThreadPoolExecutor(threads(), thread_name_prefix="pictures")
        try:
            # The filters are those of all threads.
            with warnings.catch_warnings(), ReadProgress(self.name, total) as progress:
                warnings.simplefilter("ignore")
                done = 0
                for results in self._pieces(pool):
                    done += sum(result.read_bytes for result in results)
                    progress.reach(done)
                    if piece := self._taken(results):
                        yield piece
        finally:
            self._is_stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _pieces(self, pool: ThreadPoolExecutor) -> Iterator[list[_Result]]:
        size = sample_bytes(self.form, has_mask=bool(self.files.masks))
        count = max(1, min(_MOST_PER_PIECE, _PIECE_BYTES // size))
        waiting: deque[Future[list[_Result]]] = deque()
        for start in range(0, len(self.files), count):
            places = range(start, min(start + count, len(self.files)))
            waiting.append(pool.submit(self._read, places))
            if len(waiting) > 2 * threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _read(self, places: range) -> list[_Result]:
        results = []
        for place in places:
            if self._is_stopped.is_set():
                break
            results.append(_read_file(self.files, place, self.form))
        return results

    def _taken(self, results: Sequence[_Result]) -> tuple[list[Tensor], Records] | None:
        """Return the pictures of a piece; None if it has none."""
        for result in results:
            self.is_changed = self.is_changed or result.is_changed
            self.animated += result.is_animated
            if result.reason:
                self.broken.append(Broken(result.place, result.reason))
            elif self.must_be_grey and not result.is_grey:
                raise ColourFound
        good = [result for result in results if not result.reason]
        if not good:
            return None
        for result in good if self.files.masks else ():
            self._take_mask(result)
        records = np.array([result.record for result in good], dtype=RECORD)
        return [result.pixels for result in good], records

    def _take_mask(self, result: _Result) -> None:
        """Count the numbers in a mask, after those of its colours are known.

        Raises:
            BadInput: there are too many colours.
        """
        if result.colours is not None:
            try:
                numbers = self.colours.of(result.colours.numpy().reshape(-1))
            except TooManyColours:
                raise self._too_many_colours(result.place, result.colours) from None
            *known, check, _ = result.record
            result.record = (*known, check, zlib.crc32(numbers.data, check))
            result.pixels = torch.cat([result.pixels, torch.from_numpy(numbers)])
        mask = result.pixels[math.prod(self.form.shape) :].numpy()
        self.mask_counts += np.bincount(mask, minlength=256)

    def _too_many_colours(self, place: int, mask: Tensor) -> BadInput:
        colours, counts = np.unique(mask.numpy(), return_counts=True)
        common = np.argsort(-counts, kind="stable")[:_MOST_COLOURS_NAMED].tolist()
        shown = ", ".join(
            f"{colour_name(colours[index])} ({counts[index] / counts.sum():.1%})"
            for index in common
        )
        name = clean(self.files.masks[place].name, 200)
        return BadInput(
            f"{self.name}: the masks up to {name} have more than {len(self.colours.colours)} "
            "different colours, as photos and smoothed or JPEG masks do, so they are not classes; "
            "save them without smoothing, as PNG, or name those that are classes, as "
            f'\'dataset.mask_colours=["#000000", "#ff0000"]\'; that one has mostly {shown}'
        )


def threads() -> int:
    """Return the number of threads that decode."""
    usable = getattr(os, "sched_getaffinity", None)
    count = len(usable(0)) if usable else os.cpu_count() or 1
    return min(count, _MOST_THREADS)


def sample_bytes(form: PictureForm, *, has_mask: bool) -> int:
    """Return the bytes of a picture, and of its mask if it has one."""
    return (form.channels + has_mask) * form.height * form.width


def are_grey(files: PictureFiles) -> bool:
    """Whether these files have shades of grey only, as far as they can be opened."""
    for file in files.pictures:
        try:
            with files.open(file) as picture:
                if not is_grey(picture):
                    return False
        except (OSError, NotAPicture):
            continue
    return True


def sizes_of(files: PictureFiles) -> list[tuple[int, int]]:
    """Return height and width of the pictures in these files, as far as they can be opened."""
    sizes = []
    for file in files.pictures:
        try:
            with files.open(file) as picture:
                sizes.append((picture.height, picture.width))
        except (OSError, NotAPicture):
            continue
    return sizes


@dataclass(slots=True)
class _Result:
    """A file that was read."""

    place: int
    read_bytes: int = 0
    pixels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))
    record: tuple[Any, ...] = ()
    is_grey: bool = False
    is_animated: bool = False
    is_changed: bool = False
    colours: Tensor | None = None
    """(H, W) int32 of its mask, if colours are the classes; these pixels have no mask yet."""
    reason: str = ""
    """Why it is no picture; empty if it is one."""


def _read_file(files: PictureFiles, place: int, form: PictureForm) -> _Result:
    file = files.pictures[place]
    result = _Result(place, file.size)
    try:
        content, result.is_changed = content_of(files, file)
        with picture_in(BytesIO(content)) as picture:
            is_kind = picture.format in _ANIMATED_FORMATS
            result.is_animated = is_kind and bool(getattr(picture, "is_animated", False))
            result.is_grey, size = is_grey(picture), upright_size(picture)
            pixels = decode(picture, form)
        digest = sha256(content)
        parts = [pixels.view(-1)]
        if files.masks:
            mask = files.masks[place]
            result.read_bytes += mask.size
            content, is_changed = content_of(files, mask)
            result.is_changed = result.is_changed or is_changed
            digest.update(content)
            with picture_in(BytesIO(content)) as picture:
                check_shape(picture, size, form)
                mask_values = decode_mask(picture, form)
            if form.mask_values == "colours":
                result.colours = mask_values
            else:
                parts.append(mask_values.view(-1))
        result.pixels = parts[0] if len(parts) == 1 else torch.cat(parts)
        result.record = _record(digest.digest(), place, parts, pixels)
    except NotAPicture as error:
        result.reason = str(error)
    except OSError as error:
        result.reason = f"cannot be read: {clean(error.strerror or str(error), 120)}".lower()
    return result


def content_of(files: PictureFiles, listed: ListedFile) -> tuple[bytes, bool]:
    """Return the bytes of a file, and whether it is another one than was listed.

    Raises:
        OSError: it cannot be opened.
        NotAPicture: it is too large, empty, or no regular file.
    """
    if files.contents is not None:
        return files.contents.content(listed.name) or _no_bytes(), False
    with open_regular(files.path(listed)) as stream:
        status = os.fstat(stream.fileno())
        if status.st_size > MOST_BYTES:
            raise NotAPicture(f"more than {MOST_BYTES:,} bytes")
        content = stream.read()
    if not content:
        _no_bytes()
    is_as_listed = (len(content), status.st_mtime_ns) == (listed.size, listed.mtime_ns)
    return content, not is_as_listed


def _no_bytes() -> NoReturn:
    raise NotAPicture("is empty")


def _record(
    digest: bytes, place: int, samples: Sequence[Tensor], pixels: Tensor
) -> tuple[Any, ...]:
    """Return the record of a picture (C, H, W), given its sample in parts."""
    check = check_all = zlib.crc32(samples[0].numpy().data)
    for part in samples[1:]:
        check_all = zlib.crc32(part.numpy().data, check_all)
    numbers = pixels.numpy().reshape(-1, pixels.shape[-1])
    # A row of 65,536 pixels, each 255 at most, has less than 2^32 in its sum of squares.
    total = np.add.reduce(numbers, axis=1, dtype=np.uint32).sum(dtype=np.uint64)
    squares = np.square(numbers, dtype=np.uint16)
    return (
        (_number(digest[:8]), _number(digest[8:16])),
        _thumbnail(pixels, check),
        total,
        np.add.reduce(squares, axis=1, dtype=np.uint32).sum(dtype=np.uint64),
        place,
        check,
        check_all,
    )


def _thumbnail(pixels: Tensor, check: int) -> int:
    """Return a number for the 8 x 8 shades of grey of a picture (C, H, W).

    Pictures of one shade are not alike for that: they have another number for another `check`.
    """
    # Of a large picture every other pixel, or fewer, tell as much.
    step = max(1, min(pixels.shape[1:]) // (8 * _THUMBNAIL))
    coarse = pixels[None, :, ::step, ::step].contiguous()
    size = (_THUMBNAIL, _THUMBNAIL)
    small = F.interpolate(coarse, size=size, mode="bilinear", antialias=True)[0].numpy()
    grey = small.astype(np.int64).sum(axis=0) // len(small)
    shades = (grey * (_SHADES - 1) + 127) // 255
    is_flat = shades.min() == shades.max()
    text = shades.tobytes() + (check.to_bytes(4, "little") if is_flat else b"")
    return _number(sha256(text).digest()[:8])


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little")
