"""Measures memory and load: of this process, of the machine, and of the run's GPU.

Layer: machine. The watcher reads it about once per second, in its own thread. Without a driver, or
once a reading of the GPU has failed, the GPU's part is None for good.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from tui_trainer.machine.cpu_load import CpuLoad
from tui_trainer.machine.devices import free_memory_bytes
from tui_trainer.runs.bounds import is_count, is_number
from tui_trainer.text.clean import clean


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """The use of a run's GPU by all processes; `own_bytes` is that of this one, where known."""

    name: str
    load_percent: int | None
    used_bytes: int
    total_bytes: int
    own_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """One measurement: the process's load in percent of one core, the machine's of all cores.

    Loads are those since the measurement before, so they are None in the first one.
    """

    process_bytes: int
    process_percent: float | None
    machine_percent: float | None
    free_bytes: int
    gpu: GpuUsage | None = None


def usage_of(plain: object) -> Usage | None:
    """Return the measurement in a record made by `asdict`, or None if it is not a valid one."""
    if not isinstance(plain, dict):
        return None
    gpu = plain.get("gpu")
    try:
        return Usage(
            process_bytes=_count(plain["process_bytes"]),
            process_percent=_percent(plain["process_percent"]),
            machine_percent=_percent(plain["machine_percent"]),
            free_bytes=_count(plain["free_bytes"]),
            gpu=GpuUsage(
                name=clean(str(gpu["name"]), 60),
                load_percent=None if gpu["load_percent"] is None else _count(gpu["load_percent"]),
                used_bytes=_count(gpu["used_bytes"]),
                total_bytes=_count(gpu["total_bytes"]),
                own_bytes=None if gpu["own_bytes"] is None else _count(gpu["own_bytes"]),
            )
            if isinstance(gpu, dict)
            else None,
        )
    except (KeyError, ValueError):
        return None


def _count(value: Any) -> int:
    if not is_count(value):
        raise ValueError("no count")
    return int(value)


def _percent(value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value):
        raise ValueError("no number")
    return float(value)


class UsageMeter:
    """Measures usage.

    `uuid` names the GPU, as torch and NVML both do; empty means no GPU. Used from one thread.
    """

    def __init__(self, uuid: str = "", nvml: Any = None) -> None:
        self._process = psutil.Process()
        self._load = CpuLoad()
        self._gpu = _gpu_reader(uuid, nvml) if uuid else None

    def read(self) -> Usage:
        """Measure now."""
        gpu = self._gpu() if self._gpu is not None else None
        if gpu is None:
            self._gpu = None
        # psutil returns 0 for the first load of a process; that of the machine is None then.
        process_percent, machine_percent = self._process.cpu_percent(None), self._load.read()
        return Usage(
            process_bytes=int(self._process.memory_info().rss),
            process_percent=None if machine_percent is None else float(process_percent),
            machine_percent=machine_percent,
            free_bytes=free_memory_bytes(),
            gpu=gpu,
        )


def _gpu_reader(uuid: str, nvml: Any) -> Callable[[], GpuUsage | None] | None:
    """Return a function that reads the GPU with that UUID; None if NVML does not know it."""
    if nvml is None:
        import pynvml

        nvml = pynvml
    try:
        # Never shut down: that would affect every user of NVML in this process.
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        name = nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError:
        return None
    label = clean(name.decode(errors="replace") if isinstance(name, bytes) else str(name), 60)

    def read() -> GpuUsage | None:
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError:
            return None
        load: int | None = None
        own_bytes: int | None = None
        with contextlib.suppress(nvml.NVMLError):
            load = int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        with contextlib.suppress(nvml.NVMLError):
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            used = [p.usedGpuMemory for p in running if p.pid == os.getpid()]
            own_bytes = int(used[0]) if used and used[0] is not None else None
        return GpuUsage(label, load, int(memory.used), int(memory.total), own_bytes)

    return read
