"""The `forecast` source: windows of past rows of time series, and the rows that follow each.

Layer: data. The splits follow each other in time: a window belongs to the split that all the rows
to forecast are in. Its past may reach back into the split before, as it does when a forecast is
made; a window whose rows to forecast are in two splits is left out. So every number that a test
window forecasts is later than all that training forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.sections.datasets import ForecastSection
from tui_trainer.data.base.augment import Noise
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.columns import NumberColumn
from tui_trainer.data.files.tables import open_table
from tui_trainer.data.sources.encoding import fit_column, standardise
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.series_rows import SeriesRows, read_series
from tui_trainer.data.sources.source import MOST_BYTES, Encoded, Target
from tui_trainer.data.splits.division import Division, rule_for
from tui_trainer.data.splits.position import val_count
from tui_trainer.data.splits.row_keys import joined, mixed, number_keys, text_key, text_keys
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted, size_text

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ForecastSource:
    """The windows of a file; implements `Source`."""

    kind: ClassVar[Kind] = "sequence"
    noun: ClassVar[str] = "window"

    section: ForecastSection
    series: SeriesRows
    starts: Ints
    """(N,) the place of each window's first row among the rows of `series`."""
    target: Target
    division: Division
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.series.name

    @property
    def sha256(self) -> str:
        return self.series.sha256

    @property
    def contents(self) -> str:
        series = len(self.series.firsts)
        parts = [counted(len(self.series.times), "row")]
        parts += [counted(series, "series", "series")] if series > 1 else []
        return ", ".join([*parts, counted(len(self.starts), self.noun)])

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    @property
    def rows(self) -> Ints:
        """(N,) the number of each window's first row to forecast among the rows of the file."""
        return self.series.rows[self.starts + self.section.window]

    @property
    def layout(self) -> dict[str, str]:
        section = self.section
        sizes = {"window": str(section.window), "horizon": str(section.horizon)}
        channels = {f"channel {name}": "number" for name in self.series.channels}
        return {"target": ", ".join(section.targets), **sizes, **channels}

    def fit(self, train: Ints) -> dict[str, Any]:
        """Fit the channels on the rows of the training windows, those to forecast included."""
        changes = np.zeros(len(self.series.times) + 1, dtype=np.int64)
        np.add.at(changes, self.starts[train], 1)
        np.add.at(changes, self.starts[train] + self.section.window + self.section.horizon, -1)
        is_known = changes.cumsum()[:-1] > 0
        channels = {
            name: fit_column(name, NumberColumn(values[is_known]), self.name)
            for name, values in self.series.channels.items()
        }
        return {"channels": channels, "order": self.series.order}

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        return encode_windows(self.series, self.starts, self.section.window, fitted["channels"])

    def augment(self, fitted: dict[str, Any]) -> Noise | None:
        return Noise(self.section.noise) if self.section.noise > 0 else None


def read_forecast(
    section: ForecastSection, wanted: str, older: Mapping[str, Any] | None = None
) -> ForecastSource:
    """Read the file of a section; numbers are what can be forecast, whatever problem is `wanted`.

    Raises:
        BadInput: names the line, column or setting that is wrong.
    """
    series = read_series(section, fitted=older["inputs"] if older else None)
    starts, notes = _starts(section, series)
    size = 4 * len(starts) * section.window * len(series.channels)
    if size > MOST_BYTES:
        raise BadInput(
            f"{series.name}: {len(starts):,} windows of {section.window:,} rows take "
            f"{size_text(size)}; set a larger dataset.stride"
        )
    test = val = left_out = np.zeros(len(starts), dtype=np.bool_)
    split_notes: list[str] = []
    if older is None:
        test, val, left_out, split_notes = _split(section, series, starts)
    return ForecastSource(
        section,
        series,
        starts,
        _target(section, series, starts),
        replace(_division(section, series, starts, older), test=test, val=val, left_out=left_out),
        (*series.notes, *notes, *split_notes),
    )


def read_forecast_to_measure(
    section: ForecastSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read all windows of another file.

    Raises:
        BadInput: something is wrong with the file; names the line, column or series.
    """
    fitted = preprocessing["inputs"]
    channels = tuple(fitted["channels"])
    series = read_series(section, path, fitted)
    starts, notes = _starts(section, series)
    target = _target(section, series, starts)
    division = _division(section, series, starts, None)
    used = {*channels, section.series, section.time, *section.drop}
    header = open_table(section, path, fitted["channels"]).header
    ignored = [name for name in header if name not in used]
    notes = [*series.notes, *notes]
    source = ForecastSource(section, series, starts, target, division, tuple(notes))
    return LabelledRows.of(source, preprocessing, ignored)


def _division(
    section: ForecastSection,
    series: SeriesRows,
    starts: Ints,
    older: Mapping[str, Any] | None,
) -> Division:
    """Return the division of the windows, each known by its series and the first time forecast."""
    members = np.repeat(np.arange(len(series.lengths)), series.lengths)
    ids = text_keys(series.ids or ("",))[members]
    times = joined(ids, number_keys(series.times))
    rows = np.zeros(len(series.times), dtype=np.uint64)
    for name, values in series.channels.items():
        rows += mixed(number_keys(values) + text_key(name))
    # The cells of a window: each with its place, so that their order counts.
    places = mixed(np.arange(1, section.window + 1, dtype=np.uint64))
    contents = np.zeros(len(starts), dtype=np.uint64)
    for place in range(section.window):
        contents += joined(rows[starts + place], np.full(len(starts), places[place]))
    return Division(rule_for(section, older), times[starts + section.window], mixed(contents))


def encode_windows(
    series: SeriesRows, starts: Ints, window: int, fitted: Mapping[str, Any]
) -> Encoded:
    """Return windows (N, window, C) of standardised numbers, zeros for gaps, and notes."""
    inputs = np.empty((len(starts), window, len(fitted)), dtype=np.float32)
    notes = []
    for channel, (name, settings) in enumerate(fitted.items()):
        values = series.channels[name]
        missing = np.isnan(values)
        scaled = standardise(values, settings["mean"], settings["std"])
        scaled[missing] = 0.0
        if not np.isfinite(scaled).all():
            raise BadInput(f"column '{clean(name, 80)}' has numbers of too large a range")
        inputs[:, :, channel] = sliding_window_view(scaled, window)[starts]
        if missing.any():
            gaps = counted(int(missing.sum()), "missing value")
            notes.append(f"{clean(name, 80)}: {gaps} filled with the training mean")
        if settings["constant"]:
            notes.append(f"{clean(name, 80)}: always the same in training; no information")
    return Encoded(torch.from_numpy(inputs), notes)


def last_values(dataset: Dataset, inputs: Tensor) -> Tensor:
    """Return the last value of each number to forecast, for each row ahead, as (N, outputs).

    It is standardised as the targets are. `inputs` (N, window, C) are windows of a forecast.
    """
    preprocessing, info = dataset.preprocessing, dataset.info
    horizon = int(preprocessing["layout"]["horizon"])
    channels = [*preprocessing["inputs"]["channels"].values()][: info.signature.outputs // horizon]
    means, stds = (
        inputs.new_tensor([settings[key] for settings in channels], dtype=torch.float64)
        for key in ("mean", "std")
    )
    last = inputs[:, -1, : len(channels)].double() * stds + means
    target_mean, target_std = (
        last.new_tensor(scale) for scale in (info.target_mean, info.target_std)
    )
    return (last.repeat_interleave(horizon, dim=1) - target_mean) / target_std


def read_new_windows(section: ForecastSection, fitted: Mapping[str, Any], path: str) -> Unseen:
    """Read the last window of each series of a file, at the place that its forecast follows.

    Raises:
        BadInput: something is wrong with the file; names the line, column or series.
    """
    channels, window = fitted["channels"], section.window
    series = read_series(section, path, fitted)
    places = []
    for series_id, first, length in zip(series.ids, series.firsts, series.lengths, strict=True):
        shown = f"series {clean(series_id, 80)}" if series_id else ""
        if length < window:
            raise BadInput(
                f"{series.name}: {shown or 'the file'} has {counted(int(length), 'row')}, and a "
                f"forecast needs the last {window}"
            )
        line = f"after line {series.lines[first + length - 1]}"
        places.append(f"{shown}, {line}" if shown else line)
    starts = series.firsts + series.lengths - window
    if section.missing != "mean":
        _refuse_gaps(series, starts, window, "mean when training")
    encoded = encode_windows(series, starts, window, channels)
    return Unseen(encoded.inputs, tuple(places), (*series.notes, *encoded.notes))


def _starts(section: ForecastSection, series: SeriesRows) -> tuple[Ints, list[str]]:
    """Return the first row of each window, and notes on those left out."""
    size = section.window + section.horizon
    if section.missing == "error":
        _refuse_gaps(series, series.firsts, series.lengths, "mean or dataset.missing=drop")
    starts = np.concatenate(
        [
            first + np.arange(0, max(0, length - size + 1), section.stride)
            for first, length in zip(series.firsts, series.lengths, strict=True)
        ]
    ).astype(np.int64)
    short = int((series.lengths < size).sum())
    notes = []
    if short:
        notes.append(f"{counted(short, 'series', 'series')} of fewer than {size} rows left out")
    gaps = np.any([np.isnan(values) for values in series.channels.values()], axis=0)
    if section.missing == "mean":
        # A missing value cannot be forecast, and a window that has one in its past can be used.
        wanted = [np.isnan(series.channels[name]) for name in section.targets]
        gaps, offset, width = np.any(wanted, axis=0), section.window, section.horizon
    else:
        offset, width = 0, size
    if gaps.any() and len(starts):
        is_gappy = np.any(sliding_window_view(gaps, width)[starts + offset], axis=1)
        starts = starts[~is_gappy]
        count = counted(int(is_gappy.sum()), "window")
        notes += [f"{count} with missing values left out"] if is_gappy.any() else []
    if not len(starts):
        raise BadInput(
            f"{series.name}: no series has {section.window} rows and {section.horizon} more to "
            "forecast; lower dataset.window or dataset.horizon"
        )
    return starts, notes


def _split(
    section: ForecastSection, series: SeriesRows, starts: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_], list[str]]:
    """Return which windows are for the test, for validation and in no split, and notes.

    The last times are the test, those before them the validation.
    """
    times = np.unique(series.times)
    tests = math.ceil(len(times) * section.test_fraction - 1e-9)
    vals = val_count(len(times) - tests, section.val_fraction)
    # Of a share of 0 no time is late enough.
    borders = np.append(times, np.inf)
    test_from, val_from = (borders[max(0, len(times) - held)] for held in (tests, tests + vals))
    first = series.times[starts + section.window]
    last = series.times[starts + section.window + section.horizon - 1]
    is_test, is_val = first >= test_from, (first >= val_from) & (last < test_from)
    is_train = last < val_from
    is_across = ~(is_test | is_val | is_train)
    for key, part, count in (("test", is_test, tests), ("val", is_val, vals)):
        if count and not part.any():
            raise BadInput(
                f"{series.name}: no window forecasts {counted(section.horizon, 'row')} within the "
                f"{counted(count, 'time')} of the {key} split; lower dataset.horizon, "
                f"dataset.window or dataset.stride, or raise dataset.{key}_fraction"
            )
    if not is_train.any():
        raise BadInput(
            f"{series.name}: no window is early enough for the training split; lower "
            "dataset.window or dataset.horizon"
        )
    notes = [f"{int(is_train.sum()):,} windows to train on"]
    for part, where in ((is_val, "to validate on"), (is_test, "to test on")):
        if part.any():
            line = _first_line(section, series, starts[part])
            notes.append(f"{int(part.sum()):,} windows {where}, from line {line}")
    text = "split by time: " + ", ".join(notes)
    if is_across.any():
        text += f"; {int(is_across.sum()):,} that forecast across a border left out"
    return is_test, is_val, is_across, [text]


def _first_line(section: ForecastSection, series: SeriesRows, starts: Ints) -> int:
    """Return the line of the earliest row that windows forecast."""
    wanted = starts + section.window
    return int(series.lines[wanted[int(series.times[wanted].argmin())]])


def _target(section: ForecastSection, series: SeriesRows, starts: Ints) -> Target:
    """Return the numbers to forecast: for each target its `horizon` next values."""
    horizon, wanted = section.horizon, starts + section.window
    values = np.concatenate(
        [sliding_window_view(series.channels[name], horizon)[wanted] for name in section.targets],
        axis=1,
    )
    names = tuple(f"{name}+{step + 1}" for name in section.targets for step in range(horizon))
    return Target((), values, names) if len(names) > 1 else Target((), values[:, 0])


def _refuse_gaps(series: SeriesRows, starts: Ints, lengths: Ints | int, ways: str) -> None:
    """Raise BadInput for the first missing value in some stretches of rows."""
    inside = np.zeros(len(series.times), dtype=np.bool_)
    for start, length in zip(starts, np.broadcast_to(lengths, starts.shape), strict=True):
        inside[start : start + length] = True
    for name, values in series.channels.items():
        gaps = np.isnan(values) & inside
        if gaps.any():
            others = int(gaps.sum()) - 1
            more = f" (and {others} more rows have none)" if others else ""
            raise BadInput(
                f"{series.name}:{series.lines[gaps].min()}: column '{clean(name, 80)}' has no "
                f"value{more}; set dataset.missing={ways}"
            )
