"""`SampleSeeds`: seeds the generators before each sample, but for those that no sample draws from.

Layer: data. To seed a generator fills its table of 624 numbers, which takes longer than all else
that is done for a sample; those of numpy and Python take four fifths of that. So once no sample of
a batch drew from these two, they are seeded for each batch alone, and looked at afterwards. If a
sample did draw, the batch is made again with all seeded for each sample, as are all later ones.
Samples are the same either way.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from tui_trainer.config.plugin_loader import LOADED
from tui_trainer.data.base.random import seed_all

Made = TypeVar("Made")
_LEAST = 16
"""With fewer samples in a batch, looking at the generators would take longer than it saves."""


class SampleSeeds:
    """Seeds the generators for the samples of one data set, in one process."""

    def __init__(self) -> None:
        self._drawn: Literal["unknown", "no", "yes"] = "unknown"
        """Whether a sample draws from the generators of numpy and Python."""

    def make(
        self, dataset: Any, seeds: Sequence[int], make: Callable[[Callable[[int], None]], Made]
    ) -> Made:
        """Return what `make` returns, which calls its argument with the seed before each sample.

        It may be called twice, if samples begin to draw from a generator that none drew from.
        """
        if self._drawn == "yes" or len(seeds) < _LEAST:
            return make(seed_all)
        if self._drawn == "unknown":
            watch = _Watch()
            made = make(watch.seed)
            self._drawn = "yes" if watch.has_moved() or _may_read_states(dataset) else "no"
            return made
        seed_all(seeds[0])
        before = _states()
        made = make(_seed_torch)
        if _are_same(before, _states()):
            return made
        self._drawn = "yes"
        return make(seed_all)


def _may_read_states(dataset: Any) -> bool:
    """Whether the user's code may take a seed from the state of a generator, which does not move.

    True if its source is not known.
    """
    sources = [file.source for one in LOADED.values() for file in (one, *one.beside)]
    name = type(dataset).__module__
    module = sys.modules.get(name)
    is_ours = name.partition(".")[0] in ("builtins", "tui_trainer")
    if not is_ours and getattr(module, "__file__", None) not in LOADED:
        try:
            sources.append(inspect.getsource(module).encode())  # type: ignore[arg-type]
        except (OSError, TypeError):
            return True
    return any(word in source for source in sources for word in (b"get_state", b"getstate"))


class _Watch:
    """Seeds all generators for each sample, and notes whether it drew from two of them."""

    def __init__(self) -> None:
        self._before: Any = None
        self._moved = False

    def seed(self, seed: int) -> None:
        self.has_moved()
        seed_all(seed)
        self._before = None if self._moved else _states()

    def has_moved(self) -> bool:
        if self._before is not None and not _are_same(self._before, _states()):
            self._moved = True
        return self._moved


def _seed_torch(seed: int) -> None:
    torch.default_generator.manual_seed(seed)


def _states() -> tuple[Any, Any]:
    return np.random.get_state(legacy=True), random.getstate()


def _are_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    (_, key, *rest), (_, other_key, *others) = one[0], other[0]
    return one[1] == other[1] and rest == others and np.array_equal(key, other_key)
