"""Extra metrics against plain formulas, over whole runs, and without torchmetrics where none is."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import classification

from tests.training.harness import Run, at_step, small_experiment, write_images
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.datasets import DATASETS, TableSection
from tui_trainer.config.sections.plateau import Plateau
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.load import load
from tui_trainer.plugins import Data, DatasetParams, dataset
from tui_trainer.problems.class_metrics import MEANS, TORCHMETRICS, ClassMetrics
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.events import Notice, RunStarted, ValidationEnded
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.checkpoints import read_checkpoint
from tui_trainer.training.evaluation import evaluate
from tui_trainer.training.loop import train
from tui_trainer.training.metrics import why_undefined
from tui_trainer.training.split_file import write_record
from tui_trainer.training.start_point import FromCheckpoint
from tui_trainer.training.task import Task

CPU = torch.device("cpu")
NAMES = PROBLEMS["classification"].more_metrics
CLASSES = 7


def test_each_metric_of_the_specs_is_computed() -> None:
    assert set(TORCHMETRICS) == set(NAMES)


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
    found = ClassMetrics(names, outputs.shape[1], CPU)
    with torch.inference_mode():
        for first in range(0, len(targets), batch_size):
            found.update(outputs[first : first + batch_size], targets[first : first + batch_size])
    return found.compute()


def by_formula(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The same numbers, one class after the other, for those that have a sample."""
    p, guesses = outputs.double().softmax(1), outputs.argmax(1)
    ranks = outputs.argsort(dim=1, descending=True)
    each: dict[str, list[float]] = {"f1": [], "precision": [], "recall": [], "auroc": []}
    for one in range(outputs.shape[1]):
        is_one, said = targets == one, guesses == one
        if not is_one.any():
            continue
        hits = int((is_one & said).sum())
        each["precision"].append(hits / max(int(said.sum()), 1))
        each["recall"].append(hits / int(is_one.sum()))
        each["f1"].append(2 * hits / int(is_one.sum() + said.sum()))
        inside, outside = p[is_one, one][:, None], p[~is_one, one][None]
        wins = (inside > outside).double() + (inside == outside).double() / 2
        each["auroc"].append(wins.mean().item())
    means = {name: sum(values) / len(values) for name, values in each.items()}
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


def test_a_class_without_a_sample_is_left_out_of_the_means() -> None:
    outputs, targets = samples()
    targets[targets == 2] = 3
    assert (outputs.argmax(1) == 2).any(), "the class is predicted, which changes no mean"
    found = measured(outputs, targets)
    assert found == pytest.approx(by_formula(outputs, targets), abs=1e-6)
    for batch_size in (1, 7, 200):
        assert measured(outputs, targets, batch_size) == found


def test_of_a_single_class_all_but_auroc_is_known() -> None:
    outputs, targets = samples()
    targets[:] = 2
    found = measured(outputs, targets)
    assert [name for name, value in found.items() if math.isnan(value)] == ["auroc"]
    share = (outputs.argmax(1) == 2).double().mean().item()
    assert (found["recall"], found["precision"]) == pytest.approx((share, 1.0))


@pytest.mark.parametrize("classes", [3, 7, 40])
def test_with_every_class_there_the_means_are_those_of_torchmetrics_to_the_bit(
    classes: int,
) -> None:
    outputs, targets = samples(classes=classes)
    probabilities = outputs.double().softmax(1)
    for name, value in measured(outputs, targets, names=MEANS).items():
        kind, _ = TORCHMETRICS[name]
        theirs = getattr(classification, kind)(classes, average="macro")
        assert value == theirs(probabilities, targets).item(), name


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
    alone = evaluate(run.directory, run.experiment, CPU, "test", "best", only_baselines=True)
    assert (alone.metrics, alone.baseline) == ({}, evaluation.baseline)
    assert alone.baseline == outcome.baseline
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


RARE_ROWS = 30


def rare_rows(folder: Path, classes: str) -> dict[str, Any]:
    """A table of `classes` and a class of two rows, of which validation has none."""
    path = folder / "rare.csv"
    kinds = ["rare" if n < 2 else classes[n % len(classes)] for n in range(RARE_ROWS)]
    path.write_text("a,y\n" + "".join(f"{2 * n},{kind}\n" for n, kind in enumerate(kinds)))
    return {"type": "table", "path": str(path), "target": "y"}


def test_a_class_absent_from_validation_is_noted_and_left_out_of_the_monitored_mean(
    tmp_path: Path, data: Path
) -> None:
    experiment = small_experiment(
        data, dataset=rare_rows(tmp_path, "ab"), checkpoint={"monitor": "f1"}
    )
    run = Run.new(tmp_path / "run", experiment)
    outcome = run.start()
    assert (outcome.state, outcome.exit_code) == ("finished", 0)
    assert outcome.best is not None
    notes = next(e for e in run.events if isinstance(e, RunStarted)).notes
    assert notes[0].startswith("classes without a row in the validation split: rare (2 in training")
    assert notes[-1] == "f1: in validation the mean over the 2 of 3 classes that have a row there"


def test_a_monitored_metric_that_validation_cannot_have_is_refused_before_training(
    tmp_path: Path, data: Path
) -> None:
    dataset = rare_rows(tmp_path, "a")
    why = r"it needs two classes, and the \d+ rows there have the class 'a'"
    monitored = small_experiment(data, dataset=dataset, checkpoint={"monitor": "auroc"})
    run = Run.new(tmp_path / "run", monitored)
    with pytest.raises(ConfigError, match=rf"auroc cannot be computed .*: {why}; .*val_fraction"):
        run.task()
    listed = small_experiment(data, dataset=dataset, training={"metrics": ["auroc"]})
    task = Run.new(tmp_path / "listed", listed).task()
    assert re.search(
        rf"auroc is not computed on the validation split: {why}", " ".join(notes(task))
    )
    # A run that was begun before this was checked goes on.
    assert task.dataset.split_record is not None
    write_record(run.directory.splits, task.dataset.split_record)
    assert "auroc is not computed" in " ".join(notes(run.task(task.dataset.preprocessing)))


def notes(task: Task) -> tuple[str, ...]:
    return task.dataset.notes


def test_r2_needs_different_numbers_in_validation(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("a,y\n" + "".join(f"{n},{n / 4}\n" for n in range(RARE_ROWS)))
    dataset = load(TableSection(type="table", path=str(path), target="y"))
    val = dataset.val
    assert isinstance(val, TensorSplit)
    assert why_undefined("r2", dataset) == ""
    equal = replace(dataset, val=replace(val, targets=torch.full_like(val.targets, 0.1)))
    assert "the numbers" not in why_undefined("mae", equal)
    assert why_undefined("r2", equal).startswith("it needs different numbers to predict")


class Points(torch.utils.data.Dataset[Any]):
    """Two numbers and their class, which is known only when the sample is read."""

    def __init__(self, classes: Sequence[int]) -> None:
        self._classes = classes

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        kind = self._classes[index]
        return torch.tensor([kind + index / 10, 1.0]), kind


class ListedPoints(Points):
    """The same, with its classes in a list, as the data sets of torchvision have it."""

    @property
    def targets(self) -> Sequence[int]:
        return self._classes


@pytest.mark.parametrize("odd", [[], [7], [-1]])
def test_the_classes_that_a_plugin_lists_are_counted_before_training(
    tmp_path: Path, data: Path, odd: list[int]
) -> None:
    @dataset("test-listed", description="points", params=DatasetParams)
    def points(params: DatasetParams) -> Data:
        mixed, single = ListedPoints([0, 1] * 6), ListedPoints([1] * 5 + odd)
        return Data(mixed, val=single, test=mixed, classes=("a", "b"))

    try:
        sections: dict[str, Any] = {"dataset": {"type": "test-listed"}}
        task = Run.new(tmp_path / "run", small_experiment(data, **sections)).task()
        absent = "classes without a sample in the validation split: a (6 in training, 6 in test)"
        # A class that does not exist is an error of its own, with the number of the sample.
        told = [note for note in notes(task)[1:] if "the test has 12 samples" not in note]
        assert told == ([] if odd else [absent])
        sections["checkpoint"] = {"monitor": "auroc"}
        run = Run.new(tmp_path / "monitored", small_experiment(data, **sections))
        if odd:
            run.task()
        else:
            with pytest.raises(ConfigError, match="the 5 samples there have the class 'b'"):
                run.task()
    finally:
        DATASETS._specs.pop("test-listed", None)
        DATASET_FACTORIES.pop("test-listed", None)


@pytest.fixture
def one_class(data: Path) -> Iterator[Experiment]:
    """AUROC is monitored, and all samples to validate are of one class."""

    @dataset("test-one-class", description="points", params=DatasetParams)
    def points(params: DatasetParams) -> Data:
        mixed, single = Points([0, 1] * 6), Points([1] * 5)
        return Data(mixed, val=single, test=mixed, classes=("a", "b"))

    yield small_experiment(
        data,
        dataset={"type": "test-one-class"},
        schedule={"type": "plateau", "patience": 0, "factor": 0.5},
        checkpoint={"monitor": "auroc"},
        early_stopping={"patience": 2},
    )
    DATASETS._specs.pop("test-one-class", None)
    DATASET_FACTORIES.pop("test-one-class", None)


def test_a_metric_that_is_no_number_uses_up_no_patience_and_leaves_no_success(
    tmp_path: Path, one_class: Experiment
) -> None:
    run = Run.new(tmp_path / "run", one_class)
    outcome = run.start()
    validations = [e for e in run.events if isinstance(e, ValidationEnded)]
    assert len(validations) == 4, "the run has all its epochs"
    assert all(math.isnan(e.metrics["auroc"]) and e.stale == 0 for e in validations)
    assert {line["lr"] for line in run.lines()} == {0.01}, "no plateau is seen in them either"
    told = [e.text for e in run.events if isinstance(e, Notice) and e.level == "warning"]
    assert told == 4 * [
        "validation: auroc is nan; it cannot become the best, and is not counted for "
        "early_stopping.patience"
    ]
    assert (outcome.best, outcome.state, outcome.exit_code) == (None, "failed", 1)
    assert outcome.reason.startswith(
        "4 epochs are done, but auroc was not a finite number in any validation: no step is the "
        "best, and the test is of the last one"
    )
    assert outcome.test is not None


def test_the_patience_that_an_older_run_lost_to_nan_stays_as_it_was(
    tmp_path: Path, one_class: Experiment
) -> None:
    run = Run.new(tmp_path / "run", one_class)
    run.start(at_step(3, Stop()))
    (manifest,) = read_manifests(run.directory.checkpoints)
    checkpoint = read_checkpoint(run.directory.checkpoints, manifest)
    checkpoint.data.progress.stale = 1
    checkpoint.data.progress.plateau = Plateau(0.5, None, 0, 0)
    run.events.clear()
    start, task = FromCheckpoint(checkpoint), run.task(checkpoint.data.preprocessing)
    outcome = train(task, start, Control(), run.events.append, run.directory)
    stale = {e.stale for e in run.events if isinstance(e, ValidationEnded)}
    assert (stale, outcome.step) == ({1}, 4)
    assert run.final()["progress"]["plateau"]["factor"] == 0.5


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


@pytest.mark.processes
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
        timeout=300,
    )
    assert done.stdout.split() == ["False", "True"]
