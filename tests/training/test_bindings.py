"""What can be named in a preset and what can be built are the same, one to one."""

from __future__ import annotations

import torch
from torch import nn

from tui_trainer.config.losses import LOSSES as LOSS_SPECS
from tui_trainer.config.metrics import METRICS, metrics_of
from tui_trainer.config.optimizers import OPTIMIZERS as OPTIMIZER_SPECS
from tui_trainer.config.optimizers import AdamWSection, OptimizerSection
from tui_trainer.training.losses import LOSSES
from tui_trainer.training.optimizers import OPTIMIZERS, build_optimizer, retune


class WithOne(nn.Module):
    """A module with one parameter of ones."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))


def test_every_optimizer_spec_has_an_implementation_and_no_other() -> None:
    assert set(OPTIMIZER_SPECS.names) == set(OPTIMIZERS)


def test_every_loss_spec_has_an_implementation_and_no_other() -> None:
    assert set(LOSS_SPECS.names) == set(LOSSES)


def test_metrics_of_a_task_begin_with_the_loss() -> None:
    assert metrics_of("classification") == ("loss", "accuracy")
    assert metrics_of("regression") == ("loss", "mae", "rmse", "r2")
    assert METRICS["r2"].higher_is_better
    assert not METRICS["rmse"].higher_is_better


def test_optimizers_take_the_steps_of_torch() -> None:
    for spec in OPTIMIZER_SPECS:
        section = spec.params.model_validate({"type": spec.name, "lr": 0.1, "weight_decay": 0.01})
        assert isinstance(section, OptimizerSection)
        model, theirs = WithOne(5), nn.Parameter(torch.ones(5))
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        plain = kind[spec.name]([theirs], lr=0.1, weight_decay=0.01)
        built = build_optimizer(section, model)
        ours = model.weight
        for step in range(3):
            ours.grad = torch.arange(5.0) + step
            theirs.grad = torch.arange(5.0) + step
            built.step()
            plain.step()
        torch.testing.assert_close(ours, theirs)


def test_a_live_weight_decay_is_brought_into_force() -> None:
    optimizer = build_optimizer(AdamWSection(type="adamw"), WithOne(2))
    retune(optimizer, AdamWSection(type="adamw", weight_decay=0.3))
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
