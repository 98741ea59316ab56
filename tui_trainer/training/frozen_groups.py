"""`FrozenGroups`: freezes groups of parameters until their first step has come.

Layer: training. Which groups are frozen depends on the number of the next step and on the settings
in force alone, and so a resumed run freezes what the uninterrupted one did.
"""

from __future__ import annotations

from tui_trainer.config.experiment import Experiment
from tui_trainer.text.clean import clean
from tui_trainer.training.parameter_groups import frozen_in
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.state import State


class FrozenGroups(Part):
    """Knows at which border a group of `optimizer.groups` begins to be trained."""

    def __init__(self, shared: Shared, state: State) -> None:
        super().__init__(shared)
        self._state = state
        self._frozen: frozenset[int] = frozenset()
        self.due_step: int | None = None
        """The step after which the next group begins to be trained; None: all of them are."""
        shared.settings.apply_to(self._use)

    @property
    def is_due(self) -> bool:
        """Whether the next step is the first one that trains a group."""
        return self.due_step is not None and self._progress.step >= self.due_step

    def settle(self) -> None:
        """Freeze the groups that the next step does not train, and no others."""
        groups = self._settings.experiment.optimizer.groups
        frozen = frozen_in(groups, self._progress.step + 1)
        for number in sorted(self._frozen - frozen):
            patterns = clean(", ".join(groups[number].patterns), 80)
            self._events.note(f"the next step is the first that trains {patterns}")
        self._frozen = frozen
        self.due_step = min((groups[number].first_step - 1 for number in frozen), default=None)
        self._state.freeze_groups(frozen)
        if self.due_step is not None and not self._state.trains:
            self._events.note(f"nothing is trained before step {self.due_step + 1:,}", "warning")

    def _use(self, experiment: Experiment) -> None:
        if experiment.optimizer.groups:
            self.settle()
