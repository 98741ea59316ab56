"""Data of a plugin that are items, such as files, with functions that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tui_trainer.config.plugin_loader import DATASET_FACTORIES, load_plugins
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import BatchLost
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.plugin_data import loaded
from tui_trainer.data.splits.record import RowChanges
from tui_trainer.plugins import Data, DatasetParams
from tui_trainer.text.errors import BadInput

NAMES = [f"{kind}/{number:02}.png" for kind in ("cat", "dog", "owl") for number in range(20)]


def picture(item: str) -> Any:
    return np.full((1, 4, 4), int(Path(item).stem), np.uint8)


def kind(item: str) -> str:
    return item.partition("/")[0]


def made(data: Data, **settings: Any) -> Dataset:
    section = DatasetParams.model_validate({"type": "mine", **settings})
    return loaded(section, data, None, "dataset mine")


def mapped(split: Any) -> MapSplit:
    assert isinstance(split, MapSplit)
    return split


def items_of(split: Any) -> list[str]:
    return [split.dataset.items[row] for row in split.rows.tolist()]


def test_names_become_classes_that_are_divided_and_counted() -> None:
    data = made(Data(NAMES, read=picture, target=kind))
    assert (data.problem, data.classes) == ("classification", ("cat", "dog", "owl"))
    assert data.class_counts == (13, 14, 14)
    (batch,) = data.test.in_order(100)
    assert batch["input"].dtype == torch.uint8
    assert batch["input"][:, 0, 0, 0].tolist() == [
        int(Path(item).stem) for item in items_of(data.test)
    ]
    assert batch["target"].tolist() == [
        ["cat", "dog", "owl"].index(kind(i)) for i in items_of(data.test)
    ]
    assert "input 1x4x4 of uint8 from 0 to 0, target class 0 'cat'" in data.notes[0]


@pytest.mark.parametrize(
    ("target", "problem", "value"),
    [
        (lambda item: int(Path(item).stem) / 4, "regression", 0.25),
        (lambda item: ["small"] if item < "d" else ["small", "furry"], "multilabel", [0, 1]),
        (lambda item: np.array([1.0, 2.0]), "regression", [1.0, 2.0]),
    ],
    ids=["number", "labels", "array"],
)
def test_other_targets_are_numbers_labels_or_arrays(
    target: Callable[[str], Any], problem: str, value: Any
) -> None:
    data = made(Data(NAMES, read=picture, target=target))
    assert data.problem == problem
    split = mapped(data.train)
    assert split.dataset[1]["target"] == pytest.approx(value)


def test_groups_stay_in_one_split() -> None:
    many = made(Data(NAMES, read=picture, target=kind, group=lambda item: item[-6:-4]))
    of_split = [{item[-6:-4] for item in items_of(s)} for s in (many.train, many.val, many.test)]
    assert sum(map(len, of_split)) == 20


def test_the_fingerprint_is_that_of_the_names_and_not_of_their_folder() -> None:
    def of(names: list[str], folder: str = "") -> str:
        files = [f"{folder}/{name}" if folder else name for name in names]
        read = Data(files, read=picture, target=lambda file: Path(file).parent.name)
        return made(read, path=folder).fingerprint.value

    assert of(NAMES, "/a") == of(NAMES, "/b") == of(NAMES)
    assert of([*NAMES[:-1], "owl/99.png"]) != of(NAMES)


def broken(item: str) -> Any:
    raise KeyError(item)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (Data(NAMES, target=kind), "need read=, too"),
        (Data(iter(NAMES), read=picture), "data are a list of items, not list_iterator"),
        (Data(NAMES, read=picture, target=broken), "KeyError: 'cat/00.png'; target of cat/00.png"),
        (Data(NAMES, read=picture, target=kind, classes=("cat", "dog")), "'owl', which is none of"),
        (Data(NAMES, NAMES, NAMES, read=picture, target=kind, group=kind), "val is given"),
        (Data(NAMES, read=picture), "the first sample has no target, only input"),
        (Data(NAMES, read=lambda item: (picture(item), 1), target=kind), "returned a pair"),
        (Data(NAMES, read=broken, target=kind), "sample 0 of the data set (cat/00.png)"),
    ],
)
def test_functions_that_do_not_fit_are_refused(data: Data, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        made(data)
    assert text in str(caught.value)


def test_new_files_are_read_by_the_same_function() -> None:
    data = Data(NAMES, read=lambda item: {"image": picture(item), "age": 2.5}, target=kind)
    section = DatasetParams.model_validate({"type": "mine"})
    DATASET_FACTORIES["mine"] = lambda params: data
    try:
        info = loaded(section, data, None, "dataset mine").info
        unseen = read_unseen(section, {}, "new/07.png", info)
        (batch,) = unseen.split(info.names[0]).in_order(4)
        assert batch["image"].shape == (1, 1, 4, 4)
        assert (batch["image"].max().item(), batch["age"].tolist()) == (7, [2.5])
        with pytest.raises(BadInput, match=r"ValueError: invalid literal.*; new/x\.png"):
            read_unseen(section, {}, "new/x.png", info)
        data = Data(NAMES, read=lambda item: np.zeros((1, 2, 2), np.uint8), target=kind)
        with pytest.raises(BadInput, match=r"new/07\.png: it has no image, only input"):
            read_unseen(section, {}, "new/07.png", info)
        data = Data([(picture(item), 0) for item in NAMES], classes=("a", "b"))
        with pytest.raises(BadInput, match="its Data has no read="):
            read_unseen(section, {}, "new/07.png", info)
    finally:
        del DATASET_FACTORIES["mine"]


PLUGIN = """
import random
from pathlib import Path
import numpy as np
from tui_trainer.plugins import Data, dataset

calls = Path(__file__).with_name("calls")

@dataset("local-%s")
def items(params):
    with calls.open("a") as file:
        file.write("x")
    shift = len(calls.read_text()) if %s else 0
    return Data(
        list(range(40)),
        read=lambda item: np.full(3, item + shift, np.float32),
        target=lambda item: "ab"[item %% 2],
    )
"""


@pytest.mark.parametrize("changes", [False, True])
def test_workers_make_data_again_that_cannot_be_sent_to_them(tmp_path: Path, changes: bool) -> None:
    file = tmp_path / f"local_{changes}.py"
    name = f"local-{str(changes).lower()}"
    file.write_text(PLUGIN % (str(changes).lower(), changes))
    load_plugins([file])
    spec = DATASETS.find(name)
    assert spec is not None
    data = load(spec.params.model_validate({"type": name}))  # type: ignore[arg-type]
    pool = WorkerPool(LoaderSection(num_workers=1))
    split = mapped(data.train).through(pool, "train", 0)
    try:
        if not changes:
            (batch,) = split.in_order(100)
            assert batch["input"][:, 0].tolist() == split.rows.tolist()
            assert len((tmp_path / "calls").read_text()) == 2
            return
        with pytest.raises(BatchLost, match="differs from that of the training process: a first"):
            list(split.in_order(100))
    finally:
        pool.close()
        DATASETS._specs.pop(name)
        DATASET_FACTORIES.pop(name)


def again(data: Data, first: Dataset) -> Dataset:
    """The data as a resume of a run on `first` reads them."""
    section = DatasetParams.model_validate({"type": "mine"})
    return loaded(section, data, first.preprocessing, "dataset mine", record=first.split_record)


def test_items_keep_their_split_when_others_come() -> None:
    first = made(Data(NAMES, read=picture, target=kind))
    more = [f"{kind}/{number:02}.png" for kind in ("dog", "cat", "owl") for number in range(30)]
    grown = again(Data(more, read=picture, target=kind), first)

    for part in ("train", "val", "test"):
        assert items_of(getattr(grown, part)) == items_of(getattr(first, part))
    assert grown.changes == RowChanges(gone=0, new=30, total=60)
    assert first.preprocessing["split"] == "identity"
    assert first.split_summary == "split by identity, stratified"
    turned = made(Data(NAMES[::-1], read=picture, target=kind))
    assert {*items_of(turned.test)} == {*items_of(first.test)}


def test_items_that_are_gone_or_have_another_target_are_counted() -> None:
    first = made(Data(NAMES, read=picture, target=kind))

    def corrected(item: str) -> str:
        return "owl" if item == NAMES[7] else kind(item)

    changed = again(Data(NAMES[2:], read=picture, target=corrected), first)
    assert changed.changes == RowChanges(gone=3, new=0, total=60)
    assert sum(map(len, (changed.train, changed.val, changed.test))) == 58


def test_the_groups_of_items_stay_on_their_side() -> None:
    def group(item: str) -> str:
        return item[:-5]

    first = made(Data(NAMES, read=picture, target=kind, group=group))
    sides = [{group(item) for item in items_of(part)} for part in (first.train, first.test)]
    assert sides[0].isdisjoint(sides[1])
    assert first.split_summary == "split by group, stratified"


def test_runs_of_older_versions_keep_their_items_and_other_data_go_by_position() -> None:
    data = Data(NAMES, read=picture, target=kind)
    by_position = made(data, split_by="position")
    older = {"source": "mine", "task": "classification", "classes": ["cat", "dog", "owl"]}
    section = DatasetParams.model_validate({"type": "mine"})
    old = loaded(section, data, older, "dataset mine")
    assert items_of(old.test) == items_of(by_position.test)
    assert (old.split_record, old.preprocessing) == (None, older)

    columns = Data(
        {"input": np.zeros((40, 3), np.float32), "target": np.arange(40) % 2}, classes="ab"
    )
    with pytest.raises(BadInput, match=r"dataset.split_by: is for items .*Data\(items, read"):
        made(columns, split_by="identity")
    assert made(columns).split_summary == "split by position, stratified"
