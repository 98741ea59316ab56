"""`load`: turns a dataset section into a data set that is ready to train on.

Layer: data. This is the only entry point, for every kind of data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.disk import NoSuchData
from tui_trainer.data.rows import load_rows
from tui_trainer.data.sources.pixels import read_pixels
from tui_trainer.data.sources.plugin import load_plugged
from tui_trainer.data.sources.sequences import read_sequences
from tui_trainer.data.sources.source import Source
from tui_trainer.data.sources.table import read_rows
from tui_trainer.data.sources.text import load_text
from tui_trainer.data.sources.text_folders import read_passages
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

Loader = Callable[[Any, dict[str, Any] | None], Dataset]


def _row_loader(read: Callable[[Any], Source]) -> Loader:
    return lambda section, fitted: load_rows(section, read(section), fitted)


LOADERS: dict[str, Loader] = {
    "pixels": _row_loader(read_pixels),
    "table": _row_loader(read_rows),
    "sequences": _row_loader(read_sequences),
    "text": load_text,
    "text_folders": _row_loader(read_passages),
}
"""Loaders by the `type` of the section they take."""


def load(section: DatasetSection, fitted: dict[str, Any] | None = None) -> Dataset:
    """Read, split, fit and encode a data set, on the CPU.

    `fitted` is the `preprocessing` of a checkpoint, used instead of fitting again. The global
    random generators are not touched.

    Raises:
        BadInput: the file or a setting is wrong, or the data cannot be trained on.
        CheckpointUnusable: `fitted` belongs to other columns, classes or settings.
    """
    try:
        return _load(section, fitted)
    except BadInput as error:
        error.key = error.key or "dataset.path"
        raise


def _load(section: DatasetSection, fitted: dict[str, Any] | None) -> Dataset:
    loader = LOADERS.get(section.type)
    if loader is None:
        return load_plugged(section, fitted)
    try:
        return loader(section, fitted)
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
