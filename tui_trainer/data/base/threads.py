"""Items that are made in threads: `in_two_threads` for columns, `made_ahead` for the next block.

Layer: data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LEAST_ROWS = 100_000
"""With fewer, a thread costs as much as it saves."""


def in_two_threads(
    function: Callable[[Item], Result], items: Iterable[Item], rows: int
) -> Iterator[Result]:
    """Yield the result of each item in order; an error is raised in its place.

    The function should spend its time in arrays of `rows` numbers, where numpy lets other threads
    run.
    """
    if rows < _LEAST_ROWS:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(2, thread_name_prefix="columns") as threads:
        coming: deque[Future[Result]] = deque()
        for item in items:
            coming.append(threads.submit(function, item))
            # Results that nothing has taken yet would fill the memory.
            if len(coming) > 2:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def made_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in order; what making one raises is raised where it would be yielded."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as thread:
        coming = thread.submit(_first, items)
        while item := coming.result():
            coming = thread.submit(_first, items)
            yield item[0]


def _first(items: Iterator[Item]) -> tuple[Item, ...]:
    """Return the next item alone, or nothing; a StopIteration cannot leave a generator."""
    return next(((item,) for item in items), ())
