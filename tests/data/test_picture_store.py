"""Decoded pictures are kept in the cache, and never taken for others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tui_trainer.cli.main import main
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.files.folders import open_folder, walk_files
from tui_trainer.data.files.picture_form import PictureForm
from tui_trainer.data.files.picture_opener import is_picture_name
from tui_trainer.data.files.picture_reader import PictureFiles, PictureReader
from tui_trainer.data.files.picture_store import read_pictures
from tui_trainer.data.files.stored_pictures import StoredPictures
from tui_trainer.text.errors import BadInput

FORM = PictureForm(8, 8, 3)
COUNT = 500
OLD_S = 60.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, name: str, number: int, mode: str = "RGB") -> None:
    folder.mkdir(exist_ok=True)
    numbers = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(numbers).convert(mode).save(folder / name)
    os.utime(folder / name, (time.time() - OLD_S,) * 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        write(folder, f"{number:04}.png", number)
    (folder / "0007.png").write_bytes(b"broken")
    os.utime(folder / "0007.png", (time.time() - OLD_S,) * 2)
    return folder


def files_in(folder: Path) -> PictureFiles:
    listing = walk_files(open_folder(str(folder)), is_picture_name)
    return PictureFiles(str(folder), listing.files)


def read(folder: Path, form: PictureForm = FORM) -> StoredPictures:
    return read_pictures("pictures", str(folder), files_in(folder), form, find_channels=True)


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.pictures")) if cache.exists() else []


def is_same(one: StoredPictures, other: StoredPictures) -> bool:
    return (
        torch.equal(one.samples, other.samples)
        and one.records.tobytes() == other.records.tobytes()
        and (one.form, one.broken, one.animated) == (other.form, other.broken, other.animated)
    )


def test_what_was_decoded_is_taken_from_the_cache(pictures: Path, cache: Path) -> None:
    first = read(pictures)
    assert len(entries(cache)) == 1
    assert entries(cache)[0].stat().st_mode & 0o777 == 0o600
    assert [broken.place for broken in first.broken] == [7]
    assert len(first.pictures) == COUNT - 1

    inode = entries(cache)[0].stat().st_ino
    assert is_same(read(pictures), first)
    assert entries(cache)[0].stat().st_ino == inode
    assert not is_same(read(pictures, PictureForm(9, 9, 3)), first)
    assert len(entries(cache)) == 2


def test_without_a_cache_the_same_is_read(
    pictures: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = read(pictures)
    monkeypatch.setenv(VARIABLE, "off")
    assert is_same(read(pictures), kept)
    large = PictureForm(256, 256, 3)
    in_a_file = read(pictures, large)
    assert in_a_file.place == "file"
    monkeypatch.setenv(VARIABLE, str(cache))
    assert is_same(read(pictures, large), in_a_file)
    # What is mapped can be changed without touching the file.
    in_a_file.samples[0] = 0


def test_a_cache_that_cannot_be_written_to_is_done_without(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    assert len(read(pictures).pictures) == COUNT - 1


def further(*cases: Any) -> list[Any]:
    return [pytest.param(case, marks=pytest.mark.further) for case in cases]


@pytest.mark.parametrize("place", [0, 60_000, -1, *further(5000, -60, -400)])
def test_a_damaged_entry_is_decoded_again(place: int, pictures: Path, cache: Path) -> None:
    first = read(pictures)
    kept = first.samples.clone()
    path = entries(cache)[0]
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()
    path.write_bytes(content)
    again = read(pictures)
    assert torch.equal(again.samples, kept)
    assert path.read_bytes() != bytes(content)


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:-1], *further(lambda content: content[50:], lambda content: b"")],
)
def test_an_entry_of_another_length_is_decoded_again(
    change: Callable[[bytes], bytes], pictures: Path, cache: Path
) -> None:
    kept = read(pictures).samples.clone()
    path = entries(cache)[0]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(change(content))
    assert torch.equal(read(pictures).samples, kept)


def test_a_file_that_changes_is_decoded_again_and_a_new_one_is_not_trusted(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for file in files_in(pictures).pictures:
        os.link(pictures / file.name, own / file.name)
    first = read(own)
    (own / "0003.png").unlink()
    write(own, "0003.png", 9999)
    again = read(own)
    assert not torch.equal(again.samples[3], first.samples[3])
    assert torch.equal(again.samples[4], first.samples[4])
    assert len(entries(cache)) == 2

    os.utime(own / "0003.png")
    read(own)
    assert len(entries(cache)) == 2


def test_one_picture_in_colours_among_grey_ones_makes_all_three_channels(
    tmp_path: Path, cache: Path
) -> None:
    for number in range(COUNT):
        write(tmp_path / "own", f"{number:04}.png", number, "L")
    assert read(tmp_path / "own").form.channels == 1
    # Not one of those that are looked at first.
    write(tmp_path / "own", "0003.png", 3)
    stored = read(tmp_path / "own")
    assert stored.form.channels == 3
    assert torch.equal(stored.pictures[5, 0], stored.pictures[5, 1])
    assert not [path for path in cache.iterdir() if path.name.endswith(".new")]


def test_a_reader_that_is_given_up_ends_its_threads(pictures: Path) -> None:
    before = threading.active_count()
    reading = PictureReader("pictures", files_in(pictures), FORM).read()
    next(reading)
    assert threading.active_count() > before
    reading.close()
    assert threading.active_count() == before


def test_what_has_no_room_is_refused_with_a_size_that_fits(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    room = SimpleNamespace(f_bavail=(64 << 20) + 5_000_000, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda place: room)
    files = PictureFiles(str(pictures), [*files_in(pictures).pictures] * 40)
    with pytest.raises(BadInput, match=r"20,000 pictures of 64x64 take 246 MB") as caught:
        read_pictures("x", "x", files, PictureForm(64, 64, 3), find_channels=True, decode="once")
    assert "dataset.size=9 fits, or make room there" in str(caught.value)
    few = PictureFiles(str(pictures), files.pictures[: 2 * COUNT])
    stored = read_pictures("x", "x", few, PictureForm(256, 256, 3), find_channels=True)
    assert (stored.place, len(stored.records)) == ("training", 2 * COUNT - 2)
    assert stored.samples.is_meta
    assert "1,000 pictures of 256x256 take 197 MB" in stored.reason


def test_the_command_lists_and_clears_pictures(
    pictures: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(pictures)
    assert main(["cache", "list"]) == 0
    out = capsys.readouterr().out
    assert str(pictures) in out
    assert "1 data set, " in out
    assert main(["cache", "clear"]) == 0
    assert "removed 1 data set" in capsys.readouterr().out
    assert not entries(cache)
