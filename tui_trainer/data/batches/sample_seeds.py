"""`SampleSeeds`: seeds the generators before each sample, but for those that no sample draws from.

Layer: data. To seed a generator fills its table of 624 numbers, which takes longer than all else
that is done for a sample. So once no sample of a batch drew from a generator, it is not seeded any
more, only looked at after each batch. If a sample did draw, the batch is made again with that
generator seeded for each sample, as in all later ones. Samples are the same either way.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import get_worker_info

from tui_trainer.config.plugin_loader import LOADED
from tui_trainer.data.base.random import (
    preserved_generators,
    seed_all,
    seed_numpy,
    seed_python,
    seed_torch,
)

Made = TypeVar("Made")
_LEAST = 16
"""With fewer samples in a batch, looking at the generators would take longer than it saves."""
_READS = (b"get_state", b"getstate", b"get_rng_state", b"fork_rng", b"initial_seed")
"""What code that takes a seed from the state of a generator calls."""


@dataclass(frozen=True, slots=True, eq=False)
class _Generator:
    """A global generator of random numbers."""

    seed: Callable[[int], None]
    state: Callable[[], Any]
    is_in: Callable[[Any], bool]
    """Whether it is in a state that `state` returned."""
    restore: Callable[[Any], object]


def _is_numpy_in(state: Any) -> bool:
    (_, key, *rest), (_, now, *others) = state, np.random.get_state(legacy=True)
    return rest == others and np.array_equal(key, now)


_GENERATORS = (
    _Generator(
        seed_torch,
        torch.default_generator.get_state,
        lambda state: torch.equal(state, torch.default_generator.get_state()),
        torch.default_generator.set_state,
    ),
    _Generator(
        seed_numpy,
        lambda: np.random.get_state(legacy=True),
        _is_numpy_in,
        np.random.set_state,
    ),
    _Generator(
        seed_python, random.getstate, lambda state: state == random.getstate(), random.setstate
    ),
)


class SampleSeeds:
    """Seeds the generators for the samples of one data set, in one process."""

    def __init__(self) -> None:
        self._idle: tuple[_Generator, ...] | None = None
        """Those that no sample draws from; None until a batch has been watched."""

    def make(
        self,
        dataset: Any,
        indices: Sequence[int],
        derive: Callable[[Sequence[int]], Sequence[int]],
        make: Callable[[Iterable[int]], Made],
    ) -> Made:
        """Return what `make` returns for the samples at some indices.

        Afterwards the generators are as before, but for a worker's. `make` is called again if
        samples begin to draw from a generator that none drew from.

        Args:
            dataset: has the samples.
            indices: of at least one sample.
            derive: returns the seeds of some samples.
            make: takes the indices; when it gets one, the generators are seeded for that sample.
        """
        if self._idle and len(indices) >= _LEAST:
            return self._make_with_idle(self._idle, indices, derive, make)
        # Nothing else in a worker draws from the generators.
        with preserved_generators() if get_worker_info() is None else nullcontext():
            if self._idle is not None or len(indices) < _LEAST:
                return make(_seeded(indices, derive, [seed_all]))
            watch = _Watch()
            made = make(_seeded(indices, derive, [watch.seed]))
            self._idle = () if _may_read_states(dataset) else watch.idle()
            return made

    def _make_with_idle(
        self,
        idle: Collection[_Generator],
        indices: Sequence[int],
        derive: Callable[[Sequence[int]], Sequence[int]],
        make: Callable[[Iterable[int]], Made],
    ) -> Made:
        states = [(generator, generator.state()) for generator in _GENERATORS]
        while True:
            drawn = [generator.seed for generator in _GENERATORS if generator not in idle]
            made = make(_seeded(indices, derive, drawn) if drawn else indices)
            moved = [one for one, state in states if one in idle and not one.is_in(state)]
            for generator, state in states:
                if generator not in idle or generator in moved:
                    generator.restore(state)
            if not moved:
                return made
            idle = self._idle = tuple(one for one in idle if one not in moved)


def _seeded(
    indices: Sequence[int],
    derive: Callable[[Sequence[int]], Sequence[int]],
    seed_functions: Sequence[Callable[[int], None]],
) -> Iterator[int]:
    """Yield each index once the functions have been called with the seed of its sample."""
    # Derived together, which takes a fraction of the time between two samples.
    for index, seed in zip(indices, derive(indices), strict=True):
        for seed_generator in seed_functions:
            seed_generator(seed)
        yield index


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
    return any(word in source for source in sources for word in _READS)


class _Watch:
    """Seeds all generators for each sample, and notes which of them it drew from."""

    def __init__(self) -> None:
        self._idle: tuple[_Generator, ...] = _GENERATORS
        self._before: list[Any] = []

    def seed(self, seed: int) -> None:
        self._idle = self.idle()
        seed_all(seed)
        self._before = [generator.state() for generator in self._idle]

    def idle(self) -> tuple[_Generator, ...]:
        """Return the generators that no sample has drawn from so far."""
        if not self._before:
            return self._idle
        pairs = zip(self._idle, self._before, strict=True)
        return tuple(generator for generator, state in pairs if generator.is_in(state))
