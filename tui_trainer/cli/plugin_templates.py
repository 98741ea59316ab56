"""The files that `tui-trainer plugin new` writes: each passes `plugin check` as it is.

Layer: cli.
"""

from __future__ import annotations

import re

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

KINDS = {
    "dataset": "",
    "model": "digits-mlp model={name}",
    "problem": "auto-mpg-mlp problem={name}",
    "loss": "digits-mlp loss={name}",
    "metric": "digits-mlp 'training.metrics=[{name}]'",
    "recipe": "digits-mlp recipe={name}",
}
"""What can be begun, and the experiment by which `plugin check` proves it."""

_DATASET = '''"""A data set: tui-trainer train --plugin {file} ..., or plugin check {file}."""

import torch

from tui_trainer.plugins import Data, DatasetParams, dataset, setting


class Samples(torch.utils.data.Dataset):
    """Points (2,) and on which side of a line they lie."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        # torch, numpy and random are seeded for each sample, so random changes stay exact.
        label = index % 2
        return torch.randn(2) + 3 * label, label


class Params(DatasetParams):
    count: int = setting(200, "how many points", ge=10)


@dataset("{name}", description="points on two sides", params=Params)
def {function}(params):
    return Data(Samples(params.count), classes=("left", "right"))
'''

_MODEL = '''"""A model: tui-trainer train EXPERIMENT --plugin {file} model={name}."""

import math

from torch import nn

from tui_trainer.plugins import ModelParams, model, setting


class Params(ModelParams):
    width: int = setting(64, "hidden units", unit="units", ge=1)


@model("{name}", description="one hidden layer", params=Params)
def {function}(params, signature):
    inputs = math.prod(signature.input_shape)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, params.width),
        nn.ReLU(),
        nn.Linear(params.width, signature.outputs),
    )
'''

_PROBLEM = '''"""A problem: tui-trainer train EXPERIMENT --plugin {file} problem={name}."""

from tui_trainer.plugins import problem, setting


@problem("{name}", like="regression")
class {title}:
    """Numbers that are never below zero."""

    digits: int = setting(1, "digits behind the point", ge=0, le=9)

    def decode(self, outputs, info):
        """A prediction for each sample; what else a problem does is that of regression."""
        numbers = info.in_units(outputs).clamp(min=0).squeeze(1)
        return [round(number, self.digits) for number in numbers.tolist()]
'''

_LOSS = '''"""A loss: tui-trainer train EXPERIMENT --plugin {file} loss={name}."""

from torch.nn.functional import cross_entropy

from tui_trainer.plugins import loss, setting


@loss("{name}", problems=("classification",))
def {function}(
    outputs, target, smoothing: float = setting(0.1, "evenly shared", ge=0, le=1, live=True)
):
    """The mean over the samples of the batch."""
    return cross_entropy(outputs, target, label_smoothing=smoothing)
'''

_METRIC = '''"""A metric: tui-trainer train EXPERIMENT --plugin {file} checkpoint.monitor={name}."""

from tui_trainer.plugins import metric


@metric("{name}", better="higher", problems=("classification",), percent=True)
def {function}(outputs, batch):
    """A number for each sample; their mean over the split is the metric."""
    return outputs.softmax(1).gather(1, batch["target"][:, None]).squeeze(1)
'''

_RECIPE = '''"""A recipe: tui-trainer train EXPERIMENT --plugin {file} recipe={name}."""

from torch.nn.functional import cross_entropy

from tui_trainer.plugins import recipe, setting


@recipe("{name}")
class {title}:
    """Cross entropy on inputs with noise."""

    noise: float = setting(0.1, "deviation of the noise", ge=0, live=True)

    def compute_loss(self, model, batch, step):
        inputs = batch["input"]
        if step.number:
            # Random numbers of a recipe come from step, so that a resume draws the same.
            inputs = inputs + self.noise * step.randn(*inputs.shape)
        return cross_entropy(model(inputs), batch["target"])
'''

_TEMPLATES = {
    "dataset": _DATASET,
    "model": _MODEL,
    "problem": _PROBLEM,
    "loss": _LOSS,
    "metric": _METRIC,
    "recipe": _RECIPE,
}


def template(kind: str, name: str) -> str:
    """Return the text of a file that registers something of a kind under a name.

    Raises:
        BadInput: the name cannot be one.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
        raise BadInput(
            f"{clean(name, 80)!r} is not a name: use lower-case letters, digits, _ and -, and "
            "begin with a letter"
        )
    function = name.replace("-", "_")
    return _TEMPLATES[kind].format(
        name=name,
        file=f"{function}.py",
        function=function,
        title="".join(part.capitalize() for part in function.split("_")),
    )
