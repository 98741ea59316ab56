"""Tables with a text beside numbers: both are used, and everything goes with both."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.splits import tensors
from tests.training.harness import Run, cut_at, same, small_experiment
from tui_trainer.cli.prediction_file import write_predictions
from tui_trainer.config.experiment import Experiment
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.baselines import baselines_of, compute
from tui_trainer.training.evaluation import evaluate, evaluate_file
from tui_trainer.training.prediction import load_predictor

CPU = torch.device("cpu")
FILLING = ["the", "film", "that", "we", "saw", "there", "in", "town", "with", "some", "friends"]
NAMES = ("review", "age", "member", "verdict")
Row = dict[str, Any]


def rows_of(count: int) -> list[Row]:
    """A word and a number that each halve the four classes, so that neither tells one alone."""
    draw = random.Random(0)
    rows = []
    for _ in range(count):
        word, age = draw.choice(["fine", "dull"]), draw.randint(10, 80)
        text = draw.choices(FILLING, k=draw.randint(6, 14))
        text.insert(draw.randrange(len(text)), word)
        verdict = f"{word[0]}{'old' if age > 45 else 'young'}"
        member = draw.choice(["yes", "no"])
        rows.append(dict(zip(NAMES, (" ".join(text), age, member, verdict), strict=True)))
    return rows


def write(path: Path, rows: list[Row], names: tuple[str, ...] = NAMES) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in rows)
    return path


def experiment(path: Path, workers: int = 0, **sections: Any) -> Experiment:
    dataset = {
        "type": "table",
        "path": str(path),
        "target": "verdict",
        "tokenizer": "words",
        **sections.pop("dataset", {}),
    }
    model = {"type": "rnn", "cell": "gru", "hidden": 4, "embedding": 4, "join_width": 6}
    return small_experiment(
        path,
        dataset=dataset,
        model=sections.pop("model", model),
        training={"group_by_length": True, "eval_batch_size": 64, **sections.pop("training", {})},
        loader={"num_workers": workers},
        **sections,
    )


def test_the_text_alone_and_the_numbers_alone_are_half_of_it_and_both_are_all(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "reviews.csv", rows_of(400))
    text_model = {"type": "cnn1d", "channels": [32], "kernel_size": 3}
    ways: dict[str, tuple[Row, Row]] = {
        "both": ({}, text_model),
        "text": ({"drop": ["age", "member"]}, text_model),
        "numbers": ({"drop": ["review"]}, {"type": "mlp", "layers": [32]}),
    }
    accuracies, baselines = {}, {}
    for name, (dataset, model) in ways.items():
        steps = {"epochs": 12, "batch_size": 16, "grad_accumulation": 1}
        training = {**steps, "group_by_length": model is text_model}
        loss = {"type": "cross_entropy"}
        asked = experiment(path, dataset=dataset, model=model, training=training, loss=loss)
        run = Run.new(tmp_path / name, asked)
        ended = run.start()
        assert ended.test is not None
        accuracies[name] = ended.test["accuracy"]
        data = run.task().dataset
        baselines[name] = compute(baselines_of(data, data.test))
    assert accuracies["both"] > 0.95
    assert max(accuracies["text"], accuracies["numbers"]) < 0.7
    # So does the baseline: both sides are in its features.
    assert {*baselines["both"]} == {"majority_class", "logistic_regression"}
    assert {*baselines["text"]} == {"majority_class", "bag_of_tokens"}
    with_both = baselines["both"]["logistic_regression"]["accuracy"]
    assert with_both > 0.9 > baselines["text"]["bag_of_tokens"]["accuracy"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.processes)])
def test_cut_at_any_step_it_equals_the_whole_run(tmp_path: Path, workers: int) -> None:
    path = write(tmp_path / "reviews.csv", rows_of(72))
    changes: dict[str, Any] = {"dataset": {"noise": 0.3}}
    uncut = Run.new(tmp_path / "uncut", experiment(path, **changes))
    last = uncut.start().step
    assert last > 8
    # Every step is a cut of one of the two runs without workers.
    ways = [(1, 5, last - 1)] if workers else [range(first, last, 2) for first in (1, 2)]
    for number, steps in enumerate(ways):
        run = Run.new(tmp_path / f"cut-{number}", experiment(path, workers, **changes))
        assert cut_at(run, steps).step == last
        assert run.lines() == uncut.lines()
        assert same(run.final(), uncut.final())


def test_new_rows_are_predicted_and_measured_with_both(tmp_path: Path) -> None:
    rows = rows_of(90)
    path = write(tmp_path / "reviews.csv", rows)
    run = Run.new(tmp_path / "run", experiment(path))
    assert run.start().state == "finished"
    own = evaluate(run.directory, run.experiment, CPU, "test", "last")
    data: Dataset = run.task().dataset
    in_test = [rows[row] for row in tensors(data.test).rows.tolist()]
    # The columns in another order, and as another format.
    new = write(tmp_path / "new.csv", in_test, ("verdict", "member", "review", "age"))
    lines = tmp_path / "new.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in in_test))
    for file in (new, lines):
        measured = evaluate_file(run.directory, run.experiment, CPU, str(file), "last")
        assert measured.metrics == own.metrics
        assert measured.file is not None
        assert measured.file.known == 0
    # A row is known only if its text and its numbers are.
    train = [rows[row] for row in tensors(data.train).rows.tolist()]
    changed = write(tmp_path / "changed.csv", [{**train[0], "age": 99}, train[1]])
    measured = evaluate_file(run.directory, run.experiment, CPU, str(changed), "last")
    assert measured.file is not None
    assert measured.file.known == 1
    predictor, _ = load_predictor(run.directory, run.experiment, CPU, "last")
    out = tmp_path / "out.csv"
    write_predictions(predictor, [str(new)], out)
    with out.open(newline="") as written:
        predicted = [*csv.DictReader(written)]
    assert [row["review"] for row in predicted] == [row["review"] for row in in_test]
    hits = sum(row["prediction"] == row["verdict"] for row in predicted)
    assert hits / len(predicted) == pytest.approx(own.metrics["accuracy"])


def test_a_model_of_numbers_is_refused_with_the_setting_that_makes_some(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.csv", rows_of(60))
    model = {"type": "mlp", "layers": [8]}
    training = {"group_by_length": False}
    asked = experiment(path, model=model, training=training)
    with pytest.raises(ConfigError) as refused:
        Run.new(tmp_path / "run", asked).task()
    assert (
        "with 2 numbers beside each; use rnn, transformer or cnn1d; 'review' is read as a text: "
        "dataset.kinds={review: words} reads it as counts of its words"
    ) in str(refused.value)
    counted = {"kinds": {"review": "words"}, "word_buckets": 32}
    asked = experiment(path, dataset=counted, model=model, training=training)
    assert Run.new(tmp_path / "counted", asked).start().state == "finished"
