"""Checkpoints of every format that was ever released are read and gone on with.

A new format adds a folder under fixtures/; those that are there are never made again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training.harness import Run, small_experiment, write_images
from tui_trainer.runs.manifests import FORMAT

FIXTURES = Path(__file__).parent / "fixtures"


def test_there_is_a_fixture_of_every_format() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == {f"format-{n + 1}" for n in range(FORMAT)}


@pytest.mark.parametrize("folder", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_fault_08_a_checkpoint_of_an_older_format_is_gone_on_with(
    tmp_path: Path, folder: Path
) -> None:
    data = write_images(tmp_path / "images.csv")
    run = Run.new(tmp_path / "run", small_experiment(data))
    shutil.copytree(folder, run.directory.checkpoints, dirs_exist_ok=True)
    record = run.directory.checkpoints / "splits"
    if record.exists():
        # Since format 2 a run has it beside its checkpoints.
        record.rename(run.directory.splits)
    outcome = run.resume()
    assert (outcome.state, outcome.step) == ("finished", 12)
    assert [line["step"] for line in run.lines()] == list(range(7, 13))
