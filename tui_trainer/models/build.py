"""`build_model`: builds a module from a section; its sizes are inferred from the data.

Layer: models. Initial weights are drawn from the global generator, so the caller must seed it.

Training requires of a module:

- `forward(inputs)` returns outputs (B, K). Inputs of the kinds `sequence` (B, T, C) and `tokens`
  (B, T) come with a second argument, `lengths`: (B,) int64 on the CPU, or None if every sample has
  the full length T. Steps beyond a length are padding, and must not change any output.
- With `signature.numbers`, the numbers beside each text come as an argument of the name `numbers`.
  Built-in models are given them by `Joined`.
- Where `signature.places` is `step`, outputs are (B, T, K), and with `signature.causal` step t must
  not depend on later ones. Where it is `pixel`, outputs are (B, K, H, W).
- A module that can continue where the previous batch ended has `advance(inputs, carry)`, which
  returns the outputs and the carry for the next call: a tuple of tensors, None for a fresh start.
- Repeated blocks are the children of an attribute named `blocks`; the last layer is named `head`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tui_trainer.config.plugin_loader import MODEL_FACTORIES
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.config.user_code import describe_error_near, place_of, place_of_users
from tui_trainer.models.cnn import Cnn
from tui_trainer.models.cnn1d import Cnn1d
from tui_trainer.models.mlp import Linear, Mlp
from tui_trainer.models.outputs import logits_of
from tui_trainer.models.resnet import ResNet
from tui_trainer.models.rnn import build_rnn
from tui_trainer.models.text_and_numbers import build_joined
from tui_trainer.models.transformer import Transformer
from tui_trainer.models.unet import UNet
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput

Builder = Callable[[Any, Signature], nn.Module]

MODELS: dict[str, Builder] = {
    "linear": Linear,
    "mlp": Mlp,
    "cnn": Cnn,
    "cnn1d": Cnn1d,
    "resnet": ResNet,
    "rnn": build_rnn,
    "transformer": Transformer,
    "unet": UNet,
}
"""Builders by the `type` of the section they take."""


def build_model(
    section: TypedSection, signature: Signature, *, checks_outputs: bool = True
) -> nn.Module:
    """Build a module for data of this signature, on the CPU, in training mode.

    With `checks_outputs`, a model of the user's checks the shape of its outputs at each call.

    Raises:
        BadInput: the model cannot take such data.
    """
    if section.type in MODELS:
        builder = MODELS[section.type]
        if signature.numbers:
            return build_joined(builder, section, signature)
        return builder(section, signature)
    function = MODEL_FACTORIES[section.type]
    name, place = f"model {section.type}", place_of(function)
    try:
        model = function(section, signature)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{describe_error_near(error, place)} (in {name})") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{place}: {name} is a {type(model).__name__}, not a torch.nn.Module")
    if checks_outputs:
        _check_outputs_of(model, signature, subject_of(model, section.type))
    return model


def subject_of(model: nn.Module, model_type: str) -> str:
    """Return the place and name of a model of the user's; empty for one that is built in."""
    function = MODEL_FACTORIES.get(model_type)
    if function is None:
        return ""
    return f"{place_of_users(type(model).forward, function)}: model {model_type}"


def _shape_of_outputs(signature: Signature, inputs: tuple[int, ...]) -> tuple[int, ...]:
    if signature.places == "pixel":
        return (inputs[0], signature.outputs, *signature.input_shape[1:])
    return (*inputs[: 2 if signature.places == "step" else 1], signature.outputs)


def _check_outputs_of(model: nn.Module, signature: Signature, subject: str) -> None:
    """Let a model of the user check the shape of its outputs at every call.

    Losses fail on a wrong shape without a word about the model, or broadcast it.
    """

    def check(
        module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: object
    ) -> None:
        given = next(iter((*inputs, *named.values()))).shape
        wanted = _shape_of_outputs(signature, tuple(given))
        logits = logits_of(output)
        if isinstance(logits, Tensor) and logits.shape == wanted:
            return
        found = (
            tuple(logits.shape)
            if isinstance(logits, Tensor)
            else f"{type(output).__name__} without a tensor 'logits'"
        )
        raise BadInput(
            f"{subject} returns {found} for inputs {tuple(given)}; the data need {wanted}"
        )

    model.register_forward_hook(check, with_kwargs=True)
