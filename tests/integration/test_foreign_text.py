"""The whole app in a terminal, on runs in which every text is hostile: none of it gets there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.test_foreign_runs import BAD, EVENTS, append, hostile, hostile_lines, make_run
from tests.integration.terminals import TerminalProcess, opened
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import RunEnded, StepsTaken, ValidationEnded, to_dict

pytestmark = pytest.mark.processes

SIGNS = {
    "the clipboard": "\x1b]52",
    "a link": "\x1b]8",
    "a colour before bidi": "\x1b[31m\u202e",
    "bidi": "\u202e",
    "C1": "\x9b",
    "a bell": "\x07",
    "NEL": "\x85",
    "a line separator": "\u2028",
}
SIZE = (150, 45)
POINTER = re.compile(r"\x1b]22;[a-z-]*\x07")
"""The sequence with which Textual itself sets the shape of the pointer."""
F2 = "\x1bOQ"


def make_hostile(folder: Path, name: str, **changes: object) -> RunDirectory:
    """A run in whose status, events and metrics every text and name steers the terminal."""
    run = make_run(folder / "runs", name)
    status = json.loads(run.status.read_text())
    metrics = {BAD: 1.0, "loss": 0.5, f"accuracy{BAD}": 0.5}
    texts = {key: value + BAD for key, value in status.items() if isinstance(value, str)}
    told = {"validation": metrics, "best": metrics, "test": metrics}
    run.status.write_text(
        json.dumps({**status, **texts, **told, "state": status["state"], **changes})
    )
    append(
        run,
        *(
            line
            for event in EVENTS
            if not isinstance(event, StepsTaken)
            for line in hostile_lines(event)
        ),
    )
    with run.metrics.open("w") as file:
        for step in range(1, 301):
            line = {"step": step, "epoch": 1, "elapsed_s": step / 10, "train/loss": 1 / step}
            file.write(json.dumps({**line, f"val/{BAD}": 0.5}) + "\n")
    return run


def assert_nothing_came_through(terminal: TerminalProcess) -> None:
    text = POINTER.sub("", terminal.received.decode("utf-8", "replace"))
    assert [name for name, sign in SIGNS.items() if sign in text] == []
    assert terminal.screen.unknown == []


def test_fault_55_a_run_that_is_watched_steers_no_terminal(tmp_path: Path) -> None:
    run = make_hostile(tmp_path, "odd", state="running", host="elsewhere")
    live = [event for event in EVENTS if not isinstance(event, RunEnded | StepsTaken)]
    validated = ValidationEnded(46, 2, 1.0, {BAD: 1.0, "loss": 0.5}, 1.0, False, 0)
    run.events.unlink()
    append(run, *map(to_dict, live))
    append(run, *(line for event in live for line in hostile_lines(event)), to_dict(validated))
    with opened(
        tmp_path, "attach", "odd", "--runs-dir", str(run.path.parent), size=SIZE
    ) as terminal:
        terminal.until_text("epoch 2: val", "cHduZWQ=", "Quit")
        terminal.press("q")
        terminal.wait()
        assert_nothing_came_through(terminal)


def test_fault_55_runs_that_are_listed_and_compared_steer_no_terminal(tmp_path: Path) -> None:
    first = make_hostile(tmp_path, "one")
    shutil.copytree(first.path, first.path.with_name("two"))
    with opened(tmp_path, "compose", "--runs-dir", str(first.path.parent), size=SIZE) as terminal:
        terminal.until_text("digits-cnn", "Quit")
        terminal.press(F2)
        terminal.until_text("2 runs, 0 live")
        terminal.press(" ", " ")
        terminal.until_text("compare: 2 selected")
        terminal.press("escape", "enter")
        terminal.until_text("finished after")
        terminal.press("q", "q")
        assert_nothing_came_through(terminal)


def test_the_signs_are_found_in_what_is_not_cleaned() -> None:
    text = f"{hostile('x')}\x1b]8;;x\x1b\\"
    assert all(sign in text for sign in SIGNS.values())
