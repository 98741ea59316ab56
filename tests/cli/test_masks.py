"""`predict --out`: the masks of pictures as files, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.bars import SIDE, experiment, picture, registered
from tests.training.harness import Run
from tests.training.test_prediction import trained_on_table
from tui_trainer.cli.main import main
from tui_trainer.cli.picture_folder import PictureFolder
from tui_trainer.data.files.picture_opener import read_image
from tui_trainer.data.files.png import write_mask
from tui_trainer.data.new_samples import READERS
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.text.errors import BadInput, CannotWrite


@pytest.fixture(scope="module", autouse=True)
def _readable() -> Iterator[None]:
    def read(section: object, fitted: object, path: str) -> Unseen:
        pixels, notes = read_image(path, (1, SIDE, SIDE), 1.0)
        return Unseen(torch.from_numpy(pixels).view(1, 1, SIDE, SIDE), ("",), notes)

    with registered():
        READERS["test-masks"] = read
        yield
        READERS.pop("test-masks")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `run`, which has learned something."""
    folder = tmp_path_factory.mktemp("runs")
    training = {"epochs": 15, "batch_size": 8}
    asked = experiment(training=training, checkpoint={"every_steps": 100})
    assert Run.new(folder / "run", asked).start().state == "finished"
    return folder


def write_picture(path: Path, index: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = (picture(index)[0][0].clamp(0, 1) * 255).to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(path)
    return path


def predict(runs: Path, *words: str | Path) -> int:
    return main(["predict", "run", "--runs-dir", str(runs), "--device", "cpu", *map(str, words)])


def test_masks_are_written_as_pictures_of_the_classes(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write_picture(tmp_path / name / "scan.png", n) for n, name in enumerate("ab")]
    out = tmp_path / "new" / "masks"
    assert predict(runs, *files, "--out", out, "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    paths = [out / "scan.png", out / "scan-2.png"]
    assert [(one["file"], one["mask"]) for one in records] == [
        (str(file), str(path)) for file, path in zip(files, paths, strict=True)
    ]
    for index, (record, path) in enumerate(zip(records, paths, strict=True)):
        assert set(record) == {"file", "place", "mask", "shares"}
        with Image.open(path) as mask:
            assert mask.mode == "P"
            pixels = np.asarray(mask)
            colours = {mask.convert("RGB").getpixel((x, 0)) for x in range(SIDE)}
        assert pixels.shape == (SIDE, SIDE)
        assert (pixels == picture(index)[1].numpy()).mean() > 0.9
        names = ("ground", "wide", "tall")
        counted = {name: float((pixels == k).mean()) for k, name in enumerate(names)}
        assert record["shares"] == pytest.approx({k: v for k, v in counted.items() if v})
        assert (0, 0, 0) in colours, "the first class is black"


def test_a_line_has_the_shares_and_the_mask(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_picture(tmp_path / "scan.png", 3)
    assert predict(runs, file) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"{file}: ground ")
    assert line.count("%") >= 2
    assert predict(runs, file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["mask"] is None
    assert predict(runs, file, "--out", tmp_path / "m") == 0
    assert capsys.readouterr().out.strip() == f"{line}; mask {tmp_path / 'm' / 'scan.png'}"
    before = (tmp_path / "m" / "scan.png").read_bytes()
    assert predict(runs, file, "--out", tmp_path / "m") == 2
    assert "scan.png: already exists; --force replaces it" in capsys.readouterr().err
    # Nor is the mask of a picture before it.
    first = write_picture(tmp_path / "first.png", 2)
    assert predict(runs, first, file, "--out", tmp_path / "m") == 2
    assert not (tmp_path / "m" / "first.png").exists()
    capsys.readouterr()
    (tmp_path / "m" / "scan.png").write_bytes(b"old")
    assert predict(runs, file, "--out", tmp_path / "m", "--force") == 0
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["scan.png"]
    assert (tmp_path / "m" / "scan.png").read_bytes() == before


def test_masks_of_a_folder_have_the_names_of_its_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "day").mkdir(parents=True)
    names = ("scan.png", "day/scan.jpg")
    for name in names:
        write_picture(folder / name, 3)
    masks = PictureFolder(tmp_path / "m", [str(folder)])
    paths = [masks.path_for(str(folder), name) for name in (*names, "row 2")]
    assert [path.name for path in paths] == ["scan.png", "day-scan.png", "new-row-2.png"]
    within = PictureFolder(folder / "day", [str(folder)], force=True)
    write_picture(folder / "day" / "scan.png", 3)
    with pytest.raises(BadInput, match="would replace the picture"):
        within.path_for(str(folder), "scan.png")


def test_a_mask_never_replaces_its_picture(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_picture(tmp_path / "scan.png", 3)
    before = file.read_bytes()
    assert predict(runs, file, "--out", tmp_path, "--force") == 2
    assert "would replace the picture; write to another place" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_masks_go_to_a_folder_and_other_predictions_to_a_file(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_on_table(tmp_path)
    (tmp_path / "new.csv").write_text("a,b\n1,u\n")
    assert predict(tmp_path, tmp_path / "new.csv", "--out", tmp_path / "m") == 2
    assert "m: name a .csv or a .jsonl file" in capsys.readouterr().err
    file = write_picture(tmp_path / "scan.png", 3)
    assert predict(runs, file, "--out", tmp_path / "m.csv") == 2
    assert "m.csv: name a folder, for masks" in capsys.readouterr().err
    assert predict(runs, file, "--out", tmp_path / "m", "--probabilities") == 2
    assert "--probabilities is for tables" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "m.csv").exists()
    assert predict(runs, "--generate", "3", "--out", tmp_path / "m") == 2
    assert "--out is for predictions of files" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_picture(tmp_path / "scan.png", 3)
    assert predict(runs, file, "--out", file) == 3
    assert f"--out {file}: file exists" in capsys.readouterr().err


def test_a_mask_of_many_classes_has_16_bits(tmp_path: Path) -> None:
    mask = torch.tensor([[0, 299], [65535, 256]], dtype=torch.int32)
    write_mask(mask, tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as picture:
        assert np.asarray(picture).astype(np.int64).tolist() == mask.tolist()
    with pytest.raises(CannotWrite, match=r"gone/m\.png: no such file or directory"):
        write_mask(mask, tmp_path / "gone" / "m.png")
