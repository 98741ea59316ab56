"""Small forms of pictures: of files, of folders, and of the previews of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.thumbnails import Thumbnail, preview_names, read_preview, thumbnails_at
from tui_trainer.text.errors import BadInput

RED, WHITE = b"\xff\x00\x00", b"\xff\xff\xff"


def picture(path: Path, size: tuple[int, int] = (8, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (255, 0, 0) if mode == "RGB" else (255, 0, 0, 0)).save(path)


def test_a_picture_fits_its_place_and_small_ones_grow_by_whole_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "small.png", (3, 2))
    picture(tmp_path / "wide.png", (400, 100))
    picture(tmp_path / "clear.png", (4, 4), "RGBA")
    sizes = {one.name: (one.width, one.height) for one in thumbnails_at(tmp_path, 9, (14, 7))}
    assert sizes == {"clear.png": (12, 12), "small.png": (12, 8), "wide.png": (14, 4)}
    (clear,) = thumbnails_at(tmp_path / "clear.png", 9, (14, 7))
    assert clear.pixels == WHITE * 144, "what is clear is white"
    (small,) = thumbnails_at(tmp_path / "small.png", 9, (14, 7))
    assert small.pixels == RED * 96


def test_the_first_picture_of_each_folder_comes_first(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "train/fox/1.png"):
        picture(tmp_path / name)
    (tmp_path / "cat" / "0.png").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "cat/1.png").read_bytes())
    names = [one.name for one in thumbnails_at(tmp_path, 9, (8, 4))]
    assert names == ["dog/1.png", "train/fox/1.png", "cat/1.png", "dog/2.png", "cat/2.png"]
    assert [one.name for one in thumbnails_at(tmp_path, 2, (8, 4))] == names[:2]
    assert thumbnails_at(tmp_path / "nothing", 9, (8, 4)) == []


def test_previews_of_a_run_are_read_and_broken_ones_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert preview_names(run) == []
    picture(tmp_path / "previews" / "step-00000010.png")
    (tmp_path / "previews" / "step-00000020.txt").write_text("a text\n\x1b[31mred")
    (tmp_path / "previews" / "step-00000005.png").write_bytes(b"no picture")
    (tmp_path / "previews" / "other.png").touch()
    names = preview_names(run)
    assert names == ["step-00000005.png", "step-00000010.png", "step-00000020.txt"]
    made = read_preview(run, names[1], (16, 8))
    assert isinstance(made, Thumbnail)
    assert (made.width, made.height) == (16, 8)
    text = read_preview(run, names[2], (16, 8))
    assert isinstance(text, str)
    assert "\x1b" not in text
    with pytest.raises(BadInput, match=r"step-00000005.png: cannot be read"):
        read_preview(run, names[0], (16, 8))
