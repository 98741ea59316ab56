"""Puts pydantic's errors into the words used in every message, field and dialog.

Layer: text. Pydantic speaks of integers, tuples and strings; people who edit a preset or fill in a
field read of whole numbers, lists and texts. This module imports pydantic, which `errors` does not.
"""

from __future__ import annotations

from pydantic_core import ErrorDetails

from tui_trainer.text.clean import clean

_WORDS = (
    ("input should", "should"),
    ("be a valid integer", "be a whole number"),
    ("be a valid number", "be a number"),
    ("be a valid boolean", "be true or false"),
    ("be a valid string", "be a text"),
    ("be a valid tuple", "be a list"),
    ("be a valid list", "be a list"),
    ("be a valid dictionary", "be keys with values"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("greater than", "above"),
    ("less than", "below"),
    ("tuple should", "should"),
    ("list should", "should"),
    (" item after validation", " value"),
    (" items after validation", " values"),
    ("string should", "should"),
    ("value should", "should"),
)


def worded(error: ErrorDetails) -> str:
    """Return the expectation, such as `should be above 0`, without the key and the value given."""
    text = error["msg"][:1].lower() + error["msg"][1:]
    # The rest is about Python's parser, which is of no help here.
    text = text.partition(", unable to parse")[0]
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    if error["type"] in ("tuple_type", "list_type") and isinstance(error["input"], str):
        text += f", as [{clean(error['input'], 40)}]"
    return text
