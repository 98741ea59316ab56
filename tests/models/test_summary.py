from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tui_trainer.config.sections.models import CnnSection, LinearSection, MlpSection
from tui_trainer.models.build import build_model
from tui_trainer.models.summary import LayerSummary, count_parameters, summarize
from tui_trainer.problems.signature import Signature

DIGITS = Signature("image", (1, 8, 8), 10)
CNN = CnnSection(type="cnn", channels=(4, 8), hidden=6, dropout=0.5)


def test_layers_are_listed_in_order_with_shapes_and_parameters() -> None:
    model = build_model(CNN, DIGITS)
    layers = summarize(model, [DIGITS.field()], 64)

    assert layers[0] == LayerSummary("blocks.0.conv", "Conv2d", (4, 8, 8), 36)
    assert [layer.kind for layer in layers] == [
        *["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 2,
        "Flatten",
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
    ]
    assert layers[8] == LayerSummary("flatten", "Flatten", (32,), 0)
    assert layers[-1] == LayerSummary("head.output", "Linear", (10,), 70)
    assert sum(layer.parameters for layer in layers) == count_parameters(model)


@pytest.mark.parametrize("section", [CNN, LinearSection(type="linear"), MlpSection(type="mlp")])
def test_parameters_of_the_layers_add_up(section: CnnSection | LinearSection | MlpSection) -> None:
    model = build_model(section, DIGITS)
    layers = summarize(model, [DIGITS.field()])

    assert sum(layer.parameters for layer in layers) == count_parameters(model)
    assert layers[-1].output_shape == (10,)


def test_the_model_and_the_generators_are_left_as_they_were() -> None:
    model = build_model(CNN, DIGITS)
    model.eval()
    model.get_submodule("head").train()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    storages = [tensor.data_ptr() for tensor in model.state_dict().values()]
    generator = torch.get_rng_state()

    summarize(model, [DIGITS.field()], 64)

    assert [module.training for module in model.modules()] == modes
    assert [tensor.data_ptr() for tensor in model.state_dict().values()] == storages
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(generator, torch.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_fails_is_left_as_it_was_too() -> None:
    model = build_model(MlpSection(type="mlp"), Signature("features", (5,), 2))
    with pytest.raises(RuntimeError):
        summarize(model, [Signature("features", (6,), 2).field()])

    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


def test_a_layer_called_twice_is_listed_once_and_tuples_have_a_shape() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.ones(4))
            self.recurrent = nn.GRU(4, 7, batch_first=True)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs, _ = self.recurrent(self.layer(self.layer(inputs)) * self.scale)
            return outputs[:, -1] if isinstance(outputs, Tensor) else inputs

    layers = summarize(Twice(), [Signature("features", (5, 4), 4).field()], 2)

    assert [(layer.name, layer.output_shape) for layer in layers] == [
        ("layer", (5, 4)),
        ("recurrent", (5, 7)),
        ("", (7,)),
    ]
    assert sum(layer.parameters for layer in layers) == count_parameters(Twice())


def test_frozen_parameters_are_counted_too() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)

    assert count_parameters(model) == 8
