from collections.abc import Iterator

import pytest

from tui_trainer.data.base import two_threads
from tui_trainer.data.base.two_threads import in_two_threads


@pytest.fixture(autouse=True)
def _from_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_threads, "_LEAST_ROWS", 1)


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
