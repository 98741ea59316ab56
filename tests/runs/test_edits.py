"""Live edits as lines: what was written comes back, and what is no edit is refused."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.runs.edits import (
    Edit,
    from_record,
    in_force,
    read_edits,
    record_edit,
    rewrite_edits,
)
from tui_trainer.runs.journal import encode
from tui_trainer.text.errors import BadInput, CannotWrite


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    values: dict[str, Any] = {
        "dataset": {"type": "pixels", "path": "x.csv", "shape": [1, 4, 4], "max_value": 16},
        "model": {"type": "linear"},
        "optimizer": {"type": "sgd", "lr": 0.1},
        "schedule": {"type": "constant"},
        "training": {"epochs": 2},
        "loss": {"type": "cross_entropy"},
    }
    return resolve(Tree(values, {(): Place("test")}), "small")


def lr(new: float, step: int = 3) -> Edit:
    return Edit("ab", step, "optimizer.lr", 0.1, new, "you")


RECORD = asdict(lr(0.5))


def test_edits_are_read_as_they_were_recorded_in_the_order_of_their_steps(tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    assert read_edits(path) == []
    late, early, same_step = lr(0.5, 9), lr(0.25, 3), lr(0.125, 9)

    for edit in (late, early, same_step):
        record_edit(path, edit)

    assert read_edits(path) == [early, late, same_step]


def test_edits_are_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    record_edit(path, lr(0.5, 9))

    rewrite_edits(path, [lr(0.25, 3), lr(0.125, 4)])

    assert read_edits(path) == [lr(0.25, 3), lr(0.125, 4)]
    assert os.listdir(tmp_path) == ["edits.jsonl"]
    rewrite_edits(path, [])
    assert read_edits(path) == []


def test_fault_32_an_edit_that_cannot_be_recorded_is_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "edits.jsonl"

    with pytest.raises(CannotWrite, match=r"edits\.jsonl"):
        record_edit(path, lr(0.5))
    with pytest.raises(CannotWrite, match=r"edits\.jsonl"):
        rewrite_edits(path, [lr(0.5)])


def test_fault_14_a_torn_last_edit_was_never_in_force(tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    record_edit(path, lr(0.5))
    with path.open("ab") as file:
        file.write(encode([RECORD])[:-1])

    assert read_edits(path) == [lr(0.5)]
    record_edit(path, lr(0.25))
    assert read_edits(path) == [lr(0.5), lr(0.25)]


@pytest.mark.parametrize(
    "changes",
    [{"apply_at_step": "3"}, {"apply_at_step": None}, {"key": 3}, {"key": None}, {"more": 1}],
)
def test_a_record_with_a_wrong_field_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "edits.jsonl").write_bytes(encode([RECORD, {**RECORD, **changes}]))

    with pytest.raises(BadInput, match=r"edits\.jsonl"):
        read_edits(tmp_path / "edits.jsonl")


@pytest.mark.parametrize("key", RECORD)
def test_a_record_without_a_field_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match=r"edits\.jsonl"):
        from_record({name: value for name, value in RECORD.items() if name != key})


def test_edits_are_in_force_in_their_order(experiment: Experiment) -> None:
    assert in_force(experiment, []) == experiment
    assert in_force(experiment, [lr(0.5), lr(0.25)]).get("optimizer.lr") == 0.25
    assert in_force(experiment, [lr(0.25), lr(0.5)]).get("optimizer.lr") == 0.5
    assert experiment.get("optimizer.lr") == 0.1, "the configuration itself changed"


@pytest.mark.parametrize(
    ("key", "new"),
    [("optimizer.lr", -1.0), ("optimizer.lr", "fast"), ("optimizer.lrr", 0.1), ("model.type", "x")],
)
def test_an_edit_that_no_longer_fits_is_refused(
    experiment: Experiment, key: str, new: float | str
) -> None:
    with pytest.raises(BadInput, match=key):
        in_force(experiment, [Edit("ab", 3, key, None, new, "you")])


@pytest.mark.parametrize(
    "change",
    [
        {"apply_at_step": 10**400},
        {"apply_at_step": -1},
        {"key": "a" * 100_000},
        {"new": 10**400},
        {"new": [[[[[[1]]]]]]},
        {"old": "a" * 100_000},
        {"origin": "a" * 100_000},
    ],
    ids=lambda change: f"{change!r:.40}",
)
def test_fault_56_an_edit_out_of_bounds_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="not an edit"):
        from_record({**RECORD, **change})
