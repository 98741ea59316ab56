"""Predictions for new files: those of the model, from the checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.data.splits import tensors
from tests.training.harness import Run, small_experiment, write_images
from tui_trainer.text.errors import BadInput
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.prediction import Predictor

CPU = torch.device("cpu")


def table(path: Path, rows: int = 60) -> Path:
    lines = [f"{n % 7},{'uvw'[n % 3]},{n % 7 + 10 * (n % 3)}" for n in range(rows)]
    path.write_text("a,b,y\n" + "\n".join(lines) + "\n")
    return path


def predictor(run: Run) -> Predictor:
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "run")
    return Predictor(checkpoint, run.experiment, CPU)


def trained_on_table(folder: Path, **dataset: Any) -> Run:
    section = {"type": "table", "path": str(table(folder / "t.csv")), "target": "y", **dataset}
    run = Run.new(
        folder / "run",
        small_experiment(
            folder,
            dataset=section,
            loss={"type": "auto"},
            training={"epochs": 40},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    return run


def test_rows_of_a_table_are_predicted_in_units_of_the_target(tmp_path: Path) -> None:
    run = trained_on_table(tmp_path)
    # Without the data set, in another order, with a column more.
    (tmp_path / "t.csv").unlink()
    new = tmp_path / "new.csv"
    new.write_text("extra,b,a\nx,u,3\nx,w,3\n")
    found = predictor(run).file(str(new))
    assert [sample.place for sample in found.samples] == ["line 2", "line 3"]
    low, high = (sample.value for sample in found.samples)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert high - low == pytest.approx(20, abs=12)
    assert found.samples[0].shares == {}


def test_classes_come_with_their_shares_and_are_those_of_the_model(tmp_path: Path) -> None:
    data = write_images(tmp_path / "images.csv")
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start()
    found = predictor(run).file(str(data))
    assert len(found.samples) == 72
    task = run.task()
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "run")
    task.model.load_state_dict(checkpoint.data.state.model)
    test = tensors(task.dataset.test)
    with torch.inference_mode():
        expected = task.model.eval()(test.inputs).softmax(1)
    for row, shares in zip(test.rows.tolist(), expected, strict=True):
        sample = found.samples[row]
        assert sample.value == task.dataset.classes[int(shares.argmax())]
        assert next(iter(sample.shares.values())) == pytest.approx(float(shares.max()), abs=1e-5)
        assert sum(sample.shares.values()) == pytest.approx(1, abs=1e-5)


def test_a_picture_is_one_sample_scaled_and_told(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    run.start()
    exact, large = tmp_path / "exact.png", tmp_path / "large.jpg"
    Image.new("L", (4, 4), 200).save(exact)
    Image.new("RGB", (40, 20), (9, 9, 9)).save(large)
    asked = predictor(run)
    assert asked.file(str(exact)).notes == ()
    found = asked.file(str(large))
    assert found.notes == (f"{large}: scaled from 40x20 to 4x4",)
    assert [sample.place for sample in found.samples] == [""]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(BadInput, match=r"broken\.png: is not a picture of a known format"):
        asked.file(str(tmp_path / "broken.png"))
    with pytest.raises(BadInput, match=r"none\.png: no such file"):
        asked.file(str(tmp_path / "none.png"))


def test_what_the_model_was_not_trained_on_is_refused_by_name(tmp_path: Path) -> None:
    run = trained_on_table(tmp_path)
    new = tmp_path / "new.csv"
    new.write_text("a,c\n1,2\n")
    with pytest.raises(BadInput, match=r"new\.csv:1: no column 'b'.*trained on: a, b"):
        predictor(run).file(str(new))
    new.write_text("a;b\n1;u\n")
    assert len(predictor(run).file(str(new)).samples) == 1
    new.write_text("a,b\n1,u\n,u\n")
    with pytest.raises(BadInput, match=r"new\.csv:3: column 'a' has no value"):
        predictor(run).file(str(new))
    images = Run.new(tmp_path / "i", small_experiment(write_images(tmp_path / "images.csv")))
    images.start()
    new.write_text("1,2,3\n")
    with pytest.raises(BadInput, match=r"new\.csv:1: 3 fields, but images of \[1, 4, 4\] have 16"):
        predictor(images).file(str(new))


def test_the_random_generators_are_left_alone(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    run.start()
    before = torch.get_rng_state()
    predictor(run).file(str(tmp_path / "images.csv"))
    assert torch.equal(before, torch.get_rng_state())


def test_sequences_come_with_ids_or_as_one_file(tmp_path: Path) -> None:
    lines = ["id,t,x,y"]
    lines += [
        f"{number},{step},{(number % 2) * 2 - 1 + step / 10},{'ab'[number % 2]}"
        for number in range(40)
        for step in range(3 + number % 4)
    ]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    section = {
        "type": "sequences",
        "path": str(tmp_path / "s.csv"),
        "sequence": "id",
        "step": "t",
        "target": "y",
    }
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            tmp_path,
            dataset=section,
            model={"type": "rnn", "hidden": 8},
            training={"epochs": 30},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    asked = predictor(run)
    new = tmp_path / "new.csv"
    new.write_text("t,id,x\n1,p,1.1\n0,p,1.0\n0,q,-1\n")
    found = asked.file(str(new))
    assert [(s.place, s.value) for s in found.samples] == [("sequence p", "b"), ("sequence q", "a")]
    new.write_text("x\n-1\n-0.9\n")
    assert [(s.place, s.value) for s in asked.file(str(new)).samples] == [("", "a")]
    new.write_text("z\n-1\n")
    with pytest.raises(BadInput, match=r"no column 'x' in .*trained on: x"):
        asked.file(str(new))


def test_a_text_is_classified_by_passages_and_as_a_whole(tmp_path: Path) -> None:
    for name, word in (("cats", "miau purr"), ("dogs", "wuff grrr")):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for number in range(6):
            text = "".join(f"{word} {number}{line}\n" for line in range(8))
            (tmp_path / "texts" / name / f"{number}.txt").write_text(text)
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            tmp_path,
            dataset={
                "type": "text_folders",
                "path": str(tmp_path / "texts"),
                "passage_lines": 2,
                "min_files": 3,
            },
            model={"type": "cnn1d", "channels": [8], "kernel_size": 3},
            training={"epochs": 20},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    (tmp_path / "new.txt").write_text("wuff grrr 7\nwuff\n\n\nwuff grrr\n")
    found = predictor(run).file(str(tmp_path / "new.txt"))
    assert [s.place for s in found.samples] == ["lines 1-2", "lines 5-5", "whole file"]
    assert {s.value for s in found.samples} == {"dogs"}
    (tmp_path / "new.txt").write_text("\n \n")
    with pytest.raises(BadInput, match="there is no text in it"):
        predictor(run).file(str(tmp_path / "new.txt"))


def test_a_forecast_follows_the_last_rows_of_a_series(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a\n" + "\n".join(str(n % 4) for n in range(150)) + "\n")
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            tmp_path,
            dataset={
                "type": "forecast",
                "path": str(tmp_path / "s.csv"),
                "target": "a",
                "window": 8,
                "horizon": 2,
            },
            model={"type": "cnn1d", "channels": [16], "kernel_size": 5, "dropout": 0.0},
            loss={"type": "auto"},
            training={"epochs": 15},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    (tmp_path / "new.csv").write_text("a\n" + "\n".join(str(n % 4) for n in range(33)) + "\n")
    [sample] = predictor(run).file(str(tmp_path / "new.csv")).samples
    assert sample.place == "after line 34"
    assert isinstance(sample.value, dict)
    assert [*sample.value] == ["a+1", "a+2"]
    assert [*sample.value.values()] == pytest.approx([1, 2], abs=0.7)


def test_a_text_of_a_table_is_predicted_from_its_bytes(tmp_path: Path) -> None:
    rows = [f"{'wuff' if n % 2 else 'miau'}{n},{n % 2}x" for n in range(64)]
    (tmp_path / "t.csv").write_text("text,y\n" + "\n".join(rows) + "\n")
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            tmp_path,
            dataset={"type": "table", "path": str(tmp_path / "t.csv"), "target": "y"},
            model={"type": "cnn1d", "channels": [8], "kernel_size": 3},
            training={"epochs": 20},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    (tmp_path / "new.csv").write_text("text\nwuff1000\nmiau wau\n")
    found = predictor(run).file(str(tmp_path / "new.csv"))
    assert [sample.value for sample in found.samples] == ["1x", "0x"]


def test_a_language_model_goes_on_with_a_prompt_and_repeats_itself_by_seed(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("ab" * 1000)
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            tmp_path,
            dataset={"type": "text", "path": str(tmp_path / "t.txt"), "sequence_length": 20},
            model={"type": "rnn", "cell": "gru", "hidden": 16, "embedding": 8},
            loss={"type": "auto"},
            optimizer={"lr": 0.05},
            training={"epochs": 12},
            early_stopping={"patience": None},
        ),
    )
    run.start()
    asked = predictor(run)
    assert asked.generated("ab", 6, 0.0, 0, 0) == "ababab"
    assert asked.generated("a", 20, 1.0, 0, 3) == asked.generated("a", 20, 1.0, 0, 3)
    with pytest.raises(BadInput, match="use --generate N"):
        asked.file(str(tmp_path / "t.txt"))
