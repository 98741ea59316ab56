"""Each problem has what its spec promises."""

from __future__ import annotations

import pytest
import torch

from tui_trainer.config.problem_specs import PROBLEMS, ProblemName
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.signature import Signature

BATCHES: dict[ProblemName, tuple[torch.Tensor, Batch]] = {
    "classification": (torch.eye(4), {"target": torch.tensor([0, 1, 2, 0])}),
    "multilabel": (torch.eye(4), {"target": torch.eye(4)}),
    "regression": (torch.ones(4, 1), {"target": torch.arange(4.0).view(4, 1)}),
    "token_classification": (torch.zeros(2, 3, 4), {"target": torch.ones(2, 3).long()}),
    "segmentation": (torch.zeros(2, 4, 3, 3), {"target": torch.ones(2, 3, 3).long()}),
    "language_modelling": (torch.zeros(2, 3, 4), {"target": torch.ones(2, 3).long()}),
}


def test_every_spec_has_an_implementation_and_no_other() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in PROBLEMS}


@pytest.mark.parametrize("name", BATCHES)
def test_the_totals_give_the_metrics_of_the_spec_in_its_order(name: ProblemName) -> None:
    spec, (outputs, batch) = PROBLEMS[name], BATCHES[name]
    classes = outputs.shape[1 if spec.places == "pixel" else -1]
    signature = Signature("features", (4,), classes, places=spec.places)
    info = DatasetInfo(signature, name, ("a", "b", "c", "d"))
    extras = [metric for metric in spec.more_metrics if metric != "top5_accuracy"]
    totals = KINDS[name].totals(info, torch.device("cpu"), extras)
    totals.update(outputs, batch, torch.tensor(0.5))
    assert list(totals.compute()) == [*spec.metrics, *extras]
