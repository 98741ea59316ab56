"""Pictures inside data sets of Hugging Face's library, read with pyarrow and Pillow alone."""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from tests.data.splits import tensors
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.files.hub_pictures import HubPictures, hub_columns, shards_of
from tui_trainer.data.labelled import read_labelled
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.data.sources.new_pictures import read_new_pictures
from tui_trainer.text.errors import BadInput, ConfigError

SIDE = 8
NAMES = ["ant", "bee", "cat"]
CLASS = {"names": NAMES, "_type": "ClassLabel"}
IMAGE = {"_type": "Image"}
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")


def pixels(number: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def as_png(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def cells(contents: Sequence[bytes | None]) -> pa.Array:
    return pa.array([{"bytes": one, "path": "x.png"} for one in contents], type=CELL)


def table(count: int, begin: int = 0, features: Any = None, **more: Any) -> pa.Table:
    numbers = range(begin, begin + count)
    columns = {"image": cells([as_png(pixels(n)) for n in numbers])}
    columns["label"] = pa.array([n % 3 for n in numbers])
    features = {"image": IMAGE, "label": CLASS, **(features or {})}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table({**columns, **more}).replace_schema_metadata(metadata)


def save(folder: Path, pieces: int = 1, **splits: pa.Table) -> Path:
    """Write a data set in the form of `save_to_disk`."""
    for split, rows in splits.items():
        (folder / split).mkdir(parents=True)
        names = [f"data-{number:05}-of-{pieces:05}.arrow" for number in range(pieces)]
        size = -(-len(rows) // pieces)
        for number, name in enumerate(names):
            with pa.ipc.new_stream(str(folder / split / name), rows.schema) as writer:
                writer.write_table(rows.slice(number * size, size), max_chunksize=4)
        state = {"_data_files": [{"filename": name} for name in names]}
        (folder / split / "state.json").write_text(json.dumps(state))
        features = json.loads(rows.schema.metadata[b"huggingface"])["info"]["features"]
        (folder / split / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


def as_on_the_hub(folder: Path, **splits: pa.Table) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, rows in splits.items():
        for piece in range(2):
            size = -(-len(rows) // 2)
            name = f"{split}-0000{piece}-of-00002.parquet"
            part = rows.slice(piece * size, size)
            parquet.write_table(part, folder / "data" / name, row_group_size=5)
    return folder


def section(path: Path, **settings: Any) -> PicturesSection:
    values = {"type": "pictures", "path": str(path), "size": SIDE, **settings}
    return PicturesSection.model_validate(values)


def check(dataset: Dataset, begins: Sequence[int]) -> None:
    """Compare the pictures and classes of each split with those that were written."""
    assert dataset.classes == tuple(NAMES)
    splits = (dataset.train, dataset.val, dataset.test)
    for split, begin in zip(splits, begins, strict=True):
        for batch in split.in_order(1000):
            for row, (image, target) in enumerate(
                zip(batch["input"], batch["target"].tolist(), strict=True)
            ):
                assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(begin + row))
                assert target == (begin + row) % 3


@pytest.mark.parametrize("decode", ["once", "training"])
@pytest.mark.parametrize("write", [save, as_on_the_hub])
def test_splits_classes_and_pictures_are_those_of_the_data_set(
    write: Any, decode: str, tmp_path: Path
) -> None:
    parts = {"train": table(30), "validation": table(9, 30), "test": table(12, 39)}
    folder = write(tmp_path / "d", **parts, extra=table(3, 90))
    found = recognise(str(folder), {})
    assert (found.type, found.settings["size"]) == ("pictures", [SIDE, SIDE])
    dataset = load(section(folder, decode=decode))
    assert [*map(len, (dataset.train, dataset.val, dataset.test))] == [30, 9, 12]
    check(dataset, (0, 30, 39))
    assert dataset.split_summary == "split by the splits of the data set"
    notes = "\n".join(dataset.notes)
    assert "splits that are left out: " in notes
    assert "label is predicted: by its name" in notes
    assert "datasets" not in sys.modules
    whole = read_labelled(section(folder), dataset.preprocessing, str(folder), dataset.info)
    assert whole.count == "51 pictures"
    names = read_new_pictures(section(folder), dataset.preprocessing, str(folder)).places
    assert len(names) == 54
    assert {name.partition("/")[2] for name in names} >= {"000000/image", "000029/image"}


def test_one_split_in_pieces_is_divided_by_us(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", pieces=3, train=table(50))
    dataset = load(section(folder))
    assert dataset.split_summary == "split by identity, stratified"
    train = tensors(dataset.train)
    for row, target in zip(train.rows.tolist(), train.targets.tolist(), strict=True):
        assert target == row % 3
        assert train.places is not None
    numbers = train.inputs[train.places]
    for row, image in zip(train.rows.tolist(), numbers, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(row))


def test_broken_pictures_hidden_labels_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    rows = table(30)
    contents: list[bytes | None] = [as_png(pixels(n)) for n in range(30)]
    contents[3], contents[4] = b"no picture", None
    labels = [n % 3 for n in range(30)]
    labels[7] = -1
    rows = rows.set_column(0, "image", cells(contents)).set_column(1, "label", pa.array(labels))
    rows = rows.replace_schema_metadata(table(1).schema.metadata)
    hidden = table(6, 50).set_column(1, "label", pa.array([-1] * 6))
    folder = save(tmp_path / "d", train=rows, test=hidden)
    notes = "\n".join(load(section(folder)).notes)
    assert "train/000003/image (is not a picture of a known format)" in notes
    assert "train/000004/image (cannot be read: no such file or directory)" in notes
    assert "1 row of train without a label left out" in notes
    assert "split test: no row has a class in 'label'; left out" in notes
    with pytest.raises(BadInput, match=r"2 broken files: train/000003/image"):
        load(section(folder, broken="error"))


def test_a_list_of_classes_are_labels_and_a_second_picture_is_a_mask(tmp_path: Path) -> None:
    tags = pa.array([[n % 3, 2] if n % 2 else [] for n in range(40)])
    features = {"tags": {"feature": CLASS, "_type": "List"}}
    folder = save(tmp_path / "d", train=table(40, features=features, tags=tags))
    dataset = load(section(folder, target="tags"))
    assert (dataset.problem, dataset.classes) == ("multilabel", tuple(NAMES))
    train = tensors(dataset.train)
    for row, target in zip(train.rows.tolist(), train.targets.tolist(), strict=True):
        labels = {row % 3, 2} if row % 2 else set()
        assert target == [float(place in labels) for place in range(3)]

    masks = [as_png((pixels(n)[..., 0] > 100).astype(np.uint8)) for n in range(40)]
    columns = {"image": table(40).column("image"), "annotation": cells(masks)}
    metadata = {"huggingface": json.dumps({"info": {"features": dict.fromkeys(columns, IMAGE)}})}
    both = pa.table(columns).replace_schema_metadata(metadata)
    pixelwise = load(section(save(tmp_path / "m", train=both)))
    assert (pixelwise.problem, pixelwise.classes) == ("segmentation", ("0", "1"))


def test_columns_that_do_not_suit_are_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", train=table(30))
    with pytest.raises(BadInput, match="no column 'nope'; available: label"):
        load(section(folder, target="nope"))
    with pytest.raises(BadInput, match="'label' is not a column of pictures; available: image"):
        load(section(folder, picture="label"))
    with pytest.raises(ConfigError, match="is for a table of paths, and"):
        load(section(folder, label_separator="|"))
    bad = table(30).set_column(1, "label", pa.array([7] * 30))
    with pytest.raises(BadInput, match="column 'label' has class 7 of 3 classes"):
        load(section(save(tmp_path / "bad", train=bad)))
    damaged = folder / "train" / "data-00000-of-00001.arrow"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(BadInput, match=r"data-00000-of-00001\.arrow cannot be read"):
        load(section(folder))


def test_a_picture_outside_of_the_data_set_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(as_png(pixels(0)))
    paths = [str(tmp_path / "secret.png"), "../secret.png", "own.png"]
    values = pa.array([{"bytes": None, "path": path} for path in paths], type=CELL)
    rows = table(3).set_column(0, "image", values)
    folder = save(tmp_path / "d", train=rows.replace_schema_metadata(table(1).schema.metadata))
    (folder / "own.png").write_bytes(as_png(pixels(5)))
    columns = hub_columns(str(folder))
    assert columns is not None
    pictures = HubPictures(str(folder), shards_of(columns))
    sent = pickle.loads(pickle.dumps(pictures))
    for row in (0, 1):
        with pytest.raises(ValueError, match="its bytes are not in the data set"):
            sent.content(f"train/00000{row}/image")
    assert sent.content("train/000002/image") == as_png(pixels(5))


class Parts(dict[str, Any]):
    """Return all splits, as the library does."""


@pytest.mark.parametrize("is_downloaded", [False, True])
def test_pictures_of_a_name_on_the_hub_are_read_from_the_cache_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_downloaded: bool
) -> None:
    """The hub itself cannot be reached by tests; a builder of folders leaves files in the cache."""
    cache = tmp_path / "cache"
    (cache / "blobs").mkdir(parents=True)
    parts = {"train": table(30), "validation": table(9, 30), "test": table(12, 39)}
    if is_downloaded:
        for split, begin in (("train", 0), ("validation", 30), ("test", 39)):
            paths = []
            for number in range(begin, begin + len(parts[split])):
                (cache / "blobs" / str(number)).write_bytes(as_png(pixels(number)))
                (cache / f"{number}.png").symlink_to(cache / "blobs" / str(number))
                paths.append({"bytes": None, "path": str(cache / f"{number}.png")})
            own, kept = pa.array(paths, type=CELL), parts[split].schema.metadata
            parts[split] = parts[split].set_column(0, "image", own).replace_schema_metadata(kept)
    save(tmp_path / "saved", **parts)

    def load_dataset(name: str, config: str | None, revision: str | None) -> Any:
        features = SimpleNamespace(to_dict=lambda: {"image": IMAGE, "label": CLASS})
        return Parts(
            (split, SimpleNamespace(cache_files=[{"filename": str(file)}], features=features))
            for split in parts
            for file in (tmp_path / "saved" / split).glob("*.arrow")
        )

    library = SimpleNamespace(
        load_dataset=load_dataset,
        DatasetDict=Parts,
        disable_progress_bars=lambda: None,
        config=SimpleNamespace(HF_CACHE_HOME=str(cache)),
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    path = f"hf:someone/pictures-{is_downloaded}"
    found = recognise(path, {})
    assert (found.settings["type"], found.settings["path"]) == ("pictures", path)
    chosen = PicturesSection.model_validate({"type": "pictures", "path": path, "size": SIDE})
    dataset = load(chosen.model_copy(update={"decode": "training" if is_downloaded else "once"}))
    assert [*map(len, (dataset.train, dataset.val, dataset.test))] == [30, 9, 12]
    check(dataset, (0, 30, 39))
    measured = read_labelled(chosen, dataset.preprocessing, path, dataset.info)
    assert measured.count == "51 pictures"
    with pytest.raises(ConfigError, match="is a data set on the hub"):
        load(chosen.model_copy(update={"layout": "classes"}))
