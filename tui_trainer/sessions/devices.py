"""Devices: what NVML shows, what torch can use, and which of them a run takes.

Layer: sessions; torch only inside functions. NVML counts every GPU of the machine while torch
counts the visible ones, so the two are matched by UUID and never by number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tui_trainer.config.errors import BadInput

GB = 2**30
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU as NVML shows it; `processes` are (pid, bytes)."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    utilization_percent: int | None
    driver_version: str
    processes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CudaFacts:
    """What torch says of CUDA; `uuids` are those of cuda:0, cuda:1, ... as NVML spells them."""

    torch_version: str
    built_for: str | None
    uuids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device by torch's name, a label for people, and a warning that must be seen."""

    torch_name: str
    label: str
    warning: str = ""


def nvml_gpus() -> tuple[GpuInfo, ...]:
    """The GPUs of the machine; none without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        return tuple(_gpu(index, driver) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int, driver: str) -> GpuInfo:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        load: int | None = int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        load, running = None, []
    return GpuInfo(
        index=index,
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_total_bytes=int(memory.total),
        memory_free_bytes=int(memory.free),
        utilization_percent=load,
        driver_version=driver,
        processes=tuple((int(p.pid), int(p.usedGpuMemory or 0)) for p in running),
    )


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def cuda_facts() -> CudaFacts:
    """What torch can use; imports torch."""
    import torch

    version, built_for = torch.__version__, torch.version.cuda
    try:
        if not torch.cuda.is_available():
            return CudaFacts(version, built_for)
        found = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    except RuntimeError as error:
        return CudaFacts(version, built_for, error=str(error).splitlines()[0])
    uuids = tuple(f"GPU-{properties.uuid}" for properties in found)
    return CudaFacts(version, built_for, uuids, tuple(properties.name for properties in found))


def choose_device(
    request: str, gpus: Sequence[GpuInfo] | None = None, cuda: CudaFacts | None = None
) -> DeviceChoice:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` and `cuda` take the visible GPU with the most free memory.

    Raises:
        BadInput: a GPU was asked for that torch cannot use, with why and what to install.
    """
    if request == "cpu":
        return _cpu()
    gpus = nvml_gpus() if gpus is None else gpus
    cuda = cuda_facts() if cuda is None else cuda
    if not cuda.uuids:
        why = unusable(gpus, cuda)
        if request == "auto":
            return _cpu(why)
        raise BadInput(f"--device {request}: {why or 'no GPU was found'}")
    if request.startswith("cuda:"):
        number = int(request.removeprefix("cuda:"))
        if number >= len(cuda.uuids):
            there = ", ".join(f"cuda:{n} {name}" for n, name in enumerate(cuda.names))
            raise BadInput(f"--device {request}: there is no such GPU; there are: {there}")
        return _cuda(number, gpus, cuda)
    by_uuid = {gpu.uuid: gpu.memory_free_bytes for gpu in gpus}
    freest = max(range(len(cuda.uuids)), key=lambda n: (by_uuid.get(cuda.uuids[n], -1), -n))
    return _cuda(freest, gpus, cuda)


def unusable(gpus: Sequence[GpuInfo], cuda: CudaFacts) -> str:
    """One loud line when NVML shows a GPU that torch cannot use; else nothing."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not gpus or cuda.uuids or (hidden is not None and hidden.strip() in ("", "-1")):
        return ""
    gpu = gpus[0]
    what = f"{gpu.name} is there (driver {gpu.driver_version}), but torch {cuda.torch_version}"
    if cuda.built_for is None:
        return (
            f"{what} is built without CUDA, so the GPU is NOT used; install a CUDA build: "
            "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
        )
    return (
        f"{what}, built for CUDA {cuda.built_for}, cannot use it, so the GPU is NOT used; "
        f"update the driver, or install a torch for an older CUDA{': ' if cuda.error else ''}"
        f"{cuda.error}"
    )


def _cpu(warning: str = "") -> DeviceChoice:
    cores = default_threads()
    return DeviceChoice("cpu", f"cpu, {cores} core{'s' if cores > 1 else ''}", warning)


def _cuda(number: int, gpus: Sequence[GpuInfo], cuda: CudaFacts) -> DeviceChoice:
    label = f"cuda:{number} {cuda.names[number]}"
    for gpu in gpus:
        if gpu.uuid == cuda.uuids[number]:
            free, total = gpu.memory_free_bytes / GB, gpu.memory_total_bytes / GB
            label += f", {free:.0f} of {total:.0f} GB free"
    return DeviceChoice(f"cuda:{number}", label)


def cgroup_cpus(root: Path = CGROUP) -> float | None:
    """The CPU quota of the control group (v2, then v1) in cores; None without one."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = int((root / "cpu/cpu.cfs_quota_us").read_text())
        return limit / int((root / "cpu/cpu.cfs_period_us").read_text()) if limit > 0 else None
    except (OSError, ValueError):
        return None


def affinity_cpus() -> int:
    """Logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_count(root: Path = CGROUP) -> int:
    """Cores to plan for: the affinity, cut to the quota of the control group."""
    quota = cgroup_cpus(root)
    return max(1, min(affinity_cpus(), math.ceil(quota) if quota else affinity_cpus()))


def default_threads(root: Path = CGROUP) -> int:
    """Threads for torch: one a physical core, at most `cpu_count`."""
    return max(1, min(psutil.cpu_count(logical=False) or cpu_count(root), cpu_count(root)))


def free_memory_bytes(root: Path = CGROUP) -> int:
    """Memory that can still be had, by the machine and by the control group."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (root / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((root / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(free, 0)
