"""`read_pictures`: the decoded pictures of many files, mapped from one file of the cache.

Layer: data. The pictures stand in it one after another as plain bytes, then what is known of each,
and at the end a description. Every length is held against the size of the file, and every picture
against its CRC-32: what does not fit is as good as not there. Without a cache the same bytes are in
memory, or if they are many in a file without a name.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BufferedReader
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer import __version__
from tui_trainer.data.files.cache_store import (
    LEAST_BYTES,
    MOST_BYTES,
    PICTURES,
    SETTLED_S,
    CacheFolder,
    cache_folder,
    key_of,
    make_room,
    open_cache,
    open_entry,
    write_entry,
)
from tui_trainer.data.files.picture_form import PictureForm
from tui_trainer.data.files.picture_reader import (
    RECORD,
    Broken,
    ColourFound,
    PictureFiles,
    PictureReader,
    Records,
    are_grey,
    sample_bytes,
)
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text
from tui_trainer.text.progress import ReadProgress

FORMAT = 1
"""Raised with every change of what is decoded from a file, or how it is kept."""
_MAGIC = b"tui-trainer pictures\n"
_MOST_DESCRIPTION_BYTES = 256 << 20
_LEAST_FILES = 500
_MOST_IN_MEMORY = 64 << 20
_SPARE_BYTES = 64 << 20
_LOOKED_AT = 100
"""So many pictures are looked at to guess whether all are grey."""
_PIECE_BYTES = 16 << 20
_NOT_PICTURES = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class StoredPictures:
    """The pictures that were read, in the order of their files."""

    form: PictureForm
    samples: Tensor
    """(N, bytes) uint8: each picture (C, H, W), then its mask (H, W) if it has one."""
    records: Records
    """(N,) what is known of each."""
    broken: tuple[Broken, ...]
    animated: int
    """The number of files with several pictures, of which the first was taken."""
    place: str = "cache"
    """Where they are: cache, memory or file."""

    @property
    def pictures(self) -> Tensor:
        """(N, C, H, W) uint8."""
        count = int(np.prod(self.form.shape))
        return self.samples[:, :count].view(-1, *self.form.shape)

    @property
    def masks(self) -> Tensor:
        """(N, H, W) uint8."""
        count = int(np.prod(self.form.shape))
        return self.samples[:, count:].view(-1, self.form.height, self.form.width)


def decoder_versions() -> str:
    """Return the versions of what decodes and scales."""
    from PIL import __version__ as pillow_version

    return f"Pillow {pillow_version}, torch {torch.__version__}"


def read_pictures(
    name: str, path: str, files: PictureFiles, form: PictureForm, *, find_channels: bool
) -> StoredPictures:
    """Return the pictures in some files, out of the cache if they are in it.

    Args:
        name: of the folder or table, cleaned for messages.
        path: of the same, absolute.
        form: that they are brought to.
        find_channels: whether they get one channel if all are grey, and else three.

    Raises:
        BadInput: there is no room for them.
    """
    key = _key(path, files, form, find_channels=find_channels)
    if (stored := _load(key, name, len(files))) is not None:
        return stored
    forms = [form]
    if find_channels:
        grey, colour = (
            PictureForm(form.height, form.width, channels, form.fit) for channels in (1, 3)
        )
        forms = [grey, colour] if are_grey(files.some(_LOOKED_AT)) else [colour]
    for candidate in forms:
        try:
            return _read(key, name, path, files, candidate, is_guess=candidate is not forms[-1])
        except ColourFound:
            continue
    raise AssertionError("the last form is no guess")


def path_of(folder: CacheFolder, name: str) -> str:
    """Return the path that an entry of the cache was read from; empty if it is damaged."""
    try:
        with folder.reader(name) as file:
            return str(_description(_mapped(file))[0]["path"])
    except _NOT_PICTURES:
        return ""


def _key(path: str, files: PictureFiles, form: PictureForm, *, find_channels: bool) -> str:
    """Return the name of the entry; empty if there is to be none."""
    folder = cache_folder()
    all_files = [*files.pictures, *files.masks]
    newest = max((file.mtime_ns for file in all_files), default=0)
    size = sample_bytes(form, has_mask=bool(files.masks)) * len(files)
    is_worth_it = len(files) >= _LEAST_FILES or size >= LEAST_BYTES
    if folder is None or not is_worth_it or time.time() - newest / 1e9 <= SETTLED_S:
        return ""
    digest = sha256(json.dumps([files.root, len(files), all_files]).encode())
    how = {**asdict(form), "channels": "auto"} if find_channels else asdict(form)
    return key_of([FORMAT, __version__, decoder_versions(), how, path, digest.hexdigest()])


def _load(key: str, name: str, count: int) -> StoredPictures | None:
    """Return pictures out of the cache; None if they are not there, or are damaged."""
    if not key:
        return None
    try:
        with open_cache() as folder, open_entry(folder, key + PICTURES) as file:
            content = _mapped(file)
        stored = _parsed(content, "cache", count)
        _check(stored, name)
    except _NOT_PICTURES:
        return None
    return stored


def _read(
    key: str,
    name: str,
    path: str,
    files: PictureFiles,
    form: PictureForm,
    *,
    is_guess: bool,
) -> StoredPictures:
    """Decode the files into the cache, or into memory or a file without a name.

    Raises:
        ColourFound: `is_guess`, and a picture has colours.
        BadInput: there is no room for them.
    """
    reader = PictureReader(name, files, form, must_be_grey=is_guess)
    parts = _parts(reader, path)
    size = len(files) * sample_bytes(form, has_mask=bool(files.masks))
    if key:
        try:
            with open_cache(writing=True) as folder:
                if size <= min(MOST_BYTES, _free_bytes(folder.descriptor) // 2):
                    make_room(folder, size)
                    write_entry(folder, key + PICTURES, parts)
                    with folder.reader(key + PICTURES) as file:
                        content = _mapped(file)
                    if reader.is_changed:
                        # The key is that of the files as they were.
                        folder.remove(key + PICTURES)
                    return _parsed(content, "cache", len(files))
        except OSError:
            # Whatever is wrong with the cache, there are other places.
            reader = PictureReader(name, files, form, must_be_grey=is_guess)
            parts = _parts(reader, path)
    if size <= _MOST_IN_MEMORY:
        memory = bytearray().join(parts)
        return _parsed(np.frombuffer(memory, dtype=np.uint8), "memory", len(files))
    with _unnamed_file(name, size, len(files), form) as file:
        try:
            for part in parts:
                file.write(part)
            file.flush()
        except OSError as error:
            raise _no_room(name, size, len(files), form, str(file.name), 0) from error
        return _parsed(_mapped(file), "file", len(files))


def _free_bytes(place: int | str) -> int:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _unnamed_file(name: str, size: int, count: int, form: PictureForm) -> IO[bytes]:
    """Open a file without a name that has room for so many bytes; BadInput if none has."""
    cache = cache_folder()
    folders = [tempfile.gettempdir()]
    if cache is not None and cache.is_dir():
        folders.insert(0, str(cache))
    for folder in folders:
        if _free_bytes(folder) >= size + _SPARE_BYTES:
            try:
                return tempfile.TemporaryFile(dir=folder)
            except OSError:
                continue
    largest = max(folders, key=_free_bytes)
    raise _no_room(name, size, count, form, largest, _free_bytes(largest))


def _no_room(
    name: str, size: int, count: int, form: PictureForm, folder: str, free: int
) -> BadInput:
    shape = f"{form.height}x{form.width}"
    room = max(free - _SPARE_BYTES, 0) / max(count * form.channels, 1)
    fitting = int(room**0.5)
    advice = f"dataset.size={fitting} fits, or " if fitting >= 8 else ""
    return BadInput(
        f"{name}: {count:,} pictures of {shape} take {size_text(size)} once they are decoded, and "
        f"{folder} has {size_text(free)} free; {advice}make room there (TMPDIR names another "
        "folder)"
    )


def _parts(reader: PictureReader, path: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the file while the pictures are read."""
    records, samples = [np.empty(0, dtype=RECORD)], 0
    for pictures, known in reader.read():
        for numbers in pictures:
            yield numbers.numpy().data
            samples += numbers.numel()
        records.append(known)
    yield bytes(-samples % RECORD.itemsize)
    table = np.concatenate(records)
    yield table.tobytes()
    described = {
        "path": path,
        "files": len(reader.files),
        "pictures": len(table),
        "sample_bytes": sample_bytes(reader.form, has_mask=bool(reader.files.masks)),
        "form": asdict(reader.form),
        "records_check": zlib.crc32(table.tobytes()),
        "broken": [[broken.place, broken.reason] for broken in reader.broken],
        "animated": reader.animated,
    }
    text = json.dumps(described).encode()
    yield text
    yield len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little") + _MAGIC


def _mapped(file: BufferedReader | IO[bytes]) -> Bytes:
    # What is changed in memory stays there; torch warns of numbers that cannot be changed.
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=np.uint8)


def _description(content: Bytes) -> tuple[dict[str, Any], int]:
    """Return the description at the end of a file, and where it begins."""
    tail = len(_MAGIC) + 12
    end = content[-tail:].tobytes()
    if len(end) != tail or not end.endswith(_MAGIC):
        raise ValueError("another file")
    length, check = (int.from_bytes(part, "little") for part in (end[:8], end[8:12]))
    begin = len(content) - tail - length
    if begin < 0 or length > _MOST_DESCRIPTION_BYTES:
        raise ValueError("a description that is too long")
    text = content[begin : begin + length].tobytes()
    if zlib.crc32(text) != check:
        raise ValueError("a damaged description")
    described: dict[str, Any] = json.loads(text)
    return described, begin


def _parsed(content: Bytes, place: str, count: int) -> StoredPictures:
    """Return the pictures of a file for so many files; any of several errors if it is damaged."""
    described, end = _description(content)
    pictures, each = described["pictures"], described["sample_bytes"]
    form = PictureForm(**described["form"])
    if described["files"] != count or min(pictures, each) < 0:
        raise ValueError("other pictures")
    size = pictures * each
    begin = size + -size % RECORD.itemsize
    if begin + pictures * RECORD.itemsize != end:
        raise ValueError("a file of another length")
    records = content[begin:end].view(RECORD)
    if zlib.crc32(records.tobytes()) != described["records_check"]:
        raise ValueError("damaged records")
    samples = torch.from_numpy(content[:size]).view(pictures, each)
    broken = tuple(Broken(int(place), str(reason)) for place, reason in described["broken"])
    return StoredPictures(form, samples, records, broken, int(described["animated"]), place)


def _check(stored: StoredPictures, name: str) -> None:
    """Raise ValueError if a picture is not as it was decoded."""
    samples, checks = stored.samples.numpy(), stored.records["check_all"].tolist()
    step = max(1, _PIECE_BYTES // max(samples.shape[1], 1))
    with ReadProgress(name, samples.nbytes) as progress:
        for start in range(0, len(samples), step):
            for row, check in enumerate(checks[start : start + step], start):
                if zlib.crc32(samples[row].data) != check:
                    raise ValueError("a damaged picture")
            progress.reach(start * samples.shape[1])
