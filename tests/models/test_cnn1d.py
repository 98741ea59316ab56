"""Convolutions over steps: padding changes nothing, and short strings are found anywhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tui_trainer.config.sections.models import Cnn1dSection
from tui_trainer.models.build import build_model
from tui_trainer.models.summary import count_parameters
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

TEXT = Signature("tokens", (40,), 3, vocabulary=50)
NUMBERS = Signature("sequence", (40, 5), 3)


def built(signature: Signature = TEXT, **settings: Any) -> nn.Module:
    section = Cnn1dSection.model_validate({"type": "cnn1d", "channels": [8, 6], **settings})
    return build_model(section, signature).eval()


@pytest.mark.parametrize("settings", [{}, {"readout": "mean"}, {"pooling": "none", "norm": "none"}])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 12])
def test_more_padding_changes_no_output(settings: dict[str, Any], length: int) -> None:
    model = built(**settings)
    tokens = torch.randint(0, 50, (4, 40))
    lengths = torch.tensor([length, 12, 5, 12])
    short = model(tokens[:, :12], lengths)
    torch.testing.assert_close(model(tokens, lengths), short)
    torch.testing.assert_close(model(tokens[:1, :length]), short[:1])


def test_whatever_stands_in_the_padding_is_not_seen() -> None:
    model = built(NUMBERS)
    numbers = torch.randn(3, 20, 5)
    lengths = torch.tensor([20, 9, 13])
    expected = model(numbers, lengths)
    numbers[1, 9:], numbers[2, 13:] = float("nan"), 1e30
    torch.testing.assert_close(model(numbers, lengths), expected)


def test_parameters_are_those_of_the_settings() -> None:
    model = built(kernel_size=3, embedding=4, hidden=7)
    blocks = (3 * 4 * 8 + 2 * 8) + (3 * 8 * 6 + 2 * 6)
    assert count_parameters(model) == 50 * 4 + blocks + (6 * 7 + 7) + (7 * 3 + 3)
    assert count_parameters(built(NUMBERS, norm="none", channels=[8])) == 5 * 5 * 8 + 8 + 8 * 3 + 3


def test_it_learns_to_find_a_string_wherever_it_stands() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(3, 50, (64, 30))
    targets = torch.arange(64) % 2
    for row in range(0, 64, 2):
        place = int(torch.randint(0, 27, ()))
        tokens[row, place : place + 3] = torch.tensor([0, 1, 2])
    model = built(channels=[16], kernel_size=3).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.1


def test_what_it_cannot_take_is_refused_with_what_can() -> None:
    with pytest.raises(BadInput, match=r"cnn1d takes sequences or texts.*use cnn or resnet"):
        built(Signature("image", (1, 8, 8), 3))
    with pytest.raises(BadInput, match=r"must not see later steps.*use lstm or transformer"):
        built(Signature("tokens", (40,), 50, vocabulary=50, places="step", causal=True))
    with pytest.raises(ValueError, match="kernel_size"):
        built(kernel_size=0)
