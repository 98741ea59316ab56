"""Load and memory over the last minutes, as bars."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from tests.ui.host import Host, drive
from tests.ui.runs import USAGE, an_ending, some_events
from tui_trainer.machine.usage import Usage
from tui_trainer.ui.run.device_trail import CELLS, SLOT_S, DeviceTrail


class Clock:
    def __init__(self) -> None:
        self.now_s = 10 * SLOT_S

    def __call__(self) -> float:
        return self.now_s


def on_cpu(percent: float | None, size_bytes: int) -> Usage:
    return replace(USAGE, gpu=None, process_percent=percent, process_bytes=size_bytes)


def test_a_cell_has_the_mean_load_and_the_newest_memory_of_its_seconds() -> None:
    clock = Clock()
    trail = DeviceTrail(clock=clock)
    assert (trail.load, trail.memory) == (" " * CELLS, " " * CELLS)
    first = on_cpu(None, 100)
    for usage in (first, first, on_cpu(0.0, 100), on_cpu(100.0, 200)):
        trail.add(usage)
    assert (trail.load[-1], trail.memory[-1]) == ("▅", "█")
    clock.now_s += 2 * SLOT_S
    trail.add(on_cpu(150.0, 400))
    # The most of both is higher now, and in the slot between nothing was measured.
    assert (trail.load[-3:], trail.memory[-3:]) == ("▃ █", "▅ █")
    clock.now_s += CELLS * SLOT_S
    trail.add(on_cpu(1.0, 400))
    assert trail.load == "▁".rjust(CELLS)


def test_of_a_run_on_a_gpu_it_is_that_of_the_gpu() -> None:
    trail = DeviceTrail(plain=True)
    trail.add(USAGE)
    assert USAGE.gpu is not None
    assert (USAGE.gpu.load_percent, USAGE.gpu.used_bytes / USAGE.gpu.total_bytes) == (34, 0.02625)
    assert (trail.load[-1], trail.memory[-1]) == ("-", "_")


def test_the_bars_are_shown_where_the_column_has_room() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert host.text.count("last 3 min") == 2
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        await host.happen(pilot)
        assert "free memory" in host.text
        assert "last 3 min" not in host.text

    drive(play, *some_events(300), size=(120, 40))


def test_what_was_measured_before_the_end_of_an_old_run_is_not_of_the_last_minutes() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert "free memory" in host.text
        assert "last 3 min" not in host.text

    drive(play, *some_events(460), an_ending(), size=(120, 40))
