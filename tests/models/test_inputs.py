"""A model is called with the fields that its `forward` names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tui_trainer.models.inputs import arguments_of, sees_padding, unread_fields, values_of
from tui_trainer.text.errors import BadInput
from tui_trainer.training.forward import Forward

BATCH = {
    "image": torch.ones(2, 3),
    "text": torch.full((2, 4), 5.0),
    "age": torch.zeros(2),
    "target": torch.zeros(2),
    "text_lengths": torch.tensor([4, 2]),
}
FIELDS = ("image", "text", "age")


def called(forward: Any, *, lengths: bool = True) -> tuple[list[Any], dict[str, Any]]:
    """What the function is called with, as lists; `forward` is a method."""
    model = type("Model", (nn.Module,), {"forward": forward})()
    batch = {name: field for name, field in BATCH.items() if lengths or "lengths" not in name}
    positional, named = values_of(arguments_of(model, FIELDS), batch)
    return [value.tolist() for value in positional], {
        name: value.tolist() for name, value in named.items()
    }


def plain(name: str) -> Any:
    return BATCH[name].tolist()


def test_each_parameter_gets_the_field_of_its_name() -> None:
    assert called(lambda self, text, image: None) == ([plain("text"), plain("image")], {})
    assert called(lambda self, *, age, text: None) == (
        [],
        {"age": plain("age"), "text": plain("text")},
    )


def test_the_first_parameter_of_another_name_gets_the_first_field() -> None:
    assert called(lambda self, x: None) == ([plain("image")], {})
    assert called(lambda self, *everything: None) == ([plain("image")], {})
    assert called(lambda self, x, age: None) == ([plain("image"), plain("age")], {})


def test_keywords_get_every_field_but_the_target_and_defaults_stay() -> None:
    assert called(lambda self, text, scale=2.0, **rest: None) == (
        [plain("text")],
        {"image": plain("image"), "age": plain("age")},
    )
    assert called(lambda self, x, scale=2.0, age=None: None) == (
        [plain("image")],
        {"age": plain("age")},
    )


def test_lengths_and_masks_are_given_where_they_are_wanted() -> None:
    assert called(lambda self, text, text_lengths, text_mask: None) == (
        [plain("text"), [4, 2], [[True] * 4, [True, True, False, False]]],
        {},
    )
    # Without padding, None may stand for the lengths; without that default they are given.
    optional = called(lambda self, text, text_lengths=None, age=None: None, lengths=False)
    assert optional == ([plain("text")], {"age": plain("age")})
    required = called(lambda self, text, text_lengths: None, lengths=False)
    assert required == ([plain("text"), [4, 4]], {})


class Captioned(nn.Module):
    def forward(self, image: Tensor, caption: Tensor) -> Tensor:
        return image + caption


def test_a_parameter_without_a_field_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput, match=r"test_inputs.py:\d+: forward wants caption; the batch"):
        arguments_of(Captioned(), FIELDS)


def test_a_forward_without_parameters_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self) -> Tensor:
            return torch.zeros(1)

    with pytest.raises(BadInput, match="forward takes none of image, text, age"):
        arguments_of(Constant(), FIELDS)


def test_what_a_model_does_not_read_is_known() -> None:
    class Words(nn.Module):
        def forward(self, text: Tensor, text_mask: Tensor) -> Tensor:
            return text * text_mask

    arguments = arguments_of(Words(), FIELDS)
    assert unread_fields(arguments, FIELDS) == ("image", "age")
    assert sees_padding(arguments, "text")
    assert not sees_padding(arguments_of(nn.Linear(1, 1), FIELDS), "image")


def test_the_shapes_of_all_fields_are_told_when_a_model_fails() -> None:
    forward = Forward(TwoTower(), fields=("image", "text"))
    with pytest.raises(RuntimeError) as caught:
        forward({"image": torch.ones(2, 3), "text": torch.ones(2, 4)})
    assert caught.value.__notes__ == ["the inputs are image 2x3 of float32, text 2x4 of float32"]


class TwoTower(nn.Module):
    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        return text + image
