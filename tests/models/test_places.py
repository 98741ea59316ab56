"""Models that give a prediction at each step and see all steps, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.models.specimens import LANGUAGE, LENGTHS, STEPS, TAGS, model_of, samples
from tui_trainer.config.problem_specs import Places
from tui_trainer.config.sections.models import MODELS
from tui_trainer.models.build import build_model
from tui_trainer.models.compatibility import suitable
from tui_trainer.problems.signature import Kind, Signature
from tui_trainer.text.errors import BadInput

SIGNAL_TAGS = Signature("sequence", (STEPS, 5), 3, places="step")
TAGGERS: list[tuple[str, dict[str, Any]]] = [
    ("rnn", {"cell": "gru", "bidirectional": True, "layers": 2}),
    ("rnn", {"cell": "lstm", "bidirectional": True}),
    ("transformer", {}),
    ("transformer", {"pooling": "cls", "position": "rotary"}),
    ("cnn1d", {"pooling": "none", "norm": "none", "channels": [8, 8], "kernel_size": 3}),
]


@pytest.mark.parametrize(("kind", "settings"), TAGGERS)
@pytest.mark.parametrize("signature", [TAGS, SIGNAL_TAGS])
def test_each_step_gets_a_prediction_that_no_padding_changes(
    kind: str, settings: dict[str, Any], signature: Signature
) -> None:
    model = model_of(kind, signature, **settings).eval()
    inputs = samples(signature)
    outputs = model(inputs, LENGTHS)
    assert outputs.shape == (4, STEPS, 3)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(inputs[row : row + 1, :length])
        torch.testing.assert_close(outputs[row : row + 1, :length], alone)


@pytest.mark.parametrize(("kind", "settings"), TAGGERS)
def test_a_step_sees_later_ones(kind: str, settings: dict[str, Any]) -> None:
    model = model_of(kind, TAGS, **settings).eval()
    inputs = samples(TAGS)
    changed = inputs.clone()
    changed[:, 1] = (changed[:, 1] + 1) % TAGS.vocabulary
    assert not torch.allclose(model(inputs)[:, 0], model(changed)[:, 0])


def test_what_suits_the_places_is_named() -> None:
    assert suitable(LANGUAGE) == "lstm or transformer"
    assert suitable(TAGS) == "rnn or transformer"


@pytest.mark.parametrize(
    ("kind", "signature", "text"),
    [
        ("mlp", TAGS, "mlp takes inputs of one size, .* use rnn or transformer"),
        ("cnn1d", TAGS, r"model\.pooling: pooling leaves fewer steps"),
    ],
)
def test_a_model_for_other_places_is_refused(kind: str, signature: Signature, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        model_of(kind, signature)


@pytest.mark.parametrize(
    ("kind", "places", "shape", "outputs"),
    [
        ("tokens", "step", (5,), (2, 5, 3)),
        ("tokens", "one", (5,), (2, 3)),
        ("image", "pixel", (1, 6, 4), (2, 3, 6, 4)),
    ],
)
def test_the_outputs_of_a_model_of_the_user_are_checked_at_each_place(
    kind: Kind, places: Places, shape: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    class Fixed(nn.Module):
        def __init__(self, shape: tuple[int, ...]) -> None:
            super().__init__()
            self.shape = shape

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(self.shape)

    from tui_trainer.config.plugin_loader import MODEL_FACTORIES
    from tui_trainer.plugins import ModelParams, model

    signature = Signature(kind, shape, 3, vocabulary=9, places=places)
    for given in (outputs, (*outputs[:-1], outputs[-1] + 1)):
        model("test-fixed")(lambda params, signature, given=given: Fixed(given))
        try:
            spec = MODELS.find("test-fixed")
            assert spec is not None
            assert issubclass(spec.params, ModelParams)
            built = build_model(spec.params(type="test-fixed"), signature)
        finally:
            MODELS._specs.pop("test-fixed", None)
            MODEL_FACTORIES.pop("test-fixed", None)
        if given == outputs:
            assert built(torch.zeros(2, *shape)).shape == outputs
        else:
            with pytest.raises(BadInput, match=r"the data need \(2, "):
                built(torch.zeros(2, *shape))
