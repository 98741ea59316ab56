"""Checks whether a model can take the data at all, and suggests presets that can.

Layer: models. It is called before anything is built, so that messages can name the model and the
data.
"""

from __future__ import annotations

from tui_trainer.config.problem_specs import Places
from tui_trainer.config.sections.models import MODELS
from tui_trainer.problems.signature import Kind, Signature
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.text.format import any_of, counted

_KINDS: dict[Kind, str] = {
    "features": "rows of {0} numbers",
    "image": "images of {0}x{1}x{2}",
    "sequence": "sequences of up to {0} steps of {1} numbers",
    "tokens": "texts of up to {0} tokens",
}


_PLACES: dict[Places, str] = {
    "one": "one prediction for each sample",
    "step": "a prediction at each step",
    "pixel": "a prediction for each pixel",
}


def describe_data(signature: Signature) -> str:
    """Describe the data of a signature in words."""
    described = _KINDS[signature.kind].format(*signature.input_shape)
    if not signature.numbers:
        return described
    return f"{described} with {counted(signature.numbers, 'number')} beside each"


def check_fixed(model: str, signature: Signature) -> None:
    """Raise ConfigError unless every sample has the same size."""
    if signature.kind in ("sequence", "tokens"):
        raise _misfit(model, signature, "inputs of one size")
    _check_places(model, signature)


def check_images(model: str, signature: Signature) -> None:
    """Raise ConfigError unless the samples are images."""
    if signature.kind != "image":
        raise _misfit(model, signature, "images")
    _check_places(model, signature)


def check_sequences(model: str, signature: Signature) -> None:
    """Raise ConfigError unless the samples are sequences or texts."""
    if signature.kind not in ("sequence", "tokens"):
        raise _misfit(model, signature, "sequences or texts")
    _check_places(model, signature)


def check_tied(signature: Signature) -> None:
    """Raise ConfigError unless inputs and outputs are tokens of one vocabulary."""
    sizes_fit = signature.outputs == signature.vocabulary
    if not (signature.kind == "tokens" and signature.causal and sizes_fit):
        message = "only a language model can share its embedding with its outputs; set it to false"
        raise ConfigError([Problem(message, "model.tie_embedding")])


def suitable(signature: Signature) -> str:
    """Return the presets to use for such data, in words; the most versatile come first."""
    purpose: str = signature.kind if signature.places == "one" else signature.places
    if signature.causal:
        purpose = "causal"
    ordered = sorted(MODELS, key=lambda spec: "causal" not in spec.suits)
    return any_of([spec.suits[purpose] for spec in ordered if purpose in spec.suits])


def _check_places(model: str, signature: Signature) -> None:
    spec = MODELS.find(model)
    if spec is not None and signature.places not in spec.places:
        gives = " or ".join(_PLACES[place] for place in spec.places)
        message = f"{model} gives {gives}, but the data need {_PLACES[signature.places]}"
        raise ConfigError([Problem(f"{message}; use {suitable(signature)}", "model.type")])


def _misfit(model: str, signature: Signature, required: str) -> ConfigError:
    data, others = describe_data(signature), suitable(signature)
    message = f"{model} takes {required}, but the data are {data}; use {others}"
    return ConfigError([Problem(message, "model.type")])
