"""`CpuLoad`: measures how busy the cores of this machine are.

Layer: machine. A load is always that of a span of time, so the first reading is unknown. psutil has
such a function too, but it keeps one span per thread and returns 0 for the first one.
"""

from __future__ import annotations

import psutil


class CpuLoad:
    """Measures the load of all cores since the last reading; it may be read by any thread."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def read(self) -> float | None:
        """Return the load in percent, or None if no time has passed since the last reading."""
        before, self._before = self._before, _busy_and_total_s()
        if before is None:
            return None
        busy_s, total_s = (now - then for now, then in zip(self._before, before, strict=True))
        return 100 * min(max(busy_s / total_s, 0.0), 1.0) if total_s > 0 else None


def _busy_and_total_s() -> tuple[float, float]:
    """Return the busy seconds of all cores since the boot, and all their seconds."""
    times = psutil.cpu_times()._asdict()
    # Linux counts the time of guests in `user` too; a core that waits for a disk is not busy.
    total_s = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    return total_s - times["idle"] - times.get("iowait", 0.0), total_s
