"""What is recognised of a file or folder by its beginning: the type, and the target of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.recognition import recognise
from tui_trainer.data.sources.target_column import find_target
from tui_trainer.text.errors import BadInput


def written(folder: Path, name: str, text: str = "a,b\n1,2\n") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("name", "stated", "type_"),
    [
        ("t.csv", {}, "table"),
        ("t", {}, "table"),
        ("t.txt", {}, "text"),
        ("t.txt", {"type": "table"}, "table"),
        ("t.csv", {"type": "text"}, "text"),
        ("t.csv", {"sequence": "id"}, "sequences"),
        ("t.csv", {"group": "id"}, "table"),
        ("t.csv", {"no_such_setting": 1}, "table"),
    ],
)
def test_a_file_is_a_table_unless_its_name_or_a_setting_says_otherwise(
    name: str, stated: dict[str, Any], type_: str, tmp_path: Path
) -> None:
    found = recognise(written(tmp_path, name), stated)
    assert (found.type, found.settings["path"]) == (type_, str(tmp_path / name))


def test_texts_in_folders_are_classes_and_texts_beside_each_other_are_one_text(
    tmp_path: Path,
) -> None:
    for name in ("spam/1.txt", "ham/1.md"):
        written(tmp_path / "classes", name)
    for name in ("1.txt", "more/2.txt"):
        written(tmp_path / "texts", name)
    classes = recognise(str(tmp_path / "classes"), {})
    assert classes.type == "text_folders"
    assert classes.settings["patterns"] == ["*.md", "*.txt"]
    assert "patterns" not in recognise(str(tmp_path / "classes"), {"patterns": ["*"]}).settings
    assert recognise(str(tmp_path / "texts"), {}).type == "text"
    for name in ("a/1.png", "b/2.JPG", "notes.txt"):
        written(tmp_path / "pictures", name)
    assert recognise(str(tmp_path / "pictures"), {}).type == "pictures"
    assert recognise(str(tmp_path / "pictures"), {"type": "text"}).type == "text"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.bin"], "no texts or pictures in this folder (its files: .bin); name one of its files"),
        ([], "no texts or pictures in this folder (its files: none)"),
    ],
)
def test_a_folder_without_texts_is_refused_with_what_is_in_it(
    files: list[str], message: str, tmp_path: Path
) -> None:
    for name in files:
        written(tmp_path, name)
    with pytest.raises(BadInput) as refused:
        recognise(str(tmp_path), {})
    assert message in str(refused.value)


def test_folders_of_texts_that_are_splits_are_not_taken_for_classes(tmp_path: Path) -> None:
    for place in ("train/neg", "train/pos", "test/neg", "test/pos"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "1.txt").write_text("a text")
    message = rf"folders test and train are splits; name the one to train on, {tmp_path}/train, "
    with pytest.raises(BadInput, match=message):
        recognise(str(tmp_path), {})
    assert recognise(str(tmp_path / "train"), {}).type == "text_folders"
    assert recognise(str(tmp_path), {"type": "text_folders"}).type == "text_folders"


def test_a_name_of_nothing_suggests_a_similar_one(tmp_path: Path) -> None:
    written(tmp_path, "wine.csv")
    with pytest.raises(BadInput, match=r"no such file or folder \(did you mean 'wine.csv'\?\)"):
        recognise(str(tmp_path / "wine.cvs"), {})
    with pytest.raises(BadInput, match="not a regular file"):
        recognise("/dev/null", {})
    written(tmp_path, "one.JPG")
    with pytest.raises(BadInput, match="is one picture; name the folder that has a folder of"):
        recognise(str(tmp_path / "one.JPG"), {})


@pytest.mark.parametrize(
    ("header", "stated", "target"),
    [
        ("a,b,c", {}, ("c", "the last column")),
        ("a,Target,c", {}, ("Target", "by its name")),
        ("label,class,c", {}, ("c", "the last column")),
        ("a,b,c", {"drop": ("c",)}, ("b", "the last column")),
        ("a,b,c", {"group": "c"}, ("b", "the last column")),
        ("a;y;c", {}, ("y", "by its name")),
    ],
)
def test_the_target_is_named_so_or_is_the_last_column_that_is_used(
    header: str, stated: dict[str, Any], target: tuple[str, str], tmp_path: Path
) -> None:
    sign = ";" if ";" in header else ","
    path = written(tmp_path, "t.csv", f"{header}\n1{sign}2{sign}3\n")
    section = TableSection(type="table", path=path, target="?", **stated)
    assert find_target(section) == target


def test_a_table_of_one_column_has_nothing_to_predict_from(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "words\nmore\n")
    with pytest.raises(BadInput, match=r"one column \('words'\).*, ; \| or tabs, or .*type=text"):
        find_target(TableSection(type="table", path=path, target="?"))
    path = written(tmp_path, "t.data", '18.0   8   307.0   "a car"\n15.0   8   350.0   "another"\n')
    with pytest.raises(BadInput, match="separated by spaces"):
        find_target(TableSection(type="table", path=path, target="?"))
    path = written(tmp_path, "n.data", "name height y\ntom 1.5 0\nann 2.5 1\n")
    with pytest.raises(BadInput, match="separated by spaces"):
        find_target(TableSection(type="table", path=path, target="?"))
    path = written(tmp_path, "s.data", "a few words\n12 of 15\nnone at all\n")
    with pytest.raises(BadInput, match="or tabs, or set"):
        find_target(TableSection(type="table", path=path, target="?"))


def test_a_file_of_torch_save_is_a_pickle(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(BadInput, match=r"x\.pt: was written by torch.save, as a pickle"):
        find_target(TableSection(type="table", path=str(tmp_path / "x.pt"), target="?"))


def test_pictures_get_a_size_that_suits_them(tmp_path: Path) -> None:
    def settings(name: str, *sizes: tuple[int, int], **stated: Any) -> dict[str, Any]:
        for number, size in enumerate(sizes):
            (tmp_path / name / "a").mkdir(parents=True, exist_ok=True)
            Image.new("L", size).save(tmp_path / name / "a" / f"{number}.png")
        return recognise(str(tmp_path / name), stated).settings

    assert settings("native", *[(48, 32)] * 3)["size"] == [32, 48]
    assert settings("small", (40, 70), (90, 50), (33, 45))["size"] == [32, 32]
    assert settings("photos", *[(400, 300)] * 2)["size"] == [128, 128]
    assert settings("large", *[(600, 500)] * 2)["size"] == [224, 224]
    assert settings("tiny", (5, 9), (7, 7))["size"] == [16, 16]
    assert settings("large")["crop_padding"] == 14
    assert not {"size", "crop_padding"} & settings("large", size=32).keys()
    (tmp_path / "native" / "a" / "bad.png").write_bytes(b"")
    assert settings("native")["size"] == [32, 48]
