from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.splits import tensors
from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.sections.datasets import DatasetSection, PixelsSection, TableSection
from tui_trainer.config.sections.problems import ClassificationSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Split
from tui_trainer.data.load import LOADERS, load
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ExitCode

DIGITS = PixelsSection(
    type="pixels", path="builtin:digits.csv.gz", max_value=16, shift_pixels=1, rotate_degrees=15
)
PENGUINS = TableSection(type="table", path="builtin:penguins.csv", target="species", missing="mean")


def table(tmp_path: Path, content: str, **settings: Any) -> TableSection:
    path = tmp_path / "table.csv"
    path.write_text(content)
    return TableSection.model_validate(
        {"type": "table", "path": str(path), "target": "y", **settings}
    )


def splits(dataset: Dataset) -> tuple[Split, Split, Split]:
    return dataset.train, dataset.val, dataset.test


def assert_equal_tensors(first: Dataset, second: Dataset) -> None:
    for one, other in zip(splits(first), splits(second), strict=True):
        assert torch.equal(tensors(one).inputs, tensors(other).inputs)
        assert torch.equal(tensors(one).targets, tensors(other).targets)
        assert torch.equal(tensors(one).rows, tensors(other).rows)


def test_every_registered_data_set_has_a_source_and_the_other_way_round() -> None:
    assert set(LOADERS) == set(REGISTRIES["dataset"].names)


def test_digits_are_images_of_ten_classes() -> None:
    dataset = load(DIGITS)

    assert [len(split) for split in splits(dataset)] == [1221, 216, 360]
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.classes == tuple("0123456789")
    assert dataset.augment is not None
    assert dataset.notes == ()
    for split in splits(dataset):
        assert torch.bincount(tensors(split).targets, minlength=10).min() >= 0.09 * len(split)


def test_cars_have_their_miles_a_gallon_predicted_and_no_names() -> None:
    dataset = load(
        TableSection(
            type="table",
            path="builtin:auto-mpg.csv",
            target="mpg",
            categorical=("origin",),
            drop=("name",),
        )
    )

    assert [len(split) for split in splits(dataset)] == [266, 47, 79]
    assert (dataset.problem, dataset.outputs, dataset.input_shape) == ("regression", 1, (6 + 3,))
    assert dataset.info.target_mean == pytest.approx(23.4, abs=0.5)
    assert tensors(dataset.train).targets.std().item() == pytest.approx(1, abs=0.01)
    assert dataset.notes == ()


def test_penguins_are_a_table_with_their_gaps_filled_and_counted() -> None:
    dataset = load(PENGUINS)

    assert sum(map(len, splits(dataset))) == 344
    assert dataset.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert dataset.input_shape == (3 + 4 + 3,)
    assert len(dataset.notes) == 5
    assert dataset.notes[-1] == "sex: 11 missing values read as a separate category"


@pytest.mark.parametrize("section", [DIGITS, PENGUINS])
def test_loading_twice_gives_the_same_and_draws_nothing(section: DatasetSection) -> None:
    before = torch.get_rng_state()
    first, second = load(section), load(section)

    assert_equal_tensors(first, second)
    assert first.fingerprint == second.fingerprint
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("section", [DIGITS, PENGUINS])
def test_preprocessing_from_a_checkpoint_gives_identical_tensors(section: DatasetSection) -> None:
    fresh = load(section)
    file = io.BytesIO()
    torch.save(fresh.preprocessing, file)
    file.seek(0)
    fitted = torch.load(file, weights_only=True)

    assert fitted == fresh.preprocessing
    assert_equal_tensors(fresh, load(section, fitted, record=fresh.split_record))


def test_preprocessing_of_a_regression_is_used_and_not_fitted_again(tmp_path: Path) -> None:
    first = load(table(tmp_path, "a,y\n" + "".join(f"{n},{3 * n}\n" for n in range(30))))
    older = {**first.preprocessing, "split": "copies"}
    other = table(tmp_path, "a,y\n" + "".join(f"{n + 5},{n}\n" for n in range(30)))
    refitted = load(other, older)

    assert refitted.info == first.info
    back = refitted.info.in_units(tensors(refitted.train).targets)[:, 0]
    torch.testing.assert_close(back, tensors(refitted.train).rows.float())
    assert refitted.preprocessing == older


def test_columns_in_another_order_fit_a_checkpoint(tmp_path: Path) -> None:
    rows = [(n, "uv"[n % 2], ["no", "yes"][n % 2]) for n in range(30)]
    first = load(table(tmp_path, "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows)))
    swapped = table(tmp_path, "y,b,a\n" + "".join(f"{y},{b},{a}\n" for a, b, y in rows))

    again = load(swapped, first.preprocessing, record=first.split_record)
    assert_equal_tensors(first, again)


def test_fault_7_a_checkpoint_of_other_columns_or_classes_is_refused(tmp_path: Path) -> None:
    fitted = load(
        table(tmp_path, "a,b,y\n" + "".join(f"{n},{n},{['no', 'yes'][n % 2]}\n" for n in range(30)))
    ).preprocessing

    renamed = table(
        tmp_path, "a,c,y\n" + "".join(f"{n},{n},{['no', 'ja'][n % 2]}\n" for n in range(30))
    )
    with pytest.raises(CheckpointUnusable) as caught:
        load(renamed, fitted)
    message = str(caught.value)
    assert caught.value.exit_code == ExitCode.CHECKPOINT_UNUSABLE
    assert "class 0: 'no' in the checkpoint, 'ja' in" in message
    assert "column c: missing in the checkpoint, number in" in message
    assert "column b: number in the checkpoint, missing in" in message


def test_fault_7_a_checkpoint_of_another_kind_of_data_is_refused() -> None:
    with pytest.raises(CheckpointUnusable, match=r"source: table in the checkpoint, pixels"):
        load(DIGITS, load(PENGUINS).preprocessing)
    with pytest.raises(CheckpointUnusable, match=r"max_value: 16 in the checkpoint, 17"):
        load(DIGITS.model_copy(update={"max_value": 17.0}), load(DIGITS).preprocessing)
    with pytest.raises(CheckpointUnusable, match=r"and \d+ more"):
        load(DIGITS, {})


def test_a_fingerprint_follows_bytes_and_settings_and_not_the_place(tmp_path: Path) -> None:
    content = "a,y\n" + "".join(f"{n},{n % 3}\n" for n in range(30))
    first = load(table(tmp_path, content)).fingerprint
    (tmp_path / "elsewhere").mkdir()

    assert load(table(tmp_path / "elsewhere", content)).fingerprint == first
    assert load(table(tmp_path, content, split_seed=1)).fingerprint != first
    assert load(table(tmp_path, content + "1,1\n")).fingerprint != first


def test_fault_21_an_empty_split_is_refused(tmp_path: Path) -> None:
    for rows in ("1,2\n", "1,2\n3,4\n"):
        with pytest.raises(BadInput, match=r"leave the \w+ split empty"):
            load(table(tmp_path, "a,y\n" + rows))
    names = "".join(f"{n},name {n}\n" for n in range(30))
    with pytest.raises(
        BadInput, match=r"30 rows of 30 classes leave the validation split empty.*single row$"
    ):
        load(table(tmp_path, "a,y\n" + names))
    numbers = table(tmp_path, "a,y\n" + names.replace("name ", ""))
    with pytest.raises(BadInput, match=r"problem=regression predicts them as numbers$"):
        load(numbers, problem=ClassificationSection(type="classification"))


def test_fault_21_a_handful_of_rows_is_enough_for_three_splits(tmp_path: Path) -> None:
    dataset = load(table(tmp_path, "a,y\n1,2\n2,3\n3,4\n4,5\n"))

    assert [len(split) for split in splits(dataset)] == [2, 1, 1]


def test_fault_21_a_class_absent_from_the_training_split_is_refused(tmp_path: Path) -> None:
    content = "a,y\n" + "".join(
        f"{n},{'rare' if n == 0 else ['no', 'yes'][n % 2]}\n" for n in range(30)
    )
    stratified = load(table(tmp_path, content))
    assert tensors(stratified.train).rows[0] == 0

    outcomes = []
    for seed in range(20):
        try:
            load(table(tmp_path, content, stratify=False, split_seed=seed))
            outcomes.append("")
        except BadInput as refused:
            outcomes.append(str(refused))
    assert any("the training split has no row of the class 'rare'" in text for text in outcomes)
    assert "" in outcomes


def test_fault_21_a_class_absent_from_validation_is_noted(tmp_path: Path) -> None:
    content = "a,y\n" + "".join(
        f"{2 * n},{'rare' if n < 2 else ['no', 'yes'][n % 2]}\n" for n in range(30)
    )

    assert load(table(tmp_path, content)).notes[:2] == (
        "classes without a row in the validation split: rare (2 in training, 0 in test)",
        "classes without a row in the test split: rare (2 in training, 0 in validation)",
    )


def test_a_split_on_a_device_keeps_its_row_numbers_on_the_cpu() -> None:
    moved = load(PENGUINS).train.to(torch.device("meta"))

    assert tensors(moved).inputs.device.type == "meta"
    assert tensors(moved).targets.device.type == "meta"
    assert tensors(moved).rows.device.type == "cpu"
    assert len(moved) == len(load(PENGUINS).train)
