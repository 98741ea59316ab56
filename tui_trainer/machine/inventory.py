"""The devices of this machine as they are now: free memory, load, and who else is on them.

Layer: machine; torch only inside functions. GPUs are listed as torch counts them, so that a name
from here is one that `--device` takes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tui_trainer.machine.devices import GB, cpu_count, free_memory_bytes
from tui_trainer.machine.gpus import CudaDevice, CudaFacts, GpuInfo, cuda_facts, nvml_gpus
from tui_trainer.text.clean import clean


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device as it is now; `others` are who else is on it, as `alice (pid 123, 2.1 GB)`."""

    name: str
    """As --device takes it: `cpu`, `cuda:0`."""
    label: str
    free_bytes: int
    total_bytes: int
    load_percent: int | None
    others: tuple[str, ...] = ()


def device_states(
    gpus: Sequence[GpuInfo] | None = None, cuda: CudaFacts | None = None
) -> tuple[DeviceState, ...]:
    """The usable GPUs, then the CPU. Its load is measured since the last call."""
    gpus = nvml_gpus() if gpus is None else gpus
    cuda = cuda_facts() if cuda is None else cuda
    shown = {gpu.uuid: gpu for gpu in gpus}
    states = [
        _gpu(number, device, shown.get(device.uuid))
        for number, device in enumerate(cuda.devices)
        if device.supported
    ]
    return (*states, _cpu_state())


def _gpu(number: int, device: CudaDevice, gpu: GpuInfo | None) -> DeviceState:
    name, label = f"cuda:{number}", clean(device.name, 60)
    if gpu is None:
        return DeviceState(name, label, free_bytes=0, total_bytes=0, load_percent=None)
    others = tuple(_who(pid, used) for pid, used in gpu.processes if pid != os.getpid())
    return DeviceState(
        name,
        label,
        free_bytes=gpu.memory_free_bytes,
        total_bytes=gpu.memory_total_bytes,
        load_percent=gpu.utilization_percent,
        others=others,
    )


def _who(pid: int, used_bytes: int) -> str:
    """A process on a GPU; its owner is often hidden from inside a container."""
    try:
        owner = clean(psutil.Process(pid).username(), 40)
    except (psutil.Error, OSError, KeyError):
        owner = "somebody"
    size = f", {used_bytes / GB:.1f} GB" if used_bytes else ""
    return f"{owner} (pid {pid}{size})"


def _cpu_state() -> DeviceState:
    cores = cpu_count()
    return DeviceState(
        "cpu",
        f"{cores} core{'' if cores == 1 else 's'}",
        free_memory_bytes(),
        int(psutil.virtual_memory().total),
        round(psutil.cpu_percent(None)),
    )
