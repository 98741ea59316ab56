"""`made_ahead`: makes the next item of an iterator in a thread while the last one is used.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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
