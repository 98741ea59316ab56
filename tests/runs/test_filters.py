"""The filter of the list of runs: conditions on states, numbers and settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.runs.views import a_view
from tui_trainer.runs.filters import parse_filter, select
from tui_trainer.runs.index import RunSummary
from tui_trainer.text.errors import BadInput

SETTINGS: dict[str, dict[str, Any]] = {
    "cnn-1": {"model.type": "cnn", "optimizer.lr": 0.001, "model.channels": [32, 64]},
    "cnn-2": {"model.type": "cnn", "optimizer.lr": 0.1, "training.max_steps": None},
    "mlp-1": {"model.type": "mlp", "optimizer.lr": 0.001, "loss.type": "focal"},
}


def a_run(name: str, state: str, accuracy: float, step: int) -> RunSummary:
    best = {"loss": 1 - accuracy, "accuracy": accuracy}
    test = {"accuracy": accuracy - 0.01} if state == "finished" else None
    status = a_view(name, state, step=step, total_steps=100, device="cpu", best=best, test=test)
    return RunSummary(name, Path(name), state, status)


RUNS = [
    a_run("cnn-1", "running", 0.9, 50),
    a_run("cnn-2", "lost?", 0.5, 10),
    a_run("mlp-1", "finished", 0.98, 100),
    RunSummary("torn", Path("torn"), "unreadable", None),
]


def kept(text: str) -> list[str]:
    def read(run: RunSummary) -> Mapping[str, Any]:
        return SETTINGS.get(run.name, {})

    return [run.name for run in select(RUNS, parse_filter(text), read)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["cnn-1", "cnn-2", "mlp-1", "torn"]),
        ("CNN", ["cnn-1", "cnn-2"]),
        ("lr<0.01", ["cnn-1", "mlp-1"]),
        ("lr < 0.01 model=cnn", ["cnn-1"]),
        ("optimizer.lr>=1e-1", ["cnn-2"]),
        ("model!=cnn", ["mlp-1"]),
        ("state=live", ["cnn-1", "cnn-2"]),
        ("state=lost", ["cnn-2"]),
        ("state!=ended", ["cnn-1", "cnn-2"]),
        ("accuracy>=90%", ["cnn-1", "mlp-1"]),
        ("test.accuracy>0.9", ["mlp-1"]),
        ("loss<0.2", ["cnn-1", "mlp-1"]),
        ("loss=focal", ["mlp-1"]),
        ("channels=32,64", ["cnn-1"]),
        ("channels~64", ["cnn-1"]),
        ("max_steps=null", ["cnn-2"]),
        ("progress>=50%", ["cnn-1", "mlp-1"]),
        ("step<20", ["cnn-2"]),
    ],
)
def test_what_fits_is_kept(text: str, names: list[str]) -> None:
    assert kept(text) == names


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lr<", "a value is missing, as in lr<0.01"),
        ("lr<abc", "'abc' is not a number"),
        ("state=runing", "did you mean 'running'"),
        ("lrr<1", "did you mean 'lr'"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint.replace("?", r"\?")):
        kept(text)


def test_settings_are_read_only_where_a_condition_asks_for_them() -> None:
    def read(run: RunSummary) -> Mapping[str, Any]:
        raise AssertionError(run.name)

    assert len(select(RUNS, parse_filter("state=live cnn step>20"), read)) == 1
