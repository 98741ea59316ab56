"""A checkpoint with a right sum and contents that no run saves is refused, and is no defect."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, small_experiment, write_images
from tui_trainer.runs.files import Files
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import CheckpointUnusable, TrainerError
from tui_trainer.training.checkpoint_data import CheckpointData, Origin, Snapshot
from tui_trainer.training.checkpoints import (
    choose_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from tui_trainer.training.evaluation import evaluate
from tui_trainer.training.prediction import Predictor
from tui_trainer.training.progress import Progress

CPU = torch.device("cpu")
ODD: tuple[Any, ...] = (
    *(None, 3, -1, 10**400, 2**63, math.nan, "x", b"x", [], {}, {"x": 1}, {1: 2}),
    *([None], torch.zeros(2), {"x": torch.zeros(2)}, {"state": 3}, True),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("odd")
    lines = [f"{n % 7 if n % 9 else ''},{'uvw'[n % 3]},{'ab'[n % 2]}" for n in range(60)]
    (folder / "t.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
    section = {"type": "table", "path": str(folder / "t.csv"), "target": "y", "missing": "mean"}
    training = {"epochs": 1, "ema_decay": 0.9}
    run = Run.new(
        folder / "run",
        small_experiment(
            folder,
            dataset=section,
            model={"type": "mlp", "layers": [4]},
            training=training,
            checkpoint={"every_seconds": None, "keep_last": 1},
        ),
    )
    assert run.start().state == "finished"
    return run


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a checkpoint, but for those inside of the long lists of generators."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(content)
    place = made
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


def replace_content(run: Run, content: dict[str, Any]) -> None:
    """Publish other contents in the place of the checkpoint, with a sum that is right."""
    folder = run.directory.checkpoints
    for manifest in read_manifests(folder):
        remove_checkpoint(folder, manifest, Files())
    write_checkpoint(folder, odd_data(content), saved_at="", files=Files())


def odd_data(content: dict[str, Any], step: int = 3) -> CheckpointData:
    """Return the data of a checkpoint that is written as this content."""

    @dataclass(frozen=True, kw_only=True, eq=False)
    class Odd(CheckpointData):
        def to_dict(self) -> dict[str, Any]:
            return content

    return Odd(
        state=Snapshot(model={}, optimizer={}, rng={}),
        progress=Progress(step=step),
        preprocessing={},
        origin=Origin("cpu", "2", 1, 1, ""),
    )


def trials(run: Run) -> dict[str, Callable[[], object]]:
    def predict() -> object:
        checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "run")
        return Predictor(checkpoint, run.experiment, CPU)

    return {
        "evaluate": lambda: evaluate(run.directory, run.experiment, CPU, "test", "last"),
        "predict": predict,
        "resume": run.resume,
    }


def test_a_resume_that_is_refused_while_loading_discards_nothing(tmp_path: Path) -> None:
    data = write_images(tmp_path / "images.csv")
    run = Run.new(
        tmp_path / "run", small_experiment(data, checkpoint={"keep_last": 9, "every_steps": 3})
    )
    assert run.start().state == "finished"
    folder = run.directory.checkpoints
    first, *later = read_manifests(folder)
    assert later
    content = read_checkpoint(folder, first).data.to_dict()
    state = content["optimizer"]["state"]
    content["optimizer"]["state"] = {name: {"step": "x"} for name in state}
    remove_checkpoint(folder, first, Files())
    write_checkpoint(folder, odd_data(content, first.step), saved_at="", files=Files())
    before = sorted(path.name for path in folder.iterdir()), run.lines()
    with pytest.raises(CheckpointUnusable, match="optimizer"):
        run.resume(which=str(first.step))
    assert (sorted(path.name for path in folder.iterdir()), run.lines()) == before


@pytest.mark.full
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_fault_56_whatever_is_in_a_checkpoint_it_is_used_or_refused(saved: Run, every: int) -> None:
    folder = saved.directory.checkpoints
    content = read_checkpoint(folder, read_manifests(folder)[-1]).data.to_dict()
    defects = []
    changes = [
        (path, value)
        for path in places(content)
        for value in (KeyError, *(ODD if len(path) <= 2 else (None, 3, "x", [], {})))
    ]
    for path, value in changes[::every]:
        replace_content(saved, changed(content, path, value))
        for name, trial in trials(saved).items():
            try:
                trial()
            except TrainerError:
                continue
            except Exception as error:
                defects.append(f"{name}: {path} {value!r:.30}: {type(error).__name__}: {error}")
    replace_content(saved, content)
    assert not defects, "\n".join(defects)
