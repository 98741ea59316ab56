"""`load_plugged`: splits and describes the data set that a plugin's function returns.

Layer: data. The samples stay with the plugin; only the first one of a split is read here, to learn
its shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from tui_trainer.config.own_samples import Data
from tui_trainer.config.plugin_loader import DATASET_FACTORIES, LOADED, load_packages
from tui_trainer.config.sections.datasets import DATASETS, DatasetSection, RowsSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.config.user_code import (
    describe_error_near,
    describe_user_error,
    names_user_code,
    place_of,
)
from tui_trainer.data.base.dataset import Dataset, absent_notes
from tui_trainer.data.base.fingerprint import Fingerprint, fingerprint_of_plugin
from tui_trainer.data.base.random import derive_seed, seed_all
from tui_trainer.data.batches.collation import Collation
from tui_trainer.data.batches.iterated import IteratedSplit, keeps_state
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import Failure, SampleMaker, worker_conditions
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.in_memory import checked_columns, described_sample, first_sample
from tui_trainer.data.sources.item_split import split_items
from tui_trainer.data.sources.items import SPLITS, ReadItems, with_items
from tui_trainer.data.sources.plugin_augment import augment_of, has_soft_targets
from tui_trainer.data.sources.plugin_info import described_by, problem_of
from tui_trainer.data.sources.plugin_splits import PluginSplit, all_splits, class_counts
from tui_trainer.data.splits.division import summary_of
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.data.splits.row_split import RowSplit
from tui_trainer.problems.batch import is_on_host
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.problems.settings import with_settings
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable, TrainerError

READS_FILES = "reads_files"
"""The entry of a preprocessing that says whether `Data` has a function to read files."""


def load_plugged(
    section: DatasetSection,
    fitted: dict[str, Any] | None,
    problem: ProblemSection = AUTO,
    record: SplitRecord | None = None,
) -> Dataset:
    """Load the data of a plugin, for a problem; raises the same errors as `load`."""
    assert isinstance(section, RowsSection), "plugins give samples with a target each"
    name = f"dataset {section.type}"
    return load_safely(section, make_data(section, name), fitted, name, problem, record)


def load_safely(
    section: RowsSection,
    data: object,
    fitted: dict[str, Any] | None,
    name: str,
    problem: ProblemSection,
    record: SplitRecord | None = None,
    *,
    is_remade: bool = True,
) -> Dataset:
    """Return `loaded`, with a BadInput for what the code of a user raises meanwhile."""
    try:
        return loaded(section, data, fitted, name, problem, record, is_remade=is_remade)
    except BadInput as error:
        if names_user_code(str(error)):
            raise
        place = clean(place_of(DATASET_FACTORIES[section.type]), 300)
        raise BadInput(f"{place}: {error}") from error
    except TrainerError:
        raise
    except Exception as error:
        if not (text := describe_user_error(error)):
            raise
        raise BadInput(f"{text} (in {name})") from error


def make_data(section: RowsSection, name: str) -> Any:
    """Return what the function of a data set returns, whatever the global generators are at."""
    function = DATASET_FACTORIES[section.type]
    try:
        with worker_conditions():
            # A function that draws its data, or divides them, gives the same at each resume.
            seed_all(derive_seed(section.split_seed, "dataset"))
            return function(section)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{describe_error_near(error, place_of(function))} (in {name})") from error


@dataclass(frozen=True, slots=True)
class PluginOrigin:
    """Calls the function of a data set again, in a worker that has loaded the plugin."""

    type: str
    values: Mapping[str, Any]
    """The settings of the section."""
    part: int
    """0 for the training split, 1 for validation, 2 for test."""

    def __call__(self) -> tuple[Any, Collation]:
        """Return the data set of the split, and what makes batches of its samples."""
        key = f"{self.type} {self.values!r}"
        if key not in _MADE:
            if DATASETS.find(self.type) is None:
                # That of an installed package, which was not sent with the files.
                load_packages()
            spec = DATASETS.find(self.type)
            assert spec is not None, "the plugins are those of the training process"
            section = cast(RowsSection, spec.params.model_validate(self.values))
            name = f"dataset {self.type}"
            data = with_items(make_data(section, name), section, name)
            _MADE[key] = all_splits(section, data, name)
        split = _MADE[key][self.part]
        assert isinstance(split, MapSplit), "other splits are read in the training process"
        return split.dataset, split.collation


_MADE: dict[str, Sequence[PluginSplit]] = {}
"""In a worker, the splits of its data set, which are made once for all of them."""


def loaded(
    section: RowsSection,
    data: object,
    fitted: dict[str, Any] | None,
    name: str,
    problem: ProblemSection = AUTO,
    record: SplitRecord | None = None,
    *,
    is_remade: bool = True,
) -> Dataset:
    """Load what the function of a plugin returned; `name` is for messages.

    With `is_remade` a worker may call that function again, if the data cannot be sent to it.
    """
    data = with_items(_as_data(data, section, name), section, name)
    rows = split_items(section, data, name, fitted, record)
    splits = _placed_splits(section, data, name, rows)
    if is_remade:
        splits = [_remade(split, section, part) for part, split in enumerate(splits)]
    # No sample of an iterable is read before training starts.
    first = _first_sample(splits[1 if isinstance(splits[0], IteratedSplit) else 0], name)
    inferred, reason = problem_of(data, first, name, problem.type)
    identity = {"source": section.type, "task": inferred, "classes": list(data.classes)}
    _check_same(identity, fitted, name)
    info = with_settings(described_by(first, data, inferred, name, problem), problem)
    train, val, test = (_checked(split, info, name) for split in splits)
    counts = [class_counts(split, data) for split in (train, val, test)]
    return Dataset(
        train=train,
        val=val,
        test=test,
        info=info,
        preprocessing=_preprocessing(
            {**identity, READS_FILES: data.read is not None}, fitted, rows
        ),
        augment=augment_of(section, info),
        fingerprint=_fingerprint(section, data, (train, val, test)),
        notes=(
            f"the first sample: {described_sample(first, info)}; {inferred}: {reason}",
            *_notes(train),
            *(rows.notes if rows is not None else ()),
            *absent_notes(data.classes, *counts),
        ),
        soft_targets=has_soft_targets(section, inferred),
        class_counts=counts[0],
        val_counts=counts[1],
        split_record=None if rows is None else rows.record,
        changes=None if rows is None else rows.changes,
        split_summary=_summary(section, data, rows),
    )


def _as_data(data: object, section: RowsSection, name: str) -> Data:
    """Return what a plugin's function returned; BadInput if it is anything but `Data`."""
    if isinstance(data, Data):
        return data
    raise BadInput(f"{name}: its function returned {type(data).__name__}, not plugins.Data")


def _placed_splits(
    section: RowsSection, data: Data, name: str, rows: RowSplit | None
) -> list[PluginSplit]:
    """Return the three splits, whose samples are not checked yet, with the line of their code."""
    parts = None if rows is None else rows.parts
    return [_with_place(split, section) for split in all_splits(section, data, name, parts)]


def _with_place(split: PluginSplit, section: RowsSection) -> PluginSplit:
    """Return a split that names the line of its function for samples which have none."""
    function = DATASET_FACTORIES.get(section.type)
    if isinstance(split, TensorSplit) or function is None:
        return split
    return replace(split, made_by=place_of(function))


def _remade(split: PluginSplit, section: RowsSection, part: int) -> PluginSplit:
    """Return a split whose data set a worker can make again."""
    if not isinstance(split, MapSplit):
        return split
    return replace(split, origin=PluginOrigin(section.type, section.model_dump(), part))


def _check_same(identity: dict[str, Any], fitted: dict[str, Any] | None, name: str) -> None:
    """Raise CheckpointUnusable if the data are others than those of a checkpoint."""
    if fitted is not None and {key: fitted.get(key) for key in identity} != identity:
        raise CheckpointUnusable(
            f"the checkpoint is for other data than {name}: task or classes; the plugin has to "
            "return what the run was trained on, or train a new run"
        )


def _fingerprint(section: RowsSection, data: Data, splits: Sequence[PluginSplit]) -> Fingerprint:
    return fingerprint_of_plugin(
        section,
        _hash([data.version, *map(str, map(len, splits)), *_ids_of(data)]),
        _hash_with_code(data),
    )


def _preprocessing(
    identity: dict[str, Any], fitted: dict[str, Any] | None, rows: RowSplit | None
) -> dict[str, Any]:
    if fitted is not None:
        return fitted
    if rows is None or rows.record is None:
        return identity
    return {**identity, "split": rows.record.rule}


def _summary(section: RowsSection, data: Data, rows: RowSplit | None) -> str:
    """Say how the samples are split, unless the plugin does it."""
    if data.val is not None or data.test is not None:
        return ""
    rule = "position" if rows is None or rows.record is None else rows.record.rule
    return summary_of(rule, section, stratified=section.stratify and bool(data.classes))


def _checked(split: PluginSplit, info: DatasetInfo, name: str) -> PluginSplit:
    """Return a split whose samples are checked: those in memory now, others as they are read."""
    if isinstance(split, TensorSplit):
        try:
            return checked_columns(split, info)
        except SampleMismatch as error:
            raise BadInput(f"{name}: {error}") from error
    split = replace(split, form=SampleSpec(info))
    if isinstance(split, MapSplit):
        _first_sample(split, name)
    return split


def _notes(train: PluginSplit) -> tuple[str, ...]:
    """Return a note on how an iterable resumes after an interruption."""
    if not isinstance(train, IteratedSplit):
        return ()
    if keeps_state(train.dataset):
        return ("the training data are read in their own order, and a resume continues in it",)
    return (
        "the training data are read in their own order, but have no state_dict: a resume reads "
        "again from the start of the epoch",
    )


def _first_sample(split: PluginSplit, name: str) -> Sample:
    """Return the first sample of a split, checked against its form if it has one."""
    if isinstance(split, TensorSplit):
        return first_sample(split)
    assert isinstance(split, MapSplit), "an iterable is not read before training starts"
    maker = SampleMaker(
        split.dataset, 0, "first", split.form, split.collation, made_by=split.made_by
    )
    batch = maker.make(0, split.rows[:1].tolist())
    if isinstance(batch, Failure):
        raise BadInput(f"{batch.message} (in {name})")
    return {field: values[0] for field, values in batch.items() if not is_on_host(field)}


def _ids_of(data: Data) -> list[str]:
    """Return the items of all splits as text; empty for other data, which do not name theirs."""
    splits = [getattr(data, split) for split in SPLITS]
    return [name for split in splits if isinstance(split, ReadItems) for name in split.ids]


def _hash_with_code(data: Data) -> str:
    """Return a sha256 over the data's version and all plugins, as older rules have it."""
    return _hash([data.version, *(plugin.sha256 for plugin in LOADED.values())])


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
