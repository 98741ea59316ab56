"""Signatures, sections and samples that the tests of models share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config.sections.models import MODELS as SPECS
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.models.build import build_model
from tui_trainer.problems.signature import Signature

VOCABULARY = 11
STEPS = 12
TEXTS = Signature("tokens", (STEPS,), 3, vocabulary=VOCABULARY)
SEQUENCES = Signature("sequence", (STEPS, 5), 3)
NUMBERS = Signature("sequence", (STEPS, 5), 1)
LANGUAGE = Signature(
    "tokens", (STEPS,), VOCABULARY, vocabulary=VOCABULARY, places="step", causal=True
)
TAGS = Signature("tokens", (STEPS,), 3, vocabulary=VOCABULARY, places="step")
SIGNALS = Signature("sequence", (STEPS, 5), 2, places="step", causal=True)
IMAGES = Signature("image", (2, 8, 8), 3)

LENGTHS = torch.tensor([3, 12, 1, 7])
SMALL: dict[str, dict[str, Any]] = {
    "rnn": {"hidden": 16, "embedding": 8},
    "transformer": {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0},
}


def section(kind: str, **settings: Any) -> TypedSection:
    spec = SPECS.find(kind)
    assert spec is not None
    return spec.params.model_validate({"type": kind, **SMALL.get(kind, {}), **settings})


def model_of(kind: str, signature: Signature, **settings: Any) -> nn.Module:
    """A small model whose weights are always the same."""
    torch.manual_seed(0)
    return build_model(section(kind, **settings), signature)


def samples(signature: Signature, count: int = 4, steps: int = STEPS) -> Tensor:
    """Inputs that are always the same, with `steps` steps where they have any."""
    generator = torch.Generator().manual_seed(1)
    shape = signature.input_shape
    if signature.kind in ("sequence", "tokens"):
        shape = (steps, *shape[1:])
    if signature.kind == "tokens":
        return torch.randint(signature.vocabulary, (count, *shape), generator=generator)
    return torch.randn(count, *shape, generator=generator)


def losses_of_training(
    model: nn.Module, inputs: Tensor, targets: Tensor, steps: int, lr: float = 1e-2
) -> list[float]:
    """Losses of Adam on one batch: cross entropy for classes, else the squared error."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    losses = []
    for _ in range(steps):
        outputs = model(inputs)
        if targets.is_floating_point():
            loss = F.mse_loss(outputs, targets)
        else:
            loss = F.cross_entropy(outputs.flatten(0, -2), targets.flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
