"""Dates of a table: which texts are dates, which inputs they become, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_column_kinds import new_inputs
from tests.data.test_table import all_inputs, loaded, refusal, table
from tui_trainer.data.files.date_forms import find_order, read_date, read_dates
from tui_trainer.text.errors import BadInput

APRIL_3 = 20181.0
"""Days from 1970 to 2025-04-03, a Thursday."""


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2025-04-03", APRIL_3),
        (" 2025/4/3 ", APRIL_3),
        ("2025.04.03", APRIL_3),
        ("20250403", APRIL_3),
        ("2025-04", APRIL_3 - 2),
        ("3.4.2025", APRIL_3),
        ("3 Apr 2025", APRIL_3),
        ("03-apr-2025", APRIL_3),
        ("April 3rd, 2025", APRIL_3),
        ("Thu, 3 Apr 2025 06:00:00 +0000", APRIL_3 + 0.25),
        ("2025-04-03T12:00", APRIL_3 + 0.5),
        ("2025-04-03 12:00:00.000Z", APRIL_3 + 0.5),
        ("2025-04-03T06:30+06:30", APRIL_3),
        ("2025-04-03T00:00-06", APRIL_3 + 0.25),
        ("3.4.2025 6:00 PM", APRIL_3 + 0.75),
        ("Apr 2025", APRIL_3 - 2),
        ("04/2025", APRIL_3 - 2),
        ("3. April 2025", APRIL_3),
        ("1. M\u00e4rz 2025 06:00", APRIL_3 - 32.75),
        ("Thu Apr  3 12:00:00 2025", APRIL_3 + 0.5),
        ("Thu Apr 3 12:00:00 +0000 2025", APRIL_3 + 0.5),
        ("03/Apr/2025:06:00:00 +0600", APRIL_3),
        ("20250403T120000Z", APRIL_3 + 0.5),
        ("202504031200", APRIL_3 + 0.5),
        ("31/12/1969", -1.0),
        ("1969/12/31 12:00", -0.5),
        *((text, None) for text in ("03/04/2025", "2025-02-30", "2025-04-03 25:00", "12:30")),
        *((text, None) for text in ("2024-25", "1.2.3.4", "3 Foo 2025", "3/4/25", "2025-04-3x")),
        *((text, None) for text in ("3-Apr-25", "3.4.25", "1/1000", "May", "13/2025")),
        *((text, None) for text in ("2025-04-03 13:00 pm", "", "2025", "٢٠٢٥-٠٤-٠٣")),
    ],
)
def test_a_text_is_a_date_or_none(text: str, days: float | None) -> None:
    assert read_date(text) == days


def test_the_other_cells_say_whether_the_day_goes_first() -> None:
    assert read_date("03/04/2025", find_order(["03/04/2025", "13/04/2025"])) == APRIL_3
    assert read_date("04/03/2025", find_order(["04/03/2025", "04-13-2025"])) == APRIL_3
    assert find_order(["03/04/2025", "2025-04-13", "13.4.2025"]) == ""


@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=5))
def test_iso_dates_are_read_alike_one_by_one_and_at_once(stamps: list[datetime]) -> None:
    texts = [stamp.isoformat(sep=" ") for stamp in stamps]
    days = read_dates(texts)
    assert days.tolist() == [read_date(text) for text in texts]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    exact = [(stamp.replace(tzinfo=UTC) - epoch) / timedelta(days=1) for stamp in stamps]
    assert days.tolist() == pytest.approx(exact, abs=1e-9)


@given(st.lists(st.text("0123456789-/.: T", max_size=20), max_size=4))
def test_any_text_is_read_alike_one_by_one_and_at_once(texts: list[str]) -> None:
    one_by_one = [read_date(text) for text in texts]
    expected = [math.nan if day is None else day for day in one_by_one]
    np.testing.assert_array_equal(read_dates(texts), expected)


def daily(count: int = 400, first: datetime = datetime(2023, 1, 2)) -> list[str]:
    """Rows with one date each, from a Monday on."""
    days = [first + timedelta(days=n) for n in range(count)]
    return [f"{day:%Y-%m-%d},{'uv'[n % 2]},{n % 3}" for n, day in enumerate(days)]


def test_dates_become_days_year_month_and_weekday(tmp_path: Path) -> None:
    data = loaded(tmp_path, table(daily(), "when,b,y"))
    fitted = data.preprocessing["inputs"]["when"]
    assert (fitted["kind"], fitted["cycles"]) == ("date", ["month", "weekday"])
    assert data.input_shape == (1 + 1 + 2 + 2 + 2,)
    inputs = all_inputs(data).double()
    days = inputs[:, 0] * fitted["std"] + fitted["mean"] + fitted["start"] - 19359
    torch.testing.assert_close(days, torch.arange(400).double(), atol=1e-4, rtol=0)
    years = inputs[:, 1] * fitted["year"][1] + fitted["year"][0]
    assert years.round().tolist() == [2023] * 364 + [2024] * 36
    # Month 5 of 0..11, and a Tuesday.
    row = (datetime(2023, 6, 20) - datetime(2023, 1, 2)).days
    angles = [2 * math.pi * 5 / 12, 2 * math.pi / 7]
    expected = [part(angle) for angle in angles for part in (math.sin, math.cos)]
    assert inputs[row, 2:6].tolist() == pytest.approx(expected, abs=1e-6)
    assert "when: read as dates; dataset.categorical=[when] reads them as categories" in data.notes
    by_time = "rows are split whatever their dates are; dataset.time=NAME, with a column of dates"
    assert f"{by_time}, tests on the latest ones" in data.notes
    two = [f"{row[:10]},{row}" for row in daily()]
    latest = loaded(tmp_path, table(two, "when,again,b,y"), time="when").notes
    assert "again: read as dates; dataset.categorical=[again] reads them as categories" in latest
    assert not any("whatever" in note for note in latest)
    assert (
        "when: dates from 2023-01-02 to 2024-02-05, as days, year, month, weekday"
    ) in data.notes
    resumed = loaded(
        tmp_path, table(daily(), "when,b,y"), fitted=data.preprocessing, record=data.split_record
    )
    assert torch.equal(all_inputs(resumed), all_inputs(data))
    as_before = loaded(tmp_path, table(daily(300), "when,b,y"), categorical=["when"])
    assert as_before.preprocessing["layout"]["column when"] == "category"


def test_hours_are_inputs_where_they_vary_and_parts_that_do_not_are_none(tmp_path: Path) -> None:
    rows = [f"2025-04-03T{n % 24:02}:30,{n % 7},{n % 3}" for n in range(200)]
    data = loaded(tmp_path, table(rows, "when,a,y"))
    fitted = data.preprocessing["inputs"]["when"]
    assert (fitted["year"], fitted["cycles"]) == (None, ["hour"])
    sine = all_inputs(data)[:, 1]
    assert sine[6].item() == pytest.approx(math.sin(2 * math.pi * 6.5 / 24))


def test_dates_of_new_rows_are_read_in_the_order_of_training(tmp_path: Path) -> None:
    rows = [f"{n % 28 + 1:02}/03/2025,{n % 5},{n % 3}" for n in range(60)]
    data = loaded(tmp_path, table(rows, "when,a,y"))
    assert data.preprocessing["inputs"]["when"]["order"] == "day_first"
    new = new_inputs(tmp_path, data, "when,a\n02/03/2025,1\n2025-03-02,1\n2 Mar 2025,1\n")
    known = all_inputs(data)[1]
    assert all(torch.equal(row[:-1], known[:-1]) for row in new)
    with pytest.raises(
        BadInput, match=r"new\.csv:3: column 'when' has 'soon', which is not a date w"
    ):
        new_inputs(tmp_path, data, "when,a\n02/03/2025,1\nsoon,1\n")


def test_a_date_that_may_be_two_is_refused_unless_something_decides(tmp_path: Path) -> None:
    rows = [f"{n % 9 + 1:02}/{n % 7 + 3:02}/2025,{n % 5},{n % 3}" for n in range(60)]
    content = table(rows, "when,a,y")
    assert refusal(tmp_path, content) == (
        "table.csv:2: column 'when' has '01/03/2025', which may be 2025-03-01 or 2025-01-03; "
        "set dataset.dates=day_first or dataset.dates=month_first"
    )
    starts = [
        loaded(tmp_path, content, dates=order).preprocessing["inputs"]["when"]["start"]
        for order in ("day_first", "month_first")
    ]
    assert starts[0] > starts[1]
    assert loaded(tmp_path, content, categorical=["when"]).preprocessing
    told = loaded(tmp_path, table([*rows, "13/04/2025,1,1"], "when,a,y"))
    assert told.preprocessing["inputs"]["when"]["order"] == "day_first"


def test_a_text_among_dates_is_refused_by_line(tmp_path: Path) -> None:
    rows = daily(40)
    rows[20] = "soon,u,0"
    assert refusal(tmp_path, table(rows, "when,b,y")) == (
        "table.csv:22: column 'when' has 'soon', which is not a date; correct it, leave it empty, "
        "or name the column in dataset.categorical"
    )
    mixed = [f"{['2025-04-03', 'soon', 'later'][n % 3]},{n % 7},{n % 3}" for n in range(40)]
    assert loaded(tmp_path, table(mixed)).preprocessing["layout"]["column a"] == "category"


def test_missing_dates_are_refused_dropped_or_zeros(tmp_path: Path) -> None:
    rows = [row if n % 4 else f",{'uv'[n % 2]},{n % 3}" for n, row in enumerate(daily(200))]
    content = table(rows, "when,b,y")
    assert "table.csv:2: column 'when' has no value" in refusal(tmp_path, content)
    assert len(all_inputs(loaded(tmp_path, content, missing="drop"))) == 150
    data = loaded(tmp_path, content, missing="mean")
    width = data.input_shape[0] - 2
    assert all_inputs(data)[0, :width].tolist() == [0] * (width - 1) + [1]
    assert "when: 50 missing dates as zeros" in data.notes


@pytest.mark.parametrize("texts", [["2008-09", "2009-10", "2010-11"], ["12:30", "13:45", "14:00"]])
def test_seasons_and_times_are_no_dates(tmp_path: Path, texts: list[str]) -> None:
    rows = [f"{texts[n % 3]},{n % 7},{n % 3}" for n in range(60)]
    assert loaded(tmp_path, table(rows)).preprocessing["layout"]["column a"] == "category"


@pytest.mark.parametrize(
    ("first", "second"), [("03.04.25", "04.03.25"), ("3-Apr-25", "3-Apr-25"), ("3/4/25", "4/3/25")]
)
def test_years_of_two_digits_are_noted_and_read_where_the_order_is_stated(
    tmp_path: Path, first: str, second: str
) -> None:
    rows = [
        f"{[first, second, '12' + first[1 + (first[1] == '3') :]][n % 3]},{n % 7},{n % 3}"
        for n in range(60)
    ]
    data = loaded(tmp_path, table(rows))
    assert data.preprocessing["layout"]["column a"] == "category"
    note = f"a: {first} may be a date of two digits a year; dataset.kinds={{a: date}} with"
    assert any(text.startswith(note) for text in data.notes)
    assert "csv:2: column 'a' has" in (
        message := refusal(tmp_path, table(rows), kinds={"a": "date"})
    )
    assert "whose year has two digits; set dataset.dates=day_first or" in message
    stated = loaded(tmp_path, table(rows), kinds={"a": "date"}, dates="day_first")
    assert stated.preprocessing["inputs"]["a"]["start"] <= APRIL_3
    one, other = new_inputs(tmp_path, stated, f"a,b\n3.4.2025,1\n{first},1\n")
    assert torch.equal(one, other)


def test_numbers_are_dates_where_that_is_stated(tmp_path: Path) -> None:
    rows = [f"202504{n % 28 + 1:02},{n % 7},{n % 3}" for n in range(60)]
    data = loaded(tmp_path, table(rows))
    assert data.preprocessing["layout"]["column a"] == "number"
    note = "a: read as numbers; 20250401 may be a date, and dataset.kinds={a: date} reads it so"
    assert note in data.notes
    timed = loaded(tmp_path, table([row.replace(",", "1230,", 1) for row in rows]))
    assert "a: read as numbers; 202504011230 may be a date" in "".join(timed.notes)
    others = loaded(tmp_path, table([row.replace("04", "14", 1) for row in rows]))
    assert "may be a date" not in "".join(others.notes)
    stated = loaded(tmp_path, table(rows), kinds={"a": "date"})
    assert stated.preprocessing["inputs"]["a"]["start"] == APRIL_3 - 2


def test_times_of_one_day_are_no_rows_that_are_nearly_equal(tmp_path: Path) -> None:
    rows = [f"2025-04-03 10:{n:02},u,{n % 3}" for n in range(60)]
    notes = loaded(tmp_path, table(rows, "when,b,y")).notes
    assert not any("nearly equal" in note for note in notes)
