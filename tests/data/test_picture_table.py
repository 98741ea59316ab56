"""Tables of the paths of pictures, with a class or a number for each."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.splits import tensors
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.config.sections.problems import ClassificationSection
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.text.errors import BadInput, ConfigError

COUNT = 40
Rows = Sequence[Sequence[object]]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")


def write(folder: Path, header: str, rows: Rows, pictures: str = "pictures") -> Path:
    (folder / pictures).mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        numbers = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(numbers).save(folder / pictures / f"{number}.png")
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return path


def section(path: Path, **settings: Any) -> PicturesSection:
    values = {"type": "pictures", "path": str(path), "size": 8, **settings}
    return PicturesSection.model_validate(values)


def labelled(prefix: str = "pictures/") -> list[list[object]]:
    return [[f"{prefix}{n}.png", "ab"[n % 2], n / 4, "rest"] for n in range(COUNT)]


def test_a_table_has_paths_and_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "file,label,score,more", labelled())
    dataset = load(section(path))
    assert dataset.classes == ("a", "b")
    notes = "\n".join(dataset.notes)
    assert "those named in file, by its cells (dataset.picture)" in notes
    assert "label is predicted: by its name (dataset.target)" in notes
    assert "columns not used: score, more" in notes
    train = tensors(dataset.train)
    assert train.targets.tolist() == [row % 2 for row in train.rows.tolist()]
    assert sum(map(len, (dataset.train, dataset.val, dataset.test))) == COUNT

    found = recognise(str(path), {})
    assert found.settings["type"] == "pictures"
    assert (found.settings["picture"], found.settings["target"]) == ("file", "label")
    assert found.settings["size"] == [9, 9]
    assert recognise(str(path), {"type": "table"}).type == "table"


def test_decimal_numbers_are_predicted_as_numbers_and_whole_ones_are_classes(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "file,label,score,more", labelled())
    dataset = load(section(path, target="score"))
    assert dataset.problem == "regression"
    values = [[n, f"pictures/{n}.png", n % 3] for n in range(COUNT)]
    path = write(tmp_path / "b", "id,picture,digit", values)
    assert load(section(path)).classes == ("0", "1", "2")


def test_rows_without_a_picture_or_a_label_are_left_out(tmp_path: Path) -> None:
    rows = labelled()
    rows[3][1] = ""
    rows[4][0] = "pictures/gone.png"
    dataset = load(section(write(tmp_path, "file,label,score,more", rows)))
    notes = "\n".join(dataset.notes)
    assert "1 row without a picture or with nothing in label left out" in notes
    assert "pictures/gone.png (cannot be read: no such file or directory)" in notes
    assert sum(map(len, (dataset.train, dataset.val, dataset.test))) == COUNT - 2


def test_paths_may_be_those_of_a_folder_beside_the_table(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path, "file,label,score,more", labelled(""))))
    assert "the paths are those of files in pictures/" in dataset.notes


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    words = ["train"] * 30 + ["val"] * 6 + ["test"] * 4
    rows = [[f"pictures/{n}.png", "ab"[n % 2], word] for n, word in enumerate(words)]
    path = write(tmp_path, "file,label,fold", rows)
    dataset = load(section(path, split="fold"))
    assert [*map(len, (dataset.train, dataset.val, dataset.test))] == [30, 6, 4]
    rows[5][2] = "later"
    path = write(tmp_path, "file,label,fold", rows)
    with pytest.raises(BadInput, match=r"labels\.csv:7: column 'fold' has 'later'"):
        load(section(path, split="fold"))


def test_what_is_wrong_with_a_table_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "file,label,score,more", labelled())
    with pytest.raises(BadInput, match="no column 'nope'; available: file, label, score, more"):
        load(section(path, target="nope"))
    with pytest.raises(BadInput, match="no column has the paths of pictures; name it in"):
        load(section(write(tmp_path / "a", "file,label", [[1, 2], [3, 4]])))
    with pytest.raises(BadInput, match="no picture is where the table says, as gone/0"):
        load(section(write(tmp_path / "b", "file,label,score,more", labelled("gone/"))))
    with pytest.raises(ConfigError, match="is for a table of paths, and"):
        load(section(tmp_path, target="label"))


def test_a_folder_whose_labels_are_in_a_table_names_the_table(tmp_path: Path) -> None:
    rows = [(f"pictures/{number}.png", "ab"[number % 2]) for number in range(COUNT)]
    path = write(tmp_path, "file,label", rows)
    with pytest.raises(BadInput, match=rf"but labels.csv names them; .*: {path}$"):
        recognise(str(tmp_path), {})
    assert recognise(str(tmp_path), {"type": "pictures"}).type == "pictures"
    path.write_text("a,b\n1,2\n")
    assert recognise(str(tmp_path), {}).type == "pictures"


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_other_formats_are_read_as_csv_is(tmp_path: Path, ending: str) -> None:
    rows = [(number, f"pictures/{number}.png", "ab"[number % 2]) for number in range(COUNT)]
    of_csv = write(tmp_path, "id,file,label", rows)
    path = tmp_path / f"labels.{ending}"
    fields = [dict(zip(("id", "file", "label"), row, strict=True)) for row in rows]
    if ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, fields)))
    else:
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(fields), path)
    known, of_other = (recognise(str(one), {}).settings for one in (of_csv, path))
    assert of_other == {**known, "path": str(path)}
    assert of_other["picture"] == "file"
    one, other = (tensors(load(section(each)).train) for each in (of_csv, path))
    pairs = ((one.inputs, other.inputs), (one.targets, other.targets))
    assert all(a.equal(b) for a, b in pairs)
    of_csv.unlink()
    for picture in (tmp_path / "pictures").iterdir():
        picture.rename(tmp_path / picture.name)
    path.write_bytes(path.read_bytes().replace(b"pictures/", b""))
    if ending == "jsonl":
        with pytest.raises(BadInput, match=rf"but labels.jsonl names them; .*: {path}$"):
            recognise(str(tmp_path), {})


@pytest.mark.parametrize("table", ["metadata.jsonl", "metadata.parquet", ""])
def test_folders_of_splits_without_classes_are_not_taken_for_classes(
    tmp_path: Path, table: str
) -> None:
    for split in ("train", "val"):
        write(tmp_path, "file,label", [], split)
        rows = [{"file_name": f"{number}.png", "label": "ab"[number % 2]} for number in range(4)]
        if table.endswith("jsonl"):
            (tmp_path / split / table).write_text("\n".join(map(json.dumps, rows)))
        elif table:
            pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
            parquet.write_table(pa.Table.from_pylist(rows), tmp_path / split / table)
    (tmp_path / "labels.csv").unlink()
    way = rf"join {table} of each .* as train/0\.png " if table else "put the pictures of each"
    with pytest.raises(BadInput, match=f"folders train and val are splits, .*; {way}"):
        recognise(str(tmp_path), {})
    settings = {"type": "pictures", "layout": "classes"}
    assert recognise(str(tmp_path), settings).type == "pictures"


def test_the_labels_in_a_cell_are_those_of_its_picture(tmp_path: Path) -> None:
    sets = ["red|round", "round", "", "red | soft", "soft"]
    rows = [[f"pictures/{n}.png", sets[n % 5]] for n in range(COUNT)]
    path = write(tmp_path, "file,labels", rows)
    dataset = load(section(path, label_separator="bar"))
    assert (dataset.problem, dataset.classes) == ("multilabel", ("red", "round", "soft"))
    expected = [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]]
    train = tensors(dataset.train)
    assert train.targets.tolist() == [expected[row % 5] for row in train.rows.tolist()]
    assert any("3 labels in labels, 1.2 per row; 8 rows without any" in n for n in dataset.notes)
    assert recognise(str(path), {"label_separator": "|"}).settings["type"] == "pictures"

    plain = load(section(path))
    assert plain.problem == "classification"
    assert any("with dataset.label_separator='|' there are 3 labels" in n for n in plain.notes)
    with pytest.raises(ConfigError, match="is for labels, and problem"):
        load(
            section(path, label_separator="|"), problem=ClassificationSection(type="classification")
        )


def test_columns_of_0_and_1_are_labels(tmp_path: Path) -> None:
    rows = [[f"pictures/{n}.png", n % 2, int(n % 3 == 0), "x"] for n in range(COUNT)]
    path = write(tmp_path, "file,red,round,rest", rows)
    dataset = load(section(path, target=["round", "red"]))
    assert (dataset.problem, dataset.classes) == ("multilabel", ("round", "red"))
    train = tensors(dataset.train)
    assert train.targets.tolist() == [[row % 3 == 0, row % 2] for row in train.rows.tolist()]

    alone = write(tmp_path / "other", "file,red,round", [row[:3] for row in rows])
    found = recognise(str(alone), {})
    assert (found.settings["target"], found.reasons["target"]) == (
        ["red", "round"],
        "the columns of 0 and 1",
    )
    assert load(section(alone)).classes == ("red", "round")
    with pytest.raises(BadInput, match="two settings name the column"):
        load(section(alone, target=["red", "red"]))
    with pytest.raises(ConfigError, match=r"and dataset\.target has several"):
        load(section(alone, target=["red", "round"], label_separator="|"))
    rows[3][1] = 7
    numbers = write(tmp_path / "numbers", "file,red,round,rest", rows)
    assert load(section(numbers, target=["red", "round"])).problem == "regression"
