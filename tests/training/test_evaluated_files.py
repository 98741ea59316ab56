"""Evaluation on a labelled file of its own: whole, and by the preprocessing of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.splits import tensors
from tests.plugins import restored
from tests.training.harness import Run, small_experiment, write_images
from tests.training.test_prediction import trained_on_table
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.data.labelled import READERS, read_labelled
from tui_trainer.data.load import LOADERS
from tui_trainer.text.errors import BadInput
from tui_trainer.training.evaluation import Evaluation, evaluate, evaluate_file

CPU = torch.device("cpu")


def measured(run: Run, path: Path) -> Evaluation:
    return evaluate_file(run.directory, run.experiment, CPU, str(path), "last")


def on_test(run: Run) -> Evaluation:
    return evaluate(run.directory, run.experiment, CPU, "test", "last")


def trained(folder: Path, dataset: dict[str, Any], **sections: Any) -> Run:
    sections = {"training": {"epochs": 2}, **sections}
    run = Run.new(folder / "run", small_experiment(folder, dataset=dataset, **sections))
    assert run.start().state == "finished"
    return run


def test_the_rows_of_the_test_split_give_the_results_of_the_test(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    run.start()
    lines = (tmp_path / "images.csv").read_text().splitlines()
    rows = tensors(run.task().dataset.test).rows.tolist()
    new = tmp_path / "new.csv"
    new.write_text("\n".join(lines[row] for row in rows) + "\n")

    found, expected = measured(run, new), on_test(run)

    assert found.metrics == expected.metrics
    assert found.baseline == expected.baseline
    assert found.result == expected.result
    assert expected.result is not None
    assert found.file is not None
    assert (found.file.count, found.file.known, found.file.is_own) == (
        f"{len(rows)} pictures",
        0,
        False,
    )
    found = measured(run, tmp_path / "images.csv")
    assert found.file is not None
    assert (found.file.known, found.file.is_own) == (len(run.task().dataset.train), True)


def test_a_table_may_have_its_columns_in_another_order_and_more_of_them(tmp_path: Path) -> None:
    run = trained_on_table(tmp_path)
    lines = (tmp_path / "t.csv").read_text().splitlines()[1:]
    rows = tensors(run.task().dataset.test).rows.tolist()
    cells = [lines[row].split(",") for row in rows]
    new = tmp_path / "new.csv"
    new.write_text("y,more,b,a\n" + "".join(f"{y},?,{b},{a}\n" for a, b, y in cells))

    found = measured(run, new)

    assert found.metrics == on_test(run).metrics
    assert "column that the model was not trained on, ignored: more" in found.notes
    new.write_text("a,b,y\n" + "\n".join([*lines, "3.5,u,7"]) + "\n")
    found = measured(run, new)
    seen = {lines[row] for row in tensors(run.task().dataset.train).rows.tolist()}
    known = sum(line in seen for line in lines)
    assert found.file is not None
    assert found.file.known == known
    assert any(note.startswith(f"{known} of 61 rows have the inputs of") for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,u\n", r"new\.csv:1: no column 'k'.*trained on: a, b, k"),
        ("c\n1\n", r"no columns 'a', 'b', 'k'"),
        ("a,b,k\n1,u,x\n2,u,new\n3,v,new\n4,u,odd\n", r"2 classes .*'new' \(2 rows\), 'odd' \(1"),
        ("a,b,k\n1,u,x\n2,u,\n", r"new\.csv:3: column 'k' has no value"),
        ("a,b,k\n1,u,x\ntwo,u,x\n", r"new\.csv:3: column 'a' has 'two'"),
    ],
)
def test_a_file_that_cannot_be_measured_is_refused_by_name(
    classes: Run, tmp_path: Path, text: str, message: str
) -> None:
    new = tmp_path / "new.csv"
    new.write_text(text)
    with pytest.raises(BadInput, match=message):
        measured(classes, new)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("classes")
    lines = [f"{n % 7},{'uvw'[n % 3]},{'xyz'[n % 3]}" for n in range(60)]
    (folder / "t.csv").write_text("a,b,k\n" + "\n".join(lines) + "\n")
    return trained(folder, {"type": "table", "path": str(folder / "t.csv"), "target": "k"})


def test_one_class_alone_can_be_measured(classes: Run, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("a,b,k\n1,u,y\n2,v,y\n")
    found = measured(classes, new)
    assert found.result is not None
    assert found.result.confusion is not None
    assert [sum(row) for row in found.result.confusion] == [0, 2, 0]
    assert found.classes == ("x", "y", "z")


def test_rows_without_a_target_are_counted_if_they_may_be_missing(tmp_path: Path) -> None:
    run = trained_on_table(tmp_path, missing="mean")
    new = tmp_path / "new.csv"
    new.write_text("a,b,y\n1,u,3\n,v,4\n2,u,\n")
    found = measured(run, new)
    assert found.file is not None
    assert found.file.count == "2 rows"
    assert any(note.startswith("1 row without a value of y left out") for note in found.notes)
    assert any("1 missing value filled with the training mean" in note for note in found.notes)


def test_columns_that_the_split_was_made_by_are_not_said_to_be_ignored(tmp_path: Path) -> None:
    lines = [f"{n % 7},{'xyz'[n % 3]},{n // 2},{n}" for n in range(60)]
    (tmp_path / "t.csv").write_text("a,k,who,when\n" + "\n".join(lines) + "\n")
    dataset = {"type": "table", "path": str(tmp_path / "t.csv"), "target": "k", "group": "who"}
    run = trained(tmp_path, {**dataset, "drop": ["when"]})
    new = tmp_path / "new.csv"
    new.write_text("a,k,who,when,more\n1,x,100,100,1\n")
    assert [note for note in measured(run, new).notes if "ignored" in note] == [
        "column that the model was not trained on, ignored: more"
    ]


@pytest.mark.parametrize("target", [["p", "q"], "tags"])
def test_labels_and_several_targets_are_those_of_the_run(tmp_path: Path, target: Any) -> None:
    lines = [f"{n % 7},{n % 2},{n % 3 // 2},{'u|v' if n % 2 else 'v'}" for n in range(60)]
    header = "a,p,q,tags\n"
    (tmp_path / "t.csv").write_text(header + "\n".join(lines) + "\n")
    dataset = {"type": "table", "path": str(tmp_path / "t.csv"), "target": target}
    dataset |= {"label_separator": "|", "drop": ["p", "q"]} if target == "tags" else {}
    dataset |= {"drop": ["tags"]} if target != "tags" else {}
    run = trained(tmp_path, dataset, loss={"type": "auto"})
    rows = tensors(run.task().dataset.test).rows.tolist()
    new = tmp_path / "new.csv"
    new.write_text(header + "\n".join(lines[row] for row in rows) + "\n")
    found = measured(run, new)
    assert found.metrics == on_test(run).metrics
    assert not any("ignored" in note for note in found.notes)
    if target == "tags":
        new.write_text("a,tags\n1,u|other\n")
        with pytest.raises(BadInput, match=r"1 label .*'other' \(1 row\); it knows u, v"):
            measured(run, new)


def test_numbers_of_classes_may_be_written_otherwise(tmp_path: Path) -> None:
    lines = [f"{n % 7},{n % 2}" for n in range(60)]
    (tmp_path / "t.csv").write_text("a,k\n" + "\n".join(lines) + "\n")
    run = trained(tmp_path, {"type": "table", "path": str(tmp_path / "t.csv"), "target": "k"})
    new = tmp_path / "new.csv"
    new.write_text("a,k\n1,1\n2,0\n3,1\n")
    plain = measured(run, new)
    new.write_text("a,k\n1,1.0\n2,0.0\n3,1.0\n")
    assert measured(run, new).metrics == plain.metrics


def test_sequences_need_no_split(tmp_path: Path) -> None:
    lines = [
        f"{number},{step},{step / 10},{'ab'[number % 2]},{'test' if number > 30 else 'train'}"
        for number in range(40)
        for step in range(2 + number % 3)
    ]
    header = "id,t,x,y,part\n"
    (tmp_path / "s.csv").write_text(header + "\n".join(lines) + "\n")
    run = trained(
        tmp_path,
        {
            "type": "sequences",
            "path": str(tmp_path / "s.csv"),
            "sequence": "id",
            "step": "t",
            "target": "y",
            "split": "part",
        },
        model={"type": "rnn", "hidden": 4},
    )
    new = tmp_path / "new.csv"
    tests = [line for line in lines if line.endswith("test")]
    new.write_text(header + "\n".join(tests) + "\n")
    found = measured(run, new)
    assert found.metrics == on_test(run).metrics
    assert found.file is not None
    # Their steps are those of others, and only their numbers differ.
    assert (found.file.count, found.file.known) == ("9 sequences", 9)
    without = ["y,id,more,t,x", *(",".join([p[3], p[0], "?", p[1], p[2]]) for p in _cells(tests))]
    new.write_text("\n".join(without) + "\n")
    assert measured(run, new).metrics == found.metrics
    new.write_text("id,t,y\n1,1,a\n")
    with pytest.raises(BadInput, match="no column 'x'"):
        measured(run, new)


def _cells(lines: list[str]) -> list[list[str]]:
    return [line.split(",") for line in lines]


def write_texts(folder: Path, names: str, files: range) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in files:
            text = "".join(f"{name * 3} {number}{line}\n" for line in range(4))
            (folder / name / f"{number}.txt").write_text(text)
    return folder


def test_folders_of_texts_are_measured_whole(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts", "abc", range(6))
    run = trained(
        tmp_path,
        {
            "type": "text_folders",
            "path": str(texts),
            "passage_lines": 2,
            "min_files": 3,
            "max_passages_class": 5,
        },
        model={"type": "cnn1d", "channels": [4], "kernel_size": 3},
    )
    new = write_texts(tmp_path / "new", "b", range(10, 12))
    found = measured(run, new)
    assert found.file is not None
    assert (found.file.count, found.file.known) == ("4 passages", 0)
    assert found.result is not None
    assert found.result.confusion is not None
    assert [sum(row) for row in found.result.confusion] == [0, 4, 0]
    assert measured(run, texts).file.count == "36 passages"  # type: ignore[union-attr]
    write_texts(tmp_path / "odd", "ad", range(2))
    with pytest.raises(BadInput, match=r"1 class that .*'d' \(4 rows\)"):
        measured(run, tmp_path / "odd")


def test_text_is_measured_whole(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("ab" * 3000)
    run = trained(
        tmp_path,
        {"type": "text", "path": str(tmp_path / "t.txt"), "sequence_length": 20},
        model={"type": "rnn", "hidden": 4, "embedding": 4},
        loss={"type": "auto"},
    )
    (tmp_path / "new.txt").write_text("ab" * 50)
    found = measured(run, tmp_path / "new.txt")
    assert found.file is not None
    assert (found.file.count, found.file.known) == ("1 file, 100 bytes", None)
    assert set(found.baseline) == {"unigram", "gzip"}


def test_a_picture_has_no_label(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    run.start()
    with pytest.raises(BadInput, match="a picture has no label"):
        measured(run, tmp_path / "x.png")


SCANS = """
from pathlib import Path

import numpy as np
from tui_trainer.plugins import Data, dataset


@dataset("labelled-scans")
def scans(params):
    files = sorted(Path(params.path).glob("*/*.npy"))
    parts = {"train": files}
    if Path(params.path).name == "divided":
        parts = {"train": files[2:], "val": files[:1], "test": files[1:2]}
    return Data(**parts, read=np.load, target=lambda file: file.parent.name)
"""


def write_arrays(folder: Path, names: str, count: int) -> Path:
    for number in range(count):
        place = folder / names[number % len(names)]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{number}.npy", np.full(2, number, np.float32))
    return folder


@pytest.fixture
def _own_code() -> Iterator[None]:
    with restored():
        yield


@pytest.mark.usefixtures("_own_code")
def test_a_plugin_is_given_another_path(tmp_path: Path) -> None:
    (tmp_path / "scans.py").write_text(SCANS)
    load_plugins([tmp_path / "scans.py"])
    data = {"type": "labelled-scans", "path": str(write_arrays(tmp_path / "arrays", "ab", 24))}
    run = trained(tmp_path, data, loader={"num_workers": 1})
    for folder, names, count in (("new", "ab", 5), ("divided", "ab", 6), ("one", "b", 1)):
        found = measured(run, write_arrays(tmp_path / folder, names, count))
        assert found.file is not None
        assert (found.file.samples, found.file.is_own) == (count, False)
        assert found.result is not None
        assert found.result.confusion is not None
        assert [sum(row) for row in found.result.confusion] == [
            sum("ab"[place] == names[number % len(names)] for number in range(count))
            for place in range(2)
        ]
    with pytest.raises(BadInput, match=r"odd/c/0\.npy is 'c', which is none of the classes: a, b"):
        measured(run, write_arrays(tmp_path / "odd", "ca", 4))
    with pytest.raises(BadInput, match="no such file or folder"):
        measured(run, tmp_path / "gone")
    elsewhere = run.experiment.dataset.model_copy(update={"path": ""})
    with pytest.raises(BadInput, match="used it without a path, so --data FILE cannot"):
        read_labelled(elsewhere, {}, "x", run.task().dataset.info)


def test_the_windows_of_another_series_are_measured(tmp_path: Path) -> None:
    values = [f"{n},{n * 7 % 11},{n % 5}" for n in range(120)]
    (tmp_path / "s.csv").write_text("t,x,z\n" + "\n".join(values) + "\n")
    section = {"type": "forecast", "path": str(tmp_path / "s.csv"), "time": "t", "target": "x"}
    run = trained(
        tmp_path,
        {**section, "window": 6, "horizon": 2},
        model={"type": "rnn", "hidden": 4},
        loss={"type": "auto"},
    )
    new = tmp_path / "new.csv"
    later = [f"?,{n % 5},{n},{n * 7 % 11}" for n in range(120, 140)]
    new.write_text("more,z,t,x\n" + "\n".join(later) + "\n")
    found = measured(run, new)
    assert found.file is not None
    assert found.file.count == "13 windows"
    assert {"last_value", "mean", "linear_regression"} <= set(found.baseline)
    assert "column that the model was not trained on, ignored: more" in found.notes
    new.write_text("t,x\n1,2\n")
    with pytest.raises(BadInput, match="no column 'z'"):
        measured(run, new)
    # The windows of the test split, whose past begins before it.
    first = int(tensors(run.task().dataset.test).rows.min()) - 6
    new.write_text("t,x,z\n" + "\n".join(values[first:]) + "\n")
    assert measured(run, new).metrics == pytest.approx(on_test(run).metrics)


def test_data_of_each_type_can_be_measured() -> None:
    assert READERS.keys() == LOADERS.keys()
