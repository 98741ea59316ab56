"""`read_pictures`: the decoded pictures of many files, mapped from one file of the cache.

Layer: data. Without a cache the same bytes are in memory, or if they are many in a file without a
name. If there is room in none of them, what is known of each picture is kept, and the pictures are
read again while training.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import IO

import numpy as np
import torch

from tui_trainer import __version__
from tui_trainer.config.sections.picture_datasets import Decode
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
    ColourFound,
    PictureFiles,
    PictureReader,
    are_grey,
    sample_bytes,
)
from tui_trainer.data.files.stored_pictures import (
    StoredPictures,
    check_pictures,
    description_of,
    mapped,
    parsed,
    parts_of,
)
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text

FORMAT = 2
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
    name: str,
    path: str,
    files: PictureFiles,
    form: PictureForm,
    *,
    find_channels: bool,
    decode: Decode = "auto",
) -> StoredPictures:
    """Return the pictures in some files, out of the cache if they are in it.

    Args:
        name: of the folder or table, cleaned for messages.
        path: of the same, absolute.
        files: to be read.
        form: that they are brought to.
        find_channels: whether they get one channel if all are grey, and else three.
        decode: whether they are kept once they are decoded, or read again while training.

    Raises:
        BadInput: there is no room for them, and they are to be kept.
    """
    request = _Request(name, path, files, form, find_channels, decode)
    if decode != "training" and (stored := _load(request.key(is_kept=True), name, len(files))):
        return stored
    forms = [form]
    if find_channels:
        grey, colour = (replace(form, channels=channels) for channels in (1, 3))
        forms = [grey, colour] if are_grey(files.some(_LOOKED_AT)) else [colour]
    for candidate in forms:
        try:
            return _read(request, candidate, is_guess=candidate is not forms[-1])
        except ColourFound:
            continue
    raise AssertionError("the last form is no guess")


@dataclass(frozen=True, slots=True)
class _Request:
    """Files to be read; the fields are the arguments of `read_pictures`."""

    name: str
    path: str
    files: PictureFiles
    form: PictureForm
    find_channels: bool
    decode: Decode

    def reader(self, form: PictureForm, *, is_guess: bool) -> PictureReader:
        return PictureReader(self.name, self.files, form, must_be_grey=is_guess)

    def size(self, form: PictureForm) -> int:
        """Return the bytes of the decoded pictures."""
        return sample_bytes(form, has_mask=bool(self.files.masks)) * len(self.files)

    def key(self, *, is_kept: bool) -> str:
        """Return the name of the entry for kept or for known pictures; empty: there is to be none.

        What is known of pictures holds for those that this kind of processor decodes: torch scales
        with other instructions on another one.
        """
        folder, files = cache_folder(), self.files
        all_files = [*files.pictures, *files.masks]
        newest = max((file.mtime_ns for file in all_files), default=0)
        size = self.size(self.form) if is_kept else sum(file.size for file in all_files)
        is_worth_it = len(files) >= _LEAST_FILES or size >= LEAST_BYTES
        if folder is None or not is_worth_it or time.time() - newest / 1e9 <= SETTLED_S:
            return ""
        digest = sha256(json.dumps([files.root, len(files), all_files]).encode())
        how = asdict(self.form)
        if self.find_channels:
            how["channels"] = "auto"
        what = [FORMAT, __version__, decoder_versions(), how, self.path, digest.hexdigest()]
        if not is_kept:
            what += ["known", torch.backends.cpu.get_cpu_capability()]
        return key_of(what)


class _NoRoom(BadInput):
    """There is no room for the decoded pictures; `reason` says it in few words."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def path_of(folder: CacheFolder, name: str) -> str:
    """Return the path that an entry of the cache was read from; empty if it is damaged."""
    try:
        with folder.reader(name) as file:
            return str(description_of(mapped(file))[0]["path"])
    except _NOT_PICTURES:
        return ""


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


def _read(request: _Request, form: PictureForm, *, is_guess: bool) -> StoredPictures:
    """Decode the files, and keep the pictures if there is room for them and it is not forbidden.

    Raises:
        ColourFound: `is_guess`, and a picture has colours.
        BadInput: there is no room for them, and they are to be kept.
    """
    reason = ""
    if request.decode != "training":
        try:
            return _kept(request, form, is_guess=is_guess)
        except _NoRoom as error:
            if request.decode == "once":
                raise
            reason = error.reason
    return replace(_known(request, form, is_guess=is_guess), reason=reason)


def _kept(request: _Request, form: PictureForm, *, is_guess: bool) -> StoredPictures:
    """Decode the files into the cache, or into memory or a file without a name.

    Raises:
        ColourFound: as `_read`.
        _NoRoom: there is no room for them.
    """
    key, count, size = request.key(is_kept=True), len(request.files), request.size(form)
    if key:
        reader = request.reader(form, is_guess=is_guess)
        try:
            with open_cache(writing=True) as folder:
                if size <= min(MOST_BYTES, _free_bytes(folder.descriptor) // 2):
                    make_room(folder, size)
                    write_entry(folder, key + PICTURES, parts_of(reader, request.path))
                    with folder.reader(key + PICTURES) as file:
                        content = mapped(file)
                    if reader.is_changed:
                        # The key is that of the files as they were.
                        folder.remove(key + PICTURES)
                    return parsed(content, "cache", count)
        except OSError:
            # Whatever is wrong with the cache, there are other places.
            pass
    parts = parts_of(request.reader(form, is_guess=is_guess), request.path)
    if size <= _MOST_IN_MEMORY:
        memory = bytearray().join(parts)
        return parsed(np.frombuffer(memory, dtype=np.uint8), "memory", count)
    with _unnamed_file(request, form) as file:
        try:
            for part in parts:
                file.write(part)
            file.flush()
        except OSError as error:
            raise _no_room(request, form, str(file.name), 0) from error
        return parsed(mapped(file), "file", count)


def _known(request: _Request, form: PictureForm, *, is_guess: bool) -> StoredPictures:
    """Decode the files once for what is known of each; the pictures are read while training.

    Raises:
        ColourFound: as `_read`.
    """
    key, count = request.key(is_kept=False), len(request.files)
    if (stored := _load(key, request.name, count)) is not None:
        return stored
    reader = request.reader(form, is_guess=is_guess)
    memory = bytearray().join(parts_of(reader, request.path, keeps_pictures=False))
    if key and not reader.is_changed:
        with contextlib.suppress(OSError), open_cache(writing=True) as folder:
            make_room(folder, len(memory))
            write_entry(folder, key + PICTURES, [memoryview(memory)])
    return parsed(np.frombuffer(memory, dtype=np.uint8), "training", count)


def _free_bytes(place: int | str) -> int:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _unnamed_file(request: _Request, form: PictureForm) -> IO[bytes]:
    """Open a file without a name that has room for the pictures; _NoRoom if none has."""
    cache = cache_folder()
    folders = [tempfile.gettempdir()]
    if cache is not None and cache.is_dir():
        folders.insert(0, str(cache))
    for folder in folders:
        if _free_bytes(folder) >= request.size(form) + _SPARE_BYTES:
            try:
                return tempfile.TemporaryFile(dir=folder)
            except OSError:
                continue
    largest = max(folders, key=_free_bytes)
    raise _no_room(request, form, largest, _free_bytes(largest))


def _no_room(request: _Request, form: PictureForm, folder: str, free: int) -> _NoRoom:
    shape, count = f"{form.height}x{form.width}", len(request.files)
    room = max(free - _SPARE_BYTES, 0) / max(count * form.channels, 1)
    fitting = int(room**0.5)
    advice = f"dataset.size={fitting} fits, " if fitting >= 8 else ""
    reason = (
        f"{count:,} pictures of {shape} take {size_text(request.size(form))} once they are "
        f"decoded, and {folder} has {size_text(free)} free"
    )
    return _NoRoom(
        f"{request.name}: {reason}; dataset.decode=auto reads them while training, {advice}or make "
        "room there (TMPDIR names another folder)",
        reason,
    )
