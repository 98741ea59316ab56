"""Training on sentences with a class for each token, and predicting those of new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, cut_at, same
from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.tree import Place, Tree
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.plugins import Data, DatasetParams, dataset, setting
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.errors import BadInput
from tui_trainer.training.baselines import baselines_of, compute
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.prediction import Predictor

TAGS = ("low", "high", "after a high one")


def sentence(index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Words below 10 and their tags; the tag of a low word depends on the word before it."""
    words = torch.randint(0, 10, (4 + index % 5,), generator=torch.Generator().manual_seed(index))
    tags = (words >= 6).long()
    tags[1:][(tags[1:] == 0) & (tags[:-1] == 1)] = 2
    return words, tags


class Sentences(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> dict[str, Any]:
        words, tags = sentence(index)
        # The first word of some sentences has no tag.
        tags[0] = IGNORED if index % 3 == 0 else tags[0]
        return {"words": words, "target": tags}


class Params(DatasetParams):
    as_columns: bool = setting(False, "whether all samples are in memory")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    @dataset("test-tags", description="words with tags", params=Params)
    def tags(params: Params) -> Data:
        if not params.as_columns:
            return Data(Sentences(), classes=TAGS, vocabulary=10, input_shape=(8,))
        samples = [Sentences()[index] for index in range(60)]
        columns = {
            name: torch.stack(
                [
                    torch.nn.functional.pad(one[name], (0, 8 - len(one[name])), value=fill)
                    for one in samples
                ]
            )
            for name, fill in (("words", 0), ("target", IGNORED))
        }
        return Data(columns, classes=TAGS, vocabulary=10)

    yield
    DATASETS._specs.pop("test-tags", None)
    DATASET_FACTORIES.pop("test-tags", None)


def experiment(*, as_columns: bool = False, **sections: Any) -> Experiment:
    values: dict[str, Any] = {
        "dataset": {"type": "test-tags", "as_columns": as_columns},
        "model": {"type": "rnn", "bidirectional": True, "hidden": 8, "embedding": 8},
        "optimizer": {"type": "adamw", "lr": 0.03},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"epochs": 2, "batch_size": 8, "eval_batch_size": 5, "metrics": ["f1"]},
        "logging": {"every_steps": 1, "every_seconds": 1e-6},
        "checkpoint": {"every_steps": 1, "every_seconds": None, "keep_last": 100},
        **sections,
    }
    return resolve(Tree(values, {(): Place("test")}), "small")


@pytest.mark.parametrize(
    "as_columns", [pytest.param(False, marks=pytest.mark.further), True], ids=["samples", "columns"]
)
def test_a_cut_in_the_middle_equals_the_uncut_run(tmp_path: Path, *, as_columns: bool) -> None:
    asked = experiment(as_columns=as_columns)
    whole = Run.new(tmp_path / "whole", asked)
    ending = whole.start()
    assert ending.state == "finished"
    assert ending.test is not None
    assert set(ending.test) == {"loss", "accuracy", "f1"}
    assert ending.confusion is not None
    test = whole.task().dataset.test
    known = sum(int((batch["target"] != IGNORED).sum()) for batch in test.in_order(7))
    assert sum(map(sum, ending.confusion)) == known
    cut = Run.new(tmp_path / "cut", asked)
    assert cut_at(cut, (1, 5)).state == "finished"
    assert cut.lines() == whole.lines()
    assert same(cut.final(), whole.final())


@pytest.mark.parametrize("model", ["rnn", "transformer"])
def test_neither_padding_nor_the_size_of_a_batch_changes_the_test(
    tmp_path: Path, model: str
) -> None:
    small = {"rnn": {"bidirectional": True, "hidden": 6}, "transformer": {"width": 8, "heads": 2}}
    found = []
    for size in (1, 5, 60):
        training = {"epochs": 1, "batch_size": 8, "eval_batch_size": size, "metrics": ["recall"]}
        asked = experiment(training=training, model={"type": model, **small[model]})
        outcome = Run.new(tmp_path / str(size), asked).start()
        assert outcome.test is not None
        found.append(outcome.test)
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)


def test_the_majority_is_that_of_the_tags_that_count(tmp_path: Path) -> None:
    data = Run.new(tmp_path / "run", experiment(as_columns=True)).task().dataset
    assert isinstance(data.train, TensorSplit)
    assert isinstance(data.test, TensorSplit)
    train = [tag for row in data.train.targets.tolist() for tag in row if tag != IGNORED]
    test = [tag for row in data.test.targets.tolist() for tag in row if tag != IGNORED]
    most = max(range(3), key=train.count)
    assert compute(baselines_of(data, data.test)) == {
        "majority_class": {"accuracy": test.count(most) / len(test)}
    }
    assert data.class_counts == tuple(train.count(tag) for tag in range(3))


def test_new_sentences_get_a_tag_for_each_of_their_words(tmp_path: Path) -> None:
    training = {"epochs": 25, "batch_size": 8}
    asked = experiment(training=training, checkpoint={"every_steps": 100})
    run = Run.new(tmp_path / "run", asked)
    ending = run.start()
    assert ending.test is not None
    assert ending.test["accuracy"] > 0.95
    words = torch.tensor([[7, 1, 2, 9, 3], [1, 8, 0, 0, 0]])
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "run")
    predictor = Predictor(checkpoint, run.experiment, torch.device("cpu"))
    unseen = Unseen(words, ("line 1", "line 2"), lengths=torch.tensor([5, 3]))
    first, second = predictor.predicted(unseen)
    assert first.value == ["high", "after a high one", "low", "high", "after a high one"]
    assert second.value == ["low", "high", "after a high one"]
    assert (second.place, second.shares) == ("line 2", {})


def test_the_problem_is_inferred_and_told(tmp_path: Path) -> None:
    (note,) = [
        note
        for note in Run.new(tmp_path / "run", experiment()).task().dataset.notes
        if note.startswith("the first sample")
    ]
    assert note.endswith("; token_classification: the target has one of 3 classes at each step")


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"loss": {"type": "mse"}}, "mse is not a loss for token classification.*use loss=cross_e"),
        (
            {"training": {"epochs": 1, "metrics": ["auroc"]}},
            "auroc is not a metric of token_classification",
        ),
        ({"model": {"type": "mlp"}}, "mlp takes inputs of one size.*use rnn or transformer"),
        (
            {"loss": {"type": "cross_entropy", "class_weights": "balanced"}},
            "class counts are unknown",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, sections: Any, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        Run.new(tmp_path / "run", experiment(**sections)).task()
