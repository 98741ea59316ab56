"""A file that unpacks to more than it is, is refused by its directory; all others are read."""

from __future__ import annotations

import hashlib
import re
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tui_trainer
from tui_trainer.runs.manifests import Manifest
from tui_trainer.text.errors import BadInput, CheckpointUnusable
from tui_trainer.training import archives
from tui_trainer.training.archives import ArchiveRefused
from tui_trainer.training.checkpoints import read_checkpoint
from tui_trainer.training.preparation import read_weights

GOOD: dict[str, Callable[[], Any]] = {
    "nothing": dict,
    "one": lambda: {"w": torch.arange(4.0)},
    "empty tensors": lambda: {"w": torch.zeros(0), "v": torch.zeros(3, 0)},
    "many": lambda: {f"layer.{n}": torch.full((n,), float(n)) for n in range(300)},
    "shared": lambda: dict(zip("ab", [torch.arange(9)] * 2, strict=True)),
    "large": lambda: {"w": torch.arange(2**20)},
    "kinds": lambda: {
        **{str(d): torch.ones(3, dtype=d) for d in (torch.bfloat16, torch.bool, torch.complex64)},
        **{"bytes": b"abc", "text": "é", "none": None, "deep": [1, (2.5, {"x": True})]},
    },
    "a model": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict(),
    "an optimizer": lambda: torch.optim.Adam([nn.Parameter(torch.ones(2))]).state_dict(),
    "ordered": lambda: OrderedDict(a=nn.Parameter(torch.ones(2))),
}


def load_archive(path: Path) -> Any:
    with path.open("rb") as file:
        return archives.load_archive(file)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    return bool(one == other)


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_torch_saved_is_read(tmp_path: Path, kind: str, is_zip: bool) -> None:
    path = tmp_path / "file.pt"
    content = GOOD[kind]()
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    assert equal(load_archive(path), content)


def test_an_archive_that_was_packed_anew_and_not_compressed_is_read(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(4.0)}, tmp_path / "file.pt")
    rewritten(tmp_path / "file.pt", tmp_path / "again.pt", zipfile.ZIP_STORED)
    assert equal(load_archive(tmp_path / "again.pt"), {"w": torch.arange(4.0)})


def rewritten(
    source: Path, target: Path, method: int, replaced: dict[str, bytes] | None = None
) -> None:
    """The same archive by another program, with other contents of some entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, (replaced or {}).get(name, old.read(name)))


def compressed(path: Path) -> None:
    """4 MB of zeros in some kB, with a pickle that asks for them."""
    tiny = path.with_name("tiny.pt")
    torch.save({"w": torch.zeros(2**20)}, tiny)
    rewritten(tiny, path, zipfile.ZIP_DEFLATED)


def one_compressed(path: Path) -> None:
    """Only the pickle is compressed."""
    torch.save({"w": torch.zeros(4), "text": "a" * 10_000}, path)
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            how = zipfile.ZIP_DEFLATED if name.endswith(".pkl") else zipfile.ZIP_STORED
            new.writestr(name, content, how)


def overlapping(path: Path) -> None:
    """Eight entries that are all the same bytes of the file."""
    torch.save({f"w{n}": torch.full((50_000,), float(n)) for n in range(8)}, path)
    with zipfile.ZipFile(path) as old:
        contents = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            if not re.search(r"data/[1-7]$", name):
                new.writestr(name, content)
        (shared,) = (info for info in new.infolist() if info.filename.endswith("data/0"))
        for number in range(1, 8):
            info = zipfile.ZipInfo(shared.filename[:-1] + str(number))
            info.header_offset, info.CRC = shared.header_offset, shared.CRC
            info.file_size = info.compress_size = shared.file_size
            new.filelist.append(info)
        new._didModify = True  # type: ignore[attr-defined]


def larger_than_the_file(path: Path) -> None:
    """A stored entry that says it is 1 TB, by the sizes for large archives."""
    torch.save({"w": torch.zeros(4)}, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
        (info,) = (one for one in archive.infolist() if one.filename.endswith("data/0"))
    place = content.index(info.filename.encode(), start) - 46
    name, extra = struct.unpack_from("<2H", content, place + 28)
    struct.pack_into("<2L", content, place + 20, 2**32 - 1, 2**32 - 1)
    struct.pack_into("<H", content, place + 30, extra + 20)
    field = struct.pack("<2H2Q", 1, 16, 2**40, 2**40)
    content[place + 46 + name : place + 46 + name] = field
    # The ends know a directory that is longer by the field.
    end = len(content) - 98
    for at, kind in ((end + 40, "<Q"), (end + 56 + 8, "<Q"), (end + 76 + 12, "<L")):
        (number,) = struct.unpack_from(kind, content, at)
        struct.pack_into(kind, content, at, number + 20)
    path.write_bytes(content)


class Called:
    """Pickled as a call."""

    def __init__(self, function: Any, *values: Any) -> None:
        self.reduced = function, values

    def __reduce__(self) -> Any:
        return self.reduced


def huge_bytearray(path: Path) -> None:
    torch.save({"w": torch.zeros(4), "x": Called(bytearray, 2**40)}, path)


def huge_bytearray_of_old(path: Path) -> None:
    content = {"w": torch.zeros(4), "x": Called(bytearray, 2**40)}
    torch.save(content, path, _use_new_zipfile_serialization=False)


BOMBS: dict[Callable[[Path], None], str] = {
    compressed: "it is a compressed archive, which torch never writes",
    one_compressed: "it is a compressed archive, which torch never writes",
    overlapping: r"its entries hold [\d,]+ bytes and the file [\d,]+",
    larger_than_the_file: r"its entries hold 1,099,[\d,]+ bytes and the file [\d,]+",
    huge_bytearray: "it holds a bytearray, which could be of any size",
    huge_bytearray_of_old: "it holds a bytearray, which could be of any size",
}


@pytest.mark.parametrize("make", BOMBS)
def test_fault_57_what_unpacks_to_more_than_it_is_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "bomb.pt"
    make(path)
    said = f"{BOMBS[make]}; refused before any of it was unpacked"
    tracemalloc.start()
    with pytest.raises(ArchiveRefused, match=f"^{said}$"):
        load_archive(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    where = re.escape(f"training.init_from: {path}: ")
    advice = re.escape("; save the weights alone: torch.save(model.state_dict(), FILE)")
    with pytest.raises(BadInput, match=f"^{where}{said}{advice}$"):
        read_weights(str(path))


def test_fault_57_a_checkpoint_that_unpacks_to_more_than_it_is_is_unusable(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.pt"
    compressed(path)
    total = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = Manifest(path.name, total, path.stat().st_size, 1, 0, None, {}, "")
    with pytest.raises(CheckpointUnusable, match=f"{path}: it is a compressed archive"):
        read_checkpoint(tmp_path, manifest)


def two_directories(content: bytes) -> bytes:
    """A second directory at the end; each reader takes another one of the two."""
    return content + content[-98:]


def commented(content: bytes) -> bytes:
    return content[:-2] + struct.pack("<H", 4) + b"text"


def in_front(content: bytes) -> bytes:
    """A local header before the archive: what a lenient reader skips, and torch does not."""
    return content[:30] + content


def misplaced(content: bytes) -> bytes:
    """The locator leads to another end of a large archive than the one before it."""
    return content[:-34] + struct.pack("<Q", 0) + content[-26:]


@pytest.mark.parametrize("change", [two_directories, commented, in_front, misplaced])
def test_an_archive_that_could_be_read_in_two_ways_is_not_read(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "file.pt"
    torch.save({"w": torch.zeros(4)}, path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=r"directory|end"):
        load_archive(path)
    with pytest.raises(BadInput, match="or is damaged"):
        read_weights(str(path))


def test_a_file_that_is_cut_anywhere_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save({"w": torch.zeros(4)}, path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(BadInput, match="or is damaged"):
            read_weights(str(path))


def test_fault_57_one_place_unpickles() -> None:
    root = Path(tui_trainer.__file__).parent
    places = {
        str(path.relative_to(root)): found
        for path in root.rglob("*.py")
        if (found := re.findall(r"torch\.load\(|pickle\.loads?\(|np\.load\(", path.read_text()))
    }
    assert places == {"training/archives.py": ["torch.load("]}
