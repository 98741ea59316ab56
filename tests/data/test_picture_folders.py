"""Folders of pictures: what they say of classes and splits, and the files that are no pictures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from tests.data.splits import tensors
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.load import load
from tui_trainer.data.sources.picture_folders import list_pictures
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError

SIDE = 12


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")


def section(path: Path | str, **settings: Any) -> PicturesSection:
    values = {"type": "pictures", "path": str(path), "size": 8, **settings}
    return PicturesSection.model_validate(values)


def picture(number: int, mode: str = "RGB") -> Image.Image:
    shape = (SIDE, SIDE, 3)
    numbers = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(numbers).convert(mode)


def write(folder: Path, classes: str = "cat dog", count: int = 12, first: int = 0) -> Path:
    for kind, name in enumerate(classes.split()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = first + 1000 * kind + number
            picture(seed).save(folder / name / f"{number:02}.png")
    return folder


def notes_of(dataset: Dataset) -> str:
    return "\n".join(dataset.notes)


def sizes(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.train), len(dataset.val), len(dataset.test)


def rows_by_split(dataset: Dataset) -> list[list[int]]:
    return [
        split.rows.tolist() for split in map(tensors, (dataset.train, dataset.val, dataset.test))
    ]


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(path, **settings))
    return str(caught.value)


def test_pictures_have_the_class_of_their_folder(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "deep" / "deeper").mkdir(parents=True)
    picture(99).save(tmp_path / "cat" / "deep" / "deeper" / "more.JPG", "JPEG")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / ".hidden.png").write_text("no picture")
    (tmp_path / "readme.txt").write_text("words")
    picture(98).save(tmp_path / "beside.png")
    dataset = load(section(tmp_path))

    assert dataset.classes == ("cat", "dog")
    assert sum(sizes(dataset)) == 25
    assert dataset.signature.kind == "image"
    assert dataset.input_shape == (3, 8, 8)
    notes = notes_of(dataset)
    assert "1 folder without a picture: empty/" in notes
    assert "1 picture left out: in no folder" in notes
    assert "left out files that are not pictures: 1 *.txt" in notes


def test_batches_are_bytes_that_become_normal_numbers_on_the_device(tmp_path: Path) -> None:
    train = tensors(load(section(write(tmp_path, count=30))).train)
    batch = next(train.in_order(len(train)))
    assert batch["input"].dtype == torch.uint8
    assert train.ready is not None
    inputs = train.ready(batch)["input"]
    assert inputs.dtype == torch.float32
    assert abs(float(inputs.mean())) < 1e-5
    assert float(inputs.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    write(tmp_path / "train", count=20)
    write(tmp_path / "valid", count=5, first=100)
    write(tmp_path / "test", count=4, first=200)
    (tmp_path / "test" / "none.png").write_bytes((tmp_path / "test/cat/00.png").read_bytes())
    dataset = load(section(tmp_path))

    assert sizes(dataset) == (40, 10, 8)
    assert "are the splits (train 40, val 10, test 8)" in notes_of(dataset)
    assert "1 picture left out: in test/, without a folder of a class" in notes_of(dataset)
    assert dataset.split_summary == "split by the folders train, val and test"
    drawn = load(section(tmp_path, split_by="identity"))
    assert sizes(drawn) != sizes(dataset)
    assert sum(sizes(drawn)) == 58
    again = load(section(tmp_path), dataset.preprocessing, record=dataset.split_record)
    assert rows_by_split(again) == rows_by_split(dataset)


def test_a_missing_validation_is_cut_from_train_and_a_missing_test_stays_missing(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a" / "train", count=40)
    write(tmp_path / "a" / "test", count=4, first=200)
    train, val, test = sizes(load(section(tmp_path / "a")))
    assert test == 8
    assert val == round(0.15 * 80)
    assert train == 80 - val

    write(tmp_path / "b" / "train", count=20)
    write(tmp_path / "b" / "val", count=4, first=200)
    assert sizes(load(section(tmp_path / "b"))) == (40, 8, 0)


def test_a_class_called_train_is_no_split(tmp_path: Path) -> None:
    assert load(section(write(tmp_path, "bus train tram"))).classes == ("bus", "train", "tram")


def test_the_only_folder_in_a_folder_is_looked_into(tmp_path: Path) -> None:
    write(tmp_path / "archive" / "data")
    dataset = load(section(tmp_path))
    assert dataset.classes == ("cat", "dog")
    assert "the folders in archive/data/ are the classes" in notes_of(dataset)


def test_broken_files_are_left_out_and_named_or_refused(tmp_path: Path) -> None:
    write(tmp_path)
    whole = (tmp_path / "cat" / "00.png").read_bytes()
    broken = {
        "cut.png": (whole[:200], "cannot be read as a picture"),
        "zero.png": (b"", "is empty"),
        "words.jpg": (b"only words\n", "is not a picture of a known format"),
    }
    for name, (content, _) in broken.items():
        (tmp_path / "cat" / name).write_bytes(content)
    Image.new("1", (14_000, 14_000)).save(tmp_path / "cat" / "bomb.png")
    os.symlink("nowhere.png", tmp_path / "cat" / "link.png")
    os.symlink(".", tmp_path / "cat" / "loop")
    os.mkfifo(tmp_path / "cat" / "pipe.png")

    dataset = load(section(tmp_path))
    notes = notes_of(dataset)
    assert sum(sizes(dataset)) == 24
    assert "left out: 4 broken files" in notes
    assert "cat/bomb.png (more than 64,000,000 pixels)" in notes
    for name, (_, reason) in broken.items():
        assert f"cat/{name} ({reason}" in notes
    assert "link that leads nowhere (cat/link.png)" in notes
    assert "already read (cat/loop/)" in notes
    assert "entry that is not a regular file (cat/pipe.png)" in notes

    message = refusal(tmp_path, broken="error")
    assert "4 broken files" in message
    assert "dataset.broken=skip leaves them out" in message
    for name in broken:
        assert name in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_may_not_be_read_is_broken(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "cat" / "00.png").chmod(0)
    assert "cat/00.png (cannot be read: permission denied)" in notes_of(load(section(tmp_path)))


def test_folders_without_pictures_say_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.txt").write_text("words")
    assert "no picture in this folder or below it; left out files that are not" in refusal(tmp_path)
    assert "*.txt" in refusal(tmp_path)
    assert "no such file or folder" in refusal(tmp_path / "nowhere")
    picture(1).save(tmp_path / "a.png")
    assert "pictures but no folders of classes" in refusal(tmp_path)
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    assert "no file can be read as a picture; 1 broken file: cat/a.png" in refusal(tmp_path)


def test_channels_are_those_of_the_pictures(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(12):
            picture(number + 100 * len(name) + ord(name[0]), "L").save(
                tmp_path / name / f"{number}.png"
            )
    grey = load(section(tmp_path))
    assert grey.input_shape == (1, 8, 8)
    assert load(section(tmp_path, channels="rgb")).input_shape == (3, 8, 8)
    assert load(section(tmp_path, channels=1)).input_shape == (1, 8, 8)
    picture(5).save(tmp_path / "dog" / "zz.png")
    assert load(section(tmp_path)).input_shape == (3, 8, 8)
    # A picture in colours that comes later changes nothing for the run.
    later = load(section(tmp_path), grey.preprocessing, record=grey.split_record)
    assert later.input_shape == (1, 8, 8)
    assert rows_by_split(later) == rows_by_split(grey)


def test_equal_pictures_are_in_one_split_and_near_ones_are_counted(tmp_path: Path) -> None:
    write(tmp_path, count=60)
    for number in range(60):
        # The same pixels in another file.
        picture(number).save(tmp_path / "cat" / f"copy-{number}.bmp")
    near = np.asarray(picture(1000)).copy()
    near[0, 0, 0] ^= 1
    Image.fromarray(near).save(tmp_path / "dog" / "near.png")
    dataset = load(section(tmp_path, size=SIDE))

    listed = [file.name for file in list_pictures(section(tmp_path)).files.pictures]
    for rows in rows_by_split(dataset):
        stems = [Path(listed[row]).stem.removeprefix("copy-").lstrip("0") for row in rows]
        cats = [stem for row, stem in zip(rows, stems, strict=True) if "cat" in listed[row]]
        assert all(cats.count(stem) == 2 for stem in cats)
    assert "60 rows with the inputs of another row, in the same split as that one" in dataset.notes
    assert "1 picture nearly equal to another one" in notes_of(dataset)


def test_pictures_of_the_test_that_are_trained_on_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "train", count=20)
    write(tmp_path / "test", count=4, first=200)
    shutil.copy(tmp_path / "train" / "cat" / "00.png", tmp_path / "test" / "cat" / "same.png")
    note = "1 picture of val and test equal to one in train"
    assert note in notes_of(load(section(tmp_path)))


@pytest.mark.further
def test_ten_thousand_classes_are_listed(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"c{number}").mkdir()
        (tmp_path / f"c{number}" / "a.png").touch()
    listed = list_pictures(section(tmp_path))
    assert len(listed.classes) == len(listed.files) == 10_000
    assert sorted(listed.labels.tolist()) == [*range(10_000)]


def test_names_with_escapes_are_data_and_are_cleaned_for_display(tmp_path: Path) -> None:
    strange = "\x1b[31mred\n"
    write(tmp_path, "cat")
    write(tmp_path / strange, "deep", first=500)
    undecodable = os.fsencode(tmp_path) + b"/cat/\xff\xfe.png"
    with open(undecodable, "wb") as file:
        picture(77).save(file, "PNG")
    (tmp_path / strange / "bad\x1b[0m.png").write_bytes(b"")
    dataset = load(section(tmp_path))
    assert dataset.classes == (strange, "cat")
    assert sum(sizes(dataset)) == 25
    assert dataset.summary is not None
    for text in (*dataset.notes, dataset.summary.target):
        assert "\x1b" not in text
        assert "\n" not in text


def test_a_resumed_run_has_its_pictures_and_a_checkpoint_of_others_is_refused(
    tmp_path: Path,
) -> None:
    first = load(section(write(tmp_path / "a", count=20)))
    picture(777).save(tmp_path / "a" / "cat" / "new.png")
    (tmp_path / "a" / "cat" / "01.png").write_bytes(b"broken by now")
    again = load(section(tmp_path / "a"), first.preprocessing, record=first.split_record)
    assert again.changes is not None
    assert (again.changes.gone, again.changes.new) == (1, 1)
    assert sum(sizes(again)) == 39

    with pytest.raises(CheckpointUnusable, match="shape: 3x8x8 in the checkpoint, 3x9x9"):
        load(section(tmp_path / "a", size=9), first.preprocessing, record=first.split_record)
    write(tmp_path / "b", "cat emu")
    with pytest.raises(CheckpointUnusable, match="class 1: 'dog' in the checkpoint, 'emu' in"):
        load(section(tmp_path / "b"), first.preprocessing)


def test_the_fingerprint_follows_files_settings_and_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(section(write(tmp_path / "a"))).fingerprint
    assert load(section(write(tmp_path / "b"))).fingerprint == first
    assert load(section(tmp_path / "a", fit="pad")).fingerprint != first
    (tmp_path / "b" / "cat" / "00.png").rename(tmp_path / "b" / "dog" / "zz.png")
    assert load(section(tmp_path / "b")).fingerprint != first

    before = load(section(tmp_path / "a"))
    monkeypatch.setattr(PIL, "__version__", "99.0")
    after = load(section(tmp_path / "a"), before.preprocessing, record=before.split_record)
    assert after.fingerprint != first
    assert rows_by_split(after) == rows_by_split(before)
    assert "now by Pillow 99.0" in notes_of(after)


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="should be below 8, the smaller side of dataset"):
        load(section(tmp_path, crop_padding=8))
    with pytest.raises(ConfigError, match="pictures can be split by identity, column or folders"):
        load(section(tmp_path, split_by="time"))
    with pytest.raises(ConfigError, match="no folders train, val and test"):
        load(section(tmp_path, split_by="folders"))
