from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.config.sections.problems import PROBLEM_TYPES
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.errors import BadInput, ConfigError, ExitCode


def loaded(
    tmp_path: Path,
    content: str,
    *,
    problem: str = "auto",
    fitted: dict[str, Any] | None = None,
    record: SplitRecord | None = None,
    **settings: Any,
) -> Dataset:
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode())
    values = {"type": "table", "path": str(path), "target": "y", **settings}
    spec = PROBLEM_TYPES.find(problem)
    assert spec is not None
    asked = spec.params.model_validate({"type": problem})
    return load(TableSection.model_validate(values), fitted, asked, record)  # type: ignore[arg-type]


def refusal(tmp_path: Path, content: str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, content, **settings)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    return str(caught.value).replace(f"{tmp_path}/", "")


def table(rows: list[str], header: str = "a,b,y") -> str:
    return "\n".join([header, *rows]) + "\n"


def other_notes(dataset: Dataset) -> tuple[str, ...]:
    """The notes but that on rows that are copies."""
    return tuple(note for note in dataset.notes if "of another row" not in note)


def plain_rows(count: int = 30) -> list[str]:
    """A number, a category and a class each."""
    return [f"{n * 1.5},{'uvw'[n % 3]},{['no', 'yes'][n % 2]}" for n in range(count)]


def all_inputs(dataset: Dataset) -> torch.Tensor:
    """The inputs of every row in the order of the file."""
    splits = (dataset.train, dataset.val, dataset.test)
    rows = torch.cat([tensors(split).rows for split in splits])
    return torch.cat([tensors(split).inputs for split in splits])[rows.argsort()]


def all_numbers(dataset: Dataset) -> torch.Tensor | None:
    """The numbers beside the text of every row, in the order of the file; None if none are."""
    splits = [tensors(split) for split in (dataset.train, dataset.val, dataset.test)]
    if not all(split.others for split in splits):
        return None
    rows = torch.cat([split.rows for split in splits])
    return torch.cat([split.others["numbers"] for split in splits])[rows.argsort()]


def test_numbers_are_standardised_and_texts_one_hot(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, table(plain_rows()))

    assert dataset.problem == "classification"
    assert dataset.classes == ("no", "yes")
    assert dataset.input_shape == (4,)
    train = tensors(dataset.train)
    assert train.inputs[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert train.inputs[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    rows = train.rows
    assert torch.equal(train.inputs[:, 1:].argmax(1), rows % 3)
    assert torch.equal(train.inputs[:, 1:].sum(1), torch.ones(len(rows)))
    assert torch.equal(train.targets, rows % 2)
    assert dataset.notes == ()


def test_what_is_learned_comes_from_the_training_rows_alone(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, table(plain_rows()))
    numbers = np.array([n * 1.5 for n in tensors(dataset.train).rows.tolist()])

    assert dataset.preprocessing["inputs"]["a"]["mean"] == pytest.approx(numbers.mean())
    assert dataset.preprocessing["inputs"]["a"]["std"] == pytest.approx(numbers.std())


def test_a_target_of_numbers_is_standardised_and_can_be_scaled_back(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, table([f"{n},u,{100 + 3 * n}" for n in range(40)]))

    assert (dataset.problem, dataset.classes, dataset.outputs) == ("regression", (), 1)
    assert tensors(dataset.train).targets.shape == (len(dataset.train), 1)
    assert tensors(dataset.train).targets.mean().item() == pytest.approx(0, abs=1e-6)
    back = dataset.info.in_units(tensors(dataset.test).targets)[:, 0]
    torch.testing.assert_close(back, 100 + 3 * tensors(dataset.test).rows.float())


def test_the_task_can_be_chosen_for_a_target_of_numbers(tmp_path: Path) -> None:
    content = table([f"{n},u,{n % 3}" for n in range(30)])

    assert loaded(tmp_path, content).problem == "regression"
    assert loaded(tmp_path, content, problem="classification").classes == ("0", "1", "2")
    assert loaded(tmp_path, content, categorical=["y"]).classes == ("0", "1", "2")
    words = table([f"{n},u,{['no', 'yes'][n % 2]}" for n in range(30)])
    assert "'no', which is not a finite number" in refusal(tmp_path, words, problem="regression")


def test_numbers_can_be_read_as_categories_and_columns_left_out(tmp_path: Path) -> None:
    content = table(
        [f"{[10, 9][n % 2]},{n},{['no', 'yes'][n % 2]},{['inf', 'x'][n % 2]}" for n in range(30)],
        "a,b,y,rubbish",
    )
    dataset = loaded(tmp_path, content, categorical=["a"], drop=["b", "rubbish"])

    assert dataset.input_shape == (2,)
    assert dataset.preprocessing["inputs"]["a"]["categories"] == ["9", "10"]


def test_fault_38_missing_values_are_refused_by_line_and_column(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[4], rows[7] = "1, ,yes", "NA,u,yes"

    message = refusal(tmp_path, table(rows))
    assert message == (
        "table.csv:6: column 'b' has no value (and 1 more rows have missing values); "
        "set dataset.missing=mean or dataset.missing=drop"
    )
    assert "table.csv:6: column 'y'" in refusal(tmp_path, table([*plain_rows(4), "1,u,?"]))


def test_fault_38_missing_values_can_be_filled_and_are_counted(tmp_path: Path) -> None:
    rows = plain_rows(60)
    for n in (1, 5, 9):
        rows[n] = "NaN,u,yes"
    for n in range(20, 40):
        rows[n] = f"{n * 1.5},?,{['no', 'yes'][n % 2]}"
    rows[50] = "7,u,null"
    dataset = loaded(tmp_path, table(rows), missing="mean")

    mean = dataset.preprocessing["inputs"]["a"]["mean"]
    assert other_notes(dataset) == (
        "1 row without a value of y left out",
        f"a: 3 missing values filled with the training mean {mean:.4g}",
        "b: 20 missing values read as a separate category",
    )
    assert dataset.input_shape == (1 + 3 + 1,)
    inputs = all_inputs(dataset)
    assert len(inputs) == 59
    assert inputs[1, 0] == 0
    assert inputs[20].tolist()[1:] == [0, 0, 0, 1]
    everything = torch.cat(
        [tensors(dataset.train).rows, tensors(dataset.val).rows, tensors(dataset.test).rows]
    )
    assert 50 not in everything.tolist()
    assert 59 in everything.tolist()


def test_fault_38_rows_with_missing_values_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    rows = plain_rows(60)
    rows[3], rows[4], rows[5] = ",u,no", "1,,yes", "1,u,"
    dataset = loaded(tmp_path, table(rows), missing="drop")

    assert dataset.notes == (
        "1 row without a value of y left out",
        "2 rows with missing values left out",
    )
    everything = torch.cat(
        [tensors(dataset.train).rows, tensors(dataset.val).rows, tensors(dataset.test).rows]
    )
    assert sorted(everything.tolist()) == [n for n in range(60) if n not in (3, 4, 5)]


def test_a_missing_value_in_a_dropped_column_is_no_matter(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[4] = "1,,yes"

    assert loaded(tmp_path, table(rows), drop=["b"]).notes == ()


def test_fault_38_nothing_left_after_dropping_is_refused(tmp_path: Path) -> None:
    content = table([f"{n},u,no" if n % 2 else f",{n}x,yes" for n in range(20)], "a,b,y")
    rows = [f"{n},,no" if n % 2 else ",u,yes" for n in range(20)]

    assert loaded(tmp_path, content, missing="mean").outputs == 2
    assert "no row is left" in refusal(tmp_path, table(rows), missing="drop")
    empty = table([f"{n},u," for n in range(20)])
    assert "column 'y' has no values at all" in refusal(tmp_path, empty, missing="mean")
    assert "no row is left" in refusal(tmp_path, empty, missing="mean", problem="classification")


def test_fault_38_a_column_without_values_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, table([f",u,{n % 2}" for n in range(20)]), missing="mean")

    assert message == "table.csv: column 'a' has no values at all; add it to dataset.drop"


def test_fault_38_a_text_among_numbers_is_refused_by_line(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[11] = "1.5kg,u,yes"

    assert refusal(tmp_path, table(rows)) == (
        "table.csv:13: column 'a' has '1.5kg' among numbers; correct it, leave it empty, name it "
        "in dataset.missing_values_by_column, or name the column in dataset.categorical"
    )
    fitted = loaded(tmp_path, table(rows), categorical=["a"]).preprocessing
    assert fitted["inputs"]["a"]["kind"] == "category"


def test_fault_38_numbers_among_texts_are_noted(tmp_path: Path) -> None:
    rows = [f"{['A', 'B', '3'][n % 3]},u,{['no', 'yes'][n % 2]}" for n in range(30)]

    assert other_notes(loaded(tmp_path, table(rows))) == (
        "a: read as categories, because line 2 has 'A'; 10 of its values are numbers",
    )


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e400"])
def test_fault_38_infinity_is_refused_by_line(tmp_path: Path, text: str) -> None:
    rows = plain_rows()
    rows[2] = f"{text},u,no"

    assert refusal(tmp_path, table(rows)) == (
        f"table.csv:4: column 'a' has '{text}', which is not a finite number; correct it, or leave "
        "the cell empty"
    )


def test_fault_38_numbers_too_large_to_square_are_refused(tmp_path: Path) -> None:
    rows = [f"{n}e307,u,{['no', 'yes'][n % 2]}" for n in range(1, 17)]

    assert "too large to compute with" in refusal(tmp_path, table(rows))
    numbers = table([f"{n},u,{n}e307" for n in range(1, 17)])
    assert "too large to compute with" in refusal(tmp_path, numbers)


def test_fault_38_a_header_alone_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "a,b,y\n") == "table.csv: a header but no rows"
    assert refusal(tmp_path, "a,b,y") == "table.csv: a header but no rows"


def test_fault_38_a_missing_header_is_recognised(tmp_path: Path) -> None:
    message = refusal(tmp_path, "1,2,3\n4,5,6\n")
    assert "no column 'y' in table.csv; available: column 1, column 2, column 3" in message
    message = refusal(tmp_path, "1,2,3\n")
    assert message == "table.csv:1: a table needs a header with the names of its columns"


def test_fault_38_names_of_columns_are_needed_once_each(tmp_path: Path) -> None:
    assert "two columns are named 'a'" in refusal(tmp_path, "a, a ,y\n1,2,3\n")
    assert "table.csv:1: column 2 has no name" in refusal(
        tmp_path, "a title,,,\na,b,c,y\n1,2,3,4\n"
    )
    assert "table.csv:3: two columns are named 'a'" in refusal(tmp_path, "# b\n#\na,a,y\n1,2,3\n")
    for lines, line in (("\na,y\n1,2\n", 1), ("# b\n \na,y\n1,2\n", 2)):
        assert f"table.csv:{line}: an empty line; remove it" in refusal(tmp_path, lines)


def test_fault_38_unknown_columns_are_named_all_at_once_with_near_ones(tmp_path: Path) -> None:
    content = table(plain_rows(), "weight,kind,y")
    settings: dict[str, Any] = {"target": "x", "categorical": ["kinds"], "drop": ["wieght"]}
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content, **settings)

    problems = caught.value.problems
    assert [problem.key for problem in problems] == [
        "dataset.target",
        "dataset.categorical",
        "dataset.drop",
    ]
    assert "available: weight, kind, y" in problems[0].message
    assert "did you mean 'kind'?" in problems[1].message
    assert "did you mean 'weight'?" in problems[2].message


@pytest.mark.parametrize(
    ("texts", "classes"), [("01", ("0", "1")), (["1.0", "-1", "1"], ("-1", "1.0"))], ids=str
)
def test_two_different_numbers_are_classes_unless_numbers_are_asked_for(
    tmp_path: Path, texts: list[str], classes: tuple[str, ...]
) -> None:
    lines = table([f"{n * 1.5},{texts[n % len(texts)]}" for n in range(60)], "a,y")
    dataset = loaded(tmp_path, lines)
    assert (dataset.problem, dataset.classes) == ("classification", classes)
    assert dataset.notes[0] == (
        f"y is predicted as a class, because it has two values ({', '.join(classes)}); "
        "problem=regression predicts a number"
    )
    numbers = loaded(tmp_path, lines, problem="regression")
    assert (numbers.problem, numbers.notes) == ("regression", ())
    # A run of a version that predicted them as numbers goes on so.
    older = {**numbers.preprocessing, "split": "copies"}
    old = loaded(tmp_path, lines, fitted=older)
    assert old.info == numbers.info
    assert old.fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ("123456", "1, 2, 3, 4, 5, ..."),
        (["0.0", "1.0", "2"], "0, 1, 2"),
        ([str(n) for n in range(18, 38)], "18, 19, 20, 21, 22, ..."),
    ],
    ids=str,
)
def test_whole_numbers_that_may_be_classes_are_told_to_be_numbers(
    tmp_path: Path, numbers: list[str], shown: str
) -> None:
    rows = [f"{n * 1.5},{numbers[n % len(numbers)]}" for n in range(60)]
    dataset = loaded(tmp_path, table(rows, "a,y"))
    assert dataset.problem == "regression"
    assert dataset.notes[0] == dataset.doubt
    assert dataset.doubt == (
        f"y is predicted as a number, because its values are numbers ({shown}); "
        "problem=classification treats them as classes"
    )


def test_what_was_decided_or_can_be_nothing_else_is_no_doubt(tmp_path: Path) -> None:
    binary = table([f"{n},{n % 2}" for n in range(60)], "a,y")
    assert not loaded(tmp_path, binary, problem="regression").doubt
    assert not loaded(tmp_path, binary, problem="classification").doubt
    many = table([f"{n},{n % 30}" for n in range(60)], "a,y")
    assert not loaded(tmp_path, many).doubt
    broken = table([f"{n},{n % 2 + 0.5}" for n in range(60)], "a,y")
    assert not loaded(tmp_path, broken).doubt


def test_a_target_cannot_be_dropped_and_something_must_be_left(tmp_path: Path) -> None:
    content = table(plain_rows())

    assert "dataset.drop: the target cannot be dropped" in refusal(tmp_path, content, drop=["y"])
    assert "no column left" in refusal(tmp_path, content, drop=["a", "b"])


def test_fault_38_one_class_only_and_equal_numbers_are_refused(tmp_path: Path) -> None:
    one = table([f"{n},u,yes" for n in range(20)])
    assert "every sample has the class 'yes'" in refusal(tmp_path, one)
    equal = table([f"{n},u,0.1" for n in range(20)])
    assert "the numbers to predict are all 0.1" in refusal(tmp_path, equal)


def test_a_constant_column_is_noted_and_becomes_zeros(tmp_path: Path) -> None:
    dataset = loaded(
        tmp_path, table([f"0.1,{'uv'[n % 2]},{n % 5}" for n in range(40)]), problem="regression"
    )

    assert other_notes(dataset) == ("a: always 0.1 in the training split; no information",)
    assert all_inputs(dataset)[:, 0].abs().max() == 0


@pytest.mark.parametrize(("first", "step", "counts"), [(0, 1, 1), (7001, 1, 1), (0, 2, 0)])
def test_a_column_that_counts_the_rows_is_noted(
    tmp_path: Path, first: int, step: int, counts: int
) -> None:
    rows = [f"{first + step * n},{'uvw'[n % 3]},{['no', 'yes'][n % 2]}" for n in range(40)]
    # No other column varies, so that it is kept.
    alone = [row.replace("v", "u").replace("w", "u") for row in rows]
    for lines, way in (
        (rows, ", and is left out; dataset.kinds={a: number} keeps it"),
        (alone, "; dataset.drop leaves it out"),
    ):
        notes = loaded(tmp_path, table(lines)).notes
        told = [note for note in notes if "numbers the rows" in note]
        assert told == [f"a: only numbers the rows{way}"] * counts


def test_fault_38_an_unseen_category_becomes_zeros_and_is_counted(tmp_path: Path) -> None:
    rows = plain_rows(30)
    seen = loaded(tmp_path, table(rows), split_by="position")
    unseen, missing = tensors(seen.test).rows[0].item(), tensors(seen.val).rows[0].item()
    rows[int(unseen)] = f"1,rare,{['no', 'yes'][int(unseen) % 2]}"
    rows[int(missing)] = f"1,,{['no', 'yes'][int(missing) % 2]}"
    dataset = loaded(tmp_path, table(rows), missing="mean", split_by="position")

    assert dataset.notes == (
        "b: 2 rows with values that no training row has (a missing value, 'rare') encoded as zeros",
    )
    assert tensors(dataset.test).inputs[0, 1:].tolist() == [0, 0, 0]
    assert tensors(dataset.val).inputs[0, 1:].tolist() == [0, 0, 0]


def test_a_column_of_many_texts_is_noted_and_of_too_many_hashed(tmp_path: Path) -> None:
    few = table([f"{n * 2},name {n % 90},{n % 5}" for n in range(100)])
    note = "b: 61 categories in 100 rows; is it a name? dataset.drop leaves it out, "
    assert f"{note}dataset.kinds={{b: hash}} gives it fewer inputs" in loaded(tmp_path, few).notes

    many = table([f"{n * 2},name {n % 1590},{n % 5}" for n in range(1600)])
    hashed = loaded(tmp_path, many, buckets=50)
    assert hashed.input_shape == (1 + 50,)
    assert all_inputs(hashed)[:, 1:].sum(1).tolist() == [1] * 1600
    note = "b: 1,590 different texts, hashed to 50 inputs (dataset.buckets); "
    assert f"{note}dataset.drop leaves it out" in hashed.notes
    assert loaded(tmp_path, many, drop=["b"]).input_shape == (1,)


def test_quotes_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = table(plain_rows())
    dressed = "\ufeff" + plain.replace("u", '"u"').replace("a,b", '"a", b ').replace("\n", "\r\n")
    first, second = loaded(tmp_path, plain), loaded(tmp_path, dressed)

    assert torch.equal(all_inputs(first), all_inputs(second))
    assert first.preprocessing == second.preprocessing
    assert first.fingerprint != second.fingerprint


def test_fault_37_foreign_text_in_notes_and_messages_is_harmless(tmp_path: Path) -> None:
    evil = "\x1b]0;x\x07\u202e"
    rows = plain_rows(60)
    rows[3] = ",u,no"
    notes = loaded(tmp_path, table(rows, f"{evil},b,y"), missing="mean").notes
    assert notes
    assert "\x1b" not in "".join(notes)
    assert "\u202e" not in "".join(notes)

    rows[4] = f"{evil},u,no"
    for message in (
        refusal(tmp_path, table(rows), missing="mean"),
        refusal(tmp_path, table(rows, f"{evil},b,y"), missing="error"),
        refusal(tmp_path, table(rows, f"{evil},b,z")),
        refusal(tmp_path, table([f"{n},u,{evil}" for n in range(9)])),
    ):
        assert "\x1b" not in message
        assert "\u202e" not in message
        assert "\n" not in message


def test_ten_thousand_rows_are_read(tmp_path: Path) -> None:
    lines = [f"{n * 0.5},{'uvw'[n % 3]},{['no', 'yes'][n % 2]}" for n in range(10_000)]
    lines[7_777] = ",u,no"
    dataset = loaded(tmp_path, table(lines), missing="mean")
    assert len(all_inputs(dataset)) == 10_000
    assert any(note.startswith("a: 1 missing value filled") for note in dataset.notes)

    lines[9_876] = "1,u"
    assert refusal(tmp_path, table(lines)).startswith("table.csv:9878: 2 fields,")


_CELLS = st.sampled_from(
    [
        *(
            "",
            "0",
            "1",
            "2.5",
            "-3e9",
            "1e308",
            "inf",
            "NA",
            "u",
            "v",
            '"',
            "é",
            "1_0",
            "yes",
            "No",
        ),
        *("2025-04-03", "13/04/2025", "03/04/2025 12:00", "one two three four five six"),
    ]
)


@given(st.lists(st.lists(_CELLS, min_size=3, max_size=3), max_size=25), st.data())
def test_fault_38_any_table_is_loaded_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    drawn: dict[str, Any] = {
        "missing": data.draw(st.sampled_from(["error", "drop", "mean"])),
        "problem": data.draw(st.sampled_from(["auto", "classification", "regression"])),
        "stratify": data.draw(st.booleans()),
        "kinds": data.draw(st.sampled_from([{}, {"a": "hash", "b": "text"}, {"a": "date"}])),
        "missing_values_by_column": data.draw(st.sampled_from([{}, {"a": ["u"], "y": ["v", 1]}])),
    }
    message, numbers = "", torch.zeros(1)
    try:
        numbers = all_inputs(loaded(folder, table([",".join(row) for row in rows]), **drawn))
    except BadInput as refused:
        message = str(refused)
    assert "\n" not in message
    assert torch.isfinite(numbers).all()


_MILLION = """
import resource, sys, time
from tui_trainer.config.sections.problems import PROBLEM_TYPES
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.load import load
from tui_trainer.data.splits.record import SplitRecord
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = load(TableSection(type="table", path=sys.argv[1], target="y", missing="mean"))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(sum(map(len, (dataset.train, dataset.val, dataset.test))), grown, round(time.process_time()))
"""


@pytest.mark.full
def test_fault_38_a_million_rows_fit_in_a_gigabyte_and_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "million.csv"
    with path.open("w") as file:
        file.write("a,b,c,d,kind,y\n")
        for n in range(1_000_000):
            file.write(f"{n * 0.37:.3f},{n % 17},{n},{n * n % 1001},{'uvw'[n % 3]},{n % 2}x\n")
    done = subprocess.run(
        [sys.executable, "-c", _MILLION, str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    # Processor time: a busy machine takes longer, and is no fault of the reader.
    rows, grown_kib, used_s = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert used_s < 60
    assert grown_kib < 1024 * 1024


def refusals(folder: Path, lines: str, splits: int, problem: str) -> list[str]:
    """Return the messages of those splits, of so many, that refuse a table."""
    messages = []
    for seed in range(splits):
        try:
            loaded(folder, lines, missing="mean", problem=problem, split_seed=seed)
        except BadInput as refused:
            messages.append(str(refused))
    return messages


def test_fault_38_an_input_beyond_all_others_is_refused_in_one_line(tmp_path: Path) -> None:
    lines = table([f"{number},u,{'uv'[number % 2]}" for number in range(12)] + ["1e308,u,u"])
    messages = refusals(tmp_path, lines, 20, "classification")
    assert messages
    assert "\n" not in "".join(messages)
    assert all("column 'a'" in message for message in messages)


@pytest.mark.parametrize("odd", ["1", "2.5"])
def test_fault_38_a_target_beyond_all_others_is_refused_in_one_line(
    tmp_path: Path, odd: str
) -> None:
    lines = table([",,0", f",,{odd}", ",,1e308", "u,u,0"])
    messages = refusals(tmp_path, lines, 4, "regression")
    assert messages
    assert "\n" not in "".join(messages)


def tagged(tmp_path: Path, **settings: Any) -> Dataset:
    cells = ["red|big", "red", "", "blue| big ", "blue"]
    rows = [f"{n},{cells[n % 5]}" for n in range(50)]
    return loaded(tmp_path, table(rows, "a,y"), **{"label_separator": "|", **settings})


def test_labels_in_one_cell_are_told_apart_by_a_separator(tmp_path: Path) -> None:
    dataset = tagged(tmp_path)
    assert (dataset.problem, dataset.classes) == ("multilabel", ("big", "blue", "red"))
    train = tensors(dataset.train)
    assert train.targets.dtype == torch.float32
    wanted = {0: [1, 0, 1], 1: [0, 0, 1], 2: [0, 0, 0], 3: [1, 1, 0], 4: [0, 1, 0]}
    assert train.targets.tolist() == [wanted[row % 5] for row in train.rows.tolist()]
    assert dataset.notes[0] == "3 labels in y, 1.2 per row; 10 rows without any"
    assert tagged(tmp_path, label_separator="bar").classes == dataset.classes
    other = (
        "no cell of y has the separator '/'; with dataset.label_separator='|' there are 3 labels"
    )
    assert other in tagged(tmp_path, label_separator="/").notes
    by_word = TableSection(type="table", path="t.csv", target="y", label_separator="bar")
    assert by_word.label_separator == "|"
    # Each set of labels is in each split.
    assert {row % 5 for row in tensors(dataset.test).rows.tolist()} == set(range(5))


def test_several_targets_are_labels_or_numbers(tmp_path: Path) -> None:
    rows = [f"{n},{n % 2},{n % 3 > 0:d},{n * 3.5 + 100}" for n in range(60)]
    content = table(rows, "a,p,q,z")
    flags = loaded(tmp_path, content, target=["p", "q"], drop=["z"])
    assert (flags.problem, flags.classes) == ("multilabel", ("p", "q"))
    assert "2 labels, because the columns of dataset.target have only 0 and 1" in flags.notes[0]
    for numbers in (
        loaded(tmp_path, content, target=["p", "z"]),
        loaded(tmp_path, content, target=["p", "z"], problem="regression"),
    ):
        assert (numbers.problem, numbers.outputs) == ("regression", 2)
        assert numbers.info.target_names == ("p", "z")
        test = tensors(numbers.test)
        back = numbers.info.in_units(test.targets)
        wanted = torch.stack([test.rows % 2, test.rows * 3.5 + 100], dim=1)
        torch.testing.assert_close(back, wanted.float())
        assert tensors(numbers.train).targets.mean(0).abs().max() < 1e-6
    saved = loaded(tmp_path, content, target=["p", "z"]).info
    assert DatasetInfo.from_dict(saved.to_dict()) == saved


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"target": ["p", "z"], "problem": "multilabel"},
            r"csv:2: z is 100, and a label is 0 or 1",
        ),
        ({"target": ["p", "z"], "problem": "classification"}, "2 columns are not classes"),
        ({"target": ["p", "x"]}, "no column 'x'"),
        ({"target": ["p", "z"], "label_separator": "|"}, "is for one column"),
        ({"target": "p", "label_separator": "|", "problem": "regression"}, "is for labels"),
        ({"target": ["a", "p", "z"]}, "no column left to predict from"),
        ({"target": ["a", "a"]}, "'a' is named twice"),
        ({"target": []}, "at least 1"),
    ],
)
def test_targets_that_do_not_fit_are_refused(
    tmp_path: Path, settings: dict[str, Any], text: str
) -> None:
    rows = [f"{n},{n % 2},{n * 3.5 + 100}" for n in range(60)]
    with pytest.raises((BadInput, ValueError), match=text):
        loaded(tmp_path, table(rows, "a,p,z"), **settings)


def test_a_column_without_any_label_is_refused_with_its_file(tmp_path: Path) -> None:
    rows = [f"{n}," for n in range(30)]
    told = refusal(tmp_path, table(rows, "a,y"), label_separator="|")
    assert told == "table.csv: no row has a label in the column 'y'"


def test_gaps_in_many_columns_have_one_note(tmp_path: Path) -> None:
    rows = [
        ",".join("" if n == 3 * place + 1 else str(n * n) for place in range(5)) + f",{'uv'[n % 2]}"
        for n in range(40)
    ]
    notes = loaded(tmp_path, table(rows, "a,b,c,d,e,y"), missing="mean").notes
    assert (
        "5 missing values in 5 columns filled with the training mean of each, most in a (1), "
        "b (1), c (1), d (1)"
    ) in notes
