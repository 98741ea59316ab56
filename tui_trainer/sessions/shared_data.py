"""`SharedData`: the data of an experiment, read once for several questions about it.

Layer: sessions. torch is imported when they are read, so call it in a loader thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.data.base.dataset import Dataset
    from tui_trainer.data.splits.record import SplitRecord


class SharedData:
    """Reads the data of an experiment once for several questions; used from one thread.

    It keeps them in memory, so let go of it when the last question is answered.
    """

    def __init__(self) -> None:
        self._sections: tuple[DatasetSection, ProblemSection] | None = None
        self._result: Dataset | BadInput | None = None

    def load(
        self,
        section: DatasetSection,
        fitted: dict[str, Any] | None = None,
        problem: ProblemSection = AUTO,
        record: SplitRecord | None = None,
    ) -> Dataset:
        """Like `data.load.load`; a second call returns or raises the same as the first."""
        from tui_trainer.data.load import load

        if fitted is not None or record is not None:
            return load(section, fitted, problem, record)
        if self._result is None or self._sections != (section, problem):
            self._sections = (section, problem)
            try:
                self._result = load(section, problem=problem)
            except BadInput as error:
                self._result = error
        if isinstance(self._result, BadInput):
            raise self._result
        return self._result
