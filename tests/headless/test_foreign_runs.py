"""A run with odd values in its files: it is one line in a list, and no command fails for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.ui.runs import an_ending, some_events
from tui_trainer.cli import main
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.writing import to_yaml
from tui_trainer.headless.listing import ORDERS
from tui_trainer.headless.printer import duration
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Event, StepsTaken, name_of, to_dict
from tui_trainer.runs.status import Status, write_status

HUGE = 10**400
NESTED = json.loads("[" * 300 + "]" * 300)
VALUES: tuple[object, ...] = (
    *(HUGE, -HUGE, 2**62, -1, math.nan, math.inf, 1e308, None, True, "", [], {}, NESTED),
    *({"a": NESTED}, "a" * 100_000, "x", {"loss": HUGE}, {"loss": 1e308}, [HUGE]),
)
FILTERS = ("loss<1", "accuracy>0", "step>3", "progress<2", "pid=3", "elapsed_s>1", "device~c")
Call = Callable[..., str]


def make_run(folder: Path, name: str) -> RunDirectory:
    run = RunDirectory(folder / name)
    make_skeleton(run)
    experiment = PresetLibrary([builtin_dir()]).experiment("digits-cnn")
    run.config.write_text(to_yaml(experiment.to_dict()))
    best = {"loss": 0.5, "accuracy": 0.9}
    status = Status(name, "finished", 300, 14, 4711, "here", total_steps=460, best=best)
    write_status(run.status, status)
    append(run, *map(to_dict, [*some_events(300, name), an_ending(run_dir=str(run.path))]))
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


@pytest.mark.parametrize("key", asdict(Status("", "")))
def test_fault_56_a_status_with_any_value_is_one_line_of_every_list(
    tmp_path: Path, call: Call, key: str
) -> None:
    good = make_run(tmp_path, "good")
    right = json.loads(good.status.read_text())
    names = ["good"]
    for number, value in enumerate(VALUES):
        odd = RunDirectory(tmp_path / f"odd-{number}")
        make_skeleton(odd)
        odd.config.write_bytes(good.config.read_bytes())
        odd.status.write_text(json.dumps({**right, key: value}))
        names.append(odd.path.name)
    for words in ([], *(["--sort", order] for order in ORDERS)):
        _, *lines = call("runs", *words).splitlines()
        assert sorted(line.split()[0] for line in lines) == sorted(names)
        assert max(map(len, lines)) < 250
    assert {run["name"] for run in json.loads(call("runs", "--json"))} == set(names)
    for condition in FILTERS:
        call("runs", "--filter", condition)


def test_fault_56_an_unreadable_run_says_so_in_the_list(tmp_path: Path, call: Call) -> None:
    odd = make_run(tmp_path, "odd")
    odd.status.write_text(json.dumps({"name": "odd", "state": "running", "step": HUGE}))
    assert call("runs").splitlines()[1].split() == ["odd", "unreadable"]
    assert json.loads(call("runs", "--json"))[0]["state"] == "unreadable"


def events_of_each_kind(run: RunDirectory) -> list[Event]:
    found = {name_of(event): event for event in [*some_events(300, "odd"), an_ending()]}
    return [event for event in found.values() if not isinstance(event, StepsTaken)]


def test_fault_56_lines_with_any_value_are_passed_over_or_told(tmp_path: Path, call: Call) -> None:
    odd = make_run(tmp_path, "odd")
    told = len(call("logs", "odd").splitlines())
    for event in events_of_each_kind(odd):
        record = to_dict(event)
        append(odd, *({**record, key: value} for key in record for value in VALUES))
    append(odd, to_dict(an_ending(run_dir=str(odd.path))))
    lines = call("logs", "odd").splitlines()
    assert len(lines) > told
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


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e300, 2.0**34])
def test_what_is_no_duration_is_a_dash(seconds: float) -> None:
    assert duration(seconds) == "-"
    assert (duration(3.2), duration(245), duration(3723)) == ("3.2 s", "4:05", "1:02:03")
