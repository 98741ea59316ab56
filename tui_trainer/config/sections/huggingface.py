"""Section and spec of the data sets of Hugging Face's library.

Layer: config.
"""

from typing import Literal

from tui_trainer.config.sections.datasets import HUB, TableSection
from tui_trainer.config.sections.section import Spec, setting


class HuggingFaceSection(TableSection):
    """The columns of a data set of Hugging Face's library, as those of a table."""

    type: Literal["huggingface"]  # type: ignore[assignment]
    path: str = setting(
        ...,
        f"a folder that save_to_disk wrote, or one of Parquet, CSV or JSON lines; {HUB}USER/NAME "
        "for one on the hub",
        path=True,
    )
    config: str | None = setting(
        None, "name of a configuration, if the data set on the hub has several", min_length=1
    )
    revision: str | None = setting(
        None, "commit, tag or branch of a data set on the hub; empty: the newest", min_length=1
    )


HUGGINGFACE_DATASETS = (
    Spec("huggingface", "a data set of Hugging Face's library", HuggingFaceSection),
)
