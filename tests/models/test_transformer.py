from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.models.specimens import LANGUAGE, SEQUENCES, SIGNALS, STEPS, TEXTS, model_of, samples
from tui_trainer.models.layers import RmsNorm
from tui_trainer.models.steps import SinusoidalPositions, rotate, rotation_table
from tui_trainer.models.summary import count_parameters
from tui_trainer.text.errors import BadInput


def test_the_parameters_are_those_of_the_formula() -> None:
    width, layers, hidden = 16, 2, 64
    attention = width * 3 * width + 3 * width + width * width + width
    dense = width * hidden + hidden + hidden * width + width
    block = attention + dense + 4 * width
    base = 11 * width + STEPS * width + layers * block + 2 * width

    assert count_parameters(model_of("transformer", LANGUAGE)) == base + 11 * width
    assert count_parameters(model_of("transformer", LANGUAGE, tie_embedding=True)) == base
    assert count_parameters(model_of("transformer", TEXTS)) == base + 3 * width + 3
    cls = count_parameters(model_of("transformer", TEXTS, pooling="cls"))
    assert cls == base + 3 * width + 3 + 2 * width
    projected = base - 11 * width + 5 * width + width
    assert count_parameters(model_of("transformer", SIGNALS)) == projected + 2 * width


def test_gpt2_has_as_many_parameters_as_published() -> None:
    # 124,439,808: the small model of Radford et al. 2019 as it was released.
    width, vocabulary, context = 768, 50257, 1024
    signature = type(LANGUAGE)(
        "tokens", (context,), vocabulary, vocabulary, places="step", causal=True
    )
    with torch.device("meta"):
        model = model_of(
            "transformer", signature, width=width, layers=12, heads=12, tie_embedding=True
        )

    assert count_parameters(model) == 124_439_808


def test_knobs_change_what_they_say() -> None:
    plain = count_parameters(model_of("transformer", TEXTS))
    assert count_parameters(model_of("transformer", TEXTS, layers=1)) < plain
    assert plain - count_parameters(model_of("transformer", TEXTS, position="rotary")) == 12 * 16
    assert plain - count_parameters(model_of("transformer", TEXTS, position="sinusoidal")) == 192
    # An RMS norm has no bias, and there are two a block and one at the end.
    assert plain - count_parameters(model_of("transformer", TEXTS, norm="rms")) == 5 * 16
    assert plain - count_parameters(model_of("transformer", TEXTS, norm_order="post")) == 2 * 16
    narrow = model_of("transformer", TEXTS, mlp_ratio=1.5)
    assert narrow.get_parameter("blocks.0.dense.hidden.weight").shape == (24, 16)
    unbiased = model_of("transformer", TEXTS, bias=False)
    assert [n for n, _ in unbiased.named_parameters() if n.endswith("bias")] == ["head.bias"]
    assert any(isinstance(m, RmsNorm) for m in model_of("transformer", TEXTS, norm="rms").modules())
    assert any(
        isinstance(m, nn.SiLU) for m in model_of("transformer", TEXTS, activation="silu").modules()
    )
    assert model_of("transformer", TEXTS, heads=8)(samples(TEXTS)).shape == (4, 3)
    one, many = (model_of("transformer", TEXTS, heads=heads) for heads in (1, 4))
    assert not torch.allclose(one(samples(TEXTS)), many(samples(TEXTS)))


def test_heads_that_do_not_divide_the_width_are_refused_with_those_that_do() -> None:
    with pytest.raises(
        ValueError, match="4 heads do not divide a width of 18; 1, 2, 3, 6, 9, 18 do"
    ):
        model_of("transformer", TEXTS, width=18, heads=4)


def test_rotary_positions_need_pairs() -> None:
    with pytest.raises(ValueError, match="rotary rotates pairs, but a head has 3 numbers"):
        model_of("transformer", TEXTS, width=12, heads=4, position="rotary")
    assert model_of("transformer", TEXTS, width=12, heads=4)


def test_first_weights_are_those_of_gpt2() -> None:
    model = model_of("transformer", LANGUAGE, width=128, heads=4, layers=8)
    deviations = {n: float(p.detach().std()) for n, p in model.named_parameters() if p.ndim > 1}
    small = 0.02 / math.sqrt(16)

    for name, deviation in deviations.items():
        added = name.endswith(("attention.output.weight", "dense.output.weight"))
        assert deviation == pytest.approx(small if added else 0.02, rel=0.1), name
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name
    wide = model_of("transformer", LANGUAGE, init_std=0.5)
    assert float(wide.get_parameter("embedding.weight").detach().std()) == pytest.approx(
        0.5, rel=0.2
    )


def test_a_first_loss_is_that_of_even_chances() -> None:
    inputs = samples(LANGUAGE)
    outputs = model_of("transformer", LANGUAGE, tie_embedding=True)(inputs)
    loss = nn.functional.cross_entropy(outputs.flatten(0, 1), inputs.roll(-1, 1).flatten())

    assert float(loss.detach()) == pytest.approx(math.log(11), abs=0.1)


def test_a_longer_text_than_it_was_built_for_is_refused() -> None:
    model = model_of("transformer", LANGUAGE)
    with pytest.raises(BadInput, match="a sequence of 13 steps, but this transformer was built fo"):
        model(samples(LANGUAGE, steps=13))


@pytest.mark.parametrize("knob", ["dropout", "attention_dropout"])
def test_dropout_is_there_in_training_only(knob: str) -> None:
    model = model_of("transformer", TEXTS, **{knob: 0.5})
    inputs = samples(TEXTS)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


def test_rotated_vectors_agree_by_the_distance_alone() -> None:
    table = rotation_table(32, 8)
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))

    def agreement(place: int, other: int) -> torch.Tensor:
        turned = [
            rotate(vector.expand(1, 1, 32, 8), table)[0, 0, at]
            for vector, at in ((query, place), (key, other))
        ]
        return turned[0] @ turned[1]

    torch.testing.assert_close(agreement(3, 1), agreement(30, 28), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(agreement(3, 1), agreement(3, 2))
    torch.testing.assert_close(agreement(7, 7), query @ key, atol=1e-5, rtol=1e-5)


def test_sinusoidal_positions_are_those_of_the_formula() -> None:
    added = SinusoidalPositions(20, 7)(torch.zeros(1, 20, 7))[0]

    for place in (0, 1, 19):
        for feature in range(7):
            angle = place / 10000 ** ((feature // 2) / 4)
            wave = math.cos(angle) if feature % 2 else math.sin(angle)
            assert float(added[place, feature]) == pytest.approx(wave, abs=1e-6)


def test_tables_are_in_no_checkpoint() -> None:
    for position in ("rotary", "sinusoidal"):
        model = model_of("transformer", SEQUENCES, position=position)
        assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


def test_attention_is_a_weighted_mean_of_the_values() -> None:
    model = model_of("transformer", SEQUENCES, heads=1, init_std=0.3)
    attention = model.get_submodule("blocks.0.attention")
    inputs = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))
    joint = attention.get_submodule("queries_keys_values")(inputs)
    queries, keys, values = joint.chunk(3, -1)
    weights = (queries @ keys.transpose(1, 2) / 4).softmax(-1)

    expected = attention.get_submodule("output")(weights @ values)
    torch.testing.assert_close(attention(inputs), expected, atol=1e-5, rtol=1e-4)
