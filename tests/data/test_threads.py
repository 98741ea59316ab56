"""Items made in threads come in order, and an error comes where its item would have come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tui_trainer.data.base import threads
from tui_trainer.data.base.threads import in_two_threads, made_ahead
from tui_trainer.text.errors import BadInput


@pytest.fixture(autouse=True)
def _from_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LEAST_ROWS", 1)


def test_results_come_in_order_and_few_of_them_before_they_are_taken() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            asked.append(item)
            yield item

    results = in_two_threads(lambda item: item * item, items(), rows=1)
    assert next(results) == 0
    assert len(asked) == 3
    assert list(results) == [item * item for item in range(1, 20)]


def test_the_error_of_the_first_column_is_the_one_that_is_raised() -> None:
    def compute(item: int) -> int:
        if item in (2, 3):
            raise ValueError(f"column {item}")
        return item

    results = in_two_threads(compute, range(5), rows=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="column 2"):
        next(results)


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
    running = threading.active_count()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = made_ahead(items())
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert len(made) == 2
    assert threading.active_count() == running
