"""`attach --no-ui`: what is printed of a run that has a past."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runs.views import a_view
from tui_trainer.cli.attach import SHOWN_BEFORE, follow
from tui_trainer.cli.printers import JsonPrinter, LinePrinter
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Event, Notice, RunEnded, to_dict
from tui_trainer.runs.journal import encode
from tui_trainer.runs.status import write_status
from tui_trainer.sessions.run_reader import EVENT_TAIL_BYTES


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that ended after more events than a session reads at once."""
    run = RunDirectory(tmp_path / "night-1122-0300")
    make_skeleton(run)
    run.config.write_text("seed: 1\n")
    text = "x" * 200
    events: list[Event] = [Notice(step, f"{step} {text}") for step in range(2000)]
    events.append(RunEnded(2000, "finished", "2,000 steps are done", 1, str(run.path), 1.0, 0))
    data = encode([to_dict(event) for event in events])
    assert len(data) > EVENT_TAIL_BYTES
    run.events.write_bytes(data)
    write_status(run.status, a_view(state="finished"))
    return run


def test_json_has_every_event_of_the_run_in_its_order(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(run, JsonPrinter()) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines] == list(range(2001))
    assert lines[-1]["event"] == "run_ended"


def test_text_has_the_newest_events_and_where_the_others_are(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow(run, LinePrinter()) == 0
    left_out, *lines = capsys.readouterr().out.splitlines()
    assert left_out == f"... ({run.command('logs')} prints what came before)"
    # The end takes two lines: how it ended, and where the run is.
    assert len(lines) == SHOWN_BEFORE + 1
