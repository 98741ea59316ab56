"""Which metrics and losses a problem has, and why one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.harness import small_experiment
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.losses import LOSSES
from tui_trainer.config.sections.metrics import EXTRA_METRICS, METRICS, extras_of, why_no_metric
from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.text.errors import ConfigError


def test_what_can_be_named_is_what_there_is() -> None:
    more = {name for spec in PROBLEMS.values() for name in spec.more_metrics}
    assert set(EXTRA_METRICS) == more
    assert {name for spec in PROBLEMS.values() for name in spec.metrics} | more == set(METRICS)
    of_problems = {name for spec in PROBLEMS.values() for name in spec.losses}
    assert of_problems == {*LOSSES.names} - {"auto", "model"}


def test_the_setting_names_each_that_can_be_asked_for() -> None:
    description = TrainingSection.model_fields["metrics"].description
    assert description is not None
    assert all(name in description for name in EXTRA_METRICS)


def test_the_metrics_of_a_problem_begin_with_the_loss() -> None:
    assert all(spec.metrics[0] == "loss" for spec in PROBLEMS.values())
    assert not any({*spec.metrics} & {*spec.more_metrics} for spec in PROBLEMS.values())
    assert {n for n in METRICS if not METRICS[n].higher_is_better} == {
        "loss",
        "mae",
        "rmse",
        "perplexity",
        "bits_per_byte",
    }


def test_what_is_monitored_is_computed_without_being_listed() -> None:
    assert extras_of("classification", ["f1", "auroc", "f1"], "auroc") == ("f1", "auroc")
    assert extras_of("classification", [], "recall") == ("recall",)
    assert extras_of("classification", [], "loss") == ()


@pytest.mark.parametrize(
    ("name", "task", "classes", "words"),
    [
        ("f1", "regression", 1, "f1 is not a metric of regression; available: loss, mae, rmse, r2"),
        ("auroc", "language_modelling", 9, "available: loss, accuracy, perplexity, bits_per_byte"),
        ("perplexity", "classification", 3, "perplexity is not a metric of classification"),
        ("top5_accuracy", "classification", 5, "top5_accuracy is always 1 with 5 classes"),
        ("top3_accuracy", "classification", 2, "is always 1 with 2 classes"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(
    name: str, task: str, classes: int, words: str
) -> None:
    reason = why_no_metric(name, task, classes)
    assert words in reason
    assert "top5" not in reason.split("available")[1]


def test_metrics_that_fit_are_not_refused() -> None:
    for name in ("f1", "auroc", "top5_accuracy", "loss"):
        assert why_no_metric(name, "classification", 6) == ""
    assert why_no_metric("perplexity", "language_modelling", 256) == ""


def test_a_word_that_is_no_metric_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        small_experiment(Path("x.csv"), training={"metrics": ["f1", "aurok"]})
    assert "did you mean 'auroc'" in caught.value.problems[0].message
    assert caught.value.problems[0].key == "training.metrics.1"
