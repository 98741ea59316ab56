"""Walks through folders: what is listed, in which order, and what is counted instead."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from tui_trainer.data.files.folders import Listing, open_folder, walk_files


def walked(folder: Path) -> Listing:
    return walk_files(open_folder(str(folder)), lambda name: name.endswith(".jpg"))


def test_everything_that_can_be_in_a_folder_is_listed_or_counted(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/10.jpg", "a.jpg/x.jpg", "a/deep/y.jpg", "B.jpg", "b/n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b" / ".hidden.jpg").touch()
    (tmp_path / "b" / "none").touch()
    os.mkfifo(tmp_path / "b" / "pipe.jpg")
    os.mkfifo(tmp_path / "b" / "pipe")
    links = {
        "b/zero.jpg": "gone",
        "b/loop.jpg": "loop.jpg",
        "b/loop": "loop",
        "b/same.jpg": "2.jpg",
        "b/up": "..",
        "c": str(tmp_path / "a" / "deep"),
        "outside": str(tmp_path.parent),
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    os.utime(tmp_path / "B.jpg", ns=(5, 7))

    listing = walked(tmp_path)

    names = ["B.jpg", "a/deep/y.jpg", "a.jpg/x.jpg", "b/10.jpg", "b/2.jpg"]
    assert [file.name for file in listing.files] == names
    assert (listing.files[0].size, listing.files[0].mtime_ns) == (5, 7)
    assert dict(listing.others) == {"*.txt": 1, "* (no ending)": 2}
    again = "left out: link to a parent folder, or to something already read"
    assert sorted(listing.omissions.notes()) == [
        "1 left out: entry that is not a regular file (b/pipe.jpg)",
        "2 left out: link that leads nowhere (b/loop.jpg and others)",
        f"4 {again} (b/same.jpg and others)",
    ]


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    walked(tmp_path)
    assert gc.isenabled()
    gc.disable()
    try:
        walked(tmp_path)
        assert not gc.isenabled()
    finally:
        gc.enable()
