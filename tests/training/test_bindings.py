"""Every type that a preset can name can be built, and the other way round."""

from __future__ import annotations

from tui_trainer.config.sections.losses import LOSSES as LOSS_SPECS
from tui_trainer.config.sections.optimizers import OPTIMIZERS as OPTIMIZER_SPECS
from tui_trainer.training.losses import LOSSES
from tui_trainer.training.optimizers import OPTIMIZERS


def test_every_optimizer_spec_has_an_implementation_and_no_other() -> None:
    assert set(OPTIMIZER_SPECS.names) == set(OPTIMIZERS)


def test_every_loss_spec_has_an_implementation_and_no_other() -> None:
    assert set(LOSS_SPECS.names) - {"auto", "model"} == set(LOSSES)
