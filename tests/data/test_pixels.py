from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import PixelsSection
from tui_trainer.data.base.augment import InputsChanged, RandomAffine
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.text.errors import BadInput, ConfigError


def section(path: Path, **settings: Any) -> PixelsSection:
    return PixelsSection.model_validate(
        {"type": "pixels", "path": str(path), "shape": [1, 2, 2], "max_value": 10, **settings}
    )


def loaded(tmp_path: Path, content: str, **settings: Any) -> Dataset:
    path = tmp_path / "images.csv"
    path.write_bytes(content.encode())
    return load(section(path, **settings))


def refusal(tmp_path: Path, content: str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, content, **settings)
    return str(caught.value).removeprefix(f"{tmp_path}/")


def rows(count: int, labels: str = "ab") -> str:
    """Rows of four pixels that count up, with the labels in turn."""
    lines = [f"{n % 11},{n % 7},0,10,{labels[n % len(labels)]}" for n in range(count)]
    return "\n".join(lines) + "\n"


def test_images_have_their_shape_and_the_label_is_the_last_column(tmp_path: Path) -> None:
    content = "".join(f"{n % 10},1,2,3,4,5,{n % 3}\n" for n in range(30))
    dataset = loaded(tmp_path, content, shape=[1, 2, 3])

    assert dataset.input_shape == (1, 2, 3)
    assert dataset.outputs == 3
    assert dataset.problem == "classification"
    inputs, fitted = tensors(dataset.train).inputs, dataset.preprocessing["inputs"]
    assert inputs.dtype == torch.float32
    unscaled = (inputs * fitted["std"] + fitted["mean"]) * 10
    first = tensors(dataset.train).rows[0].item()
    torch.testing.assert_close(
        unscaled[0, 0], torch.tensor([[first % 10, 1, 2], [3, 4, 5]], dtype=torch.float32)
    )
    assert dataset.classes[tensors(dataset.train).targets[0]] == str(first % 3)
    assert tensors(dataset.train).targets.dtype == torch.int64


def test_the_training_split_alone_is_normalised_to_mean_0_and_deviation_1(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, rows(60))

    assert tensors(dataset.train).inputs.mean().item() == pytest.approx(0, abs=1e-6)
    assert tensors(dataset.train).inputs.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert tensors(dataset.test).inputs.mean().item() != pytest.approx(0, abs=1e-6)


def test_equal_pixels_everywhere_do_not_divide_by_zero(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "".join(f"3,3,3,3,{n % 2}\n" for n in range(20)))

    assert tensors(dataset.train).inputs.abs().max().item() == pytest.approx(0, abs=1e-6)


def test_labels_are_ordered_by_number_when_all_are(tmp_path: Path) -> None:
    numbers = loaded(tmp_path, "".join(f"{n % 5},0,0,0,{[9, 10, 2][n % 3]}\n" for n in range(30)))
    assert numbers.classes == ("2", "9", "10")

    texts = loaded(
        tmp_path, "".join(f"{n % 5},0,0,0, {['10', '9', 'x'][n % 3]} \n" for n in range(30))
    )
    assert texts.classes == ("10", "9", "x")


def test_the_background_of_moved_images_is_a_black_pixel(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, rows(60), shift_pixels=1.0)

    assert isinstance(dataset.augment, InputsChanged)
    change = dataset.augment.changes[0]
    assert isinstance(change, RandomAffine)
    assert change.background == pytest.approx(tensors(dataset.train).inputs.min().item())
    batch = next(dataset.train.in_order(100))
    moved = dataset.augment(batch, torch.Generator().manual_seed(0))["input"]
    assert moved.shape == tensors(dataset.train).inputs.shape
    assert not torch.equal(moved, tensors(dataset.train).inputs)


def test_there_is_no_augmentation_without_shift_and_turn(tmp_path: Path) -> None:
    assert loaded(tmp_path, rows(20)).augment is None
    assert loaded(tmp_path, rows(20), rotate_degrees=5.0).augment is not None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,x,4,a", "images.csv:3: pixel 3 is 'x', not a number"),
        ("1_0,2,3,4,a", "images.csv:3: pixel 1 is '1_0', not a number"),
        ("1,2,3,,a", "images.csv:3: pixel 4 is missing"),
        ("1,NaN,3,4,a", "images.csv:3: pixel 2 is missing"),
        ("1,inf,3,4,a", "images.csv:3: pixel 2 is inf, above dataset.max_value 10"),
        ("1,2,11,4,a", "images.csv:3: pixel 3 is 11, above dataset.max_value 10"),
        ("1,2,11,x,a", "images.csv:3: pixel 3 is 11, above dataset.max_value 10"),
        ("-1,2,3,4,a", "images.csv:3: pixel 1 is -1, below 0"),
        ("1,2,3,4, ", "images.csv:3: the label at the end of the row is missing"),
        ("1,2,3,4,NA", "images.csv:3: the label at the end of the row is missing"),
        (
            "1,2,3,4",
            "images.csv:3: 4 fields, but dataset.shape [1, 2, 2] needs 5: 4 pixels and the label "
            "at the end",
        ),
    ],
)
def test_fault_38_a_wrong_row_is_named_by_line_and_pixel(
    tmp_path: Path, row: str, reason: str
) -> None:
    assert refusal(tmp_path, f"1,2,3,4,a\n1,2,3,4,b\n{row}\n1,2,3,4,a\n") == reason


def test_fault_38_a_header_is_recognised_and_said(tmp_path: Path) -> None:
    plain = loaded(tmp_path, rows(20))
    named = loaded(tmp_path, "p1,p2,p3,p4,label\n" + rows(20))
    numbered = loaded(tmp_path, "0,1,2,3,label\n" + rows(20))

    for other in (named, numbered):
        assert torch.equal(tensors(other.train).inputs, tensors(plain.train).inputs)
        assert "so it is the header; dataset.header=no takes it for pixels" in other.notes[0]
    message = refusal(tmp_path, "p1,2,3,4,a\n" + rows(20))
    assert message == (
        "images.csv:1: pixel 1 is 'p1', not a number; if the first row has names: "
        "dataset.header=yes"
    )
    assert "pixel 1 is 'p1'" in refusal(tmp_path, "p1,p2,p3,p4,label\n" + rows(20), header="no")


def moved(content: str, place: int, separator: str = ",") -> str:
    """The rows with their label in another column."""
    lines = [line.split(",") for line in content.splitlines()]
    placed = [[*line[:place], line[-1], *line[place:-1]] for line in lines]
    return "".join(separator.join(line) + "\n" for line in placed)


@pytest.mark.parametrize(
    ("head", "place", "settings"),
    [
        ("", 0, {"label": "first"}),
        ("label,p1,p2,p3,p4\n", 0, {}),
        ("p1,p2,Class,p3,p4\n", 2, {}),
        ("p1,p2,kind,p3,p4\n", 2, {"label": "kind"}),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_label_in_another_column_makes_the_same_pictures(
    tmp_path: Path, head: str, place: int, settings: dict[str, Any], separator: str
) -> None:
    plain = loaded(tmp_path, rows(40))
    content = head.replace(",", separator) + moved(rows(40), place, separator)
    other = loaded(tmp_path, content, **settings)

    assert torch.equal(tensors(other.train).inputs, tensors(plain.train).inputs)
    assert torch.equal(tensors(other.train).targets, tensors(plain.train).targets)


def test_a_label_that_is_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no header; the label can be first or last"):
        loaded(tmp_path, rows(20), label="kind")
    with pytest.raises(ConfigError, match=r"no column 'knd' in .*did you mean 'kind'"):
        loaded(tmp_path, "p1,p2,p3,p4,kind\n" + rows(20), label="knd")


def test_another_width_names_the_shape_that_it_may_have(tmp_path: Path) -> None:
    content = "".join(",".join("0" * 12) + f",{n % 2}\n" for n in range(9))
    assert refusal(tmp_path, content).endswith("; dataset.shape=[3,2,2] is that of 12 pixels")


def picture_rows(count: int, side: int, most: int = 255, seed: int = 0) -> list[list[Any]]:
    """Rows of pixels, of which the first half and the last one are black, with the label behind."""
    draw = random.Random(seed)
    half = side * side // 2
    bright = side * side - half - 1
    return [
        [*[0] * half, *(draw.randint(0, most) for _ in range(bright)), 0, n % 10]
        for n in range(count)
    ]


def written(tmp_path: Path, lines: list[list[Any]]) -> str:
    path = tmp_path / "mnist.csv"
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    return str(path)


def label_first(lines: list[list[Any]]) -> list[list[Any]]:
    return [[line[-1], *line[:-1]] for line in lines]


@pytest.mark.parametrize("side", [8, pytest.param(28, marks=pytest.mark.further)])
@pytest.mark.parametrize("most", [1, 16, 255, 65535])
def test_a_table_of_pixels_is_noticed_with_its_shape_and_range(
    tmp_path: Path, side: int, most: int
) -> None:
    lines = picture_rows(60, side, most)
    names = [f"pixel{n}" for n in range(side * side)]
    grid = [f"{row}x{column}" for row in range(side) for column in range(side)]
    tables: list[tuple[list[list[Any]], str | None]] = [
        (lines, None),
        ([[*names, "label"], *lines], None),
        (label_first(lines), "first"),
        ([["label", *grid], *label_first(lines)], None),
    ]
    for table, label in tables:
        if most == 65535 and table[0][0] == 0:
            # Without names, so large a range is that of any numbers.
            continue
        found = recognise(written(tmp_path, table), {})
        assert found.type == "pixels"
        assert found.settings["shape"] == [1, side, side]
        assert found.settings["max_value"] == most
        assert found.settings.get("label") == label
        assert "dataset.type=table reads a plain table" in found.reasons["type"]
        dataset = load(PixelsSection.model_validate(found.settings))
        assert dataset.classes == tuple("0123456789")


def test_other_tables_are_no_pictures(tmp_path: Path) -> None:
    lines = picture_rows(60, 8)
    plain = written(tmp_path, lines)
    assert recognise(plain, {"type": "table"}).type == "table"
    assert recognise(plain, {"target": "column 3"}).type == "table"
    assert recognise(plain, {"max_value": 300.0}).settings.keys() == {"type", "path", "shape"}
    names = [f"sensor_{n}" for n in range(64)]
    assert recognise(written(tmp_path, [[*names, "label"], *lines]), {}).type == "table"
    halves = [[*(value / 2 + 0.1 for value in line[:-1]), line[-1]] for line in lines]
    assert recognise(written(tmp_path, halves), {}).type == "table"
    assert recognise(written(tmp_path, picture_rows(60, 7)), {}).type == "table"
    assert recognise(written(tmp_path, picture_rows(60, 7)), {"type": "pixels"}).settings[
        "shape"
    ] == [1, 7, 7]


def test_fault_38_one_class_only_is_refused(tmp_path: Path) -> None:
    assert "every sample has the class 'a'" in refusal(tmp_path, rows(20, "a"))


def test_fault_37_escapes_in_a_pixel_or_label_are_shown_harmlessly(tmp_path: Path) -> None:
    assert "\x1b" not in refusal(tmp_path, "\x1b[31m,2,3,4,a\n")
    assert "\x1b" not in refusal(tmp_path, "1,2,3,4,\x1b[31m\n" * 20)


def test_a_far_too_large_max_value_is_noted(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, rows(20), max_value=255)

    assert dataset.notes == ("the largest pixel is 10, far below dataset.max_value 255",)
    assert loaded(tmp_path, rows(20)).notes == ()


@pytest.mark.further
def test_a_hundred_thousand_images_are_read(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [f"{draw.random()},1,2,{n % 11},{n % 10}\n" for n in range(100_000)]
    dataset = loaded(tmp_path, "".join(lines))

    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 100_000
    assert len(dataset.test) == 20_000
    bad = [*lines[:98_765], "1,2,oops,4,5\n", *lines[98_765:]]
    assert refusal(tmp_path, "".join(bad)).startswith("images.csv:98766: pixel 3 is 'oops'")
