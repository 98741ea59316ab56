from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import SequencesSection
from tui_trainer.config.sections.problems import ClassificationSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.splits.position import divide
from tui_trainer.text.errors import BadInput, CheckpointUnusable

CLASSES = ClassificationSection(type="classification")
VOWELS = SequencesSection(
    type="sequences",
    path="builtin:japanese-vowels.csv.gz",
    sequence="utterance",
    step="frame",
    target="speaker",
    split="split",
)


def section(tmp_path: Path, content: str, **settings: Any) -> SequencesSection:
    path = tmp_path / "steps.csv"
    path.write_text(content)
    values = {"path": str(path), "sequence": "id", "step": "t", "target": "y", **settings}
    return SequencesSection.model_validate({"type": "sequences", **values})


def refusal(tmp_path: Path, content: str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(tmp_path, content, **settings))
    return str(caught.value).replace(f"{tmp_path}/", "")


def rows(count: int = 20, target: str = "no yes") -> list[str]:
    """Sequence n has n % 4 + 1 steps of two channels, n * 10 + t and its negative."""
    words = target.split()
    return [
        f"{n},{t},{n * 10 + t},{-n * 10 - t},{words[n % len(words)]}"
        for n in range(count)
        for t in range(n % 4 + 1)
    ]


def table(lines: list[str], header: str = "id,t,a,b,y") -> str:
    return "\n".join([header, *lines]) + "\n"


def by_row(dataset: Dataset) -> dict[int, tuple[list[float], int, list[float]]]:
    """Unscaled channel `a`, length and target of each sequence, by the row it begins at."""
    fitted = dataset.preprocessing["inputs"]["a"]
    found = {}
    for split in map(tensors, (dataset.train, dataset.val, dataset.test)):
        assert split.lengths is not None
        for inputs, length, target, row in zip(
            split.inputs, split.lengths.tolist(), split.targets, split.rows.tolist(), strict=True
        ):
            assert not inputs[length:].any(), "padding is zeros"
            values = (inputs[:length, 0] * fitted["std"] + fitted["mean"]).round()
            found[row] = (values.tolist(), length, target.flatten().tolist())
    return found


def test_rows_become_padded_sequences_with_lengths(tmp_path: Path) -> None:
    dataset = load(section(tmp_path, table(rows())))

    assert dataset.signature.kind == "sequence"
    assert dataset.input_shape == (4, 2)
    assert (dataset.problem, dataset.classes) == ("classification", ("no", "yes"))
    found = by_row(dataset)
    assert len(found) == 20
    for number, row in enumerate(sorted(found)):
        values, length, target = found[row]
        assert values == [number * 10 + t for t in range(number % 4 + 1)]
        assert length == number % 4 + 1
        assert target == [number % 2]
    assert dataset.notes == ("20 sequences of 1 to 4 steps, 2 on average",)


def test_batches_are_as_long_as_their_longest_sequence(tmp_path: Path) -> None:
    dataset = load(section(tmp_path, table(rows())))
    for batch in dataset.train.in_order(2):
        assert "lengths" in batch
        assert batch["input"].shape[1] == batch["lengths"].max()


def test_the_order_is_that_of_the_steps_and_rows_may_be_mixed(tmp_path: Path) -> None:
    straight = by_row(load(section(tmp_path, table(rows()))))
    mixed = by_row(load(section(tmp_path, table(rows()[::-1]))))
    assert sorted(straight.values()) == sorted(mixed.values())
    without = by_row(load(section(tmp_path, table(rows()[::-1]), step=None, drop=["t"])))
    assert max(without.values())[0] == sorted(max(without.values())[0], reverse=True)


def test_channels_are_standardised_by_the_frames_of_training_sequences(tmp_path: Path) -> None:
    dataset = load(section(tmp_path, table(rows(40))))
    split = tensors(dataset.train)
    assert split.lengths is not None
    inside = torch.arange(4) < split.lengths[:, None]
    frames = split.inputs[inside]
    torch.testing.assert_close(frames.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(frames.std(0, correction=0), torch.ones(2))


def test_a_number_can_be_predicted_of_a_sequence(tmp_path: Path) -> None:
    dataset = load(section(tmp_path, table(rows(target="1.5 2.5 4"))))
    assert (dataset.problem, dataset.outputs) == ("regression", 1)
    back = dataset.info.in_units(tensors(dataset.test).targets)
    assert {round(value, 3) for value in back.flatten().tolist()} <= {1.5, 2.5, 4.0}
    classes = load(section(tmp_path, table(rows(target="1.5 2.5 4"))), problem=CLASSES)
    assert classes.classes == ("1.5", "2.5", "4")


def with_splits(words: list[str]) -> str:
    """Twelve sequences of the first word, thirteen of the second, and so on; ids repeat."""
    content = []
    for part, word in enumerate(words):
        content += [f"{word},{row}" for row in rows(12 + part)]
    return table(content, "part,id,t,a,b,y")


def test_a_split_of_the_file_is_kept_and_ids_may_repeat_between_splits(tmp_path: Path) -> None:
    two = load(section(tmp_path, with_splits(["train", "Test"]), split="part"))
    assert (len(two.train), len(two.val), len(two.test)) == (10, 2, 13)
    three = load(section(tmp_path, with_splits(["training", "dev", "test"]), split="part"))
    assert (len(three.train), len(three.val), len(three.test)) == (12, 13, 14)
    assert len(by_row(three)) == 39


def test_a_wrong_split_of_the_file_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, with_splits(["train", "rest"]), split="part")
    assert message == ("steps.csv:32: column 'part' has 'rest', but should have train, val or test")
    message = refusal(tmp_path, with_splits(["train", "val"]), split="part")
    assert (
        "no row has 'test' in column 'part'; dataset.test_fraction=0 trains without a test; leave"
        in message
    )
    message = refusal(tmp_path, with_splits(["train", ""]), split="part")
    assert "steps.csv:32: column 'part' has nothing, but should have" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,1,5,6,maybe", "5: y is 'maybe', but 'yes' in line 4 of the same sequence; a sequence"),
        ("3,0,5,6,yes", "5: t 0 occurs already, in line 4 of the same sequence; remove one"),
        ("3,,5,6,yes", "5: column 't' is empty; every row needs its step"),
        (",1,5,6,yes", "5: column 'id' is empty; every row needs the id of its sequence"),
        ("3,1,,6,yes", "5: column 'a' has no value; set dataset.missing=mean or dataset.missing"),
        ("3,1,NaN,6,yes", "5: column 'a' has no value; set dataset.missing=mean"),
        ("3,1,5,6,", "5: column 'y' has no value; set dataset.missing="),
        ("3,1,inf,6,yes", "5: column 'a' has 'inf', which is not a finite number"),
        ("3,1,oops,6,yes", "5: column 'a' has 'oops' among numbers"),
        ("3,1,5,6", "5: 4 fields, but the header has 5"),
        ("3,x,5,6,yes", "5: column 't' has 'x' among numbers"),
    ],
)
def test_fault_38_a_wrong_row_is_named_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    lines = ["1,0,1,2,no", "2,0,3,4,yes", "3,0,5,6,yes", line]
    others = [f"9{row}" for row in rows(12)]
    assert refusal(tmp_path, table([*lines, *others])).startswith(f"steps.csv:{message}")


def test_a_column_of_texts_is_no_channel(tmp_path: Path) -> None:
    content = table([f"{row},word{n}" for n, row in enumerate(rows())], "id,t,a,b,y,comment")
    assert refusal(tmp_path, content) == (
        "steps.csv:2: column 'comment' has 'word0', but a channel must be numeric; add the column "
        "to dataset.drop"
    )
    assert load(section(tmp_path, content, drop=["comment"])).input_shape == (4, 2)


def test_missing_values_can_be_filled_or_their_sequence_left_out(tmp_path: Path) -> None:
    lines = rows()
    lines[3] = "2,0,,-20,no"
    filled = load(section(tmp_path, table(lines), missing="mean"))
    assert any(note.startswith("a: 1 missing filled with the training") for note in filled.notes)
    assert len(by_row(filled)) == 20
    dropped = load(section(tmp_path, table(lines), missing="drop"))
    assert "1 sequence with missing values left out" in dropped.notes
    assert len(by_row(dropped)) == 19
    lines[3] = "2,0,20,-20,"
    assert "column 'y' has no value" in refusal(tmp_path, table(lines), missing="mean")
    assert len(by_row(load(section(tmp_path, table(lines), missing="drop")))) == 19
    each = [f"{n},0,,1,no" for n in range(5)]
    assert "has no values at all" in refusal(tmp_path, table(each), missing="drop")


def test_gaps_in_the_steps_are_noted(tmp_path: Path) -> None:
    lines = [line for line in rows() if not line.startswith(("3,1,", "7,2,"))]
    notes = load(section(tmp_path, table(lines))).notes
    assert any("2 sequences have gaps in t, the first before line" in note for note in notes)
    times = [f"{n},{t * 1.37},{n},{t},{['no', 'yes'][n % 2]}" for n in range(20) for t in (0, 1)]
    assert len(load(section(tmp_path, table(times))).notes) == 1


def test_settings_that_name_no_column_are_refused_all_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, table(rows()), step="tt", split="part", drop=["id"])
    assert "no column 'tt'" in message
    assert "no column 'part'" in message
    assert "'id' is dataset.sequence" in message
    assert "column 'y' is dataset.target already" in refusal(tmp_path, table(rows()), split="y")
    assert "no column left for a channel" in refusal(tmp_path, table(rows()), drop=["a", "b"])


def test_fault_21_too_few_sequences_or_one_class_are_refused(tmp_path: Path) -> None:
    assert "leave the" in refusal(tmp_path, table(rows(2)))
    assert "every sample has the class 'no'" in refusal(tmp_path, table(rows(target="no")))
    content = with_splits(["train", "test"]).splitlines()
    kept = [line for line in content if not (line.startswith("train") and line.endswith("yes"))]
    message = refusal(tmp_path, "\n".join(kept) + "\n", split="part")
    assert "the training split has no row of the class 'yes'" in message


def test_preprocessing_goes_through_a_checkpoint_and_must_be_of_these_channels(
    tmp_path: Path,
) -> None:
    fresh = load(section(tmp_path, table(rows())))
    file = io.BytesIO()
    torch.save(fresh.preprocessing, file)
    file.seek(0)
    fitted = torch.load(file, weights_only=True)
    again = load(section(tmp_path, table(rows())), fitted, record=fresh.split_record)
    assert tensors(again.train).inputs.equal(tensors(fresh.train).inputs)
    with pytest.raises(CheckpointUnusable, match="channel b: number in the checkpoint, missing"):
        load(section(tmp_path, table(rows()), drop=["b"]), fitted)


def test_noise_leaves_the_padding_alone(tmp_path: Path) -> None:
    dataset = load(section(tmp_path, table(rows()), noise=0.5))
    assert dataset.augment is not None
    batch = next(dataset.train.in_order(100))
    noisy = dataset.augment(batch, torch.Generator().manual_seed(0))
    assert "lengths" in batch
    inside = (torch.arange(4) < batch["lengths"][:, None])[..., None].expand_as(batch["input"])
    assert noisy["input"][~inside].equal(batch["input"][~inside])
    assert (noisy["input"][inside] != batch["input"][inside]).all()
    assert load(section(tmp_path, table(rows()))).augment is None


def test_a_given_split_of_three_draws_nothing() -> None:
    test = np.array([True, False, False, False])
    val = np.array([False, True, False, False])
    parts = divide(np.zeros(4, dtype=np.int64), 0, 0.2, 0.5, test=test, val=val)
    assert (parts.train.tolist(), parts.val.tolist(), parts.test.tolist()) == ([2, 3], [1], [0])


def test_japanese_vowels_keep_the_official_test_split() -> None:
    dataset = load(VOWELS, problem=CLASSES)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (230, 40, 370)
    assert dataset.input_shape == (29, 12)
    assert dataset.classes == tuple("123456789")
    assert min(dataset.class_counts) == 25
    lengths = tensors(dataset.test).lengths
    assert lengths is not None
    assert int(lengths.min()) >= 7
    assert dataset.notes == ("640 sequences of 7 to 29 steps, 16 on average",)


def test_steps_may_be_dates(tmp_path: Path) -> None:
    lines = [row.split(",") for row in rows()]
    dated = [
        f"{id_},{int(t) + 12}/01/2025,{rest}"
        for id_, t, *others in lines
        for rest in [",".join(others)]
    ]
    found, expected = (
        load(section(tmp_path, table(given))) for given in (dated[::-1], rows()[::-1])
    )
    assert sorted(by_row(found).values()) == sorted(by_row(expected).values())
    twice = [*dated, "9,12/01/2025,1,1,yes"]
    assert "the t of this row occurs already, in line" in refusal(tmp_path, table(twice))
    wrong = [*dated[:5], "77,soon,1,1,yes", *dated[5:]]
    assert "steps.csv:7: column 't' has 'soon', which is not a date" in refusal(
        tmp_path, table(wrong)
    )
    early = [row.replace("/01/2025", "/02/2025").replace(",1", ",0", 1) for row in dated]
    assert "set dataset.dates=day_first" in refusal(tmp_path, table(early))
    assert by_row(load(section(tmp_path, table(early), dates="day_first")))
