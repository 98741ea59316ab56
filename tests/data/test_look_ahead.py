"""Items are made ahead in order, and an error comes where its item would have come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tui_trainer.data.files.look_ahead import made_ahead
from tui_trainer.text.errors import BadInput


def test_an_error_comes_after_the_items_before_it() -> None:
    made_by: set[int] = set()

    def items() -> Iterator[list[int]]:
        for number in range(3):
            made_by.add(threading.get_ident())
            yield [number] * number
        raise BadInput("rows.csv:4: wrong")

    taken: list[list[int]] = []
    with pytest.raises(BadInput, match=r"rows\.csv:4"):
        taken.extend(made_ahead(items()))
    assert taken == [[], [1], [2, 2]]
    assert len(made_by) == 1
    assert threading.get_ident() not in made_by


def test_its_thread_ends_when_the_rest_is_not_wanted() -> None:
    made: list[int] = []
    threads = threading.active_count()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = made_ahead(items())
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert len(made) == 2
    assert threading.active_count() == threads
