"""Runs on texts: by words and by length, cut at any step, they equal the uncut ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.harness import Run, cut_at, same, small_experiment
from tui_trainer.config.experiment import Experiment
from tui_trainer.text.errors import ConfigError


def write_reviews(path: Path) -> Path:
    rows = [
        {"text": " ".join(["a", ["good", "bad"][n % 2], "film", "that"] * (1 + n % 9)), "y": n % 2}
        for n in range(70)
    ]
    # No two texts are equal, or they would count as one.
    lines = [
        json.dumps({"text": f"{row['text']} {n}", "y": f"c{row['y']}"})
        for n, row in enumerate(rows)
    ]
    path.write_text("\n".join(lines))
    return path


def reviews(path: Path, workers: int = 0) -> Experiment:
    return small_experiment(
        path,
        dataset={
            "type": "table",
            "path": str(path),
            "target": "y",
            "tokenizer": "words",
        },
        model={"type": "rnn", "cell": "gru", "hidden": 4, "embedding": 4},
        training={"group_by_length": True},
        loader={"num_workers": workers},
    )


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.processes)])
def test_by_length_and_words_cut_at_every_step_it_equals_the_whole_run(
    tmp_path: Path, workers: int
) -> None:
    path = write_reviews(tmp_path / "reviews.jsonl")
    uncut = Run.new(tmp_path / "uncut", reviews(path))
    last = uncut.start().step
    assert last > 8
    for first in (1, 2) if not workers else (3,):
        run = Run.new(tmp_path / f"cut-{first}", reviews(path, workers))
        assert cut_at(run, range(first, last, 2)).step == last
        assert run.lines() == uncut.lines()
        assert same(run.final(), uncut.final())


def tokens(path: Path, model: dict[str, Any]) -> Experiment:
    return small_experiment(
        path,
        dataset={"type": "tokens", "path": str(path), "sequence_length": 16, "vocabulary": 50},
        model=model,
        training={"epochs": 2, "batch_size": 8, "grad_accumulation": 1},
        early_stopping={"patience": None},
    )


@pytest.mark.parametrize(
    "model",
    [
        {"type": "transformer", "width": 8, "layers": 1, "heads": 2, "dropout": 0.2},
        {"type": "rnn", "cell": "lstm", "hidden": 8, "embedding": 4},
    ],
    ids=lambda model: str(model["type"]),
)
def test_a_run_on_a_token_file_cut_at_a_step_equals_the_uncut_one(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    path = tmp_path / "a.bin"
    np.random.default_rng(0).integers(0, 50, 900).astype("<u2").tofile(path)
    uncut = Run.new(tmp_path / "uncut", tokens(path, model))
    last = uncut.start().step
    assert last > 8
    metrics = [line for line in uncut.lines() if "val/loss" in line]
    assert metrics
    assert "val/bits_per_byte" not in metrics[0], "how many bytes there are is not known"
    run = Run.new(tmp_path / "cut", tokens(path, model))
    assert cut_at(run, range(1, last, 3)).step == last
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_data_of_one_length_are_not_grouped_by_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    np.arange(900, dtype="<u2").tofile(path)
    experiment = small_experiment(
        path,
        dataset={"type": "tokens", "path": str(path), "sequence_length": 16},
        model={"type": "rnn", "cell": "lstm", "hidden": 8, "embedding": 4},
        training={"group_by_length": True},
    )
    with pytest.raises(ConfigError, match="group_by_length: is for texts and sequences"):
        Run.new(tmp_path / "run", experiment).start()
