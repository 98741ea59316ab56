"""Reads data of a plugin for a trained model: samples of files, or labelled data to measure it on.

Layer: data. The plugin makes the samples of a file by the function `read` of its `Data`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tui_trainer.config.own_samples import Data
from tui_trainer.config.sections.datasets import DatasetSection, RowsSection
from tui_trainer.config.sections.problems import ProblemSection
from tui_trainer.config.user_code import describe_error_near, place_of
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.random import derive_seed, seed_all
from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.collation import Collation, as_sample
from tui_trainer.data.batches.iterated import IteratedSplit
from tui_trainer.data.batches.joined import JoinedSplits, joined_tensors
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import worker_conditions
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.file_samples import Labelled
from tui_trainer.data.sources.plugin_data import READS_FILES, load_safely, make_data
from tui_trainer.problems.batch import is_on_host
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted


def read_plugin_to_measure(
    section: DatasetSection,
    preprocessing: dict[str, Any],
    path: str,
    info: DatasetInfo,
    problem: ProblemSection,
) -> Labelled:
    """Let a plugin's function make its data with another path, and take all its splits."""
    name = f"dataset {section.type}"
    if not section.path:
        raise BadInput(
            f"{name}: the run used it without a path, so --data FILE cannot tell it where other "
            "data are; a plugin reads them from params.path, with dataset.path=PATH in training"
        )
    if not os.path.exists(path):
        raise BadInput(f"{clean(path, 200)}: no such file or folder")
    moved = section.model_copy(update={"path": path})
    data, parts = _load_to_measure(moved, preprocessing, problem, info.classes)
    tensors = [part for part in parts if isinstance(part, TensorSplit)]
    split: Split | JoinedSplits = parts[0] if len(parts) == 1 else JoinedSplits(parts)
    if len(tensors) == len(parts) > 1:
        split = joined_tensors(tensors)
    return Labelled(split, clean(path, 200), counted(len(split), "sample"), data.notes[:1])


def _load_to_measure(
    section: DatasetSection,
    fitted: dict[str, Any],
    problem: ProblemSection,
    classes: Sequence[str],
) -> tuple[Dataset, tuple[Split, ...]]:
    """Load the data of a plugin, and return them with the splits that have each sample once.

    `classes` are those of its targets that are names, unless the plugin says them itself.

    Raises:
        BadInput: as `load`; or a class is none of these, or the data are an iterable.
    """
    assert isinstance(section, RowsSection), "plugins give samples with a target each"
    name = f"dataset {section.type}"
    data = make_data(section, name)
    is_divided = isinstance(data, Data) and data.val is not None
    if isinstance(data, Data):
        names = tuple(classes) if data.target is not None and not data.classes else data.classes
        data = replace(data, classes=names)
        if not is_divided:
            # All of it three times, since too few samples could not be divided.
            data = replace(data, val=data.train, test=data.train, group=None)
    # A worker that makes the data again would not know the classes, and divide them.
    dataset = load_safely(section, data, fitted, name, problem, is_remade=False)
    if isinstance(dataset.train, IteratedSplit):
        raise BadInput(f"{name}: its training data are an iterable, which cannot be measured whole")
    splits = (dataset.train, dataset.val, dataset.test)
    return dataset, splits if is_divided else splits[:1]


def why_no_files(preprocessing: Mapping[str, Any]) -> str:
    """Return why no files can be predicted with a run on a plugin's data, by its checkpoint.

    Empty if they can be, or that is not known.
    """
    if preprocessing.get(READS_FILES) is not False:
        return ""
    name = clean(str(preprocessing.get("source")), 80)
    return (
        f"dataset {name}: no files can be predicted, because its Data has no read=, the function "
        "that makes a sample of a file"
    )


def read_sample(section: DatasetSection, info: DatasetInfo, path: str) -> Sample:
    """Read a file by the function of a plugin's data, as the fields that a model reads, in order.

    Raises:
        BadInput: the data have no such function, it fails, or the sample is not like the others.
    """
    name = f"dataset {section.type}"
    data = make_data(cast(RowsSection, section), name)
    read = data.read if isinstance(data, Data) else None
    if read is None:
        raise BadInput(why_no_files({"source": section.type, READS_FILES: False}))
    # As the items that it is called with in training.
    is_path = len(data.train) > 0 and isinstance(data.train[0], Path)
    shown = clean(path, 200)
    try:
        with worker_conditions():
            seed_all(derive_seed(section.split_seed, "predict"))
            raw = read(Path(path) if is_path else path)
            sample = as_sample(raw) if data.collate is None else _collated(data, raw)
        SampleSpec(info).check_inputs(sample)
    except SampleMismatch as error:
        raise BadInput(f"{shown}: {error}") from error
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"{describe_error_near(error, place_of(read))}; {shown} (in {name})"
        ) from error
    lengths = {field: value for field, value in sample.items() if is_on_host(field)}
    return {field: sample[field] for field in info.names} | lengths


def _collated(data: Data, raw: Any) -> Sample:
    """Return a sample as the batch of itself that the function of the data makes."""
    try:
        batch = Collation(data.collate, data.padding).batch([raw], None)
    except KeyError as error:
        if error.args == ("target",):
            error.add_note("a sample to be predicted has no target, so collate must do without")
        raise
    return {name: values[0] for name, values in batch.items()}
