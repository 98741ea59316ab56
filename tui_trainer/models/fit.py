"""Whether a model can take the data at all, and what to take instead when it cannot.

Layer: models. Asked before anything is built, so that the message names the model and the data.
"""

from __future__ import annotations

from tui_trainer.data.signature import Kind, Signature
from tui_trainer.text.errors import ConfigError, Problem

_KINDS: dict[Kind, str] = {
    "features": "rows of {0} numbers",
    "image": "images of {0}x{1}x{2}",
    "sequence": "sequences of up to {0} steps of {1} numbers",
    "tokens": "texts of up to {0} tokens",
}


def described(signature: Signature) -> str:
    """The data of a signature in words."""
    return _KINDS[signature.kind].format(*signature.input_shape)


def check_fixed(model: str, signature: Signature) -> None:
    """Raise ConfigError unless every sample has the same size."""
    if signature.kind in ("sequence", "tokens"):
        raise _misfit(model, signature, "inputs of one size", _of_steps(signature))


def check_images(model: str, signature: Signature) -> None:
    """Raise ConfigError unless the samples are images."""
    if signature.kind != "image":
        other = "mlp" if signature.kind == "features" else _of_steps(signature)
        raise _misfit(model, signature, "images", other)


def check_sequences(model: str, signature: Signature) -> None:
    """Raise ConfigError unless the samples are sequences or texts."""
    if signature.kind not in ("sequence", "tokens"):
        other = "mlp" if signature.kind == "features" else "cnn or resnet"
        raise _misfit(model, signature, "sequences or texts", other)


def check_tied(signature: Signature) -> None:
    """Raise ConfigError unless inputs and outputs are tokens of one vocabulary."""
    sizes_fit = signature.outputs == signature.vocabulary
    if not (signature.kind == "tokens" and signature.per_step and sizes_fit):
        message = "only a language model has outputs to share its embedding with; set it to false"
        raise ConfigError([Problem(message, "model.tie_embedding")])


def _of_steps(signature: Signature) -> str:
    """The models for sequences and texts."""
    return "rnn or transformer" if signature.per_step else "rnn, transformer or cnn1d"


def _misfit(model: str, signature: Signature, wanted: str, other: str) -> ConfigError:
    message = f"{model} takes {wanted}, and the data are {described(signature)}; use {other}"
    return ConfigError([Problem(message, "model.type")])
