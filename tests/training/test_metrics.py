"""Extra metrics against plain formulas, over whole runs, and without torchmetrics where none is."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from tests.training.harness import Run, at_step, small_experiment, write_images
from tui_trainer.config.sections.metrics import EXTRA_METRICS, METRICS, ExtraMetric
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import Notice, ValidationEnded
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.evaluation import evaluate
from tui_trainer.training.metrics import FORMULAS, TORCHMETRICS, ExtraMetrics

CPU = torch.device("cpu")
NAMES: tuple[str, ...] = get_args(ExtraMetric)
CLASSES = 7


def test_each_metric_of_the_specs_is_computed() -> None:
    assert set(TORCHMETRICS) == set(NAMES) == set(EXTRA_METRICS)
    assert set(FORMULAS) == set(METRICS) - set(NAMES)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def samples(count: int = 200, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Logits that are right more often than not, and unequal classes, each with a sample."""
    generator = torch.Generator().manual_seed(3)
    targets = (torch.rand(count, generator=generator) ** 2 * classes).long()
    targets[:classes] = torch.arange(classes)
    outputs = torch.randn(count, classes, generator=generator)
    outputs[torch.arange(count), targets] += 1.5
    return outputs, targets


def measured(
    outputs: Tensor, targets: Tensor, batch_size: int = 64, names: tuple[str, ...] = NAMES
) -> dict[str, float]:
    found = ExtraMetrics(names, outputs.shape[1], CPU)
    with torch.inference_mode():
        for first in range(0, len(targets), batch_size):
            found.update(outputs[first : first + batch_size], targets[first : first + batch_size])
    return found.compute()


def by_formula(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The same numbers, one class after the other."""
    classes = outputs.shape[1]
    p, guesses = outputs.double().softmax(1), outputs.argmax(1)
    ranks = outputs.argsort(dim=1, descending=True)
    each: dict[str, list[float]] = {"f1": [], "precision": [], "recall": [], "auroc": []}
    for one in range(classes):
        is_one, said = targets == one, guesses == one
        hits = int((is_one & said).sum())
        each["precision"].append(hits / max(int(said.sum()), 1))
        each["recall"].append(hits / int(is_one.sum()))
        each["f1"].append(2 * hits / int(is_one.sum() + said.sum()))
        inside, outside = p[is_one, one][:, None], p[~is_one, one][None]
        wins = (inside > outside).double() + (inside == outside).double() / 2
        each["auroc"].append(wins.mean().item())
    means = {name: sum(values) / classes for name, values in each.items()}
    tops = {
        f"top{k}_accuracy": (ranks[:, :k] == targets[:, None]).any(1).double().mean().item()
        for k in (3, 5)
    }
    return {**means, **tops, "balanced_accuracy": means["recall"]}


@pytest.mark.parametrize("classes", [6, 7])
def test_they_are_what_their_formulas_say(classes: int) -> None:
    outputs, targets = samples(classes=classes)
    assert measured(outputs, targets) == pytest.approx(by_formula(outputs, targets), abs=1e-6)


def test_two_classes_are_a_mean_over_both() -> None:
    outputs, targets = samples(classes=2)
    names = ("f1", "precision", "recall", "auroc", "balanced_accuracy")
    expected = by_formula(outputs, targets)
    found = measured(outputs, targets, names=names)
    assert found == pytest.approx({name: expected[name] for name in names}, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_the_batch_size_changes_no_bit(scale: float) -> None:
    outputs, targets = samples()
    whole = measured(outputs * scale, targets, 1000)
    for batch_size in (1, 7, 64):
        assert measured(outputs * scale, targets, batch_size) == whole


def test_a_class_without_a_sample_leaves_no_mean_over_classes() -> None:
    outputs, targets = samples()
    targets[targets == 2] = 3
    found = measured(outputs, targets)
    assert {name for name, value in found.items() if math.isnan(value)} == {
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
        "auroc",
    }
    assert found["top3_accuracy"] == pytest.approx(by_top_3(outputs, targets))


def by_top_3(outputs: Tensor, targets: Tensor) -> float:
    return (outputs.topk(3).indices == targets[:, None]).any(1).double().mean().item()


def test_outputs_that_are_not_finite_have_no_metric() -> None:
    outputs, targets = samples()
    outputs[5, 1] = math.nan
    assert all(math.isnan(value) for value in measured(outputs, targets).values())


def test_they_draw_no_random_numbers() -> None:
    outputs, targets = samples()
    before = torch.get_rng_state()
    measured(outputs, targets)
    assert torch.get_rng_state().equal(before)


def test_listed_and_monitored_metrics_are_in_validations_lines_and_the_test(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            data, training={"metrics": ["f1", "auroc"]}, checkpoint={"monitor": "recall"}
        ),
    )
    outcome = run.start()
    names = {"loss", "accuracy", "f1", "auroc", "recall"}
    for event in run.events:
        if isinstance(event, ValidationEnded):
            assert set(event.metrics) == names
    assert outcome.test is not None
    assert set(outcome.test) == names
    evaluation = evaluate(run.directory, run.experiment, CPU, "test", "best")
    assert evaluation.metrics == outcome.test
    assert {f"val/{name}" for name in names} <= set(run.lines()[-1])
    assert outcome.best is not None
    values = [e.metrics["recall"] for e in run.events if isinstance(e, ValidationEnded)]
    assert outcome.best["value"] == max(values), "a larger recall is better"


def test_extra_metrics_change_nothing_else_and_resume_exactly(tmp_path: Path, data: Path) -> None:
    plain = Run.new(tmp_path / "plain", small_experiment(data))
    plain.start()
    experiment = small_experiment(data, training={"metrics": ["auroc"]})
    run = Run.new(tmp_path / "run", experiment)
    run.start(at_step(4, Stop()))
    run.resume()
    for line, quiet in zip(run.lines(), plain.lines(), strict=True):
        assert {k: v for k, v in line.items() if k != "val/auroc"} == quiet


def test_a_metric_that_is_no_number_never_becomes_the_best(tmp_path: Path, data: Path) -> None:
    rows = data.read_text().splitlines()
    # One class is so rare that the validation has none of it.
    rare = [row for row in rows if not row.endswith(",2")] + [r for r in rows if r.endswith(",2")][
        :3
    ]
    path = tmp_path / "rare.csv"
    path.write_text("\n".join(rare) + "\n")
    dataset = {"type": "pixels", "path": str(path), "shape": [1, 4, 4], "max_value": 16}
    run = Run.new(
        tmp_path / "run",
        small_experiment(
            data,
            dataset={**dataset, "val_fraction": 0.05},
            checkpoint={"monitor": "auroc"},
            training={"max_steps": 6},
            early_stopping={"patience": None},
        ),
    )
    classes = {int(c) for batch in run.task().dataset.val.in_order(99) for c in batch.targets}
    assert classes != {0, 1, 2}, "the data is as the test needs it"
    outcome = run.start()
    assert outcome.best is None
    told = [e.text for e in run.events if isinstance(e, Notice)]
    assert any("auroc is nan; it cannot become the best" in text for text in told)


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"checkpoint": {"monitor": "top3_accuracy"}}, "checkpoint.monitor"),
        ({"training": {"metrics": ["f1", "top5_accuracy"]}}, "training.metrics"),
        ({"checkpoint": {"monitor": "perplexity"}}, "checkpoint.monitor"),
    ],
)
def test_a_metric_that_does_not_fit_the_data_is_refused_before_training(
    tmp_path: Path, data: Path, sections: dict[str, Any], key: str
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, **sections))
    with pytest.raises(ConfigError) as caught:
        run.task()
    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_run_without_extra_metrics_does_not_import_torchmetrics(
    tmp_path: Path, data: Path
) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.training.harness import Run, small_experiment\n"
        "data, folder = map(Path, sys.argv[1:])\n"
        "for name, metrics in (('plain', []), ('more', ['f1'])):\n"
        "    training = {'max_steps': 3, 'metrics': metrics}\n"
        "    Run.new(folder / name, small_experiment(data, training=training)).start()\n"
        "    print('torchmetrics' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(data), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=100,
    )
    assert done.stdout.split() == ["False", "True"]
