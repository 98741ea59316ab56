"""`check_graphs`: refuses settings under which a supervised step cannot be one graph.

Layer: training. Compiled or recorded: most reasons are those of both.
"""

from __future__ import annotations

import torch
from torch import nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import LOSS_FACTORIES
from tui_trainer.config.sections.optimizers import AdamSection, AdamWSection, SgdSection
from tui_trainer.text.errors import ConfigError, Problem

_COMPILE, _RECORD = "training.compile", "training.cuda_graphs"


def check_graphs(
    experiment: Experiment,
    model: nn.Module,
    device: torch.device,
    *,
    stateful: bool,
    is_new: bool,
) -> None:
    """Raise ConfigError if a supervised step of these settings cannot be the graph that they ask
    for.

    A run that has begun on a GPU may go on, and be measured, on a CPU: `is_new` is for one that has
    not begun.
    """
    training = experiment.training
    reasons = {
        "the loss of a plugin": experiment.loss.type in LOSS_FACTORIES,
        "a loss that the model computes": experiment.loss_is_of_model,
        "the loss scaler of fp16": training.precision == "fp16",
        "gradient checkpointing": training.gradient_checkpointing,
        "a model that carries a state from batch to batch": stateful,
        "recurrent layers of torch": any(isinstance(one, nn.RNNBase) for one in model.modules()),
    }
    if training.compile == "step":
        _refuse(reasons, _COMPILE, "step: cannot compile {}; set true or false")
    if not training.cuda_graphs:
        return
    if device.type != "cuda" and is_new:
        message = f"is for GPUs, and this run is on the device {device}; set false"
        raise ConfigError([Problem(message, _RECORD)])
    reasons |= _only_of_recorded(experiment)
    _refuse(reasons, _RECORD, "cannot record {}; set false")


def _only_of_recorded(experiment: Experiment) -> dict[str, bool]:
    """Return the reasons that are none against compiling."""
    training = experiment.training
    has_kernel = isinstance(experiment.optimizer, SgdSection | AdamSection | AdamWSection)
    return {
        "several micro-batches per step (training.grad_accumulation)": (
            training.grad_accumulation > 1
        ),
        "what torch compiles (training.compile)": bool(training.compile),
        "the bits of torch's default loop (training.arithmetic=plain)": (
            training.arithmetic == "plain"
        ),
        "an optimizer other than sgd, adam and adamw": not has_kernel,
    }


def _refuse(reasons: dict[str, bool], key: str, message: str) -> None:
    if blamed := [reason for reason, holds in reasons.items() if holds]:
        raise ConfigError([Problem(message.format(" or ".join(blamed)), key)])
