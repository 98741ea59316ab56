"""Sections and specs of the models; input and output sizes are inferred from the data.

Layer: config. The modules themselves are in `tui_trainer.models`. A setting that contradicts an
earlier one of its section is refused here, and the later one is blamed. Settings that do not fit
the data are refused when the module is built.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from tui_trainer.config.sections.section import Items, Registry, Spec, TypedSection, setting

Width = Annotated[int, Field(ge=1, le=65536)]
Activation = Literal[
    "relu",
    "gelu",
    "silu",
    "mish",
    "elu",
    "selu",
    "relu6",
    "hardswish",
    "softplus",
    "tanh",
    "sigmoid",
    "identity",
    "leaky_relu",
]
Init = Literal["default", "kaiming", "xavier", "orthogonal"]

MODELS = Registry("model")

JOIN_WIDTH: Any = setting(
    64,
    "units of the layers that join a text with the numbers beside it; only for such data",
    unit="units",
    ge=1,
    le=65536,
)


def _contradiction(message: str) -> PydanticCustomError:
    """Return an error whose message does not get pydantic's prefix `Value error`."""
    # The message is passed as a value, because pydantic would format braces in a template.
    return PydanticCustomError("contradiction", "{message}", {"message": message})


def _dividing(groups: int, norm: str | None, channels: tuple[int, ...]) -> int:
    """Check that the groups of a norm divide each number of channels, and return them."""
    for count in channels:
        if norm == "group" and count % groups:
            raise _contradiction(f"{groups} groups do not divide {count} channels")
    return groups


class LinearSection(TypedSection):
    """One affine map of the flattened input: logistic or linear regression."""

    type: Literal["linear"]
    bias: bool = setting(True, "add a bias")
    dropout: float = setting(0.0, "share of the inputs dropped in training", ge=0, lt=1)
    init: Literal["default", "zeros"] = setting(
        "default", "initial weights: torch's uniform ones, or zeros"
    )


class MlpSection(TypedSection):
    """Fully connected layers on the flattened input."""

    type: Literal["mlp"]
    layers: Items[Width] = setting(
        (128, 64), "units of each hidden layer", unit="units", max_length=64
    )
    activation: Activation = setting("relu", "activation after each hidden layer")
    norm: Literal["none", "batch", "layer", "rms"] = setting(
        "none", "normalisation of hidden layers"
    )
    dropout: float = setting(0.0, "share of hidden units dropped in training", ge=0, lt=1)
    init: Init = setting("default", "first weights; default is torch's")


class CnnSection(TypedSection):
    """Blocks of convolution, normalisation, activation and 2x2 pooling, then a linear head."""

    type: Literal["cnn"]
    channels: Items[Width] = setting(
        (32, 64), "channels of each block", unit="channels", min_length=1, max_length=16
    )
    kernel_size: int = setting(3, "size of the kernels, odd", unit="pixels", ge=1, le=15)
    stride: int = setting(1, "step of the kernels", unit="pixels", ge=1, le=8)
    pooling: Literal["max", "avg", "none"] = setting("max", "pooling of 2x2 pixels in each block")
    hidden: int = setting(0, "units of a hidden layer before the output; 0: none", ge=0, le=65536)
    activation: Activation = setting("relu", "activation of each block")
    norm: Literal["none", "batch", "group"] = setting("batch", "normalisation of each block")
    groups: int = setting(8, "groups of channels of a group norm", unit="groups", ge=1, le=65536)
    readout: Literal["flatten", "avg"] = setting(
        "flatten", "input of the head: the last features at each position, or their mean"
    )
    dropout: float = setting(0.0, "share of features dropped before the output", ge=0, lt=1)
    init: Init = setting("default", "first weights; default is torch's")

    @field_validator("groups")
    @classmethod
    def _groups_divide_the_channels(cls, value: int, info: ValidationInfo) -> int:
        return _dividing(value, info.data.get("norm"), info.data.get("channels", ()))


class Cnn1dSection(TypedSection):
    """Blocks of convolution over the steps, then the largest or the mean of each feature.

    On texts the kernels are detectors of short strings, as in Kim, arXiv:1408.5882.
    """

    type: Literal["cnn1d"]
    channels: Items[Width] = setting(
        (128, 128), "channels of each block", unit="channels", min_length=1, max_length=16
    )
    kernel_size: int = setting(5, "size of the kernels, odd", unit="steps", ge=1, le=255)
    pooling: Literal["max", "none"] = setting("max", "pooling of pairs of steps in each block")
    embedding: int = setting(
        32, "size of a token's vector; texts only", unit="units", ge=1, le=65536
    )
    readout: Literal["max", "mean"] = setting(
        "max", "input of the head: each feature's maximum over the steps, or its mean"
    )
    hidden: int = setting(0, "units of a hidden layer before the output; 0: none", ge=0, le=65536)
    activation: Activation = setting("relu", "activation of each block")
    norm: Literal["none", "batch"] = setting("batch", "normalisation of each block")
    dropout: float = setting(0.0, "share of features dropped before the output", ge=0, lt=1)
    init: Init = setting("default", "first weights; default is torch's")
    join_width: int = JOIN_WIDTH


class ResNetSection(TypedSection):
    """Residual blocks of two convolutions, in the variant for small images."""

    type: Literal["resnet"]
    width: int = setting(16, "channels of the first stage", unit="channels", ge=1, le=4096)
    stages: int = setting(
        3, "stages, each with twice the channels and half the size", unit="stages", ge=1, le=6
    )
    depth: int = setting(
        20, "layers with weights: 6n + 2 with three stages", unit="layers", ge=4, le=2000
    )
    activation: Activation = setting("relu", "activation after each normalisation")
    norm: Literal["batch", "group"] = setting("batch", "normalisation after each convolution")
    groups: int = setting(8, "groups of channels of a group norm", unit="groups", ge=1, le=4096)
    dropout: float = setting(0.0, "share of features dropped before the output", ge=0, lt=1)
    shortcut: Literal["pad", "conv"] = setting(
        "pad", "how shortcuts get more channels: padding with zeros, or a 1x1 convolution"
    )
    zero_init: bool = setting(True, "start with blocks that pass on their input unchanged")

    @field_validator("depth")
    @classmethod
    def _stages_are_alike(cls, value: int, info: ValidationInfo) -> int:
        stages = info.data.get("stages")
        if stages and (value < 2 * stages + 2 or (value - 2) % (2 * stages)):
            below = (value - 2) // (2 * stages)
            near = [2 * stages * n + 2 for n in (below, below + 1) if n > 0]
            raise _contradiction(
                f"{value} is not {2 * stages}n + 2, which {stages} stages with two layers per "
                f"block need; the nearest: {' and '.join(map(str, near))}"
            )
        return value

    @field_validator("groups")
    @classmethod
    def _groups_divide_the_width(cls, value: int, info: ValidationInfo) -> int:
        return _dividing(value, info.data.get("norm"), (info.data.get("width") or 0,))


class UNetSection(TypedSection):
    """Convolutions down to a small size and up again, for a prediction at each pixel."""

    type: Literal["unet"]
    width: int = setting(32, "channels at the full size", unit="channels", ge=1, le=4096)
    depth: int = setting(
        3, "how often the size is halved, each time with twice the channels", ge=1, le=8
    )
    activation: Activation = setting("relu", "activation after each convolution")
    norm: Literal["none", "batch", "group"] = setting(
        "batch", "normalisation after each convolution"
    )
    groups: int = setting(8, "groups of channels of a group norm", unit="groups", ge=1, le=4096)
    dropout: float = setting(
        0.0, "share of the features at the smallest size dropped in training", ge=0, lt=1
    )
    init: Init = setting("default", "first weights; default is torch's")

    @field_validator("groups")
    @classmethod
    def _groups_divide_the_width(cls, value: int, info: ValidationInfo) -> int:
        return _dividing(value, info.data.get("norm"), (info.data.get("width") or 0,))


class RnnSection(TypedSection):
    """Recurrent layers over a sequence or a text, for one prediction or one per step."""

    type: Literal["rnn"]
    cell: Literal["rnn", "gru", "lstm"] = setting("gru", "kind of the recurrent cells")
    hidden: int = setting(
        128, "units of each layer, in each direction", unit="units", ge=1, le=65536
    )
    layers: int = setting(1, "recurrent layers", unit="layers", ge=1, le=64)
    embedding: int = setting(
        64, "size of a token's vector; texts only", unit="numbers", ge=1, le=65536
    )
    bidirectional: bool = setting(False, "read sequences from both ends; not for language models")
    dropout: float = setting(0.0, "share of the outputs of each layer dropped", ge=0, lt=1)
    pooling: Literal["mean", "max", "last"] = setting(
        "mean", "how steps become one vector, for one prediction per sequence"
    )
    init: Literal["orthogonal", "uniform"] = setting(
        "orthogonal", "recurrent weights: orthogonal, or uniform within 1 / sqrt(hidden)"
    )
    forget_bias: float = setting(
        1.0, "initial bias of an LSTM's forget gate; above 0, it remembers", ge=-10, le=10
    )
    tie_embedding: bool = setting(
        False, "let the output layer share the embedding; language models only"
    )
    join_width: int = JOIN_WIDTH

    @field_validator("tie_embedding")
    @classmethod
    def _sizes_are_equal(cls, value: bool, info: ValidationInfo) -> bool:
        hidden, embedding = info.data.get("hidden"), info.data.get("embedding")
        if value and hidden and embedding and hidden != embedding:
            raise _contradiction(
                f"an embedding of {embedding} cannot be shared with {hidden} hidden units; "
                "make the two equal"
            )
        return value


class TransformerSection(TypedSection):
    """Layers of attention; causal for predictions at each step, otherwise an encoder."""

    type: Literal["transformer"]
    width: int = setting(128, "size of a step's vector", unit="numbers", ge=1, le=65536)
    layers: int = setting(4, "layers of attention", unit="layers", ge=1, le=256)
    heads: int = setting(4, "heads of each layer; they divide the width", ge=1, le=1024)
    mlp_ratio: float = setting(4.0, "hidden units of a layer, as a multiple of width", gt=0, le=64)
    activation: Activation = setting("gelu", "activation of the hidden units")
    dropout: float = setting(0.1, "share of the outputs of each part dropped", ge=0, lt=1)
    attention_dropout: float = setting(
        0.0, "share of the attention dropped; slow on a CPU", ge=0, lt=1
    )
    norm: Literal["layer", "rms"] = setting("layer", "normalisation of a vector")
    norm_order: Literal["pre", "post"] = setting(
        "pre", "normalise the input of each part, or the sum after it"
    )
    position: Literal["learned", "rotary", "sinusoidal"] = setting(
        "learned", "encoding of a step's position"
    )
    bias: bool = setting(True, "biases in the layers")
    pooling: Literal["mean", "cls"] = setting(
        "mean", "one vector per sequence: the mean of the steps, or a trained extra step"
    )
    tie_embedding: bool = setting(
        False, "let the output layer share the embedding; language models only"
    )
    init_std: float = setting(0.02, "standard deviation of the initial weights", gt=0, le=10)
    join_width: int = JOIN_WIDTH

    @field_validator("heads")
    @classmethod
    def _heads_divide_the_width(cls, value: int, info: ValidationInfo) -> int:
        width = info.data.get("width")
        if width and width % value:
            fit = ", ".join(
                str(heads) for heads in range(1, min(width, 64) + 1) if not width % heads
            )
            raise _contradiction(f"{value} heads do not divide a width of {width}; {fit} do")
        return value

    @field_validator("position")
    @classmethod
    def _pairs_can_be_rotated(cls, value: str, info: ValidationInfo) -> str:
        width, heads = info.data.get("width"), info.data.get("heads")
        if value == "rotary" and width and heads and width // heads % 2:
            raise _contradiction(
                f"rotary rotates pairs, but a head has {width // heads} numbers ({width} / "
                f"{heads}); make that even, or use learned"
            )
        return value


MODELS.add(Spec("linear", "one affine map: logistic or linear regression", LinearSection))
MODELS.add(Spec("mlp", "fully connected layers", MlpSection, suits={"features": "mlp"}))
MODELS.add(Spec("cnn", "convolutions with pooling, for images", CnnSection, suits={"image": "cnn"}))
MODELS.add(
    Spec(
        "cnn1d",
        "convolutions over the steps of sequences and texts",
        Cnn1dSection,
        suits={"sequence": "cnn1d", "tokens": "cnn1d"},
        places=("one", "step"),
    )
)
MODELS.add(
    Spec(
        "resnet",
        "residual blocks of convolutions, for images",
        ResNetSection,
        suits={"image": "resnet"},
    )
)
MODELS.add(
    Spec(
        "unet",
        "convolutions down and up again, for each pixel of images",
        UNetSection,
        suits={"pixel": "unet"},
        places=("pixel",),
    )
)
MODELS.add(
    Spec(
        "rnn",
        "recurrent layers (RNN, GRU, LSTM), for sequences and texts",
        RnnSection,
        # The preset `rnn` reads from both ends.
        suits={"sequence": "rnn", "tokens": "rnn", "step": "rnn", "causal": "lstm"},
        places=("one", "step"),
    )
)
MODELS.add(
    Spec(
        "transformer",
        "layers of attention, for sequences and texts",
        TransformerSection,
        suits=dict.fromkeys(("sequence", "tokens", "step", "causal"), "transformer"),
        places=("one", "step"),
    )
)
