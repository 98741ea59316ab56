"""Models of texts with numbers beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.specimens import LENGTHS, STEPS, TEXTS, model_of, samples
from tui_trainer.models.inputs import arguments_of
from tui_trainer.models.summary import summarize
from tui_trainer.models.text_and_numbers import Joined
from tui_trainer.problems.signature import SampleField
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.preparation import recompute_blocks

BOTH = replace(TEXTS, numbers=3)
FIELDS = (BOTH.field(), SampleField("numbers", (3,), "float32"))
NUMBERS = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
kinds = pytest.mark.parametrize("kind", ["rnn", "transformer", "cnn1d"])


@kinds
def test_both_sides_count_and_padding_does_not(kind: str) -> None:
    model = model_of(kind, BOTH, join_width=8).eval()
    assert isinstance(model, Joined)
    texts = samples(BOTH)
    outputs = model(texts, NUMBERS, LENGTHS)
    assert outputs.shape == (4, BOTH.outputs)
    padded = texts.clone()
    padded[0, LENGTHS[0] :] = 7
    torch.testing.assert_close(model(padded, NUMBERS, LENGTHS), outputs)
    short = model(texts[:1, : LENGTHS[0]], NUMBERS[:1])
    torch.testing.assert_close(short, outputs[:1], atol=1e-5, rtol=1e-4)
    other = model(texts.roll(1, 1), NUMBERS, LENGTHS), model(texts, NUMBERS + 1, LENGTHS)
    assert all((changed - outputs).abs().max() > 1e-4 for changed in other)
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@kinds
def test_a_model_is_called_with_both_by_name(kind: str) -> None:
    model = model_of(kind, BOTH)
    by_name = {argument.parameter: argument.field for argument in arguments_of(model, BOTH_NAMES)}
    assert by_name == {"inputs": "input", "numbers": "numbers", "lengths": "input"}
    layers = summarize(model, FIELDS, 2)
    assert layers[-1].name == "head"
    assert model(torch.zeros(2, STEPS, dtype=torch.int64), torch.zeros(2, 3)).shape == (2, 3)
    # Without numbers it is the model that it always was.
    assert not isinstance(model_of(kind, TEXTS), Joined)


BOTH_NAMES = tuple(field.name for field in FIELDS)


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_blocks_are_computed_again_to_the_same_gradients(kind: str) -> None:
    grads = []
    for again in (False, True):
        model = model_of(kind, BOTH)
        if again:
            recompute_blocks(model)
        model(samples(BOTH), NUMBERS, LENGTHS).square().sum().backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    for plain, recomputed in zip(*grads, strict=True):
        assert plain is not None
        assert torch.equal(plain, recomputed)


@pytest.mark.parametrize("kind", ["mlp", "linear", "cnn", "unet"])
def test_other_models_are_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="with 3 numbers beside each; use rnn"):
        model_of(kind, BOTH)


def test_its_width_is_a_setting() -> None:
    model = model_of("cnn1d", BOTH, join_width=5)
    assert isinstance(model, Joined)
    assert [layer.in_features for layer in model.modules() if isinstance(layer, nn.Linear)][-1] == 5
