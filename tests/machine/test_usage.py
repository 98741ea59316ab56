"""Measuring memory and load, with and without a GPU."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from tui_trainer.machine.usage import UsageMeter, usage_of


class FakeNvml:
    """One GPU, which can be made to fall off the bus."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        self.is_there = True
        self.asked = 0

    def nvmlInit(self) -> None:
        return

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != "GPU-1":
            raise self.NVMLError
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> bytes:
        return b"H100\x1b[2J"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        self.asked += 1
        if not self.is_there:
            raise self.NVMLError
        return SimpleNamespace(used=3, total=80)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return SimpleNamespace(gpu=34)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> Any:
        return [
            SimpleNamespace(pid=1, usedGpuMemory=9),
            SimpleNamespace(pid=os.getpid(), usedGpuMemory=2),
        ]


def test_this_process_uses_memory_and_has_no_gpu_by_default() -> None:
    usage = UsageMeter().read()
    assert usage.process_bytes > 2**20
    assert usage.free_bytes > 0
    assert usage.gpu is None


def test_a_load_is_unknown_until_time_has_passed_since_a_first_measurement() -> None:
    meter = UsageMeter()
    first = usage = meter.read()
    assert (first.process_percent, first.machine_percent) == (None, None)
    while usage.machine_percent is None:
        usage = meter.read()
    assert usage.process_percent is not None
    assert 0 <= usage.machine_percent <= 100
    assert [usage_of(asdict(measured)) for measured in (first, usage)] == [first, usage]


def test_the_gpu_of_the_run_is_measured_with_the_share_of_this_process() -> None:
    gpu = UsageMeter("GPU-1", FakeNvml()).read().gpu
    assert gpu is not None
    assert (gpu.load_percent, gpu.used_bytes, gpu.total_bytes, gpu.own_bytes) == (34, 3, 80, 2)
    assert "\x1b" not in gpu.name


def test_a_gpu_that_nvml_does_not_know_is_left_out() -> None:
    assert UsageMeter("GPU-2", FakeNvml()).read().gpu is None


def test_a_gpu_that_goes_is_not_asked_for_again() -> None:
    nvml = FakeNvml()
    meter = UsageMeter("GPU-1", nvml)
    nvml.is_there = False
    assert meter.read().gpu is None
    asked = nvml.asked
    nvml.is_there = True
    assert meter.read().gpu is None
    assert nvml.asked == asked


@pytest.mark.parametrize("key", ["process_bytes", "process_percent", "free_bytes", "gpu"])
@pytest.mark.parametrize(
    "value", [10**400, -(10**400), math.inf, "3", [3], {}], ids=lambda value: f"{value!r:.20}"
)
def test_fault_56_a_measurement_out_of_bounds_is_none(key: str, value: object) -> None:
    right = asdict(UsageMeter("GPU-1", FakeNvml()).read())
    assert usage_of(right) is not None
    assert usage_of({**right, key: {"used_bytes": value} if key == "gpu" else value}) is None
