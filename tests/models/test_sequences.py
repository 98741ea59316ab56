"""What holds for every model of sequences and texts, whatever it is made of."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tests.models.specimens import (
    IMAGES,
    LANGUAGE,
    LENGTHS,
    NUMBERS,
    SEQUENCES,
    SIGNALS,
    STEPS,
    TEXTS,
    losses_of_training,
    model_of,
    samples,
    section,
)
from tui_trainer.models.build import build_model
from tui_trainer.models.summary import count_parameters, summarize
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

Settings = dict[str, Any]

WHOLE: list[tuple[str, Settings]] = [
    *(("rnn", {"cell": cell}) for cell in ("rnn", "gru", "lstm")),
    *(("rnn", {"pooling": pooling}) for pooling in ("mean", "max", "last")),
    ("rnn", {"cell": "lstm", "layers": 2, "bidirectional": True, "pooling": "last"}),
    ("rnn", {"layers": 2, "bidirectional": True, "pooling": "max"}),
    ("transformer", {}),
    ("transformer", {"pooling": "cls"}),
    ("transformer", {"position": "rotary", "norm": "rms", "bias": False}),
    ("transformer", {"position": "sinusoidal", "norm_order": "post"}),
]
STEPPED: list[tuple[str, Settings]] = [
    *(("rnn", {"cell": cell, "layers": 2}) for cell in ("rnn", "gru", "lstm")),
    *(("transformer", {"position": where}) for where in ("learned", "rotary", "sinusoidal")),
    ("transformer", {"norm": "rms", "norm_order": "post", "bias": False}),
]
KINDS = ["rnn", "transformer"]
whole = pytest.mark.parametrize(("kind", "settings"), WHOLE)
stepped = pytest.mark.parametrize(("kind", "settings"), STEPPED)


@whole
@pytest.mark.parametrize("signature", [TEXTS, SEQUENCES, NUMBERS])
def test_a_sample_gets_one_prediction(kind: str, settings: Settings, signature: Signature) -> None:
    model = model_of(kind, signature, **settings)

    assert model(samples(signature)).shape == (4, signature.outputs)
    assert model(samples(signature), LENGTHS).shape == (4, signature.outputs)
    assert model(samples(signature, steps=5)).shape == (4, signature.outputs)


@stepped
@pytest.mark.parametrize("signature", [LANGUAGE, SIGNALS])
def test_every_step_gets_a_prediction(kind: str, settings: Settings, signature: Signature) -> None:
    model = model_of(kind, signature, **settings)

    assert model(samples(signature)).shape == (4, STEPS, signature.outputs)
    assert model(samples(signature), LENGTHS).shape == (4, STEPS, signature.outputs)
    assert model(samples(signature, steps=1)).shape == (4, 1, signature.outputs)


@whole
@pytest.mark.parametrize("signature", [TEXTS, SEQUENCES])
def test_padding_changes_no_output(kind: str, settings: Settings, signature: Signature) -> None:
    model = model_of(kind, signature, **settings).eval()
    inputs = samples(signature)
    padded = model(inputs, LENGTHS)

    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(inputs[row : row + 1, :length])
        torch.testing.assert_close(padded[row : row + 1], alone, atol=1e-6, rtol=1e-5)
    assert torch.equal(model(rubbish(inputs, LENGTHS), LENGTHS), padded)
    short = LENGTHS.clamp(max=6)
    cut = model(inputs[:, :6], short)
    torch.testing.assert_close(model(inputs, short), cut, atol=1e-6, rtol=1e-5)


@stepped
@pytest.mark.parametrize("signature", [LANGUAGE, SIGNALS])
def test_padding_changes_no_step(kind: str, settings: Settings, signature: Signature) -> None:
    model = model_of(kind, signature, **settings).eval()
    inputs = samples(signature)
    padded = model(rubbish(inputs, LENGTHS), LENGTHS)

    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(inputs[row : row + 1, :length])
        torch.testing.assert_close(padded[row : row + 1, :length], alone, atol=1e-6, rtol=1e-5)


@whole
def test_full_lengths_are_the_same_as_none(kind: str, settings: Settings) -> None:
    model = model_of(kind, SEQUENCES, **settings).eval()
    inputs = samples(SEQUENCES)
    full = torch.full((4,), STEPS)

    assert torch.equal(model(inputs, full), model(inputs))


@whole
def test_an_empty_sample_has_an_output_and_a_gradient(kind: str, settings: Settings) -> None:
    model = model_of(kind, SEQUENCES, **settings)
    outputs = model(samples(SEQUENCES), torch.tensor([0, 3, 0, 12]))
    outputs.sum().backward()

    assert outputs.isfinite().all()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


@stepped
@pytest.mark.parametrize("signature", [LANGUAGE, SIGNALS])
def test_no_step_sees_a_later_one(kind: str, settings: Settings, signature: Signature) -> None:
    model = model_of(kind, signature, **settings).eval()
    inputs = samples(signature)
    changed = inputs.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 7
    before, after = model(inputs), model(changed)

    torch.testing.assert_close(before[:, :7], after[:, :7], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(before[:, 7:], after[:, 7:])


@whole
def test_the_order_of_the_steps_matters(kind: str, settings: Settings) -> None:
    larger = {"init_std": 0.2} if kind == "transformer" else {}
    model = model_of(kind, SEQUENCES, **settings, **larger).eval()
    inputs = samples(SEQUENCES)

    assert not torch.allclose(model(inputs), model(inputs.roll(1, 1)), atol=1e-4)


@pytest.mark.parametrize(("kind", "settings"), WHOLE)
def test_every_parameter_gets_a_gradient(kind: str, settings: Settings) -> None:
    model = model_of(kind, TEXTS, **settings)
    model(samples(TEXTS), LENGTHS).square().sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@stepped
def test_every_parameter_of_a_stepped_model_gets_a_gradient(kind: str, settings: Settings) -> None:
    model = model_of(kind, LANGUAGE, **settings)
    model(samples(LANGUAGE), LENGTHS).square().sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_follow_the_global_generator(kind: str) -> None:
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = build_model(section(kind), LANGUAGE)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("signature", [TEXTS, SEQUENCES, LANGUAGE])
def test_autocast_changes_the_numbers_only_a_little(
    kind: str, dtype: torch.dtype, signature: Signature
) -> None:
    for settings in [{"cell": "lstm"}, {"cell": "gru"}] if kind == "rnn" else [{}, {"norm": "rms"}]:
        model = model_of(kind, signature, **settings)
        exact = model(samples(signature), LENGTHS)
        with torch.autocast("cpu", dtype):
            outputs = model(samples(signature), LENGTHS)
        outputs.float().square().sum().backward()

        torch.testing.assert_close(outputs.float(), exact, atol=0.05, rtol=0.05)
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signature", [TEXTS, LANGUAGE])
def test_other_weights_can_be_put_in_for_a_call(kind: str, signature: Signature) -> None:
    settings = {"tie_embedding": signature.causal, **({"embedding": 16} if kind == "rnn" else {})}
    model = model_of(kind, signature, **settings)
    halves = {name: p.detach() / 2 for name, p in model.named_parameters()}
    called = functional_call(model, halves, (samples(signature), LENGTHS))
    halved = copy.deepcopy(model)
    halved.load_state_dict(halves, strict=False)
    with torch.no_grad():
        for parameter, half in zip(halved.parameters(), halves.values(), strict=True):
            parameter.copy_(half)

    torch.testing.assert_close(called, halved(samples(signature), LENGTHS))
    assert not torch.allclose(called, model(samples(signature), LENGTHS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signature", [SEQUENCES, LANGUAGE])
def test_a_state_dict_goes_round(kind: str, signature: Signature) -> None:
    model, other = model_of(kind, signature), model_of(kind, signature)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(model.state_dict())

    assert torch.equal(model(samples(signature)), other(samples(signature)))
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(("kind", "settings"), [*WHOLE, *STEPPED])
def test_blocks_can_be_computed_again_in_the_backward_pass(kind: str, settings: Settings) -> None:
    signature = TEXTS if (kind, settings) in WHOLE else LANGUAGE
    model = model_of(kind, signature, **settings)
    plain = gradients(model, signature)
    for block in model.get_submodule("blocks").children():
        recomputed(block)

    for name, gradient in gradients(model, signature).items():
        torch.testing.assert_close(gradient, plain[name], msg=name)


def recomputed(block: nn.Module) -> None:
    original = block.forward

    def forward(*inputs: Tensor | None) -> Any:
        return checkpoint(original, *inputs, use_reentrant=False)

    block.forward = forward


def gradients(model: nn.Module, signature: Signature) -> dict[str, Tensor]:
    model.zero_grad()
    model(samples(signature), LENGTHS).square().sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_parts_get_no_gradient(kind: str) -> None:
    model = model_of(kind, TEXTS)
    model.get_submodule("blocks").requires_grad_(False)
    model(samples(TEXTS), LENGTHS).sum().backward()

    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("blocks."), name


@pytest.mark.parametrize(("kind", "settings"), [*WHOLE, *STEPPED])
def test_gradients_are_right_in_double_precision(kind: str, settings: Settings) -> None:
    signature = SEQUENCES if (kind, settings) in WHOLE else SIGNALS
    model = model_of(kind, signature, **settings).double()
    inputs = samples(signature, 2, 3).double().requires_grad_()
    lengths = torch.tensor([3, 2])

    assert torch.autograd.gradcheck(lambda x: model(x, lengths).sum(), (inputs,), fast_mode=True)


@pytest.mark.parametrize(("kind", "settings"), [*WHOLE, *STEPPED])
def test_the_summary_adds_up_and_computes_nothing(kind: str, settings: Settings) -> None:
    signature = TEXTS if (kind, settings) in WHOLE else LANGUAGE
    model = model_of(kind, signature, **settings)
    state = torch.get_rng_state()
    layers = summarize(model, [signature.field()], 2)

    assert sum(layer.parameters for layer in layers) == count_parameters(model)
    assert layers[-1].output_shape == ((STEPS,) if signature.causal else ()) + (signature.outputs,)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signature", [LANGUAGE, SIGNALS])
def test_a_tied_embedding_is_counted_once_and_needs_a_language(
    kind: str, signature: Signature
) -> None:
    settings = {"tie_embedding": True, **({"embedding": 16} if kind == "rnn" else {})}
    if signature is SIGNALS:
        with pytest.raises(
            BadInput, match=r"model\.tie_embedding: only a language model can share"
        ):
            model_of(kind, signature, **settings)
        return
    tied = model_of(kind, signature, **settings)
    free = model_of(kind, signature, **{**settings, "tie_embedding": False})

    assert count_parameters(free) - count_parameters(tied) == 11 * 16
    assert "head.weight" in tied.state_dict()
    layers = summarize(tied, [signature.field()])
    assert layers[-1].output_shape == (STEPS, 11)


@pytest.mark.parametrize("kind", KINDS)
def test_other_data_are_refused_with_what_to_use(kind: str) -> None:
    with pytest.raises(
        BadInput, match=f"model.type: {kind} takes sequences or texts, but the data "
    ):
        model_of(kind, IMAGES)
    with pytest.raises(BadInput, match="images of 2x8x8; use cnn or resnet"):
        model_of(kind, IMAGES)
    with pytest.raises(BadInput, match="rows of 9 numbers; use mlp"):
        model_of(kind, Signature("features", (9,), 2))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        *[("rnn", {"cell": "rnn"}), ("rnn", {"cell": "lstm"}), ("transformer", {})],
        pytest.param("rnn", {"cell": "gru"}, marks=pytest.mark.further),
    ],
)
def test_a_few_samples_are_learned_by_heart(kind: str, settings: Settings) -> None:
    inputs, classes = samples(TEXTS, 8), torch.arange(8) % 3
    losses = losses_of_training(model_of(kind, TEXTS, **settings), inputs, classes, 60)
    assert losses[-1] < 0.1
    assert losses[0] > 0.9

    inputs, numbers = samples(NUMBERS, 8), torch.linspace(-1, 1, 8)[:, None]
    losses = losses_of_training(model_of(kind, NUMBERS, **settings), inputs, numbers, 150)
    assert losses[-1] < 0.06
    assert losses[0] > 0.3


@pytest.mark.parametrize(
    ("kind", "settings"), [("rnn", {"cell": "lstm"}), ("rnn", {}), ("transformer", {})]
)
def test_a_text_is_learned_by_heart(kind: str, settings: Settings) -> None:
    text = samples(LANGUAGE, 2, STEPS + 1)
    model = model_of(kind, LANGUAGE, **settings)
    losses = losses_of_training(model, text[:, :-1], text[:, 1:], 120)

    assert losses[-1] < 0.2
    assert losses[0] > 2


def rubbish(inputs: Tensor, lengths: Tensor) -> Tensor:
    """The inputs with what no model could read where the padding is."""
    mask = torch.arange(inputs.shape[1]) >= lengths[:, None]
    worst = float("nan") if inputs.is_floating_point() else -1
    return inputs.masked_fill(mask.view(*mask.shape, *[1] * (inputs.ndim - 2)), worst)
