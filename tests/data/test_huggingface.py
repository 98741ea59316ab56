"""Data sets of Hugging Face's library, as the library and the hub write them, read without it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tui_trainer.config.sections.huggingface import HuggingFaceSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.labelled import read_labelled
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.text.errors import BadInput

FEATURES: dict[str, Any] = {
    "width": {"dtype": "float64", "_type": "Value"},
    "label": {"names": ["ant", "bee", "cat"], "_type": "ClassLabel"},
}


def section(path: Path | str, **settings: Any) -> HuggingFaceSection:
    return HuggingFaceSection.model_validate(
        {"type": "huggingface", "path": str(path), "target": "label", **settings}
    )


def rows(count: int, begin: int = 0, **more: Any) -> pa.Table:
    numbers = range(begin, begin + count)
    columns = {"width": [n / 7 for n in numbers], "label": [n % 3 for n in numbers], **more}
    metadata = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    return pa.table(columns).replace_schema_metadata(metadata)


def save(folder: Path, table: pa.Table, pieces: int = 1) -> Path:
    """Write a folder as `save_to_disk` of one split does."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05}-of-{pieces:05}.arrow" for number in range(pieces)]
    size = -(-len(table) // pieces)
    for number, name in enumerate(names):
        piece = table.slice(number * size, size)
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(piece)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


def save_splits(folder: Path, **splits: pa.Table) -> Path:
    for name, table in splits.items():
        save(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


def sizes(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.val), len(data.test)


def test_the_splits_and_classes_of_a_saved_data_set_are_used(tmp_path: Path) -> None:
    folder = save_splits(
        tmp_path / "d", train=rows(60), validation=rows(9, 60), test=rows(12, 69), extra=rows(5, 90)
    )
    assert recognise(str(folder), {}).type == "huggingface"
    data = load(section(folder))
    assert sizes(data) == (60, 9, 12)
    assert data.classes == ("ant", "bee", "cat")
    assert data.split_summary == "split by the splits of the data set"
    assert any("left out: extra" in note for note in data.notes)


def test_one_split_in_pieces_is_divided_by_us(tmp_path: Path) -> None:
    data = load(section(save(tmp_path / "d", rows(100), pieces=3)))
    assert sum(sizes(data)) == 100
    assert data.split_summary == "split by identity, stratified"
    drawn = load(
        section(save_splits(tmp_path / "s", train=rows(90), test=rows(10, 90)), split_by="identity")
    )
    assert sum(sizes(drawn)) == 100
    assert sizes(drawn) == sizes(data)


def test_other_folders_with_a_state_are_no_data_sets(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "a.txt").write_text("some words")
    assert recognise(str(tmp_path), {}).type == "text"


def test_without_a_test_split_the_validation_is_the_test(tmp_path: Path) -> None:
    data = load(section(save_splits(tmp_path / "d", train=rows(60), validation=rows(9, 60))))
    assert sizes(data)[2] == 9
    assert any("validation is the test" in note for note in data.notes)


def test_a_split_whose_classes_are_hidden_is_left_out(tmp_path: Path) -> None:
    hidden = rows(6, 80).set_column(1, "label", pa.array([-1] * 6))
    folder = save_splits(tmp_path / "d", train=rows(60), validation=rows(9, 60), test=hidden)
    data = load(section(folder))
    assert sizes(data)[2] == 9
    assert any("split test: no row has a class" in note for note in data.notes)


def test_lists_of_one_length_become_columns(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    more: dict[str, Any] = {
        "vector": dice.normal(size=(60, 3)).tolist(),
        "grid": dice.normal(size=(60, 2, 2)).tolist(),
        "ragged": [[1.0] * (n % 3) for n in range(60)],
    }
    data = load(section(save(tmp_path / "d", rows(60, **more))))
    assert data.signature.input_shape == (1 + 3 + 4,)
    assert any("column 'ragged' has lists of different lengths" in note for note in data.notes)


def test_a_column_of_lists_can_be_dropped_by_its_own_name(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", rows(60, vector=[[1.0] * 5000] * 60, ragged=[[1]] * 59 + [[]]))
    with pytest.raises(BadInput, match=r"'vector' has 5,000 numbers .* add it to dataset.drop"):
        load(section(folder))
    data = load(section(folder, drop=["vector", "ragged"]))
    assert data.signature.input_shape == (1,)


def test_files_of_the_hub_have_their_splits_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number, (split, count) in enumerate([("train", 30), ("train", 30), ("test", 12)]):
        file = tmp_path / "data" / f"{split}-{number:05}-of-00002.parquet"
        parquet.write_table(rows(count, 30 * number), file)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "train.parquet").write_bytes(b"no data")
    assert recognise(str(tmp_path), {}).type == "huggingface"
    data = load(section(tmp_path))
    assert sizes(data)[2] == 12
    assert sum(sizes(data)) == 72
    moved = read_labelled(section(tmp_path), data.preprocessing, str(file), data.info)
    assert len(moved.split) == 12


def test_configurations_have_to_be_named(tmp_path: Path) -> None:
    for config in ("en", "de"):
        (tmp_path / config).mkdir()
        parquet.write_table(rows(40), tmp_path / config / "all.parquet")
    with pytest.raises(
        BadInput, match=r"several configurations \(de, en\); choose one: dataset.config=NAME"
    ):
        load(section(tmp_path))
    with pytest.raises(BadInput, match="no configuration dee"):
        load(section(tmp_path, config="dee"))
    assert sum(sizes(load(section(tmp_path, config="de")))) == 40


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train/data-00000-of-00001.arrow", b"\xff\xff\xff\xff\x10", "cannot be read"),
        ("train/state.json", b"{", "state.json is damaged"),
        ("train/state.json", b'{"_data_files": [{"filename": "../../x"}]}', "names no data files"),
        ("dataset_dict.json", b'{"splits": ["..", "/etc"]}', "names no splits"),
        ("dataset_dict.json", b'{"splits": ["gone"]}', "no state.json in gone"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    folder = save_splits(tmp_path / "d", train=rows(60), test=rows(12, 60))
    (folder / file).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        load(section(folder))


def test_a_class_without_a_name_and_pictures_are_refused(tmp_path: Path) -> None:
    wrong = rows(30).set_column(1, "label", pa.array([3] * 30))
    with pytest.raises(BadInput, match="has class 3 of 3 classes"):
        load(section(save(tmp_path / "d", wrong)))
    picture = {"image": {"_type": "Image"}, "label": FEATURES["label"]}
    table = pa.table({"image": [{"bytes": b"", "path": "x"}] * 30, "label": [0, 1, 2] * 10})
    folder = save(tmp_path / "p", table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": picture}))
    with pytest.raises(BadInput, match="column 'image' has pictures"):
        load(section(folder))


def test_a_name_on_the_hub_needs_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match=r"pip install 'tui-trainer\[datasets\]'"):
        load(section("hf:someone/numbers"))


def test_a_data_set_of_the_hub_is_read_from_the_cache_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub itself cannot be reached by tests."""
    asked: list[Any] = []

    class Parts(dict[str, Any]):
        pass

    def load_dataset(name: str, config: str | None, revision: str | None) -> Any:
        asked.append((name, config, revision))
        if name == "someone/gone":
            raise ConnectionError("no network")
        folders = {
            split: save(tmp_path / str(len(asked)) / split, rows(60)) for split in ("train", "test")
        }
        files = {
            split: [{"filename": str(next(folder.glob("*.arrow")))}]
            for split, folder in folders.items()
        }
        features = SimpleNamespace(to_dict=lambda: FEATURES)
        return Parts(
            {
                split: SimpleNamespace(cache_files=names, features=features)
                for split, names in files.items()
            }
        )

    library = SimpleNamespace(
        load_dataset=load_dataset, DatasetDict=Parts, disable_progress_bars=lambda: None
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    assert recognise("hf:someone/numbers", {}).type == "huggingface"
    data = load(section("hf:someone/numbers", config="small", revision="v1"))
    # It is asked for once, to see whether there are pictures, and not again.
    assert asked == [("someone/numbers", None, None), ("someone/numbers", "small", "v1")]
    assert sizes(load(section("hf:someone/numbers", config="small", revision="v1")))[2] == 60
    assert len(asked) == 2
    assert sizes(data)[2] == 60
    with pytest.raises(BadInput, match=r"loaded from the hub \(ConnectionError: no network"):
        load(section("hf:someone/gone"))
    with pytest.raises(BadInput, match="is not a name on the hub"):
        load(section("hf:../secrets"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadInput, match="there is a folder mine here"):
        load(section("hf:mine"))
    # A name that can be of no data set is told before the library is asked for.
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match="is not a name on the hub"):
        load(section("hf:"))
    with pytest.raises(BadInput, match="pip install"):
        load(section("hf:someone/else"))


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")
    features = datasets.Features(
        {
            "width": datasets.Value("float32"),
            "grid": datasets.Array2D((2, 3), "float32"),
            "label": datasets.ClassLabel(names=["ant", "bee", "cat"]),
        }
    )
    plain = {
        "width": [n / 7 for n in range(60)],
        "grid": np.arange(360.0).reshape(60, 2, 3).tolist(),
        "label": [n % 3 for n in range(60)],
    }
    made = datasets.Dataset.from_dict(plain, features=features)
    datasets.DatasetDict(train=made, test=made.select(range(30))).save_to_disk(tmp_path / "d")
    data = load(section(tmp_path / "d"))
    assert sizes(data)[2] == 30
    assert data.signature.input_shape == (7,)
    assert data.classes == ("ant", "bee", "cat")
