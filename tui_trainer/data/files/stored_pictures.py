"""The file of decoded pictures: its bytes, and what is read out of it again.

Layer: data. The pictures stand in it one after another as plain bytes, then what is known of each,
and at the end a description. Every length is held against the size of the file, and every picture
against its CRC-32: what does not fit is as good as not there. The file of pictures that are read
while training has no pictures, only what is known of them.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from io import BufferedReader
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.files.picture_form import PictureForm
from tui_trainer.data.files.picture_reader import (
    RECORD,
    Broken,
    PictureReader,
    Records,
    sample_bytes,
)
from tui_trainer.text.read_progress import ReadProgress

_MAGIC = b"tui-trainer pictures\n"
_MOST_DESCRIPTION_BYTES = 256 << 20
_PIECE_BYTES = 16 << 20

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class StoredPictures:
    """The pictures that were read, in the order of their files."""

    form: PictureForm
    samples: Tensor
    """(N, bytes) uint8: each picture (C, H, W), then its mask (H, W) if it has one. On the device
    `meta`, which keeps shapes alone, if they are read while training."""
    records: Records
    """(N,) what is known of each."""
    broken: tuple[Broken, ...]
    animated: int
    """The number of files with several pictures, of which the first was taken."""
    place: str = "cache"
    """Where they are: cache, memory or file; training: nowhere, they are read while training."""
    mask_counts: tuple[int, ...] = (0,) * 256
    """How many pixels of the masks have each number."""
    colours: tuple[int, ...] = ()
    """The colour that each number in the masks stands for, if colours are the classes."""
    reason: str = ""
    """Why they are read while training, unless that was asked for."""

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


def parts_of(
    reader: PictureReader, path: str, *, keeps_pictures: bool = True
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the file while the pictures are read."""
    records, samples = [np.empty(0, dtype=RECORD)], 0
    for pictures, known in reader.read():
        for numbers in pictures if keeps_pictures else ():
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
        "mask_counts": reader.mask_counts.tolist(),
        "colours": reader.colours.colours,
        "keeps_pictures": keeps_pictures,
    }
    text = json.dumps(described).encode()
    yield text
    yield len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little") + _MAGIC


def mapped(file: BufferedReader | IO[bytes]) -> Bytes:
    # What is changed in memory stays there; torch warns of numbers that cannot be changed.
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=np.uint8)


def description_of(content: Bytes) -> tuple[dict[str, Any], int]:
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


def parsed(content: Bytes, place: str, count: int) -> StoredPictures:
    """Return the pictures of a file for so many files; any of several errors if it is damaged."""
    described, end = description_of(content)
    pictures, each = described["pictures"], described["sample_bytes"]
    form = PictureForm(**described["form"])
    form = replace(form, mask_colours=tuple(form.mask_colours))
    if described["files"] != count or min(pictures, each) < 0:
        raise ValueError("other pictures")
    size = pictures * each if described["keeps_pictures"] else 0
    begin = size + -size % RECORD.itemsize
    if begin + pictures * RECORD.itemsize != end:
        raise ValueError("a file of another length")
    records = content[begin:end].view(RECORD)
    if zlib.crc32(records.tobytes()) != described["records_check"]:
        raise ValueError("damaged records")
    if described["keeps_pictures"]:
        samples = torch.from_numpy(content[:size]).view(pictures, each)
    else:
        samples = torch.empty((pictures, each), dtype=torch.uint8, device="meta")
    return StoredPictures(
        form,
        samples,
        records,
        tuple(Broken(int(place), str(reason)) for place, reason in described["broken"]),
        int(described["animated"]),
        place if described["keeps_pictures"] else "training",
        tuple(map(int, described["mask_counts"])),
        tuple(map(int, described["colours"])),
    )


def check_pictures(stored: StoredPictures, name: str) -> None:
    """Raise ValueError if a picture is not as it was decoded."""
    if stored.samples.is_meta:
        return
    samples, checks = stored.samples.numpy(), stored.records["check_all"].tolist()
    step = max(1, _PIECE_BYTES // max(samples.shape[1], 1))
    with ReadProgress(name, samples.nbytes) as progress:
        for start in range(0, len(samples), step):
            for row, check in enumerate(checks[start : start + step], start):
                if zlib.crc32(samples[row].data) != check:
                    raise ValueError("a damaged picture")
            progress.reach(start * samples.shape[1])
