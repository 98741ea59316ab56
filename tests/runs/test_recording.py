"""history.bin: as good as the lines it stands for, and quick however long the run."""

from __future__ import annotations

import json
import math
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Edited, NonFinite, RunStarted, ValidationEnded, to_dict
from tui_trainer.runs.history import History
from tui_trainer.runs.journal import encode
from tui_trainer.runs.recording import (
    MAGIC,
    Recording,
    open_recording,
    read_history,
    read_recording,
    whole_recording,
    write_recording,
)
from tui_trainer.runs.tail import offset_after, whole_lines

LONG = 1_000_000
PER_EPOCH = 1000


def metrics_line(step: int) -> dict[str, object]:
    return {
        "step": step,
        "epoch": 1 + step // PER_EPOCH,
        "elapsed_s": step / 100,
        "train/loss": 1 / step,
        "lr": 1e-3,
        "grad_norm": 0.5,
        "samples_per_s": 100.0,
    }


def started(step: int, generation: int) -> dict[str, object]:
    return to_dict(RunStarted(step, 0, "r", "cpu", 1, 1, PER_EPOCH, None, generation))


def validated(step: int, loss: float) -> dict[str, object]:
    return to_dict(ValidationEnded(step, 1, 1.0, {"loss": loss}, 0.1, True, 0))


def make_run(folder: Path, steps: int) -> RunDirectory:
    run = RunDirectory(folder)
    make_skeleton(run)
    run.metrics.write_bytes(encode([metrics_line(step) for step in range(1, steps + 1)]))
    epochs = range(PER_EPOCH, steps + 1, PER_EPOCH)
    validations = [validated(step, 1 / step) for step in epochs]
    run.events.write_bytes(encode([started(0, 1), *validations]))
    return run


def append(path: Path, *records: dict[str, object]) -> None:
    with path.open("ab") as file:
        file.write(encode(records))


def told(history: History) -> object:
    """All that can be drawn of a history."""
    curves = [
        history.curve(name, x=x, window=window, columns=200, smoothing=0.6)
        for name in history.names
        for x in ("step", "epoch", "time")
        for window in ("all", "recent")
    ]
    return history.names, curves, history.marks(x="time", window="all")


def test_what_is_read_back_draws_the_same_and_goes_on_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, 5000)
    before = whole_recording(run)
    write_recording(run, before)
    after = read_recording(run, 1)
    assert after is not None
    assert told(after.history) == told(before.history)
    append(run.metrics, *(metrics_line(step) for step in range(5001, 7001)))
    append(run.events, validated(6000, 0.1))
    for recording in (before, after):
        recording.take(recording.follower(run).read(), whole=True)
    assert told(after.history) == told(before.history) == told(open_recording(run, 1).history)
    assert after.history.newest == 7000


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "missing", "text", "later", "short"])
def test_a_file_that_is_not_good_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, 3000)
    expected = whole_recording(run)
    write_recording(run, expected)
    data = run.history.read_bytes()
    if damage == "missing":
        run.history.unlink()
    elif damage == "later":
        # Of a run that was here before, and had gone on longer.
        other = whole_recording(run)
        other.started = started(0, 9)
        write_recording(run, other)
    elif damage == "short":
        run.events.write_bytes(encode([started(0, 1)]))
        expected = whole_recording(run)
    else:
        flipped = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
        changed = {"cut": data[:-9], "flipped": flipped, "empty": b"", "text": b"hello\n"}
        run.history.write_bytes(changed[damage])
    assert read_recording(run, 1) is None
    assert told(open_recording(run, 1).history) == told(expected.history)


NESTED = b"[" * 200_000
HUGE = 10**400


def with_header(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with another header, and a sum that is right."""
    begin = len(MAGIC) + 8
    length = struct.unpack("<II", data[len(MAGIC) : begin])[1]
    header = json.loads(data[begin : begin + length])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
    body = text + data[begin + length :]
    return MAGIC + struct.pack("<II", zlib.crc32(body), len(text)) + body


def put(*keys: str | int, value: object) -> Callable[[dict[str, Any]], object]:
    """A change of a header: this value at that place."""

    def change(header: dict[str, Any]) -> None:
        place: Any = header
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


ODD: dict[tuple[str | int, ...], list[object]] = {
    ("times",): [[], None, [1], [1, -1], [1, HUGE], [1, 0]],
    ("times", 0): [0, -1, math.inf, HUGE, 2**62, "1", 1.5],
    ("series", 0, 0): [3, None, "a" * 100_000],
    ("series", 0, 1): [0, -4, math.inf, HUGE, "8", None],
    ("series", 0, 2): [-1, HUGE, 1.5, 10**9],
    ("marks", "best"): [[[-1, ""]], [[HUGE, ""]], [[1, 2]], 3],
    ("steps_per_epoch",): [0, -1, HUGE, math.inf, "3"],
    ("events_bytes",): [-1, HUGE, None],
    ("metrics_bytes",): [-1, HUGE, "0"],
    ("started",): [[], 3, {"step": "x"}, {"step": HUGE}],
}


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "nested": lambda header: NESTED,
    "a number": lambda header: b"3",
    **{
        f"{keys}={value!r:.40}": put(*keys, value=value)
        for keys, values in ODD.items()
        for value in values
    },
}


def test_fault_56_a_header_that_no_run_wrote_is_as_good_as_no_file(tmp_path: Path) -> None:
    run = make_run(tmp_path, 300)
    expected = whole_recording(run)
    drawn = told(expected.history)
    write_recording(run, expected)
    good = run.history.read_bytes()
    run.history.write_bytes(with_header(good, lambda header: None))
    assert read_recording(run, 1) is not None
    for name, change in CHANGES.items():
        run.history.write_bytes(with_header(good, change))
        assert read_recording(run, 1) is None, name
        opened = open_recording(run, 1)
        assert told(opened.history) == drawn, name
    append(run.metrics, *(metrics_line(step) for step in range(301, 501)))
    for recording in (opened, expected):
        recording.take(recording.follower(run).read(), whole=True)
    assert told(opened.history) == told(expected.history)


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [([0, 2, 2], [0.0, 1.0, 2.0]), ([0, 3, 2], [0.0, 1.0, 2.0]), ([0, 1, 2], [0.0, 2.0, 1.0])]
    + [([0, 1, 2], [0.0, bad, bad]) for bad in (math.nan, math.inf, 1e300, -1.0)],
)
def test_fault_56_times_that_do_not_grow_are_no_times(
    tmp_path: Path, steps: list[int], seconds: list[float]
) -> None:
    run = make_run(tmp_path, 3)
    recording = whole_recording(run)
    recording.history.parts().times._steps[:] = steps
    recording.history.parts().times._seconds[:] = seconds
    write_recording(run, recording)
    assert read_recording(run, 1) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 1), (0, -1), (1, -1), (2, math.nan), (3, math.inf), (4, -1.0), (5, -1), (6, 1)],
)
def test_fault_56_buckets_that_no_run_wrote_are_none(
    tmp_path: Path, column: int, value: float
) -> None:
    run = make_run(tmp_path, 3)
    recording = whole_recording(run)
    recording.history.parts().series["train/loss"].columns()[column][1] = value
    write_recording(run, recording)
    assert read_recording(run, 1) is None


def test_fault_56_lines_out_of_bounds_are_gaps_and_no_errors(tmp_path: Path) -> None:
    run = make_run(tmp_path, 3)
    bad = {"train/loss": HUGE, "lr": "x", "grad_norm": [1], "elapsed_s": 1e300, "val/loss": HUGE}
    append(run.metrics, {**metrics_line(4), **bad}, metrics_line(5))
    edited = to_dict(Edited(3, "a", 1, 2, "you"))
    append(
        run.events,
        {**started(0, 1), "steps_per_epoch": HUGE, "generation": HUGE},
        {**edited, "key": "a" * 10**6, "old": HUGE, "new": [[[[[[1]]]]]]},
        {**edited, "key": ["a"]},
        {**edited, "key": "a" * 10**4},
        {**to_dict(NonFinite(3, 1, "", ())), "what": [[[[[[1]]]]]]},
    )
    recording = whole_recording(run)
    assert recording.generation == 1
    curve = recording.history.curve("train/loss", x="time", window="all", columns=9, smoothing=0)
    assert (len(curve.xs), len(curve.gaps), curve.xs[-1]) == (4, 1, 0.05)
    marks = recording.history.marks(x="epoch", window="all")
    assert max(len(mark.text) for mark in marks) <= 200


def test_a_start_from_an_earlier_step_takes_back_what_the_file_has(tmp_path: Path) -> None:
    run = make_run(tmp_path, 5000)
    write_recording(run, whole_recording(run))
    lines = run.metrics.read_bytes().splitlines(keepends=True)[:4000]
    run.metrics.write_bytes(b"".join(lines))
    append(run.events, started(4000, 2), validated(4500, 7.0))
    append(run.metrics, *({**metrics_line(n), "train/loss": 9.0} for n in range(4001, 4501)))
    opened = open_recording(run, 2)
    assert opened.generation == 2
    assert told(opened.history) == told(whole_recording(run).history)
    curve = opened.history.curve("train/loss", x="step", window="all", columns=9999, smoothing=0)
    assert (curve.xs[-1], max(curve.means[-20:])) == (4500, 9.0)


def test_a_resume_reads_up_to_its_step_on_top_of_the_file(tmp_path: Path) -> None:
    run = make_run(tmp_path, 5000)
    write_recording(run, whole_recording(run))
    for step in (5000, 4500):
        history = read_history(run, step, read_recording(run))
        assert history.newest == step
        assert history.names == read_history(run, step).names


@pytest.mark.full
@pytest.mark.parametrize("many", [100_000, LONG])
def test_a_million_steps_open_as_fast_as_a_thousand(tmp_path: Path, many: int) -> None:
    def opening_s(steps: int) -> float:
        run = make_run(tmp_path / str(steps), steps)
        write_recording(run, whole_recording(run))
        append(run.metrics, metrics_line(steps + 1))
        times = []
        for _ in range(5):
            begin_s = time.process_time()
            assert open_recording(run, 1).history.newest == steps + 1
            times.append(time.process_time() - begin_s)
        return min(times)

    # A thousand buckets are there from a thousand steps on.
    short, long = opening_s(10_000), opening_s(many)
    assert long < 3 * short + 0.02, f"{short:.4f} s, {long:.4f} s"


def test_events_are_taken_once_and_in_order_however_they_arrive(tmp_path: Path) -> None:
    run = make_run(tmp_path, 0)
    recording = Recording()
    follower = recording.follower(run)
    append(run.metrics, {**metrics_line(10), "val/loss": 0.5})
    recording.take(follower.read())
    append(run.events, {**validated(5, 0.7), "on_demand": True}, validated(10, 0.5))
    recording.take(follower.read())
    recording.take(follower.read())
    val = recording.history.curve("val/loss", x="step", window="all", columns=9, smoothing=0)
    assert (list(val.xs), list(val.means)) == ([5, 10], [0.7, 0.5])


def test_torn_lines_wait_and_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    run = make_run(tmp_path, 3)
    recording = whole_recording(run)
    follower = recording.follower(run)
    whole = json.dumps(metrics_line(5)).encode()
    with run.metrics.open("ab") as file:
        file.write(encode([metrics_line(4)]) + b"\0\0 no line\n  \n" + whole[:20])
    assert [line["step"] for line in follower.read().lines] == [4]
    assert not follower.read()
    with run.metrics.open("ab") as file:
        file.write(whole[20:] + b"\n")
    assert [line["step"] for line in follower.read().lines] == [5]


def test_a_file_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    run = make_run(tmp_path, 100)
    follower = whole_recording(run).follower(run)
    run.metrics.write_bytes(encode([metrics_line(101)]))
    assert [line["step"] for line in follower.read().lines] == [101]
    run.metrics.unlink()
    run.events.unlink()
    assert not follower.read()


def test_the_place_of_a_step_is_found_by_halving(tmp_path: Path) -> None:
    run = make_run(tmp_path, 300)
    lines = run.metrics.read_bytes().splitlines(keepends=True)
    for step in (-1, 0, 1, 7, 150, 299, 300, 400):
        expected = sum(map(len, lines[: max(step, 0)]))
        assert offset_after(run.metrics, step) == expected
    assert offset_after(tmp_path / "nothing", 3) == 0


def test_of_a_long_stretch_some_lines_are_kept_and_the_last(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10_000)
    kept, end = whole_lines(run.metrics, 0, 100)
    assert 50 < len(kept) <= 101
    assert json.loads(kept[-1])["step"] == 10_000
    assert end == run.metrics.stat().st_size
