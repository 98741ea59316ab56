"""The mode of a model is set in all of its modules, as torch sets it."""

from __future__ import annotations

import pytest
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from tui_trainer.models.modes import Modes


def modes_in(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


class Growing(nn.Module):
    """A model of the user's, which exchanges its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Frozen(nn.BatchNorm1d):
    """A norm that stays in evaluation mode."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(False)
        return self


@pytest.mark.parametrize("training", [True, False])
def test_it_sets_what_torch_sets(training: bool) -> None:
    for model in (nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Sequential(Frozen(2))):
        modes = Modes(model)
        model.train(not training)
        modes.set(training=training)
        ours = modes_in(model)
        model.train(training)
        assert ours == modes_in(model)


def test_modules_that_were_exchanged_are_found() -> None:
    model = Growing()
    modes = Modes(model)
    model.layer = nn.Linear(2, 3)
    modes.set(training=False)
    assert modes_in(model) == [False, False]
    inner, linear = nn.Sequential(nn.Dropout(0.1)), nn.Linear(2, 2)
    layers = nn.Sequential(inner, linear)
    modes = Modes(layers)
    weight_norm(linear)
    inner[0] = nn.Dropout(0.2)
    modes.set(training=False)
    assert not any(modes_in(layers))
    inner[0] = Frozen(2)
    layers.append(nn.Dropout(0.3))
    modes.set(training=True)
    assert [module for module in layers.modules() if not module.training] == [inner[0]]


def test_a_layer_whose_mode_was_fixed_afterwards_keeps_it() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    modes = Modes(model)
    vars(model[0])["train"] = lambda mode=True: model[0]
    modes.set(training=False)
    assert modes_in(model) == [False, True, False]
