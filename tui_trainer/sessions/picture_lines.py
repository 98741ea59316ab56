"""Lines of a proposal that are for pictures in files: how they are changed, and when they are read.

Layer: sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.text.format import counted

if TYPE_CHECKING:
    from tui_trainer.data.base.dataset import Dataset


def picture_lines(dataset: Dataset, experiment: Experiment) -> list[tuple[str, str, str]]:
    """Return the subject, the text and the setting of each line; none for other data."""
    data = experiment.dataset
    if not isinstance(data, PicturesSection):
        return []
    lines = []
    if data.crop_padding:
        text = (
            f"moved by up to {counted(data.crop_padding, 'pixel')} at random; not mirrored, which "
            "could make another thing of them"
        )
        lines.append(("augment", text, "dataset.crop_padding"))
    if dataset.left_out is not None:
        workers = experiment.loader.num_workers
        by = counted(workers, "process", "processes") if workers else "the training process itself"
        text = f"while training, by {by}"
        if data.decode != "training":
            text += ": decoded, they are too large to be kept"
        lines.append(("reading", text, "loader.num_workers"))
    return lines
