"""Runs on pictures that are read while training: the values of the decoded form, broken files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, at_step, same, small_experiment
from tests.training.test_pictures import write
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.batches.read_rows import ReadSplit
from tui_trainer.data.files.cache_store import VARIABLE
from tui_trainer.data.load import load
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import Notice, RunEnded
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.training.checkpoints import read_checkpoint
from tui_trainer.training.evaluation import evaluate, evaluate_file

CPU = torch.device("cpu")
BATCH = 10
Break = Callable[[Path], None]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"))


def new_run(folder: Path, data: Path, workers: int = 0, **dataset: Any) -> Run:
    settings = {
        "type": "pictures",
        "path": str(data),
        "size": 8,
        "crop_padding": 1,
        "rotate_degrees": 5,
        "decode": "training",
        **dataset,
    }
    training = {"epochs": 3, "batch_size": BATCH}
    loader = {"num_workers": workers}
    experiment = small_experiment(data, dataset=settings, training=training, loader=loader)
    return Run.new(folder, experiment)


def contents(run: Run) -> dict[str, Any]:
    """The last checkpoint without what says how and of which files it was made."""
    final = run.final()
    inputs = {**final["preprocessing"]["inputs"]}
    inputs.pop("decode", None)
    return {
        **final,
        "preprocessing": {**final["preprocessing"], "inputs": inputs},
        "origin": {**final["origin"], "fingerprint": ""},
        "left_out": [row for row, _ in final["left_out"] or ()],
    }


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_the_values_are_those_of_the_decoded_form(workers: int, data: Path, tmp_path: Path) -> None:
    decoded = new_run(tmp_path / "decoded", data, decode="once")
    assert decoded.start().state == "finished"
    read = new_run(tmp_path / "read", data, workers)
    assert read.start(at_step(4, Stop())).state == "stopped"
    assert read.resume().state == "finished"
    assert read.lines() == decoded.lines()
    assert same(contents(read), contents(decoded))
    assert any("read while training" in note for note in read.task().dataset.notes)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_by_another(path: Path) -> None:
    other = path.with_name("005.png" if path.name != "005.png" else "006.png")
    path.write_bytes(other.read_bytes())


def break_after_start(data: Path, names: list[str], how: Break) -> Callable[[Any], list[Any]]:
    """Break files once the data were read, before the first batch is made."""
    waiting = [*names]

    def react(event: Any) -> list[Any]:
        while waiting:
            how(data / waiting.pop())
        return []

    return react


def started(run: Run, data: Path, names: list[str], how: Break, stop_at: int = 0) -> RunEnded:
    from tests.training.harness import both

    breaking = break_after_start(data, names, how)
    return run.start(both(breaking, at_step(stop_at, Stop())) if stop_at else breaking)


def left_out_in_each_checkpoint(run: Run) -> list[int]:
    folder = run.directory.checkpoints
    return [len(read_checkpoint(folder, one).data.left_out or []) for one in read_manifests(folder)]


@pytest.mark.processes
@pytest.mark.parametrize("how", [Path.unlink, truncate, replace_by_another])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_fails_leaves_its_batch_and_stays_out_of_the_run(
    workers: int, how: Break, tmp_path: Path
) -> None:
    names = [f"left/{number:03}.png" for number in range(4)]
    uncut_data, cut_data = write(tmp_path / "one"), write(tmp_path / "other")
    uncut = new_run(tmp_path / "uncut", uncut_data, workers)
    assert started(uncut, uncut_data, names, how).state == "finished"
    said = [event.text for event in uncut.events if isinstance(event, Notice)]
    news = [text for text in said if text.startswith("left out from now on")]
    # All of training and validation were read; those of the test at its end.
    assert sum(text.count(".png (") for text in news) == 4
    assert "4 of 80 pictures so far" in news[-1]
    assert left_out_in_each_checkpoint(uncut)[-1] > 0

    run = new_run(tmp_path / "run", cut_data, workers)
    assert started(run, cut_data, names, how, stop_at=4).state == "stopped"
    # What comes back stays out, too.
    assert run.resume().state == "finished"
    assert run.lines() == uncut.lines()
    weights = [contents(one)["model"] for one in (run, uncut)]
    assert same(*weights)


def test_a_file_that_is_whole_again_stays_out(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    names = [f"{side}/{number:03}.png" for side in ("left", "right") for number in range(3)]
    whole = {name: (data / name).read_bytes() for name in names}
    uncut = new_run(tmp_path / "uncut", data)
    assert started(uncut, data, names, Path.unlink).state == "finished"
    for name, content in whole.items():
        (data / name).write_bytes(content)

    run = new_run(tmp_path / "run", data)
    assert started(run, data, names, Path.unlink, stop_at=6).state == "stopped"
    for name, content in whole.items():
        (data / name).write_bytes(content)
    before = left_out_in_each_checkpoint(run)[-1]
    assert before > 0
    assert run.resume().state == "finished"
    assert run.lines() == uncut.lines()
    assert left_out_in_each_checkpoint(run)[-1] == before


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.processes)])
def test_with_error_the_run_ends_with_the_name_of_the_file_and_is_saved(
    workers: int, tmp_path: Path
) -> None:
    data = write(tmp_path / "data")
    run = new_run(tmp_path / "run", data, workers, broken="error")
    names = [f"left/{number:03}.png" for number in range(3)]
    outcome = started(run, data, names, truncate)
    assert outcome.state == "failed"
    assert "left/00" in outcome.reason
    assert "dataset.broken=skip leaves such files out" in outcome.reason
    assert read_manifests(run.directory.checkpoints)[-1].step == outcome.step


def test_files_that_all_fail_are_a_disk_that_is_gone_and_none_is_left_out(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    run = new_run(tmp_path / "run", data)
    outcome = started(run, data, [""], lambda folder: os.rename(folder, f"{folder}-away"))
    assert outcome.state == "failed"
    assert "none of the 10 files of a batch can be read" in outcome.reason
    assert "is their disk still there?" in outcome.reason
    assert left_out_in_each_checkpoint(run) == [0]
    os.rename(tmp_path / "data-away", data)
    assert run.resume().state == "finished"


def test_a_batch_without_any_file_is_passed_over(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    names = [f"left/{number:03}.png" for number in range(4)]
    run = new_run(tmp_path / "run", data)
    training = {"epochs": 2, "batch_size": 1, "grad_accumulation": 1, "eval_batch_size": 1}
    experiment = small_experiment(
        data, dataset=run.experiment.dataset.model_dump(), training=training
    )
    run = Run.new(tmp_path / "small", experiment)
    steps = run.task().steps_per_epoch
    outcome = started(run, data, names, Path.unlink)
    assert outcome.state == "finished"
    assert 2 * steps - 8 <= outcome.step < 2 * steps
    assert outcome.epoch == 2


def test_it_is_measured_and_compared_with_what_knows_no_inputs(data: Path, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run", data)
    outcome = run.start()
    found = evaluate(run.directory, run.experiment, CPU, "test", "last")
    assert [*found.baseline] == ["majority_class"]
    whole = evaluate_file(run.directory, run.experiment, CPU, str(data), "last")
    assert whole.file is not None
    assert whole.file.count == "80 pictures"
    assert outcome.state == "finished"


def test_a_run_goes_on_in_the_form_that_it_began_with(data: Path) -> None:
    values = {"type": "pictures", "path": str(data), "size": 8}
    asked, auto = (
        PicturesSection.model_validate({**values, "decode": decode})
        for decode in ("training", "auto")
    )
    began, other = load(asked), load(auto)
    assert began.left_out is not None
    assert other.left_out is None
    assert began.fingerprint == other.fingerprint
    again = load(auto, began.preprocessing, record=began.split_record)
    assert again.left_out is not None
    once = PicturesSection.model_validate({**values, "decode": "once"})
    assert load(once, began.preprocessing, record=began.split_record).left_out is None


def test_targets_are_those_of_the_files_that_are_still_there(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    values = {"type": "pictures", "path": str(data), "size": 8, "decode": "training"}
    section = PicturesSection.model_validate(values)
    began = load(section)
    for number in range(10):
        (data / "right" / f"{number:03}.png").unlink()
    again = load(section, began.preprocessing, record=began.split_record)
    splits = (again.train, again.val, again.test)
    targets = [split.targets for split in splits if isinstance(split, ReadSplit)]
    assert torch.bincount(torch.cat(targets)).tolist() == [40, 30]
