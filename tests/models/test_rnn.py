from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.models.specimens import (
    LANGUAGE,
    LENGTHS,
    SEQUENCES,
    SIGNALS,
    STEPS,
    TEXTS,
    model_of,
    samples,
)
from tui_trainer.models.rnn import SteppedRnn
from tui_trainer.models.summary import count_parameters
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

CELLS = ["rnn", "gru", "lstm"]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
cells = pytest.mark.parametrize("cell", CELLS)


def stepped(signature: Signature = LANGUAGE, **settings: object) -> SteppedRnn:
    model = model_of("rnn", signature, **settings)
    assert isinstance(model, SteppedRnn)
    return model.eval()


def recurrent(model: nn.Module) -> list[nn.RNNBase]:
    return [module for module in model.modules() if isinstance(module, nn.RNNBase)]


@cells
@pytest.mark.parametrize("signature", [LANGUAGE, SIGNALS])
def test_two_pieces_give_what_the_whole_gives(cell: str, signature: Signature) -> None:
    model = stepped(signature, cell=cell, layers=2)
    inputs = samples(signature)
    whole = model(inputs)
    first, carry = model.advance(inputs[:, :5], None)
    second, carry = model.advance(inputs[:, 5:], carry)

    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-6, rtol=1e-5)
    assert len(carry) == (4 if cell == "lstm" else 2)
    assert all(state.shape == (4, 16) for state in carry)


@cells
def test_a_carry_can_be_detached_and_cut_to_fewer_samples(cell: str) -> None:
    model = stepped(cell=cell)
    inputs = samples(LANGUAGE)
    _, carry = model.advance(inputs[:, :5], None)
    assert all(state.requires_grad for state in carry)
    held = tuple(state[:2].detach() for state in carry)
    outputs, _ = model.advance(inputs[:2, 5:], held)

    torch.testing.assert_close(outputs, model(inputs)[:2, 5:], atol=1e-6, rtol=1e-5)
    torch.autograd.backward(outputs.sum())


@cells
def test_a_carry_of_another_precision_is_taken(cell: str) -> None:
    model = stepped(cell=cell)
    with torch.autocast("cpu", torch.bfloat16):
        _, carry = model.advance(samples(LANGUAGE), None)
        outputs, _ = model.advance(samples(LANGUAGE), carry)
    exact, _ = model.advance(samples(LANGUAGE), carry)

    torch.testing.assert_close(outputs.float(), exact, atol=0.05, rtol=0.05)


def test_only_a_model_of_steps_goes_on_from_a_carry() -> None:
    assert hasattr(model_of("rnn", LANGUAGE), "advance")
    assert not hasattr(model_of("rnn", TEXTS), "advance")
    assert not hasattr(model_of("transformer", LANGUAGE), "advance")


def test_a_language_is_not_read_from_both_ends() -> None:
    with pytest.raises(BadInput, match=r"model\.bidirectional: a prediction at each step must not"):
        model_of("rnn", LANGUAGE, bidirectional=True)


@cells
def test_the_parameters_are_those_of_the_formula(cell: str) -> None:
    def layer(inputs: int) -> int:
        return GATES[cell] * (inputs * 16 + 16 * 16 + 2 * 16)

    plain = model_of("rnn", SEQUENCES, cell=cell, layers=2)
    assert count_parameters(plain) == layer(5) + layer(16) + 16 * 3 + 3
    both = model_of("rnn", TEXTS, cell=cell, layers=2, bidirectional=True)
    assert count_parameters(both) == 11 * 8 + 2 * (layer(8) + layer(32)) + 32 * 3 + 3


@cells
def test_the_cells_are_those_that_are_named(cell: str) -> None:
    found = recurrent(model_of("rnn", TEXTS, cell=cell, layers=3))
    kind = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]

    assert [type(one) for one in found] == [kind] * 3


@cells
def test_recurrent_weights_are_orthogonal_in_each_gate(cell: str) -> None:
    for module in recurrent(model_of("rnn", TEXTS, cell=cell, layers=2)):
        for gate in module.get_parameter("weight_hh_l0").detach().chunk(GATES[cell]):
            torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)


@cells
def test_uniform_weights_are_within_the_root_of_the_width(cell: str) -> None:
    weights = recurrent(model_of("rnn", TEXTS, cell=cell, init="uniform", hidden=64))[0]
    largest = weights.get_parameter("weight_hh_l0").detach().abs().max()

    assert 0.95 / math.sqrt(64) < largest <= 1 / math.sqrt(64)


@pytest.mark.parametrize("init", ["orthogonal", "uniform"])
def test_the_forget_gate_of_an_lstm_is_opened(init: str) -> None:
    for bias in (1.0, 2.5):
        model = model_of("rnn", TEXTS, cell="lstm", init=init, bidirectional=True, forget_bias=bias)
        (module,) = recurrent(model)
        for end in ("l0", "l0_reverse"):
            sums: Tensor = getattr(module, f"bias_ih_{end}") + getattr(module, f"bias_hh_{end}")
            assert (sums[16:32] == bias).all()
            assert not (sums[:16] == bias).any()


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_is_there_in_training_only(layers: int) -> None:
    model = model_of("rnn", TEXTS, dropout=0.5, layers=layers)
    inputs = samples(TEXTS)
    assert not torch.equal(model(inputs), model(inputs))
    assert not torch.equal(model(inputs, LENGTHS), model(inputs, LENGTHS))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))
    assert sum(isinstance(module, nn.Dropout) for module in model.modules()) == layers


def test_the_steps_are_pooled_as_named() -> None:
    inputs = samples(SEQUENCES)
    for pooling in ("mean", "max", "last"):
        model = model_of("rnn", SEQUENCES, pooling=pooling).eval()
        steps = model.get_submodule("blocks.0")(inputs)
        vectors = {"mean": steps.mean(1), "max": steps.amax(1), "last": steps[:, -1]}
        torch.testing.assert_close(model(inputs), model.get_submodule("head")(vectors[pooling]))


def test_the_last_step_of_both_directions_has_read_everything() -> None:
    model = model_of("rnn", SEQUENCES, pooling="last", bidirectional=True).eval()
    (module,) = recurrent(model)
    inputs = samples(SEQUENCES)
    _, ends = module(inputs)
    expected = model.get_submodule("head")(torch.cat([ends[0], ends[1]], -1))

    torch.testing.assert_close(model(inputs), expected)
    torch.testing.assert_close(model(inputs, torch.full((4,), STEPS)), expected)


def test_outputs_of_a_tied_model_begin_near_even_chances() -> None:
    model = stepped(tie_embedding=True, hidden=64, embedding=64)

    assert model(samples(LANGUAGE)).abs().max() < 2
