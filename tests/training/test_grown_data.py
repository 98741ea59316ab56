"""Data that grow while a run is cut: it goes on with its own rows, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import RunStarted


def grow(data: Path) -> None:
    """Add rows, one of them a copy and one of a new class, and sort the file."""
    rows = data.read_text().splitlines()
    new = [",".join([*reversed(row.split(",")[:-1]), "new"]) for row in rows[:9]]
    data.write_text("\n".join(sorted([*rows, *new, rows[0]])) + "\n")


def without_fingerprint(content: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's content but for the sum of the file, which did change."""
    return {**content, "origin": {**content["origin"], "fingerprint": ""}}


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_run_whose_file_grew_equals_the_uncut_run(tmp_path: Path, step: int) -> None:
    data = write_images(tmp_path / "images.csv")
    uncut = Run.new(tmp_path / "uncut", small_experiment(data))
    uncut.start()
    run = Run.new(tmp_path / "run", small_experiment(data))
    assert run.start(at_step(step, Stop())).step == step
    grow(data)

    run.resume()

    assert run.lines() == uncut.lines()
    assert same(without_fingerprint(run.final()), without_fingerprint(uncut.final()))
    started = [event for event in run.events if isinstance(event, RunStarted)][-1]
    assert not any("not bitwise" in note for note in started.notes)
    grown = "10 pictures are new and left out: the data grew since the run began"
    assert grown in started.notes


def test_a_run_whose_rows_are_gone_goes_on_when_it_is_told_to_and_says_so(tmp_path: Path) -> None:
    data = write_images(tmp_path / "images.csv")
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start(at_step(5, Stop()))
    rows = data.read_text().splitlines()
    data.write_text("\n".join(rows[4:]) + "\n")

    assert run.resume().state == "finished"

    started = [event for event in run.events if isinstance(event, RunStarted)][-1]
    told = "not bitwise: the data changed: 4 of 72 pictures of the run are gone or changed"
    assert told in started.notes
