"""`load`: turns a dataset section into a data set that is ready to train on.

Layer: data. This is the only entry point, for every kind of data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui_trainer.config.problems import base_of
from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.disk import NoSuchData
from tui_trainer.data.own_problem import with_own_problem
from tui_trainer.data.rows import load_rows
from tui_trainer.data.sources.arrays import read_arrays
from tui_trainer.data.sources.forecast import read_forecast
from tui_trainer.data.sources.pictures import read_picture_files
from tui_trainer.data.sources.pixels import read_pixels
from tui_trainer.data.sources.plugin import load_plugged
from tui_trainer.data.sources.sequences import read_sequences
from tui_trainer.data.sources.source import Source
from tui_trainer.data.sources.table import read_rows
from tui_trainer.data.sources.text import load_text
from tui_trainer.data.sources.text_folders import read_passages
from tui_trainer.data.sources.tokens import load_tokens
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.problems.settings import with_settings
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

Fitted = dict[str, Any] | None
Record = SplitRecord | None
Loader = Callable[[Any, ProblemSection, Fitted, Record], Dataset]


def _asked_loader(read: Callable[[Any, str, Fitted], Source]) -> Loader:
    """Return the loader of rows whose target may be a class or a number."""

    def load_asked(
        section: Any, problem: ProblemSection, fitted: Fitted, record: Record
    ) -> Dataset:
        source = read(section, _wanted(problem, fitted), fitted)
        return load_rows(section, source, fitted, record, written_problem=problem.type)

    return load_asked


def _row_loader(read: Callable[[Any, Fitted], Source]) -> Loader:
    return lambda section, problem, fitted, record: load_rows(
        section, read(section, fitted), fitted, record
    )


LOADERS: dict[str, Loader] = {
    "pixels": _row_loader(read_pixels),
    "pictures": _asked_loader(read_picture_files),
    "table": _asked_loader(read_rows),
    "huggingface": _asked_loader(read_rows),
    "sequences": _asked_loader(read_sequences),
    "forecast": _asked_loader(read_forecast),
    "arrays": _asked_loader(read_arrays),
    "text": lambda section, problem, fitted, record: load_text(section, fitted, record),
    "text_folders": _row_loader(read_passages),
    "tokens": lambda section, problem, fitted, record: load_tokens(section, fitted, record),
}
"""Loaders by the `type` of the section they take."""


def _wanted(problem: ProblemSection, fitted: Fitted) -> str:
    """Return the problem to read data for; that of a checkpoint if the settings leave it open.

    Versions before 0.2 predicted two different numbers as a number, and their runs still do.
    """
    was_numbers = fitted is not None and fitted.get("task") == "regression"
    return "regression" if was_numbers and problem.type == "auto" else base_of(problem.type)


def load(
    section: DatasetSection,
    fitted: dict[str, Any] | None = None,
    problem: ProblemSection = AUTO,
    record: SplitRecord | None = None,
) -> Dataset:
    """Read, split, fit and encode a data set, on the CPU.

    `fitted` is the `preprocessing` of a checkpoint, used instead of fitting again, and `record` the
    split of its run, used instead of splitting again. The global random generators are not touched.

    Raises:
        BadInput: the file or a setting is wrong, or the data cannot be trained on.
        ConfigError: the data are for another problem, or its settings do not fit them.
        CheckpointUnusable: `fitted` belongs to other columns, classes or settings, or the record
            of its run is missing.
    """
    try:
        return _load(section, fitted, problem, record)
    except BadInput as error:
        error.key = error.key or "dataset.path"
        raise


def _load(
    section: DatasetSection, fitted: Fitted, problem: ProblemSection, record: Record
) -> Dataset:
    loader = LOADERS.get(section.type)
    if loader is None:
        return load_plugged(section, fitted, problem, record)
    try:
        read_as = AUTO if problem.type == "none" else problem
        dataset = with_own_problem(loader(section, read_as, fitted, record), problem)
        return replace(dataset, info=with_settings(dataset.info, problem))
    except NoSuchData as error:
        raise BadInput(
            f"{error}; say where the data are now: dataset.path=/where/it/is/now"
        ) from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if fitted is None:
            raise
        # The same code reads the same data without a checkpoint, so the checkpoint is at fault.
        raise CheckpointUnusable(
            "the preprocessing in the checkpoint is not what a run saves: "
            f"{type(error).__name__}: {clean(str(error), 100)}"
        ) from error
