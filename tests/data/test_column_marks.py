"""Marks of a missing value that only some columns of a table have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.test_column_kinds import BUILTIN, new_inputs
from tests.data.test_table import all_inputs, loaded, refusal, table
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.text.errors import BadInput


def with_marks(tmp_path: Path, cells: list[str], marks: Any, **settings: Any) -> Any:
    rows = [f'"{cells[n % len(cells)]}",{n % 7},{n % 3}' for n in range(60)]
    own = {"missing_values_by_column": marks, "missing": "drop", **settings}
    return loaded(tmp_path, table(rows), **own)


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["1", "2", "-1.0", "4"], [-1]),
        (["1", "2", "unknown", "4"], ["unknown"]),
        (["1", "-1", "unknown", "4"], "unknown"),
        (["1,000", "2,500.5", "none given", "4"], ["none given", 99]),
        (["1", "2", "n/a", "4"], ["unknown"]),
    ],
)
def test_cells_with_a_mark_of_their_column_are_missing(
    tmp_path: Path, cells: list[str], marks: Any
) -> None:
    data = with_marks(tmp_path, cells, {"a": marks})
    assert data.preprocessing["layout"]["column a"] == "number"
    assert len(all_inputs(data)) == 45
    fitted = data.preprocessing["inputs"]["a"]
    values = all_inputs(data)[:3, 0].double() * fitted["std"] + fitted["mean"]
    numbers = [float(cell.replace(",", "")) for cell in cells[:2] + cells[3:]]
    assert values.tolist() == pytest.approx(numbers, rel=1e-4)
    new = f'a,b\n"{cells[2]}",1\n"{cells[0]}",1\n'
    settings = {"missing_values_by_column": {"a": marks}}
    assert new_inputs(tmp_path, data, new, missing="mean", **settings)[0, 0] == 0
    with pytest.raises(BadInput, match=r"new\.csv:2: column 'a' has no value"):
        new_inputs(tmp_path, data, new, **settings)


def test_they_are_counted_and_mean_nothing_in_other_columns(tmp_path: Path) -> None:
    data = with_marks(tmp_path, ["5", "8", "3"], {"b": [5, 6], "a": ["never"]})
    assert "b: 16 cells with 5 or 6, as missing values" in data.notes
    assert "a: no cell with never, as missing values" in data.notes
    assert len(all_inputs(data)) == 44


def test_categories_dates_and_targets_have_marks_too(tmp_path: Path) -> None:
    words = with_marks(tmp_path, ["u", "v", "x"], {"a": ["x"]})
    assert words.preprocessing["inputs"]["a"]["categories"] == ["u", "v"]
    dates = with_marks(tmp_path, ["2025-04-03", "2025-05-04", "0000-00-00"], {"a": ["0000-00-00"]})
    assert dates.preprocessing["layout"]["column a"] == "date"
    target = loaded(
        *(tmp_path, table([f"{n % 7},u,{(0, 1, -1)[n % 3]}" for n in range(60)])),
        missing="drop",
        missing_values_by_column={"y": [-1]},
    )
    assert (target.classes, len(all_inputs(target))) == (("0", "1"), 40)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"missing_values_by_column": {"c": [1]}}, "dataset.missing_values_by_column: no column"),
        ({"missing_values_by_column": {"a": ["x"]}}, "table.csv:5: column 'a' has 'soon' among"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, settings: dict[str, Any], text: str) -> None:
    rows = [f"{'soon' if n == 3 else n % 5},{n % 7},{n % 3}" for n in range(60)]
    assert text in refusal(tmp_path, table(rows), **settings)


def test_they_are_typed_as_a_mapping() -> None:
    words = ["dataset.missing_values_by_column={age: [-1, unknown], sex: u}"]
    experiment = BUILTIN.experiment("penguins-mlp", parse_overrides(words))
    marks = experiment.get("dataset.missing_values_by_column")
    assert marks == {"age": ("-1", "unknown"), "sex": ("u",)}
    saved = experiment.to_dict()["dataset"]["missing_values_by_column"]
    assert saved == {"age": ["-1", "unknown"], "sex": ["u"]}
