"""`with_own_problem`: gives built-in data the problem of a plugin.

Layer: data. They are read as for the built-in problem that it comes down to, and then its own code
stores the targets. Those of a plugin's data go through it as they are read.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS, base_of
from tui_trainer.config.sections.problems import ProblemSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.own_settings import with_problem
from tui_trainer.problems.problem import SampleMismatch
from tui_trainer.text.errors import BadInput

_AT_ONCE = 1024
"""So many samples are given to the code of a plugin at once if they are mapped from a file."""


def with_own_problem(dataset: Dataset, section: ProblemSection) -> Dataset:
    """Return the data for the problem that a section names, if that is of a plugin.

    Raises:
        BadInput: its code refuses a target, or fails.
    """
    spec = PROBLEMS.get(section.type)
    if spec is None or not spec.like or base_of(section.type) != dataset.problem:
        return dataset
    first = None
    if isinstance(dataset.train, TensorSplit):
        first = dataset.train.targets[0]
    info = with_problem(dataset.info, section.type, section, first)
    train, val, test = (
        with_own_targets(split, info) for split in (dataset.train, dataset.val, dataset.test)
    )
    return replace(dataset, info=info, train=train, val=val, test=test)


def with_own_targets(split: Split, info: DatasetInfo) -> Split:
    """Return a split with its targets as the code of a plugin stores them.

    Raises:
        BadInput: it refuses one, or fails.
    """
    if "check" not in PROBLEMS[info.problem].own_methods or not isinstance(split, TensorSplit):
        return split
    if not len(split):
        return split
    try:
        return replace(split, targets=_checked(split, info))
    except SampleMismatch as error:
        raise BadInput(str(error)) from error


def _checked(split: TensorSplit, info: DatasetInfo) -> Tensor:
    kind = kind_of(info)
    if split.places is None:
        return kind.check(split.targets, split.inputs, info)
    parts = [
        kind.check(split.targets[part], split.inputs[split.places[part]], info)
        for part in torch.split(torch.arange(len(split)), _AT_ONCE)
    ]
    return torch.cat(parts)
