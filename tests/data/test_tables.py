"""How a table is written: its encoding, separator, gaps, numbers and forms of Unicode."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.tables import open_table
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.table import read_rows
from tui_trainer.text.errors import BadInput


def section(folder: Path, content: bytes | str, **settings: Any) -> TableSection:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    values = {"type": "table", "path": str(path), "target": "y", **settings}
    return TableSection.model_validate(values)


def loaded(folder: Path, content: bytes | str, **settings: Any) -> Dataset:
    return load(section(folder, content, **settings))


def table(values: list[str], header: str = "a,y", separator: str = ",") -> str:
    """Rows of a value of `a` and one of two classes, in turns."""
    rows = [f"{values[n % len(values)]}{separator}{'uv'[n // 3 % 2]}" for n in range(60)]
    return "\n".join([header, *rows]) + "\n"


def numbers(folder: Path, content: bytes | str, **settings: Any) -> list[float]:
    """The first values of the column a, as they were read."""
    source = read_rows(section(folder, content, missing="mean", **settings), "auto")
    values: list[float] = source.columns["a"].values[:4].tolist()  # type: ignore[union-attr]
    return values


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_the_separator_is_recognised_and_said(tmp_path: Path, separator: str) -> None:
    lines = table(["1", "2"], f"a{separator}y", separator)
    data = loaded(tmp_path, lines)
    assert data.classes == ("u", "v")
    said = [note for note in data.notes if note.startswith("the separator is a ")]
    assert len(said) == (separator != ",")


def test_a_comma_goes_first_and_a_stated_separator_before_it(tmp_path: Path) -> None:
    lines = table(["1;2", "3;4"], "a;b,y")
    assert set(read_rows(section(tmp_path, lines), "auto").columns) == {"a;b"}
    with pytest.raises(BadInput, match=r"no column 'y'.*available: a, b,y"):
        loaded(tmp_path, lines, separator="semicolon")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le"])
def test_encodings_that_say_so_are_read(tmp_path: Path, encoding: str) -> None:
    text = table(["1", "2"]).replace("u\n", "ü\n")
    if encoding == "utf-16-le":
        text = "\ufeff" + text
    data = loaded(tmp_path, text.encode(encoding))
    assert data.classes == ("v", "ü")
    assert ("the encoding is" in "".join(data.notes)) == (encoding != "utf-8-sig")


def test_other_encodings_are_stated(tmp_path: Path) -> None:
    content = table(["1", "2"]).replace("u\n", "ü\n").encode("latin-1")
    with pytest.raises(BadInput, match=r"not UTF-8 .*set dataset\.encoding=latin-1"):
        loaded(tmp_path, content)
    assert loaded(tmp_path, content, encoding="latin-1").classes == ("v", "ü")
    with pytest.raises(BadInput, match=r"dataset\.encoding: t\.csv|is not ascii"):
        loaded(tmp_path, content, encoding="ascii")
    for name in ("latin-77", "zip", ""):
        with pytest.raises(BadInput, match="no encoding"):
            loaded(tmp_path, content, encoding=name)


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (['"1,234.5"', "7"], [1234.5, 7], "commas between thousands"),
        (['"1,234"', "0.5"], [1234, 0.5], "commas between thousands"),
        (['"1,5"', '"1.234,25"', "3"], [1.5, 1234.25, 3], "a decimal comma"),
        (["1 234", "1 234 567.5"], [1234, 1234567.5], "spaces between thousands"),
        (["1'234", "5"], [1234, 5], "spaces between thousands"),
        (["12 %", "-3%", "4"], [12, -3, 4], "without its sign"),
        (["$5.50", "$ 3", "+2e3"], [5.5, 3, 2000], "without its sign"),
        (["5 EUR", "-7.5 eur", "3"], [5, -7.5, 3], "without its sign"),
        (["CHF 1'250.50", "\u22123"], [1250.5, -3], "spaces between thousands"),
        (['"(1,234.50)"', '"$-5"', "120-"], [-1234.5, -5, -120], "commas between thousands"),
        (['"12,34,567"', "1.5"], [1234567, 1.5], "commas between thousands"),
        (["1.234.567", "2.345"], [1234567, 2345], "points between thousands"),
        (["₹7", "₹ 1200"], [7, 1200], "without its sign"),
        (['"-1,5"', "N/A"], [-1.5, np.nan], "a decimal comma"),
    ],
)
def test_numbers_are_read_as_they_are_written(
    tmp_path: Path, cells: list[str], values: list[float], note: str
) -> None:
    assert numbers(tmp_path, table(cells))[: len(cells)] == pytest.approx(values, nan_ok=True)
    notes = loaded(tmp_path, table(cells), missing="mean").notes
    assert any(text.startswith("a: ") and text.endswith(note) for text in notes)


@pytest.mark.parametrize(
    ("odd", "place"), [("abc", 9), ("7", 9), ("1.234,5 %", 2)], ids=["text", "plain", "first"]
)
def test_a_cell_of_no_form_is_refused_and_makes_no_categories(
    tmp_path: Path, odd: str, place: int
) -> None:
    cells = [f'"{n + 1},{n}00.5 %"' for n in range(1, 9)]
    cells.insert(place - 2, f'"{odd}"')
    if odd == "7":
        assert numbers(tmp_path, table(cells))[0] == 2100.5
        return
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, table(cells))
    usual = "'2,100.5 %' in line 2" if place == 9 else "'1.234,5 %' in line 2"
    line = place if place == 9 else 3
    told = f"'{odd}'" if place == 9 else "'2,100.5 %'"
    assert f"t.csv:{line}: column 'a' has {told}, which is not written as {usual}" in str(
        caught.value
    )
    data = loaded(tmp_path, table(cells), categorical=["a"])
    assert data.preprocessing["layout"]["column a"] == "category"
    few = loaded(tmp_path, table(["10 %", "20 %", "none given"]))
    assert few.preprocessing["layout"]["column a"] == "category"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["$5", "€3"], "t.csv:3: column 'a' has '€3' beside '$5' in line 2"),
        (["12 %", "0.5"], "t.csv:2: column 'a' has '12 %' beside 0.5 in line 3"),
    ],
)
def test_numbers_of_different_units_are_refused_unless_stated(
    tmp_path: Path, cells: list[str], said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, table(cells))
    assert said in str(caught.value)
    assert "set dataset.kinds={a: number} to take them as they are" in str(caught.value)
    assert len(numbers(tmp_path, table(cells), kinds={"a": "number"})) == 4
    # 0 is a share of any unit, and so is a number above 1 written like the others.
    assert numbers(tmp_path, table(["12 %", "0"]))[:2] == [12, 0]


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (
            [f"{n} kg" for n in range(30)],
            "although its texts are numbers with 'kg', such as '0 kg'",
        ),
        (["\uff11", "\uff12", "\uff13"], "numbers in digits of another script, such as '\uff11'"),
        (["01234", "20095", "3"], "01234 in line 2 is read as the number 1234; if such cells are"),
        ([f"A{n}" for n in range(30)], ""),
        (["2-", "3-", "2+"], ""),
        (["0", "0.25", "7"], ""),
    ],
)
def test_texts_like_numbers_and_numbers_like_codes_are_noted(
    tmp_path: Path, cells: list[str], note: str
) -> None:
    notes = loaded(tmp_path, table(cells)).notes
    said = [text for text in notes if "although" in text or "codes" in text]
    assert len(said) == bool(note)
    assert note in "".join(said)


def test_a_number_that_may_be_two_is_refused_unless_something_decides(tmp_path: Path) -> None:
    lines = table(['"5,100"', '"3,300"'])
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, lines)
    assert "t.csv:2: column 'a' has '5,100', which may be 5100 or 5.100; set" in str(caught.value)
    assert numbers(tmp_path, lines, thousands="comma")[:2] == [5100, 3300]
    assert numbers(tmp_path, lines, decimal="comma")[:2] == [5.1, 3.3]
    semicolons = table(["5,100", "3,300"], "a;y", ";")
    assert numbers(tmp_path, semicolons)[:2] == [5.1, 3.3]
    # Another column may say that a point separates decimals, and so a comma does not.
    for other, first in (("2.5", 5100), ("2.5 %", 5100), ('"2,5"', None), ("2", None)):
        both = table([f'"5,100",{other}', f'"3,300",{other}'], "a,b,y")
        if first is None:
            with pytest.raises(BadInput, match=r"may be 5100 or 5\.100"):
                loaded(tmp_path, both)
        else:
            assert numbers(tmp_path, both)[0] == first
    # What cannot be thousands has a decimal comma, whatever is stated of thousands.
    assert numbers(tmp_path, table(['"33,6"']), thousands="comma")[0] == 33.6
    # Stated, it is so in cells that look like numbers of Python, too.
    assert numbers(tmp_path, table(["1.234", "2"]), decimal="comma")[:2] == [1234, 2]


def test_a_first_line_may_name_the_separator(tmp_path: Path) -> None:
    for line, lines in (("sep=;", table(["1", "2"], "a;y", ";")), ('"sep=,"', table(["1", "2"]))):
        dataset = loaded(tmp_path, f"{line}\r\n{lines}")
        assert dataset.notes[0] == "the first line names the separator and is left out"
        assert numbers(tmp_path, f"{line}\n{lines}")[:2] == [1, 2]
    with pytest.raises(BadInput, match=r"t\.csv:4"):
        loaded(tmp_path, "sep=;\na;y\n1;u\n2\n" + "1;u\n" * 300)


def test_points_that_may_be_between_thousands_are_refused_beside_decimal_commas(
    tmp_path: Path,
) -> None:
    lines = table(["7.084;52,7", "833;29,9"], "a;b;y", ";")
    with pytest.raises(
        BadInput, match=r"csv:2: column 'a' has 7\.084, which may be 7084 or 7\.084"
    ):
        loaded(tmp_path, lines)
    assert numbers(tmp_path, lines, decimal="comma")[:2] == [7084, 833]
    assert numbers(tmp_path, lines, thousands="none")[:2] == [7.084, 833]
    semicolons = table(["7.084", "833"], "a;y", ";")
    assert numbers(tmp_path, semicolons)[:2] == [7.084, 833]
    note = "a: 7.084 in line 2 is read with a decimal point; dataset.decimal=comma takes such"
    for lines_of, is_said in (
        (semicolons, True),
        (semicolons.replace("833", "0.5"), False),
        (semicolons.replace("833", "8.3"), False),
        (semicolons.replace(";", ","), False),
    ):
        assert any(text.startswith(note) for text in loaded(tmp_path, lines_of).notes) == is_said
    # These cannot be thousands.
    for cell in ("3.5", "1234.567", "0.12345"):
        assert numbers(tmp_path, table([f"{cell};52,7"], "a;b;y", ";"))[0] == float(cell)


def test_a_cell_of_another_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"csv:3: .* '2\.5', which is not a finite number with a"):
        loaded(tmp_path, table(['"1,5"', "2.5"]))
    words = table(['"1,5"', "many"])
    assert "read as" not in "".join(loaded(tmp_path, words).notes)
    assert loaded(tmp_path, words).input_shape == (2,)


def test_new_rows_are_read_in_the_form_of_the_training_data(tmp_path: Path) -> None:
    own = section(tmp_path, table(["1 000", "2 000", '"3 000,5"']))
    fitted = load(own).preprocessing
    new = tmp_path / "new.csv"
    new.write_text("a\n2 000\n1.000\n")
    unseen = read_unseen(own, fitted, str(new), load(own).info).inputs
    mean, std = fitted["inputs"]["a"]["mean"], fitted["inputs"]["a"]["std"]
    assert (unseen[:, 0] * std + mean).tolist() == pytest.approx([2000, 1000])


def test_marks_of_a_gap_are_a_setting(tmp_path: Path) -> None:
    cells = table(["1", "-", "NA", "2"])
    assert numbers(tmp_path, cells) == pytest.approx([1, np.nan, np.nan, 2], nan_ok=True)
    coded = table(["1", "-9", "2"])
    data = read_rows(section(tmp_path, coded, missing="drop", missing_values=["-9"]), "auto")
    assert len(data.rows) == 40


def test_na_is_a_class_where_it_is_as_frequent_as_one(tmp_path: Path) -> None:
    rows = [f"{n},{['EU', 'NA', 'SA'][n % 3]}" for n in range(60)]
    lines = "\n".join(["a,y", *rows]) + "\n"
    data = loaded(tmp_path, lines)
    assert data.classes == ("EU", "NA", "SA")
    assert "y: NA is one of the classes; dataset.missing_values=[NA] takes it" in data.notes[0]
    assert loaded(tmp_path, lines, missing="drop", missing_values=["NA"]).classes == ("EU", "SA")
    few = lines.replace("\n4,NA", "\n4,EU").replace("NA", "EU") + "61,NA\n"
    assert loaded(tmp_path, few, missing="drop").classes == ("EU", "SA")
    # A run of a version that took it for a gap goes on so.
    old = loaded(tmp_path, lines, missing="drop", missing_values=["NA"]).preprocessing
    older = {**old, "split": "copies"}
    assert load(section(tmp_path, lines, missing="drop"), older).classes == ("EU", "SA")


def test_two_ways_to_write_a_letter_are_one(tmp_path: Path) -> None:
    both = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    rows = [f"{n},{[*both, 'thé'][n % 3]}" for n in range(60)]
    lines = "\n".join([unicodedata.normalize("NFD", "größe,y"), *rows]) + "\n"
    data = loaded(tmp_path, lines)
    assert data.classes == ("café", "thé")
    assert [*data.preprocessing["inputs"]] == ["größe"]
    dropped = unicodedata.normalize("NFD", "größe")
    with pytest.raises(BadInput, match="no column left to predict from"):
        loaded(tmp_path, lines, drop=[dropped])


def test_a_column_of_row_numbers_without_a_name_is_left_out(tmp_path: Path) -> None:
    rows = [f"{n},{n % 7},{'uv'[n % 2]}" for n in range(60)]
    data = loaded(tmp_path, "\n".join([",a,y", *rows]) + "\n")
    assert [*data.preprocessing["inputs"]] == ["a"]
    assert "the first column has no name and counts the rows; it is left out" in data.notes
    other = [f"{n % 3},{n % 7},{'uv'[n % 2]}" for n in range(60)]
    data = loaded(tmp_path, "\n".join([",a,y", *other]) + "\n")
    assert [*data.preprocessing["inputs"]] == ["column 1", "a"]
    assert "the first column has no name, and is called 'column 1'" in data.notes


def test_other_columns_without_a_name_are_called_by_their_place(tmp_path: Path) -> None:
    lines = table(["1,2,", "3,4,"], "a,,,y")
    with pytest.raises(BadInput, match="'column 3' has no values at all; add"):
        loaded(tmp_path, lines.replace("a,,,y", "a,b,,y"))
    assert "column 3 has no name" in "".join(
        loaded(tmp_path, lines.replace("a,,,y", "a,b,,y"), drop=["column 3"]).notes
    )
    with pytest.raises(BadInput, match=r"t\.csv:1: column 2 has no name; give it one"):
        loaded(tmp_path, lines)


def test_spaces_may_stand_before_quotes_and_single_quotes_are_refused(tmp_path: Path) -> None:
    lines = '"a",  "y"\n' + "".join(f'{n},   "{"uv"[n % 2]}, {"xz"[n % 2]}"\n' for n in range(40))
    data = loaded(tmp_path, lines)
    assert (data.classes, [*data.preprocessing["inputs"]]) == (("u, x", "v, z"), ["a"])
    assert "spaces before quotes are left out, and so are the quotes" in data.notes
    with pytest.raises(BadInput, match=r"t\.csv:1: all fields are in single quotes"):
        loaded(tmp_path, "'a','y'\n" + "'1','u'\n'2','v'\n" * 30)


def test_a_comma_may_separate_decimals_in_all_rows(tmp_path: Path) -> None:
    rows = [f"{n},5;1.{n:03},25;{'uv'[n % 2]}" for n in range(60)]
    for header in (["a;b;y"], ["a, in kg;b, in cm;y"], []):
        file = section(tmp_path, "\n".join([*header, *rows]) + "\n")
        names = open_table(file).header
        assert names == tuple(
            header[0].split(";") if header else ("column 1", "column 2", "column 3")
        )
        assert open_table(file).file.style.separator == ";"


def rows_of(split: Any) -> set[int]:
    return set(tensors(split).rows.tolist())


@pytest.mark.parametrize("rule", ["identity", "position"])
def test_copies_stay_in_one_split_and_are_counted(tmp_path: Path, rule: str) -> None:
    rows = [f"{n // 2},{'xyz'[n // 2 % 3]},{'uv'[n * 7 % 5 % 2]}" for n in range(150)]
    lines = "\n".join(["a,b,y", *rows]) + "\n"
    data = loaded(tmp_path, lines, split_by=rule)
    assert data.preprocessing["split"] == rule
    assert "75 rows with the inputs of another row, in the same split as that one" in data.notes
    inputs = [{rows[row].rsplit(",", 1)[0] for row in rows_of(s)} for s in splits(data)]
    assert sum(map(len, inputs)) == len(set.union(*inputs)) == 75
    if rule == "position":
        # As the versions before had it, whose runs have no record of their rows.
        older = {**data.preprocessing, "split": "copies"}
        again = load(section(tmp_path, lines), older)
        assert [rows_of(s) for s in splits(again)] == [rows_of(s) for s in splits(data)]


def test_a_few_answers_that_are_often_equal_are_no_copies(tmp_path: Path) -> None:
    data = loaded(tmp_path, table(["1", "2", "3"]))
    assert "57 rows with the inputs of another row; only 3 are different" in data.notes
    assert [len(rows_of(s)) for s in splits(data)] == [41, 7, 12]


def test_a_run_of_a_version_that_knew_no_copies_keeps_its_split(tmp_path: Path) -> None:
    single = "\n".join(["a,y", *(f"{n},{'uv'[n % 2]}" for n in range(60))]) + "\n"
    copies = "\n".join(["a,y", *(f"{n // 2},{'uv'[n % 2]}" for n in range(60))]) + "\n"
    older = {k: v for k, v in loaded(tmp_path, single).preprocessing.items() if k != "split"}
    then = [rows_of(s) for s in splits(load(section(tmp_path, single), older))]
    by_position = loaded(tmp_path, single, split_by="position")
    assert then == [rows_of(s) for s in splits(by_position)]
    assert then == [rows_of(s) for s in splits(load(section(tmp_path, copies), older))]


def test_the_rows_of_a_group_stay_in_one_split(tmp_path: Path) -> None:
    rows = [f"p{n // 6},{n % 11},{'uv'[n % 2]}" for n in range(120)]
    rows += [f",{n},u" for n in range(5)]
    lines = "\n".join(["patient,a,y", *rows]) + "\n"
    data = loaded(tmp_path, lines, group="patient", missing="mean")
    assert [*data.preprocessing["inputs"]] == ["a"]
    assert "25 groups by patient; the rows of one are in the same split" in data.notes
    groups = [{row // 6 if row < 120 else row for row in rows_of(s)} for s in splits(data)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 25
    with pytest.raises(BadInput, match=r"dataset\.group: is the target"):
        loaded(tmp_path, lines, group="y")
    with pytest.raises(BadInput, match=r"dataset\.group: no column 'patients'"):
        loaded(tmp_path, lines, group="patients")


def splits(data: Dataset) -> list[Any]:
    return [data.train, data.val, data.test]
