from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.models.specimens import LANGUAGE, STEPS, TEXTS, losses_of_training, model_of
from tui_trainer.models.sampling import generate
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

PROMPT = torch.tensor([1, 2, 3])
MODELS = [
    *(("rnn", {"cell": cell, "layers": 2}) for cell in ("rnn", "gru", "lstm")),
    ("transformer", {}),
    ("transformer", {"position": "rotary"}),
]
models = pytest.mark.parametrize(("kind", "settings"), MODELS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Fixed(nn.Module):
    """Logits that never change, with how often it was asked and for how many tokens."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.asked: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.asked.append(inputs.shape[1])
        return self.logits.expand(*inputs.shape, -1)


FIXED = Signature("tokens", (4,), 3, vocabulary=3, places="step", causal=True)


@models
def test_greedy_tokens_are_the_likeliest_of_a_whole_pass(
    kind: str, settings: dict[str, object]
) -> None:
    model = model_of(kind, LANGUAGE, **settings)
    tokens = generate(model, LANGUAGE, PROMPT, 6, temperature=0)
    text = torch.cat([PROMPT, tokens])
    expected = model.eval()(text[None, :-1])[0, len(PROMPT) - 1 :].argmax(-1)

    assert tokens.shape == (6,)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, expected)


@models
def test_draws_come_from_the_generator_alone(kind: str, settings: dict[str, object]) -> None:
    model = model_of(kind, LANGUAGE, **settings, dropout=0.5)
    state = torch.get_rng_state()
    found = [generate(model, LANGUAGE, PROMPT, 30, generator=seeded(s)) for s in (0, 0, 1)]

    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(state, torch.get_rng_state())


def test_a_text_goes_on_past_what_a_transformer_can_see() -> None:
    model = Fixed([0.0, 0.0, 0.0])
    tokens = generate(model, FIXED, torch.tensor([0, 1]), 6, generator=seeded())

    assert len(tokens) == 6
    assert model.asked == [2, 3, 4, 4, 4, 4]
    assert (
        len(generate(model_of("transformer", LANGUAGE), LANGUAGE, PROMPT, 40, temperature=0)) == 40
    )


def test_a_prompt_longer_than_a_transformer_can_see_is_read_from_its_end() -> None:
    model = model_of("transformer", LANGUAGE)
    long = torch.arange(30) % 11

    found = generate(model, LANGUAGE, long, 3, temperature=0)
    assert torch.equal(found, generate(model, LANGUAGE, long[-STEPS:], 3, temperature=0))


def test_tokens_are_drawn_by_their_chances() -> None:
    model = Fixed([0.0, 1.0, 2.0])
    for temperature in (1.0, 0.5, 2.0):
        tokens = generate(
            model, FIXED, PROMPT[:1], 3000, temperature=temperature, generator=seeded()
        )
        shares = torch.bincount(tokens, minlength=3) / 3000
        chances = (torch.tensor([0.0, 1.0, 2.0]) / temperature).softmax(-1)
        torch.testing.assert_close(shares, chances, atol=0.03, rtol=0)


def test_top_k_draws_from_the_likeliest_only() -> None:
    def drawn(top_k: int, logits: list[float]) -> set[int]:
        tokens = generate(
            Fixed(logits), FIXED, PROMPT[:1], 200, temperature=5.0, top_k=top_k, generator=seeded()
        )
        return set(tokens.tolist())

    assert drawn(1, [0.0, 2.0, 1.0]) == {1}
    assert drawn(2, [0.0, 2.0, 1.0]) == {1, 2}
    assert drawn(0, [0.0, 2.0, 1.0]) == drawn(3, [0.0, 2.0, 1.0]) == {0, 1, 2}
    assert drawn(99, [0.0, 2.0, 1.0]) == {0, 1, 2}
    assert len(drawn(2, [1.0, 1.0, 1.0])) == 2


def test_a_tiny_temperature_is_greedy() -> None:
    model = Fixed([0.0, 2.0, 1.0])

    assert set(
        generate(model, FIXED, PROMPT[:1], 50, temperature=1e-40, generator=seeded()).tolist()
    ) == {1}


@models
def test_the_model_is_left_as_it_was(kind: str, settings: dict[str, object]) -> None:
    model = model_of(kind, LANGUAGE, **settings)
    model.get_submodule("head").eval()
    modes = [module.training for module in model.modules()]
    generate(model, LANGUAGE, PROMPT, 2, temperature=0)
    with pytest.raises(BadInput):
        generate(model, LANGUAGE, PROMPT, 2)

    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_tokens_may_be_asked_for() -> None:
    assert generate(Fixed([0.0, 0.0, 0.0]), FIXED, PROMPT[:1], 0, temperature=0).shape == (0,)


def test_what_cannot_be_sampled_is_refused() -> None:
    model = Fixed([0.0, 0.0, 0.0])

    def refusal(
        signature: Signature = FIXED, prompt: Tensor = PROMPT[:1], **settings: object
    ) -> str:
        asked = {"count": 2, "generator": seeded(), **settings}
        with pytest.raises(BadInput) as caught:
            generate(model, signature, prompt, **asked)  # type: ignore[arg-type]
        return str(caught.value)

    assert refusal(TEXTS) == "only a language model can continue a text"
    assert (
        refusal(prompt=torch.tensor([], dtype=torch.int64)) == "a prompt needs at least one token"
    )
    assert refusal(prompt=torch.tensor([0, 3])) == "the prompt has tokens that are not in 0 to 2"
    assert refusal(generator=None).endswith("needs a generator to draw from")
    assert "below 0" in refusal(count=-1)
    assert "below 0" in refusal(top_k=-1)
    assert refusal(temperature=-1.0) == refusal(temperature=float("nan"))
    model.logits.data[1] = float("nan")
    assert refusal(temperature=0).startswith("the model has NaN or infinity in its outputs")


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_a_text_that_was_learned_by_heart_is_said_again(kind: str) -> None:
    text = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    model = model_of(kind, LANGUAGE)
    losses_of_training(model, text[None, :-1], text[None, 1:], 100)

    assert torch.equal(generate(model, LANGUAGE, text[:3], 9, temperature=0), text[3:])
