"""The settings that the signature of a function declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from tests.plugins import restored
from tui_trainer.config.plugin_loader import DATASET_FACTORIES, MODEL_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.sections.models import MODELS
from tui_trainer.config.sections.section import extra_of, setting
from tui_trainer.config.signature_settings import settings_of
from tui_trainer.plugins import Data, dataset, model


def many(
    outputs: Any,
    count: int,
    share: float = setting(0.5, "a share", ge=0, le=1, live=True),
    mode: Literal["a", "b"] = "a",
    names: list[str] = setting((), "some names"),
    width: int | None = None,
) -> None:
    """Do nothing."""


def test_parameters_are_settings_with_their_types_defaults_and_bounds() -> None:
    section = settings_of(many, ("outputs",))
    assert list(section.model_fields) == ["type", "count", "share", "mode", "names", "width"]
    assert section.__doc__ == "Do nothing."
    assert extra_of(section.model_fields["share"]) == {"live": True}
    made = section.model_validate({"type": "many", "count": 3, "names": ["x"]})
    assert made.model_dump() == {
        "type": "many",
        "count": 3,
        "share": 0.5,
        "mode": "a",
        "names": ("x",),
        "width": None,
    }
    for wrong in ({}, {"count": "3"}, {"count": 1, "share": 2}, {"count": 1, "mode": "c"}):
        with pytest.raises(ValidationError):
            section.model_validate({"type": "many", **wrong})


def untyped(outputs: Any, share=0.5) -> None:  # type: ignore[no-untyped-def]
    pass


def odd(outputs: Any, share: dict[str, int]) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (untyped, "the parameter 'share' has no type, which a setting needs"),
        (odd, r"the type of the setting 'share' is dict\[str, int\]; it may be bool"),
    ],
)
def test_what_no_file_can_hold_is_refused(function: Callable[..., Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        settings_of(function, ("outputs",))


def test_a_data_set_and_a_model_may_have_their_settings_as_parameters() -> None:
    with restored():

        @dataset("noisy", augment="images")
        def noisy(path: str, count: int = 20, level: float = 0.5) -> Data:
            return Data({"input": [[count * level]], "target": [len(path)]})

        @model("wide")
        def wide(signature: Any, width: int = 4) -> tuple[Any, int]:
            return signature, width

        @model("old")
        def old(params, signature):  # type: ignore[no-untyped-def]
            return params, signature

        spec = DATASETS.find("noisy")
        assert spec is not None
        assert {"path", "count", "level", "split_seed", "flip_horizontal"} <= {
            *spec.params.model_fields
        }
        assert spec.origin.startswith(f"{__file__}:")
        section = spec.params.model_validate({"type": "noisy", "path": "abc", "count": 4})
        made = DATASET_FACTORIES["noisy"](section)
        assert made.train == {"input": [[2.0]], "target": [3]}
        wide_spec, old_spec = MODELS.find("wide"), MODELS.find("old")
        assert wide_spec is not None
        assert old_spec is not None
        six = wide_spec.params.model_validate({"type": "wide", "width": 6})
        assert MODEL_FACTORIES["wide"](six, "data") == ("data", 6)
        params = old_spec.params.model_validate({"type": "old"})
        assert MODEL_FACTORIES["old"](params, "data") == (params, "data")
