"""`check_compilable`: refuses settings under which a supervised step cannot be one graph.

Layer: training.
"""

from __future__ import annotations

from torch import nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugins import LOSS_FACTORIES
from tui_trainer.text.errors import ConfigError, Problem


def check_compilable(experiment: Experiment, model: nn.Module, *, stateful: bool) -> None:
    """Raise ConfigError if a supervised step of these settings cannot be one graph."""
    reasons = {
        "the loss of a plugin": experiment.loss.type in LOSS_FACTORIES,
        "a loss that the model computes": experiment.loss_is_of_model,
        "the loss scaler of fp16": experiment.training.precision == "fp16",
        "gradient checkpointing": experiment.training.gradient_checkpointing,
        "a model that carries a state from batch to batch": stateful,
        "recurrent layers of torch": any(isinstance(one, nn.RNNBase) for one in model.modules()),
    }
    if blamed := [reason for reason, holds in reasons.items() if holds]:
        message = f"step: cannot compile {' or '.join(blamed)}; set true or false"
        raise ConfigError([Problem(message, "training.compile")])
