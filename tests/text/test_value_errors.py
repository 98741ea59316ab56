"""The words in which a wrong value is told."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import ValidationError

from tui_trainer.config.sections.section import Items, Section, setting
from tui_trainer.text.value_errors import worded


class Example(Section):
    count: int = setting(1, "how many", ge=1)
    rate: float = setting(0.1, "how fast", gt=0, lt=1)
    name: str = setting("", "a name")
    is_on: bool = setting(True, "whether")
    kind: Literal["a", "b"] = setting("a", "which")
    pair: Items[float] = setting((0.0, 1.0), "two", max_length=2)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("count", "ten", "should be a whole number"),
        ("count", 1.5, "should be a whole number"),
        ("count", 0, "should be at least 1"),
        ("rate", "fast", "should be a number"),
        ("rate", 0, "should be above 0"),
        ("rate", 1, "should be below 1"),
        ("rate", float("nan"), "should be a finite number"),
        ("name", 7, "should be a text"),
        ("is_on", "yes", "should be true or false"),
        ("kind", "c", "should be 'a' or 'b'"),
        ("pair", 3, "should be a list"),
        ("pair", "three", "should be a list, as [three]"),
        ("pair", (1, 2, 3), "should have at most 2 values, not 3"),
    ],
)
def test_what_should_be_is_told_in_words_of_settings(key: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({key: value})
    assert worded(caught.value.errors()[0]) == words
