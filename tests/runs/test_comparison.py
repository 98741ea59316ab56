"""Differences between runs."""

from __future__ import annotations

from pathlib import Path

from tests.runs.test_index import make_run
from tui_trainer.runs.comparison import differences, results
from tui_trainer.runs.config_file import settings_of
from tui_trainer.runs.edits import Edit, record_edit
from tui_trainer.runs.index import list_runs


def test_only_what_differs_is_told_in_the_order_of_the_sections() -> None:
    differing = differences(
        [
            {"name": "a", "model.dropout": 0.1, "optimizer.lr": 0.1, "training.seed": 0},
            {"name": "b", "model.dropout": 0.1, "optimizer.lr": 0.2, "model.units": [3]},
        ]
    )
    assert [(difference.key, difference.values, difference.has) for difference in differing] == [
        ("optimizer.lr", (0.1, 0.2), (True, True)),
        ("training.seed", (0, None), (True, False)),
        ("model.units", (None, [3]), (False, True)),
    ]


def test_edits_are_settings_of_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0)
    run.config.write_text("name: one\noptimizer: {type: adamw, lr: 0.1}\n")
    record_edit(run.edits, Edit("e1", 5, "optimizer.lr", 0.1, 0.02, "you"))
    assert settings_of(run) == {"name": "one", "optimizer.type": "adamw", "optimizer.lr": 0.02}


def test_a_damaged_configuration_has_no_settings(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0)
    run.config.write_text("{{{")
    assert settings_of(run) == {}
    run.config.write_text("optimizer: {lr: 1}\n")
    run.edits.write_text('{"key": 3}\n')
    assert settings_of(run) == {"optimizer.lr": 1}


def test_results_have_a_row_for_each_metric(tmp_path: Path) -> None:
    make_run(tmp_path, "b", 1, best={"loss": 0.2, "accuracy": 0.9}, test={"accuracy": 0.8})
    make_run(tmp_path, "a", 0, validation={"loss": 0.3})
    assert results(list_runs(tmp_path)) == [
        ("val.loss", [0.3, 0.2]),
        ("val.accuracy", [None, 0.9]),
        ("test.accuracy", [None, 0.8]),
    ]
