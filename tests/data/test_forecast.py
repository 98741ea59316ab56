"""Windows of time series: which rows they have, which split they are in, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import ForecastSection
from tui_trainer.config.sections.problems import ClassificationSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError
from tui_trainer.training.baselines import baselines_of, compute

Windows = dict[str, list[tuple[list[list[float]], list[float]]]]


def section(folder: Path, lines: list[str], header: str, **own: Any) -> ForecastSection:
    path = folder / "series.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    values = {"type": "forecast", "path": str(path), "target": "a", "window": 3, **own}
    return ForecastSection.model_validate(values)


def refusal(tmp_path: Path, lines: list[str], header: str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(tmp_path, lines, header, **settings))
    return str(caught.value).replace(f"{tmp_path}/", "")


def windows(data: Dataset) -> Windows:
    """The inputs and the targets of each split in the units of the file."""
    channels = data.preprocessing["inputs"]["channels"].values()
    means, stds = ([own[key] for own in channels] for key in ("mean", "std"))
    found: Windows = {}
    for name, split in (("train", data.train), ("val", data.val), ("test", data.test)):
        part = tensors(split)
        inputs = part.inputs.double() * torch.tensor(stds) + torch.tensor(means)
        targets = data.info.in_units(part.targets.double())
        pairs = zip(inputs, targets, strict=True)
        found[name] = [
            (
                [[round(number, 3) for number in step] for step in window.tolist()],
                [round(number, 3) for number in wanted.tolist()],
            )
            for window, wanted in pairs
        ]
    return found


def counting(count: int) -> list[str]:
    """Rows with n, and ten times n."""
    return [f"{n},{10 * n}" for n in range(count)]


def test_windows_are_followed_by_what_they_forecast(tmp_path: Path) -> None:
    data = load(section(tmp_path, counting(20), "a,b", horizon=2))
    assert (data.problem, data.outputs, data.info.target_names) == ("regression", 2, ("a+1", "a+2"))
    assert (data.signature.kind, data.input_shape) == ("sequence", (3, 2))
    found = windows(data)
    # 20 times: 4 for the test (from 16), of the other 16 two for the validation (from 14).
    past = [[float(n), 10.0 * n] for n in range(20)]
    assert found["train"] == [(past[n : n + 3], [n + 3, n + 4]) for n in range(10)]
    assert found["val"] == [(past[11:14], [14, 15])]
    assert found["test"] == [(past[n : n + 3], [n + 3, n + 4]) for n in (13, 14, 15)]
    assert data.notes == (
        "split by time: 10 windows to train on, 1 windows to validate on, from line 16, 3 windows "
        "to test on, from line 18; 2 that forecast across a border left out",
    )
    # The rows are those of the first number to forecast.
    assert tensors(data.test).rows.tolist() == [16, 17, 18]


def test_only_rows_of_training_windows_are_fitted(tmp_path: Path) -> None:
    data = load(section(tmp_path, counting(20), "a,b", horizon=2))
    channel = data.preprocessing["inputs"]["channels"]["a"]
    assert channel["mean"] == pytest.approx(sum(range(14)) / 14)


def test_series_are_told_apart_and_sorted_by_time(tmp_path: Path) -> None:
    rows = [f"{name},{n},{n + shift}" for n in range(20) for name, shift in (("x", 0), ("y", 100))]
    mixed = rows[::-1][:17] + rows[: len(rows) - 17]
    settings = {"series": "id", "time": "t", "stride": 2}
    data = load(section(tmp_path, mixed, "id,t,a", **settings))
    assert windows(data)["train"] == [
        ([[float(n + shift + step)] for step in range(3)], [n + 3 + shift])
        for shift in (100, 0)
        for n in range(0, 11, 2)
    ]
    wanted = [target for _, [target] in windows(data)["test"]]
    assert wanted == [117, 119, 17, 19]
    assert data.info.target_names == ()


def test_the_borders_are_times_in_all_series(tmp_path: Path) -> None:
    late = [f"late,{n},{n}" for n in range(15, 40)]
    rows = [f"early,{n},{n}" for n in range(25)] + late
    found = windows(load(section(tmp_path, rows, "id,t,a", series="id", time="t")))
    targets = {name: [target for _, [target] in part] for name, part in found.items()}
    assert max(targets["train"]) < min(targets["val"])
    assert max(targets["val"]) < min(targets["test"]) == 32


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(30, 40), min_size=1, max_size=3),
    window=st.integers(1, 4),
    horizon=st.integers(1, 3),
    stride=st.integers(1, 2),
)
def test_no_split_forecasts_what_an_earlier_one_knows(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    window: int,
    horizon: int,
    stride: int,
) -> None:
    rows = [f"s{series},{n},{n * 7}" for series, size in enumerate(sizes) for n in range(size)]
    own = section(
        *(tmp_path_factory.mktemp("any"), rows, "id,t,a"),
        series="id",
        time="t",
        window=window,
        horizon=horizon,
        stride=stride,
        test_fraction=0.3,
        val_fraction=0.3,
    )
    found = windows(load(own))
    ends = [[target for _, targets in found[name] for target in targets] for name in found]
    assert max(ends[0]) < min(ends[1])
    assert max(ends[1]) < min(ends[2])
    for part in found.values():
        for inputs, targets in part:
            steps = [step[0] for step in inputs] + targets
            assert steps == [steps[0] + 7 * n for n in range(window + horizon)]


def test_dates_order_the_rows(tmp_path: Path) -> None:
    rows = [f"{n % 28 + 1:02}/{n // 28 + 1:02}/2025,{n}" for n in range(60)]
    data = load(section(tmp_path, rows[::-1], "t,a", time="t"))
    assert data.preprocessing["inputs"]["order"] == "day_first"
    assert windows(data)["train"][0] == ([[0.0], [1.0], [2.0]], [3.0])
    # From the 28th of January to the first of February; that of February was the last.
    assert "t: 1 gap wider than the usual step" in data.notes[0]
    resumed = load(
        section(tmp_path, rows[::-1], "t,a", time="t"), data.preprocessing, record=data.split_record
    )
    assert torch.equal(tensors(resumed.test).inputs, tensors(data.test).inputs)
    with pytest.raises(CheckpointUnusable, match="window: 3 in the checkpoint, 4 in "):
        load(
            section(tmp_path, rows, "t,a", time="t", window=4),
            data.preprocessing,
            record=data.split_record,
        )


def test_several_numbers_are_forecast(tmp_path: Path) -> None:
    rows = [f"{n},{n * n},{-n}" for n in range(40)]
    data = load(section(tmp_path, rows, "b,a,c", target=["c", "a"], horizon=2))
    assert data.info.target_names == ("c+1", "c+2", "a+1", "a+2")
    assert [*data.preprocessing["inputs"]["channels"]] == ["c", "a", "b"]
    assert windows(data)["train"][0] == (
        [[0.0, 0.0, 0.0], [-1.0, 1.0, 1.0], [-2.0, 4.0, 2.0]],
        [-3.0, -4.0, 9.0, 16.0],
    )


def test_missing_values_are_refused_left_out_or_filled(tmp_path: Path) -> None:
    rows = [f"{n},{'' if n in (5, 30) else n}" for n in range(40)]
    settings = {"target": "b", "horizon": 2, "drop": ["a"]}
    assert "series.csv:7: column 'b' has no value (and 1 more rows" in refusal(
        tmp_path, rows, "a,b", **settings
    )
    dropped = load(section(tmp_path, rows, "a,b", missing="drop", **settings))
    assert "10 windows with missing values left out" in dropped.notes
    assert not any(5 in wanted for _, wanted in windows(dropped)["train"])
    filled = load(section(tmp_path, rows, "a,b", missing="mean", **settings))
    assert "4 windows with missing values left out" in filled.notes
    assert "b: 2 missing values filled with the training mean" in filled.notes
    (inputs, wanted) = windows(filled)["train"][1]
    mean = filled.preprocessing["inputs"]["channels"]["b"]["mean"]
    assert (inputs, wanted) == ([[3.0], [4.0], [pytest.approx(mean, abs=1e-3)]], [6.0, 7.0])


@pytest.mark.parametrize(
    ("header", "settings", "text"),
    [
        ("t,x", {}, "dataset.target: no column 'a'"),
        ("a,b", {"series": "s"}, "dataset.series: no column 's'"),
        ("a,b", {"time": "a"}, "dataset.target: 'a' is named twice"),
        ("a,b", {"drop": ["a"]}, "dataset.drop: 'a' is dataset.target"),
        ("a,b", {"horizon": 9}, "within the 5 times of the test split; lower dataset.horizon"),
        ("a,b", {"window": 30}, "no series has 30 rows and 1 more to forecast"),
        ("a,b", {"window": 23}, "within the 3 times of the val split"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, header: str, settings: dict[str, Any], text: str
) -> None:
    assert text in refusal(tmp_path, counting(25), header, **settings)


def test_rows_that_cannot_be_placed_are_refused_by_line(tmp_path: Path) -> None:
    twice = [f"{n % 15},{n}" for n in range(30)]
    assert refusal(tmp_path, twice, "t,a", time="t") == (
        "series.csv:17: the t of this row occurs already, in line 2; name the column that tells "
        "series apart in dataset.series"
    )
    text = ["1,2", "2,x", *(f"{n},{n}" for n in range(3, 9))]
    assert "'x', but what is forecast" in refusal(tmp_path, ["1,x", "2,y"], "t,a")
    assert "series.csv:3: column 'a' has 'x' among numbers" in refusal(
        tmp_path, [*text, *counting(20)], "t,a"
    )
    gap = [f"{'' if n == 4 else n},{n}" for n in range(30)]
    assert "series.csv:6: column 't' is empty" in refusal(tmp_path, gap, "t,a", time="t")
    assert "series.csv:6: column 't' is empty" in refusal(tmp_path, gap, "t,a", series="t")
    own = section(tmp_path, counting(30), "a,b")
    with pytest.raises(ConfigError, match=r"problem\.type"):
        load(own, None, ClassificationSection(type="classification"))


def new_windows(tmp_path: Path, own: ForecastSection, content: str) -> Unseen:
    data = load(own)
    path = tmp_path / "new.csv"
    path.write_text(content)
    return read_unseen(own, data.preprocessing, str(path), data.info)


def test_a_forecast_follows_the_last_rows_of_each_series(tmp_path: Path) -> None:
    rows = [f"{name},{n},{n}" for n in range(20) for name in "xy"]
    own = section(tmp_path, rows, "id,t,a", series="id", time="t")
    content = "t,a,id\n9,1,x\n8,2,x\n3,5,y\n7,3,x\n6,9,x\n2,6,y\n1,7,y\n"
    unseen = new_windows(tmp_path, own, content)
    assert unseen.places == ("series x, after line 2", "series y, after line 4")
    channel = load(own).preprocessing["inputs"]["channels"]["a"]
    values = unseen.inputs[..., 0] * channel["std"] + channel["mean"]
    torch.testing.assert_close(values, torch.tensor([[3.0, 2, 1], [7, 6, 5]]))
    # Without the columns of ids and times it is one series in the order of the file.
    assert new_windows(tmp_path, own, "a\n1\n2\n3\n4\n").places == ("after line 5",)
    with pytest.raises(BadInput, match=r"series y has 1 row, and a forecast needs the last 3"):
        new_windows(tmp_path, own, "t,a,id\n1,1,x\n2,2,x\n3,3,x\n1,1,y\n")
    with pytest.raises(BadInput, match=r"new\.csv:4: column 'a' has no value"):
        new_windows(tmp_path, own, 'a\n1\n2\n""\n4\n')
    assert new_windows(tmp_path, own, 'a\n""\n2\n3\n4\n').places
    with pytest.raises(BadInput, match="no column 'a'"):
        new_windows(tmp_path, own, "b\n1\n")


def test_the_last_value_is_a_baseline(tmp_path: Path) -> None:
    rows = [f"{n % 5},{n}" for n in range(60)]
    data = load(section(tmp_path, rows, "b,a", horizon=2))
    found = compute(baselines_of(data, data.test))
    assert [*found] == ["last_value", "mean", "linear_regression"]
    # Each step ahead is one more than the last value: by 1 and by 2.
    assert found["last_value"]["mae"] == pytest.approx(1.5, abs=1e-3)
    assert found["linear_regression"]["mae"] == pytest.approx(0, abs=1e-2)
    one = load(section(tmp_path, rows, "b,a", horizon=1))
    assert compute(baselines_of(one, one.test))["last_value"]["mae"] == pytest.approx(1, abs=1e-3)


_CELLS = st.sampled_from(
    ["", "0", "1", "2.5", "1e308", "inf", "u", "2025-04-03", "03/04/2025", "NA"]
)


@settings(max_examples=60)
@given(
    changed=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 2), _CELLS), max_size=3),
    own=st.fixed_dictionaries(
        {
            "series": st.sampled_from([None, "s"]),
            "time": st.sampled_from([None, "t"]),
            "missing": st.sampled_from(["error", "drop", "mean"]),
            "window": st.integers(1, 2),
        }
    ),
)
def test_fault_38_any_table_is_forecast_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory,
    changed: list[tuple[int, int, str]],
    own: dict[str, Any],
) -> None:
    rows = [["xy"[n % 2], str(n // 2), str(n * n % 11)] for n in range(60)]
    for row, column, cell in changed:
        rows[row][column] = cell
    lines = [",".join(row) for row in rows]
    drop = [name for name, key in (("s", "series"), ("t", "time")) if own[key] is None]
    message, numbers = "", torch.zeros(1)
    try:
        data = load(section(tmp_path_factory.mktemp("any"), lines, "s,t,a", drop=drop, **own))
        numbers = torch.cat([tensors(split).inputs for split in (data.train, data.test)])
    except BadInput as refused:
        message = str(refused)
    assert "\n" not in message
    assert torch.isfinite(numbers).all()


@pytest.mark.parametrize(
    ("val", "test", "sizes"),
    [(0.0, 0.2, (13, 0, 4)), (0.15, 0.0, (14, 3, 0)), (0.0, 0.0, (17, 0, 0))],
)
def test_there_may_be_no_validation_and_no_test(
    tmp_path: Path, val: float, test: float, sizes: tuple[int, int, int]
) -> None:
    asked = section(tmp_path, counting(20), "a,b", val_fraction=val, test_fraction=test)
    data = load(asked)
    assert (len(data.train), len(data.val), len(data.test)) == sizes
    again = load(asked, data.preprocessing, record=data.split_record)
    assert (len(again.train), len(again.val), len(again.test)) == sizes


def test_windows_across_a_border_are_no_new_rows(tmp_path: Path) -> None:
    asked = section(tmp_path, counting(40), "a,b", horizon=3)
    data = load(asked)
    assert "that forecast across a border left out" in data.notes[-1]
    again = load(asked, data.preprocessing, record=data.split_record)
    assert again.changes is not None
    assert (again.changes.gone, again.changes.new) == (0, 0)
    assert torch.equal(tensors(again.test).inputs, tensors(data.test).inputs)
