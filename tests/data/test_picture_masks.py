"""Pictures with masks: each pixel has the class that its number in the mask is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.splits import tensors
from tests.training.harness import Run, at_step, same, small_experiment
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.load import load
from tui_trainer.problems.batch import IGNORED
from tui_trainer.runs.commands import Stop
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.evaluation import evaluate, evaluate_file
from tui_trainer.training.prediction import load_predictor

SIDE = 8
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")


def write(folder: Path, numbers: tuple[int, ...] = (0, 255), count: int = 24) -> Path:
    """Pictures whose pixels are brighter where the mask has a later number."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        dice = np.random.default_rng(number)
        classes = dice.integers(0, len(numbers), (SIDE, SIDE))
        noise = dice.integers(0, 40, (SIDE, SIDE, 3))
        pixels = (classes[..., None] * 60 + noise).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02}.png")
        mask = np.array(numbers, dtype=np.uint8)[classes]
        Image.fromarray(mask).save(folder / "masks" / f"{number:02}.png")
    return folder


def section(path: Path, **settings: Any) -> PicturesSection:
    values = {"type": "pictures", "path": str(path), "size": SIDE, **settings}
    return PicturesSection.model_validate(values)


def targets_of(dataset: Dataset) -> torch.Tensor:
    train = tensors(dataset.train)
    assert train.ready is not None
    return train.ready(next(train.in_order(100)))["target"]


def test_each_pixel_has_the_class_of_its_number(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path)))
    assert (dataset.problem, dataset.classes) == ("segmentation", ("0", "255"))
    assert (dataset.signature.places, dataset.outputs) == ("pixel", 2)
    train = tensors(dataset.train)
    targets = targets_of(dataset)
    assert targets.dtype == torch.int64
    for row, target in zip(train.rows.tolist(), targets, strict=True):
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{row:02}.png"))
        assert np.array_equal(target.numpy(), mask == 255)
    assert any("the numbers in the masks are the classes" in note for note in dataset.notes)


def test_255_beside_other_classes_is_not_measured_unless_it_is_a_class(tmp_path: Path) -> None:
    write(tmp_path, (0, 3, 255))
    dataset = load(section(tmp_path))
    assert dataset.classes == ("0", "3")
    assert {*targets_of(dataset).flatten().tolist()} == {0, 1, IGNORED}
    assert any("pixels of 255 are not measured; dataset.void=none" in n for n in dataset.notes)
    assert load(section(tmp_path, void="none")).classes == ("0", "3", "255")


def test_pictures_without_a_mask_and_masks_in_colours_are_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "masks" / "03.png").unlink()
    Image.new("RGB", (SIDE, SIDE), (1, 2, 3)).save(tmp_path / "masks" / "05.png")
    (tmp_path / "masks" / "99.gif").write_bytes(b"")
    for name, size in (("07", (2 * SIDE, 2 * SIDE)), ("08", (SIDE, SIDE + 4))):
        Image.new("L", size, 255).save(tmp_path / "masks" / f"{name}.png")
    dataset = load(section(tmp_path))
    notes = "\n".join(dataset.notes)
    assert "1 picture without a mask left out: images/03.png" in notes
    assert "1 mask without a picture left out: masks/99.gif" in notes
    assert "images/05.png (cannot be read as a picture (a mask in colours" in notes
    assert "images/08.png (its mask has 8x12 pixels and the picture 8x8, which is another" in notes
    assert sum(map(len, (dataset.train, dataset.val, dataset.test))) == 21
    stretched = load(section(tmp_path, fit="stretch"))
    assert sum(map(len, (stretched.train, stretched.val, stretched.test))) == 22


def test_folders_of_splits_above_them_are_the_splits(tmp_path: Path) -> None:
    write(tmp_path / "train", count=20)
    write(tmp_path / "val", count=5)
    dataset = load(section(tmp_path))
    assert [*map(len, (dataset.train, dataset.val, dataset.test))] == [20, 5, 0]


def test_what_does_not_suit_masks_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="pixels that have no class"):
        load(section(tmp_path, fit="pad"))
    with pytest.raises(ConfigError, match="masks cannot be mixed"):
        load(section(tmp_path, mixup=0.5))
    write(tmp_path / "same", (7,))
    with pytest.raises(BadInput, match="the masks have only the number 7"):
        load(section(tmp_path / "same"))
    (tmp_path / "alone" / "images").mkdir(parents=True)
    (tmp_path / "alone" / "masks").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "alone" / "images" / "a.png")
    Image.new("L", (4, 4)).save(tmp_path / "alone" / "masks" / "b.png")
    with pytest.raises(BadInput, match="no picture in images/ has a mask of the same name"):
        load(section(tmp_path / "alone"))


def test_a_cut_run_on_masks_equals_the_uncut_one_and_is_measured(tmp_path: Path) -> None:
    data = write(tmp_path / "data", (0, 3, 255))
    experiment = small_experiment(
        data,
        dataset={
            "type": "pictures",
            "path": str(data),
            "size": SIDE,
            "crop_padding": 1,
            "shift_pixels": 1.0,
        },
        model={"type": "unet", "width": 2, "depth": 1},
        loss={"type": "cross_entropy"},
        training={"epochs": 2, "batch_size": 4},
    )
    uncut = Run.new(tmp_path / "uncut", experiment)
    assert uncut.start().state == "finished"
    run = Run.new(tmp_path / "run", experiment)
    assert run.start(at_step(3, Stop())).state == "stopped"
    assert run.resume().state == "finished"
    assert same(run.final(), uncut.final())

    measured = evaluate(run.directory, run.experiment, CPU, "test", "last")
    assert measured.baseline["majority_class"].keys() >= {"accuracy", "mean_iou"}
    whole = evaluate_file(run.directory, run.experiment, CPU, str(data), "last")
    assert whole.file is not None
    assert whole.file.count == "24 pictures"


COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 128, 255)], dtype=np.uint8)
NAMES = ("#000000", "#0080ff", "#ff0000")


def write_colours(folder: Path, *, has_palettes: bool = False, count: int = 24) -> Path:
    """The masks of `write`, in colours; or with a palette each, which numbers them differently."""
    write(folder, (0, 1, 2), count)
    for number in range(count):
        path = folder / "masks" / f"{number:02}.png"
        classes = np.asarray(Image.open(path))
        if not has_palettes:
            Image.fromarray(COLOURS[classes]).save(path)
            continue
        order = np.random.default_rng(number).permutation(3)
        mask = Image.fromarray(np.argsort(order).astype(np.uint8)[classes])
        mask.putpalette(COLOURS[order].reshape(-1).tolist())
        mask.save(path)
    return folder


@pytest.mark.parametrize("has_palettes", [False, True])
@pytest.mark.parametrize("decode", ["once", "training"])
def test_colours_of_masks_are_classes(has_palettes: bool, decode: str, tmp_path: Path) -> None:
    path = write_colours(tmp_path, has_palettes=has_palettes)
    dataset = load(section(path, decode=decode))
    assert dataset.classes == NAMES
    assert any("the colours in the masks are the classes" in note for note in dataset.notes)
    train = dataset.train
    rows = train.rows.tolist()  # type: ignore[attr-defined]
    assert train.ready is not None
    targets = train.ready(next(train.in_order(100)))["target"]
    for row, target in zip(rows, targets, strict=True):
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{row:02}.png").convert("RGB"))
        names = np.array([int(name[1:], 16).to_bytes(3) for name in NAMES])
        assert mask.tobytes() == names[target.numpy()].tobytes()


def test_colours_may_be_named_or_not_measured(tmp_path: Path) -> None:
    write_colours(tmp_path)
    dataset = load(section(tmp_path, void="#FF0000"))
    assert dataset.classes == ("#000000", "#0080ff")
    assert {*targets_of(dataset).flatten().tolist()} == {0, 1, IGNORED}
    named = load(section(tmp_path, mask_colours=["#ff0000", "#000000"]))
    assert named.classes == ("#000000", "#ff0000")
    assert any("pixels of other colours are not measured: 3" in note for note in named.notes)
    with pytest.raises(ConfigError, match="is a number, and the classes in the masks are colours"):
        load(section(tmp_path, void="255"))
    with pytest.raises(BadInput, match="only one colour as a class: #ff0000"):
        load(section(tmp_path, mask_colours=["#ff0000"]))
    with pytest.raises(
        BadInput, match=r"no classes; .* no mask has #010203 \(dataset.mask_colours"
    ):
        load(section(tmp_path, mask_colours=["#010203"]))
    assert "no mask has #010203 (dataset.void)" in load(section(tmp_path, void="#010203")).notes
    with pytest.raises(BadInput, match="24 broken files"):
        load(section(tmp_path, mask_values="numbers"))


def test_too_many_colours_are_no_classes(tmp_path: Path) -> None:
    write_colours(tmp_path)
    for number in range(24):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        noise[:4] = 0
        Image.fromarray(noise).save(tmp_path / "masks" / f"{number:02}.png")
    with pytest.raises(BadInput, match="more than 255 different colours, as photos") as caught:
        load(section(tmp_path))
    assert "that one has mostly #000000 (5" in str(caught.value)
    with pytest.raises(BadInput, match="only one colour as a class: #000000"):
        load(section(tmp_path, mask_colours=["#000000", "#123456"]))


@pytest.mark.parametrize("kind", ["colours", "palette"])
def test_predicted_masks_have_the_colours_of_those_trained_on(kind: str, tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data")
    if kind == "palette":
        write(data, (3, 7, 9))
        for path in (data / "masks").iterdir():
            mask = Image.open(path)
            mask.putpalette([c for n in range(10) for c in (n, 2 * n, 200)])
            mask.save(path)
    expected = {(0, 0, 0), (255, 0, 0), (0, 128, 255)}
    if kind == "palette":
        expected = {(3, 6, 200), (7, 14, 200), (9, 18, 200)}
    experiment = small_experiment(
        data,
        dataset={"type": "pictures", "path": str(data), "size": SIDE},
        model={"type": "unet", "width": 4, "depth": 1},
        loss={"type": "cross_entropy"},
        training={"epochs": 8, "batch_size": 4},
    )
    run = Run.new(tmp_path / "run", experiment)
    assert run.start().state == "finished"
    predictor, _ = load_predictor(run.directory, run.experiment, CPU, "last")
    [sample] = predictor.file(str(data / "images" / "03.png")).samples
    sample.write(tmp_path / "mask.png")
    written = np.asarray(Image.open(tmp_path / "mask.png").convert("RGB")).reshape(-1, 3)
    assert {tuple(colour) for colour in written.tolist()} <= expected
    assert len(np.unique(written, axis=0)) > 1
    whole = evaluate_file(run.directory, run.experiment, CPU, str(data), "last")
    assert whole.metrics["mean_iou"] > 0.2
    write(tmp_path / "others", (4, 5))
    with pytest.raises(BadInput, match=r"the masks have|cannot be read as a picture|colours"):
        evaluate_file(run.directory, run.experiment, CPU, str(tmp_path / "others"), "last")


def test_masks_with_names_of_their_own_are_to_be_renamed(tmp_path: Path) -> None:
    write(tmp_path, count=6)
    for path in (tmp_path / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    with pytest.raises(BadInput, match=r"00_mask belongs to 00; rename the masks") as caught:
        load(section(tmp_path))
    command = str(caught.value).partition(" by: ")[2].partition("; done")[0] + "; done"
    subprocess.run(["bash", "-c", command], cwd=tmp_path / "masks", check=True)
    assert load(section(tmp_path)).classes == ("0", "255")

    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(6):
        (tmp_path / "images" / f"{number:02}.png").rename(flat / f"{number}.png")
        (tmp_path / "masks" / f"{number:02}.png").rename(flat / f"mask_{number}.png")
    with pytest.raises(
        BadInput, match=r"as mask_0\.png for 0\.png; put the pictures into a folder"
    ):
        load(section(flat))
