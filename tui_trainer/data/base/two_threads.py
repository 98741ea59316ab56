"""`in_two_threads`: applies a function to several columns, two at a time if there are many rows.

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
