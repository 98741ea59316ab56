"""`read_pictures`: the decoded pictures of many files, mapped from one file of the cache.

Layer: data. Without a cache the same bytes are in memory, or if they are many in a file without a
name.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict
from hashlib import sha256
from typing import IO

import numpy as np
import torch

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
from tui_trainer.data.files.picture_file import (
    StoredPictures,
    check_pictures,
    description_of,
    mapped,
    parsed,
    parts_of,
)
from tui_trainer.data.files.picture_form import PictureForm
from tui_trainer.data.files.picture_reader import (
    ColourFound,
    PictureFiles,
    PictureReader,
    are_grey,
    sample_bytes,
)
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text

FORMAT = 1
"""Raised with every change of what is decoded from a file, or how it is kept."""
_LEAST_FILES = 500
_MOST_IN_MEMORY = 64 << 20
_SPARE_BYTES = 64 << 20
_LOOKED_AT = 100
"""So many pictures are looked at to guess whether all are grey."""
_NOT_PICTURES = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)


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
            return str(description_of(mapped(file))[0]["path"])
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
            content = mapped(file)
        stored = parsed(content, "cache", count)
        check_pictures(stored, name)
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
    parts = parts_of(reader, path)
    size = len(files) * sample_bytes(form, has_mask=bool(files.masks))
    if key:
        try:
            with open_cache(writing=True) as folder:
                if size <= min(MOST_BYTES, _free_bytes(folder.descriptor) // 2):
                    make_room(folder, size)
                    write_entry(folder, key + PICTURES, parts)
                    with folder.reader(key + PICTURES) as file:
                        content = mapped(file)
                    if reader.is_changed:
                        # The key is that of the files as they were.
                        folder.remove(key + PICTURES)
                    return parsed(content, "cache", len(files))
        except OSError:
            # Whatever is wrong with the cache, there are other places.
            reader = PictureReader(name, files, form, must_be_grey=is_guess)
            parts = parts_of(reader, path)
    if size <= _MOST_IN_MEMORY:
        memory = bytearray().join(parts)
        return parsed(np.frombuffer(memory, dtype=np.uint8), "memory", len(files))
    with _unnamed_file(name, size, len(files), form) as file:
        try:
            for part in parts:
                file.write(part)
            file.flush()
        except OSError as error:
            raise _no_room(name, size, len(files), form, str(file.name), 0) from error
        return parsed(mapped(file), "file", len(files))


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
