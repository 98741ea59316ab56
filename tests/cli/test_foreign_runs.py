"""A run whose files somebody else wrote: one line in a list, no error, nothing for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.runs.views import a_view
from tests.ui.runs import an_ending, some_events
from tui_trainer.cli.main import main
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import (
    CommandAccepted,
    CommandApplied,
    Event,
    NonFinite,
    SaveFailed,
    StepsTaken,
    name_of,
    to_dict,
)
from tui_trainer.runs.filters import parse_filter, select
from tui_trainer.runs.index import ORDERS, list_runs, sort_runs
from tui_trainer.runs.status import write_status
from tui_trainer.runs.view import RunView
from tui_trainer.text.format import duration

HUGE = 10**400
NESTED = json.loads("[" * 300 + "]" * 300)
VALUES: tuple[object, ...] = (
    *(HUGE, -HUGE, 2**62, -1, math.nan, math.inf, 1e308, None, True, "", [], {}, NESTED),
    *({"a": NESTED}, "a" * 100_000, "x", {"loss": HUGE}, {"loss": 1e308}, [HUGE]),
)
FILTERS = ("loss<1", "accuracy>0", "step>3", "progress<2", "pid=3", "elapsed_s>1", "device~c")
Call = Callable[..., str]


def make_run(folder: Path, name: str, steps: int = 300) -> RunDirectory:
    run = RunDirectory(folder / name)
    make_skeleton(run)
    experiment = PresetLibrary([builtin_dir()]).experiment("digits-cnn")
    run.config.write_text(to_yaml(experiment.to_dict()))
    best = {"loss": 0.5, "accuracy": 0.9}
    status = a_view(
        *(name, "finished"), step=300, epoch=14, pid=4711, host="here", total_steps=460, best=best
    )
    write_status(run.status, status)
    append(run, *map(to_dict, [*some_events(steps, name), an_ending(run_dir=str(run.path))]))
    return run


def append(run: RunDirectory, *records: dict[str, Any]) -> None:
    with run.events.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """A command that must succeed, and what it prints."""
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path))

    def run(*words: str, code: int = 0) -> str:
        ended = main(list(words))
        out, err = capsys.readouterr()
        assert "this is a bug" not in err
        assert ended == code, (words, err)
        return out

    return run


@pytest.mark.parametrize("key", RunView().to_dict())
def test_fault_56_a_status_with_any_value_is_one_line_of_every_list(
    tmp_path: Path, call: Call, key: str
) -> None:
    good = make_run(tmp_path, "good")
    right = json.loads(good.status.read_text())
    names = ["good"]
    for number, value in enumerate(VALUES):
        odd = RunDirectory(tmp_path / f"odd-{number}")
        make_skeleton(odd)
        # A whole configuration takes longer to read than all else here.
        odd.config.write_text("model:\n  type: mlp\n")
        odd.status.write_text(json.dumps({**right, key: value}))
        names.append(odd.path.name)
    _, *lines = call("runs").splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(names)
    assert max(map(len, lines)) < 250
    assert {run["name"] for run in json.loads(call("runs", "--json"))} == set(names)
    listed = list_runs(tmp_path)
    for order in ORDERS:
        assert sorted(run.name for run in sort_runs(listed, order)) == sorted(names)
    for condition in FILTERS:
        selected = select(listed, parse_filter(condition), lambda run: {})
        assert {run.name for run in selected} <= set(names)


def test_fault_56_an_unreadable_run_says_so_in_the_list(tmp_path: Path, call: Call) -> None:
    odd = make_run(tmp_path, "odd")
    odd.status.write_text(json.dumps({"name": "odd", "state": "running", "step": HUGE}))
    assert call("runs").splitlines()[1].split() == ["odd", "unreadable"]
    assert json.loads(call("runs", "--json"))[0]["state"] == "unreadable"


def events_of_each_kind(run: RunDirectory) -> list[Event]:
    by_kind = {name_of(event): event for event in [*some_events(300, "odd"), an_ending()]}
    return [event for event in by_kind.values() if not isinstance(event, StepsTaken)]


def test_fault_56_lines_with_any_value_are_passed_over_or_told(tmp_path: Path, call: Call) -> None:
    odd = make_run(tmp_path, "odd")
    before = len(call("logs", "odd").splitlines())
    for event in events_of_each_kind(odd):
        record = to_dict(event)
        append(odd, *({**record, key: value} for key in record for value in VALUES))
    append(odd, to_dict(an_ending(run_dir=str(odd.path))))
    lines = call("logs", "odd").splitlines()
    assert len(lines) > before
    assert max(map(len, lines)) < 3000
    for how in ("--no-ui", "--log-format=json"):
        lines = call("attach", "odd", how).splitlines()
        assert lines
        assert not any("reading the run" in line for line in lines)
    assert json.loads(lines[-1])["event"] == "run_ended"


@pytest.mark.parametrize(
    "change",
    [
        {"elapsed_s": HUGE},
        {"step": HUGE, "total_steps": 1},
        {"usage": NESTED},
        {"best": {"a": HUGE}},
    ],
    ids=lambda change: f"{change!r:.20}",
)
def test_fault_56_a_run_without_a_readable_status_is_watched_by_its_events(
    tmp_path: Path, call: Call, change: dict[str, object]
) -> None:
    odd = make_run(tmp_path, "odd")
    right = json.loads(odd.status.read_text())
    odd.status.write_text(json.dumps({**right, **change}))
    assert "finished after 9.2 s: all 20 epochs are done" in call("attach", "odd", "--no-ui")
    call("ctl", "odd", "save", code=2)


def test_fault_56_an_end_without_a_time_has_a_dash(tmp_path: Path, call: Call) -> None:
    odd = make_run(tmp_path, "odd")
    append(odd, {**to_dict(an_ending()), "elapsed_s": None})
    assert "finished after -: all 20 epochs are done" in call("logs", "odd")
    assert "finished after -: all 20 epochs are done" in call("attach", "odd", "--no-ui")


CLIP = "\x1b]52;c;cHduZWQ=\x1b\\"
BAD = f"{CLIP}\x1b[31m\u202e\x9b\x07\x85\u2028"
"""Puts something into the clipboard, colours, turns the direction, rings."""


def hostile(value: object) -> object:
    """The same with every text in it, names of a mapping included, made hostile."""
    if isinstance(value, str):
        return BAD
    if isinstance(value, dict):
        return {BAD + key: hostile(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(item) for item in value]
    return value


def hostile_lines(event: Event) -> list[dict[str, object]]:
    """The line of an event with one field made hostile in each."""
    record = to_dict(event)
    best = record.get("best")
    lines = [{**record, key: hostile(record[key])} for key in record if key != "event"]
    if isinstance(best, dict):
        lines.append({**record, "best": {**best, "metric": BAD}})
    return [*lines, {**record, "event": BAD}]


def is_harmless(text: str) -> bool:
    return all(line.replace("\t", "").isprintable() for line in text.split("\n"))


EVENTS: list[Event] = [
    *some_events(210, "odd"),
    an_ending(),
    SaveFailed(3, "the disk is full"),
    NonFinite(3, 1, "loss is nan", (1, 2)),
    CommandAccepted(3, "ab", "save", "ctl (a@b/1)"),
    CommandApplied(3, "ab", "save", "ctl (a@b/1)"),
    CommandApplied(3, "ab", "set", "ctl (a@b/1)", "no such key"),
]


@pytest.mark.parametrize("kind", sorted({name_of(event) for event in EVENTS} - {"steps_taken"}))
def test_fault_55_no_field_of_an_event_steers_the_terminal(
    tmp_path: Path, call: Call, kind: str
) -> None:
    odd = make_run(tmp_path, "odd")
    for event in EVENTS:
        if name_of(event) == kind:
            append(odd, *hostile_lines(event))
    append(odd, to_dict(an_ending(run_dir=str(odd.path))))
    for words in (
        ["logs", "odd"],
        ["attach", "odd", "--no-ui"],
        ["attach", "odd", "--log-format=json"],
    ):
        assert is_harmless(call(*words))


def test_fault_55_no_field_of_a_status_steers_the_terminal(tmp_path: Path, call: Call) -> None:
    right = json.loads(make_run(tmp_path, "good").status.read_text())
    for key in right:
        odd = make_run(tmp_path, f"odd-{key}", steps=30)
        odd.status.write_text(json.dumps({**right, key: hostile(right[key] or {"loss": 0.5})}))
        for words in (["attach", odd.path.name, "--no-ui"], ["logs", odd.path.name]):
            assert is_harmless(call(*words))
    for words in (["runs"], ["runs", "--json"], ["runs", "--sort", "device"]):
        assert is_harmless(call(*words))


def test_fault_55_words_of_the_command_line_are_cleaned_as_well(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["logs", "x", f"--{BAD}"],
        ["logs", "x", "--lines", BAD],
        [BAD],
        ["runs", "--sort", BAD],
        ["runs", "--filter", f"{BAD}<1"],
        ["attach", BAD, "--debug"],
        ["presets", "show", BAD],
        ["train", BAD],
        ["train", "digits-cnn", f"optimizer.{BAD}=1", "--dry-run"],
    ):
        with suppress(SystemExit):
            main(words)
        out, err = capsys.readouterr()
        assert out or err
        assert is_harmless(out + err)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e300, 2.0**34])
def test_what_is_no_duration_is_a_dash(seconds: float) -> None:
    assert duration(seconds) == "-"
    assert (duration(3.2), duration(245), duration(3723)) == ("3.2 s", "4:05", "1:02:03")
