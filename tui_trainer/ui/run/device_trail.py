"""`DeviceTrail`: load and memory of a run's device over the last minutes, as bars of characters.

Layer: ui. Measurements are not kept in the files of a run, so it begins when the screen opens.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tui_trainer.machine.usage import Usage

CELLS = 15
SLOT_S = 12.0
"""The seconds of a cell: the bars move five times per minute."""
SPAN = f"last {CELLS * SLOT_S / 60:.0f} min"
LEVELS, PLAIN_LEVELS = "▁▂▃▄▅▆▇█", "_.-:=+*#"


@dataclass(slots=True)
class _Slot:
    """The measurements of a cell's seconds; `number` counts the slots of the clock."""

    number: int
    loads: list[float] = field(default_factory=list)
    memory_bytes: int = 0


class DeviceTrail:
    """Collects the measurements of a run, of its GPU if it has one, and else of its process."""

    def __init__(self, *, plain: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._levels = PLAIN_LEVELS if plain else LEVELS
        self._clock = clock
        self._slots: deque[_Slot] = deque(maxlen=CELLS)
        self._newest: Usage | None = None

    def add(self, usage: Usage | None) -> None:
        """Take a measurement, unless it is the one that was taken last."""
        if usage is None or usage is self._newest:
            return
        self._newest = usage
        number = int(self._clock() // SLOT_S)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        slot, gpu = self._slots[-1], usage.gpu
        load = usage.process_percent if gpu is None else gpu.load_percent
        if load is not None:
            slot.loads.append(load)
        slot.memory_bytes = usage.process_bytes if gpu is None else gpu.used_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured yet."""
        return not self._slots

    @property
    def load(self) -> str:
        """The load of each cell: a full bar is 100 %, or the highest load beyond that."""
        means = [fmean(slot.loads) if slot.loads else None for slot in self._slots]
        most = max(100.0, *(mean for mean in means if mean is not None), 0.0)
        return self._bars([None if mean is None else mean / most for mean in means])

    @property
    def memory(self) -> str:
        """The memory in use: a full bar is all that the GPU has, or the most that was in use."""
        sizes = [slot.memory_bytes for slot in self._slots]
        gpu = self._newest.gpu if self._newest is not None else None
        most = max(sizes, default=0) if gpu is None else gpu.total_bytes
        return self._bars([size / most if most else None for size in sizes])

    def _bars(self, shares: Sequence[float | None]) -> str:
        """Return a character per cell, the newest last; blank where nothing was measured."""
        newest = self._slots[-1].number if self._slots else 0
        cells = [" "] * CELLS
        for slot, share in zip(self._slots, shares, strict=True):
            at = CELLS - 1 - (newest - slot.number)
            if share is not None and at >= 0:
                cells[at] = self._levels[round(min(max(share, 0.0), 1.0) * (len(LEVELS) - 1))]
        return "".join(cells)
