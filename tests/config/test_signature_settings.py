"""The settings that the signature of a function declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from tui_trainer.config.sections.section import extra_of, setting
from tui_trainer.config.signature_settings import settings_of


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
