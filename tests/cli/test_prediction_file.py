"""`predict --out FILE`: the rows of the input, their predictions, and when nothing is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from tests.training.harness import Run, small_experiment, write_images
from tests.training.test_prediction import predictor, trained_on_table
from tui_trainer.cli.output_file import written_beside
from tui_trainer.cli.prediction_file import free_names, write_predictions
from tui_trainer.text.errors import BadInput, CannotWrite
from tui_trainer.training.prediction import Predictor


def trained(folder: Path, dataset: dict[str, Any], **sections: Any) -> Predictor:
    sections = {"training": {"epochs": 2}, "loss": {"type": "auto"}, **sections}
    run = Run.new(folder / "run", small_experiment(folder, dataset=dataset, **sections))
    assert run.start().state == "finished"
    return predictor(run)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("classes")
    lines = [f"{n % 7},{'uvw'[n % 3]},{'xyz'[n % 3]}" for n in range(60)]
    (folder / "t.csv").write_text("a,b,k\n" + "\n".join(lines) + "\n")
    return trained(folder, {"type": "table", "path": str(folder / "t.csv"), "target": "k"})


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


HOSTILE = [
    ["b", "=1+2", 'say "a"', " space ", "a"],
    ["u", "@x", "one, two", "\ttab", "1.50"],
    ["v", "\x1b[31m", "line\r\nbreak", "e\u0301", " 2"],
    ["new", "\u202ebidi", "cr\ronly", "", "1e0"],
]


def test_the_cells_of_the_input_are_written_as_they_are(classes: Predictor, tmp_path: Path) -> None:
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    with new.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(HOSTILE)

    written = write_predictions(classes, [str(new)], out, probabilities=True)

    header, *rows = read(out)
    added = ["prediction", "probability", "probability_x", "probability_y", "probability_z"]
    assert header == [*HOSTILE[0], *added]
    assert [row[:5] for row in rows] == HOSTILE[1:]
    assert (written.rows, written.columns) == (3, tuple(added))
    for row, sample in zip(rows, classes.file(str(new)).samples, strict=True):
        assert row[5] == sample.value
        # Read back, the numbers are the same bits.
        assert float(row[6]) == sample.shares[row[5]]
        assert [float(cell) for cell in row[7:]] == [sample.shares[name] for name in "xyz"]
    assert {path.name for path in tmp_path.iterdir()} == {"new.csv", "out.csv"}


def test_json_lines_have_the_cells_as_texts(classes: Predictor, tmp_path: Path) -> None:
    new, out = tmp_path / "new.csv", tmp_path / "out.jsonl"
    new.write_text("b;a;prediction;prediction_2\nu;1;p;\x1b\n", encoding="utf-8")
    written = write_predictions(classes, [str(new)], out)
    (record,) = map(json.loads, out.read_text().splitlines())
    (sample,) = classes.file(str(new)).samples
    assert record == {
        "b": "u",
        "a": "1",
        "prediction": "p",
        "prediction_2": "\x1b",
        "prediction_3": sample.value,
        "probability": sample.shares[str(sample.value)],
    }
    assert written.notes[0] == (
        "the input has a column 'prediction', so the new one is 'prediction_3'"
    )


def test_numbers_of_a_file_with_types_stay_numbers_in_json(
    classes: Predictor, tmp_path: Path
) -> None:
    row: dict[str, Any] = {"b": "u", "a": 1, "x": 0.1, "id": 2**63 - 1, "ok": True, "text": "1.50"}
    row["list"] = [{"k": 2.5}]
    gaps = {**dict.fromkeys(row, None), "b": "v", "a": 2, "text": ""}
    table = pa.Table.from_pylist([row, gaps])
    parquet.write_table(
        table.set_column(2, "x", table["x"].cast(pa.float32())), tmp_path / "t.parquet"
    )
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in (row, gaps)))
    for name in ("t.parquet", "t.jsonl"):
        write_predictions(classes, [str(tmp_path / name)], tmp_path / "out.jsonl", force=True)
        records = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
        assert [{key: record[key] for key in row} for record in records] == [row, gaps]
        write_predictions(classes, [str(tmp_path / name)], tmp_path / "out.csv", force=True)
        _, first, second = read(tmp_path / "out.csv")
        assert first[:6] == ["u", "1", "0.1", "9223372036854775807", "true", "1.50"]
        assert first[6] == '[{"k": 2.5}]'
        assert second[:7] == ["v", "2", "", "", "", "", ""]


def test_new_names_never_are_those_of_the_input() -> None:
    assert free_names(["p ", "p_2", "caf\u0065\u0301"], ["p", "q", "caf\u00e9", "q"]) == [
        "p_3",
        "q",
        "caf\u00e9_2",
        "q_2",
    ]


def test_rows_of_several_files_have_a_column_for_the_file(
    classes: Predictor, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("one.csv", "two.csv", "odd.csv")]
    for file, text in zip(files, ("a,b\n1,u\n", "a,b\n1,u\n", "b,a\nu,1\n"), strict=True):
        file.write_text(text)
    one, two, odd = map(str, files)
    write_predictions(classes, [one, two], tmp_path / "out.csv")
    assert [row[:3] for row in read(tmp_path / "out.csv")] == [
        ["a", "b", "file"],
        ["1", "u", one],
        ["1", "u", two],
    ]
    with pytest.raises(BadInput, match=r"odd\.csv: its columns differ from those of .*one\.csv"):
        write_predictions(classes, [one, odd], tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_a_number_and_several_have_a_column_each(tmp_path: Path) -> None:
    asked = predictor(trained_on_table(tmp_path))
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    new.write_text("a,b\n3,u\n3,w\n")
    write_predictions(asked, [str(new)], out)
    values = [sample.value for sample in asked.file(str(new)).samples]
    assert read(out) == [
        ["a", "b", "prediction"],
        ["3", "u", repr(values[0])],
        ["3", "w", repr(values[1])],
    ]
    with pytest.raises(BadInput, match="regression has none"):
        write_predictions(asked, [str(new)], tmp_path / "other.csv", probabilities=True)


def test_several_numbers_and_labels(tmp_path: Path) -> None:
    lines = [f"{n % 7},{n % 5},{n % 3 / 2},{'u|v' if n % 2 else 'v'}" for n in range(60)]
    (tmp_path / "t.csv").write_text("a,p,q,tags\n" + "\n".join(lines) + "\n")
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    new.write_text("a\n3\n")
    table = {"type": "table", "path": str(tmp_path / "t.csv")}
    numbers = trained(tmp_path / "n", {**table, "target": ["p", "q"], "drop": ["tags"]})
    write_predictions(numbers, [str(new)], out)
    assert read(out)[0] == ["a", "prediction_p", "prediction_q"]
    value: Any = numbers.file(str(new)).samples[0].value
    assert read(out)[1] == ["3", repr(value["p"]), repr(value["q"])]

    tags = {"target": "tags", "drop": ["p", "q"], "label_separator": "|"}
    labels = trained(tmp_path / "l", {**table, **tags})
    (sample,) = labels.file(str(new)).samples
    assert isinstance(sample.value, list)
    write_predictions(labels, [str(new)], out, force=True, probabilities=True)
    assert read(out)[0] == ["a", "prediction", "probability_u", "probability_v"]
    assert read(out)[1][1] == "|".join(map(str, sample.value))
    write_predictions(labels, [str(new)], tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text())["prediction"] == sample.value


def test_each_step_has_the_prediction_of_its_sequence(tmp_path: Path) -> None:
    lines = [f"{n},{step},{n % 2},{'ab'[n % 2]}" for n in range(40) for step in range(2)]
    (tmp_path / "s.csv").write_text("id,t,x,y\n" + "\n".join(lines) + "\n")
    names = {"sequence": "id", "step": "t", "target": "y"}
    asked = trained(
        tmp_path,
        {"type": "sequences", "path": str(tmp_path / "s.csv"), **names},
        model={"type": "rnn", "hidden": 4},
        training={"epochs": 30},
        early_stopping={"patience": None},
    )
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    new.write_text("t,id,x\n1,p,1\n0,q,0\n0,p,1\n1,q,0\n")
    write_predictions(asked, [str(new)], out)
    assert [row[:4] for row in read(out)[1:]] == [
        ["1", "p", "1", "b"],
        ["0", "q", "0", "a"],
        ["0", "p", "1", "b"],
        ["1", "q", "0", "a"],
    ]


def test_pixels_get_names_and_pictures_a_row_each(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    run.start()
    asked = predictor(run)
    out = tmp_path / "out.csv"
    write_predictions(asked, [str(tmp_path / "images.csv")], out)
    header, *rows = read(out)
    assert header == [
        *(f"pixel_{n}" for n in range(1, 17)),
        *("label", "prediction", "probability"),
    ]
    assert [row[:17] for row in rows] == read(tmp_path / "images.csv")
    picture = tmp_path / "exact.png"
    Image.new("L", (4, 4), 200).save(picture)
    write_predictions(asked, [str(picture)], out, force=True)
    assert [row[:1] for row in read(out)] == [["file"], [str(picture)]]


def test_passages_have_their_places(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for number in range(6):
            lines = "".join(f"{name} {number}{line}\n" for line in range(4))
            (tmp_path / "texts" / name / f"{number}.txt").write_text(lines)
    asked = trained(
        tmp_path,
        {
            "type": "text_folders",
            "path": str(tmp_path / "texts"),
            "passage_lines": 2,
            "min_files": 3,
        },
        model={"type": "cnn1d", "channels": [4], "kernel_size": 3},
    )
    new = tmp_path / "new.txt"
    new.write_text("a\nb\nc\n")
    write_predictions(asked, [str(new)], tmp_path / "out.csv")
    assert [row[:2] for row in read(tmp_path / "out.csv")] == [
        ["place", "file"],
        *([place, str(new)] for place in ("lines 1-2", "lines 3-3", "whole file")),
    ]


def test_nothing_is_written_over_another_file_unasked(classes: Predictor, tmp_path: Path) -> None:
    new, out = tmp_path / "new.csv", tmp_path / "sub" / "out.csv"
    new.write_text("a,b\n1,u\n")
    with pytest.raises(BadInput, match=r"out\.txt: name a \.csv or a \.jsonl file"):
        write_predictions(classes, [str(new)], tmp_path / "out.txt")
    write_predictions(classes, [str(new)], out)
    before = out.read_text()
    new.write_text("a,b\n2,v\n")
    with pytest.raises(BadInput, match=r"out\.csv: already exists; --force replaces it"):
        write_predictions(classes, [str(new)], out)
    assert out.read_text() == before
    write_predictions(classes, [str(new)], out, force=True)
    assert out.read_text() != before
    with pytest.raises(BadInput, match=r"new\.csv: would replace the input"):
        write_predictions(classes, [str(new)], new, force=True)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(BadInput, match="is not a file"):
        write_predictions(classes, [str(new)], tmp_path / "d.csv", force=True)
    with pytest.raises(CannotWrite, match=r"file exists|not a directory"):
        write_predictions(classes, [str(new)], new / "out.csv")


def test_a_file_that_cannot_be_read_leaves_nothing(classes: Predictor, tmp_path: Path) -> None:
    new, bad = tmp_path / "new.csv", tmp_path / "bad.csv"
    new.write_text("a,b\n1,u\n")
    bad.write_text("a,b\nx,u\n")
    with pytest.raises(BadInput, match=r"bad\.csv:2"):
        write_predictions(classes, [str(new), str(bad)], tmp_path / "out.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"new.csv", "bad.csv"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_the_file_of_before(tmp_path: Path, error: Any) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")

    def write_half() -> None:
        with written_beside(out) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises((KeyboardInterrupt, CannotWrite)):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text() == "before"
