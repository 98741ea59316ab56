"""`train` and `data inspect` on files of the user's own, from the first command on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tui_trainer.cli.main import main
from tui_trainer.config.presets import PresetLibrary, builtin_dir


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_wine(path: Path, rows: int = 90, sign: str = ";") -> None:
    draw = random.Random(3)
    names = ("Barolo", "Barbera", "Grignolino")
    lines = [sign.join(("acid", "hue", "variety"))]
    for row in range(rows):
        kind = row % 3
        hue = "" if row % 20 == 7 else f"{draw.gauss(kind, 0.2):.3f}"
        lines.append(sign.join((f"{draw.gauss(-2 * kind, 0.3):.3f}", hue, names[kind])))
    path.write_text("\n".join(lines) + "\n")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_inspect_says_what_is_there_what_is_inferred_and_what_decides_otherwise(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wine(folder / "wine.csv")
    code, out, _ = run(capsys, "data", "inspect", "wine.csv")
    head, target, inputs, split, model, *notes = out.splitlines()
    assert code == 0
    assert head.startswith("wine.csv: 90 rows, 3 columns, separator ';', 1.9 % of the cells empty")
    assert "variety (the last column; 3 classes: Barbera (30), " in target
    assert target.endswith(": classification  [--target]")
    assert "2 numbers (acid, hue); missing ones filled with the training mean" in inputs
    assert inputs.endswith("[dataset.missing]")
    assert "% train, validation, test" in split
    assert "mlp 64-32, adamw 0.003, early stopping on val/loss, at most 200 epochs" in model
    assert any("semicolon" in note for note in notes)
    _, out, _ = run(capsys, "data", "inspect", "wine.csv", "--json", "--target", "hue", "lr=0.5")
    told = json.loads(out)
    assert told["config"]["dataset"]["target"] == "hue"
    _, out, _ = run(capsys, "data", "inspect", "wine.csv", "dataset.split_from=runs/older")
    assert "split   as in the run older; split by identity" in out
    assert told["config"]["optimizer"]["lr"] == 0.5
    assert "regression" in told["lines"][1]["text"]


@pytest.mark.parametrize(
    ("first", "last", "hint"),
    [
        (lambda n: n % 3 + 1, lambda n: n * 0.37, "--target 'column 1' problem=classification"),
        (lambda n: "uvw"[n % 3], lambda n: n * 0.37, "--target 'column 1' predicts it"),
        (lambda n: n % 3 + 1, lambda n: n % 2, ""),
        (lambda n: n * 1.1, lambda n: n * 0.37, ""),
    ],
    ids=["numbers", "texts", "the last one is a class", "the first one has many values"],
)
def test_a_class_in_the_first_column_of_a_table_without_a_header_is_noted(
    first: Callable[[int], object],
    last: Callable[[int], object],
    hint: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [f"{first(n)},{n * 7 % 31}.5,{last(n)}\n" for n in range(90)]
    (folder / "wine.data.csv").write_text("".join(rows))
    words = ("data", "inspect", "wine.data.csv", "dataset.header=no", "--json")
    _, out, _ = run(capsys, *words)
    notes = [note for note in json.loads(out)["notes"] if "--target" in note]
    assert len(notes) == bool(hint)
    assert all(note.startswith("column 1 has only 3") and hint in note for note in notes)


def write_pictures(folder: Path) -> None:
    """Pictures of a bright row, which is the class, as arrays and as a table of pixels."""
    generator = np.random.default_rng(0)
    classes = np.arange(120) % 4
    pictures = generator.integers(0, 60, (120, 8, 8), dtype=np.uint8)
    pictures[np.arange(120), classes] += 190
    pictures[:, 4:] = 0
    arrays: dict[str, Any] = {"x_train": pictures[:90], "y_train": classes[:90]}
    np.savez(folder / "bars.npz", **arrays, x_test=pictures[90:], y_test=classes[90:])
    table = np.concatenate([classes[:, None], pictures.reshape(120, -1)], axis=1)
    head = ",".join(["label", *(f"pixel{place}" for place in range(64))])
    np.savetxt(folder / "bars.csv", table, "%d", ",", header=head, comments="")


@pytest.mark.parametrize("name", ["bars.npz", "bars.csv"])
def test_train_on_arrays_or_pixels_alone_learns(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_pictures(folder)
    code, out, err = run(
        capsys, "train", name, "--no-ui", "epochs=12", "--runs-dir", "runs", "batch_size=8"
    )
    assert code == 0, err
    assert f"{name}: 120 pictures" in err
    assert "pictures of 1x8x8 (channels, height, width)" in err
    accuracy = next(line for line in out.splitlines() if line.startswith("test: "))
    assert float(accuracy.rpartition("accuracy ")[2].split()[0]) > 80
    if name == "bars.csv":
        assert "dataset.type=table reads a plain table" in err
    else:
        assert "split as the arrays are: train x_train (90), test x_test (30)" in out


def test_train_on_a_file_learns_and_saves_an_experiment_that_is_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wine(folder / "wine.csv")
    words = ("train", "wine.csv", "--no-ui", "epochs=30", "--save", "more/mine.yaml")
    code, out, err = run(capsys, *words, "--runs-dir", "runs")
    assert code == 0, err
    assert "wine.csv: 90 rows" in err
    (started,) = (folder / "runs").iterdir()
    assert started.name.startswith("wine-")
    accuracy = next(line for line in out.splitlines() if line.startswith("test: "))
    assert float(accuracy.rpartition("accuracy ")[2].split()[0]) > 80
    library = PresetLibrary([builtin_dir()])
    saved = library.experiment("more/mine.yaml").to_dict()
    assert saved == library.experiment(str(started / "config.yaml")).to_dict()
    code, _, err = run(capsys, *words, "--dry-run")
    assert code == 2
    assert "more/mine.yaml: exists already" in err


def test_a_saved_experiment_names_data_beside_it_relative_to_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wine(folder / "wine.csv")
    assert run(capsys, "train", "wine.csv", "--save", "mine.yaml", "--dry-run")[0] == 0
    assert "path: wine.csv" in (folder / "mine.yaml").read_text()
    (folder / "moved").mkdir()
    for name in ("wine.csv", "mine.yaml"):
        (folder / name).rename(folder / "moved" / name)
    code, out, _ = run(capsys, "train", "moved/mine.yaml", "--dry-run")
    assert code == 0
    assert str(folder / "moved" / "wine.csv") in out


def test_other_data_beside_an_experiment_keep_its_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wine(folder / "wine.csv")
    words = ("train", "penguins-mlp", "--data", "wine.csv", "--dry-run", "--log-format", "json")
    code, out, err = run(capsys, *words)
    config = json.loads(out)["config"]
    assert code == 0
    assert (config["name"], config["dataset"]["target"]) == ("wine", "variety")
    assert config["model"]["layers"] == [32, 16]
    assert "dataset.target=variety: the last column" in err


def test_a_preset_wins_over_a_folder_of_its_name_which_a_path_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "digits-mlp").mkdir()
    code, _, err = run(capsys, "train", "digits-mlp", "--dry-run")
    assert code == 0
    assert "./digits-mlp means the folder of that name" in err
    code, _, err = run(capsys, "train", "./digits-mlp", "--dry-run")
    assert code == 2
    assert "no texts or pictures in this folder" in err


def test_an_imbalanced_target_is_measured_by_more_than_accuracy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{row % 7},{'yes' if row % 10 == 0 else 'no'}" for row in range(200)]
    (folder / "rare.csv").write_text("\n".join(["x,answer", *rows]))
    code, out, _ = run(capsys, "train", "rare.csv", "--dry-run", "--log-format", "json")
    assert code == 0
    metrics = json.loads(out)["config"]["training"]["metrics"]
    assert metrics == ["balanced_accuracy", "f1", "auroc"]


def test_a_large_file_is_mentioned_before_it_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_trainer.cli.own_data._LARGE_BYTES", 500)
    write_wine(folder / "wine.csv", sign="\n")
    for words in (("data", "inspect"), ("train",)):
        code, _, err = run(capsys, *words, "wine.csv")
        assert code == 2
        assert err.splitlines()[0] == "tui-trainer: reading wine.csv (2 kB)"


def test_a_text_and_a_folder_of_texts_get_models_of_their_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "book.txt").write_text("to be or not to be, that is the question\n" * 200)
    for name in ("spam", "ham"):
        (folder / "mail" / name).mkdir(parents=True)
        for number in range(12):
            text = f"{name} and more {name} {number}\n" * 5
            (folder / "mail" / name / f"{number}.txt").write_text(text)
    _, book, _ = run(capsys, "data", "inspect", "book.txt")
    assert "language modelling" in book
    assert "transformer" in book
    _, mail, _ = run(capsys, "data", "inspect", "mail")
    assert "2 classes: " in mail
    assert "cnn1d" in mail


def write_folders(folder: Path, side: int, count: int = 20, *, masks: bool = False) -> None:
    for name in ("images", "masks") if masks else ("day", "night"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            dice = np.random.default_rng(number + 100 * len(name))
            numbers = dice.integers(0, 2 if name == "masks" else 256, (side, side), dtype=np.uint8)
            Image.fromarray(numbers).save(folder / name / f"{number}.png")


def test_a_folder_of_pictures_gets_a_model_for_their_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(folder / "small", 24)
    write_folders(folder / "large", 140)
    write_folders(folder / "seg", 24, masks=True)
    _, small, _ = run(capsys, "data", "inspect", "small")
    head, target, inputs, augment, split, model, *_ = small.splitlines()
    assert head == "small: 40 pictures"
    assert "2 classes: day (20), night (20): classification" in target
    assert "pictures of 1x24x24" in inputs
    assert "the pictures are 24x24" in inputs
    assert inputs.endswith("[dataset.size]")
    assert "moved by up to 1 pixel at random; not mirrored" in augment
    _, mirrored, _ = run(capsys, "data", "inspect", "small", "dataset.flip_vertical=true")
    assert "moved by up to 1 pixel at random, and mirrored" in mirrored
    assert "split by identity, stratified" in split
    assert "cnn, adamw 0.001, early stopping" in model
    _, large, _ = run(capsys, "data", "inspect", "large", "--json")
    config = json.loads(large)["config"]
    assert (config["dataset"]["size"], config["dataset"]["crop_padding"]) == ([128, 128], 8)
    assert (config["model"]["type"], config["model"]["stages"]) == ("resnet", 4)
    _, masks, _ = run(capsys, "data", "inspect", "seg")
    assert "one of 2 classes per pixel: 0, 1: segmentation" in masks
    assert "unet" in masks


def test_a_folder_of_pictures_is_trained_on_by_its_name_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(folder / "small", 12)
    (folder / "small" / "day" / "bad.jpg").write_text("no picture")
    code, out, err = run(
        capsys, "train", "small", "--no-ui", "--runs-dir", "runs", "training.epochs=1"
    )
    assert code == 0, err
    assert "left out: 1 broken file: day/bad.jpg (is not a picture of a known format)" in out
    assert "test: loss" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "wine.cvs"], "wine.cvs: no such file or folder (did you mean 'wine.csv'?)"),
        (["train", "wine.csv", "dataset.path=x"], "dataset.path and PATH both name the data"),
        (["train", "wine.csv", "dataset=penguins"], "dataset and PATH both name the data"),
        (["train", "wine.csv", "--target", "hu"], "no column 'hu' in"),
        (["train", "builtin:auto-mpg.csv"], "column 'name' has 301 different texts in 392 rows"),
        (["train", "names.csv"], "has 50 different texts in 50 rows, so it is not a class"),
        (
            ["train", "odd.csv"],
            "n: read as categories, because line 7 has 'many'; 49 of its values",
        ),
        (["train", "lr=1"], "no experiment preset 'lr=1'"),
        (["train", "wine.csv", "--save", "x.json"], "the name of an experiment's file ends in"),
        (["data", "inspect", "wine.csv", "lrr=1"], "lrr: no such setting"),
        (["data", "inspect", "wine.csv", "hidden=1"], "hidden: no such setting"),
        (["train", "digits-mlp", "--data", "gone.csv"], "gone.csv: no such file or folder"),
        (
            ["train", "penguins-mlp", "--dry-run", "optimizer.groups=[{match: heda}]"],
            "command line: optimizer.groups.0.match: no layer 'heda' (did you mean 'head'?)",
        ),
        (["train", "penguins-mlp", "--dry-run", "loss=mse"], "command line: loss.type: mse is not"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_trained_on_is_said_before_there_is_a_run(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wine(folder / "wine.csv")
    rows = [f"{row},person {row}" for row in range(50)]
    (folder / "names.csv").write_text("\n".join(["x,name", *rows]))
    cells = ["many" if n % 9 == 5 else str(n) for n in range(55)]
    (folder / "odd.csv").write_text("\n".join(["x,n", *(f"{n % 7},{cells[n]}" for n in range(55))]))
    options = ["--no-ui", "--runs-dir", "runs"] if words[0] == "train" else []
    code, _, err = run(capsys, *words, *options)
    assert (code, "Traceback" in err) == (2, False), err
    assert message in err
    assert not (folder / "runs").exists()
