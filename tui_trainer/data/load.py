"""`load`: turns a dataset section into a data set that is ready to train on.

Layer: data. This is the only entry point, for every kind of data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from tui_trainer.config.problem_specs import base_of
from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.table_rules import as_in_run, with_rules
from tui_trainer.data.files.cell_values import to_numbers
from tui_trainer.data.files.disk import NoSuchData
from tui_trainer.data.problem_override import with_own_problem
from tui_trainer.data.row_dataset import load_rows
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.problems.settings import with_settings
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

Fitted = dict[str, Any] | None
Record = SplitRecord | None
Loader = Callable[[Any, ProblemSection, Fitted, Record], Dataset]


def _function_of(place: str) -> Callable[..., Any]:
    module, name = place.split(".")
    function: Callable[..., Any] = getattr(
        import_module(f"tui_trainer.data.sources.{module}"), name
    )
    return function


def _whole_loader(place: str) -> Loader:
    """Return the loader of data whose module makes the splits itself."""
    return lambda section, problem, fitted, record: _function_of(place)(section, fitted, record)


def _row_loader(place: str) -> Loader:
    """Return the loader of rows."""
    return lambda section, problem, fitted, record: load_rows(
        section, _function_of(place)(section, fitted), fitted, record
    )


def _asked_loader(place: str) -> Loader:
    """Return the loader of rows whose target may be a class or a number."""

    def load_asked(
        section: Any, problem: ProblemSection, fitted: Fitted, record: Record
    ) -> Dataset:
        source = _function_of(place)(section, _wanted(section, problem, fitted), fitted)
        return load_rows(section, source, fitted, record, written_problem=problem.type)

    return load_asked


LOADERS: dict[str, Loader] = {
    "pixels": _row_loader("pixels.read_pixels"),
    "pictures": _asked_loader("pictures.read_picture_files"),
    "table": _asked_loader("table.read_rows"),
    "huggingface": _asked_loader("table.read_rows"),
    "sequences": _asked_loader("sequences.read_sequences"),
    "forecast": _asked_loader("forecast.read_forecast"),
    "arrays": _asked_loader("arrays.read_arrays"),
    "text": _whole_loader("text.load_text"),
    "text_folders": _row_loader("text_folders.read_passages"),
    "tokens": _whole_loader("tokens.load_tokens"),
}
"""Loaders by the `type` of the section they take. The module of a kind, in `data.sources`, is
imported when data of that kind are loaded."""


def _wanted(section: DatasetSection, problem: ProblemSection, fitted: Fitted) -> str:
    """Return the problem to read data for; that of a checkpoint if the settings leave it open.

    Versions before 0.2 predicted two different numbers as a number, and their runs still do; what
    later versions took for names of classes may be amounts of money now.
    """
    if fitted is None or problem.type != "auto":
        return base_of(problem.type)
    task = fitted.get("task")
    if task == "classification" and section.is_of_earlier_run:
        return task if to_numbers(fitted["classes"])[1] else "auto"
    return "regression" if task == "regression" else "auto"


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
        from tui_trainer.data.sources.plugin_data import load_plugged

        return load_plugged(section, fitted, problem, record)
    if fitted is not None:
        section = as_in_run(section, fitted)
    try:
        read_as = AUTO if problem.type == "none" else problem
        dataset = with_own_problem(loader(section, read_as, fitted, record), problem)
        if fitted is None:
            dataset = replace(dataset, preprocessing=with_rules(dataset.preprocessing))
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
