"""GPUs as NVML reports them, and as torch can use them.

Layer: machine; imports torch only inside functions. NVML counts every GPU of the machine while
torch counts the visible ones, so the two are matched by UUID and never by number.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU as NVML reports it; `processes` are pairs of (pid, bytes)."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    utilization_percent: int | None
    driver_version: str
    processes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A GPU as torch reports it; not supported when torch has no code for its `capability`."""

    uuid: str
    name: str
    capability: str = ""
    supported: bool = True


@dataclass(frozen=True, slots=True)
class CudaFacts:
    """The CUDA support that torch reports; `devices` are cuda:0, cuda:1, ... in their order."""

    torch_version: str
    built_for: str | None
    """The version of CUDA that torch was built for; None for a build without CUDA."""
    devices: tuple[CudaDevice, ...] = ()
    cudnn: str | None = None
    visible: str | None = None
    """The value of CUDA_VISIBLE_DEVICES; None if it is not set."""
    error: str = ""


def nvml_gpus(nvml: Any = None) -> tuple[GpuInfo, ...]:
    """Return the GPUs of the machine that respond; none without a driver."""
    if nvml is None:
        import pynvml

        nvml = pynvml
    gpus: list[GpuInfo] = []
    with contextlib.suppress(nvml.NVMLError):
        nvml.nvmlInit()
        try:
            driver = _text(nvml.nvmlSystemGetDriverVersion())
            for index in range(nvml.nvmlDeviceGetCount()):
                # One that fell off the bus must not hide the others.
                with contextlib.suppress(nvml.NVMLError):
                    gpus.append(_gpu(nvml, index, driver))
        finally:
            nvml.nvmlShutdown()
    return tuple(gpus)


def _gpu(nvml: Any, index: int, driver: str) -> GpuInfo:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    load: int | None = None
    running: Sequence[Any] = ()
    with contextlib.suppress(nvml.NVMLError):
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        load = int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return GpuInfo(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_total_bytes=int(memory.total),
        memory_free_bytes=int(memory.free),
        utilization_percent=load,
        driver_version=driver,
        processes=tuple((int(p.pid), int(p.usedGpuMemory or 0)) for p in running),
    )


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def cuda_facts() -> CudaFacts:
    """Report what torch can use. Imports torch and starts CUDA, so call it where training may run.

    Raises:
        ImportError: torch is missing, or cannot be loaded.
    """
    import torch

    devices: tuple[CudaDevice, ...] = ()
    cudnn: int | None = None
    error = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # init() below gives the reason, which is reported
        try:
            if torch.version.cuda and not torch.cuda.is_available():
                torch.cuda.init()  # type: ignore[no-untyped-call]
            devices = tuple(_cuda_device(n) for n in range(torch.cuda.device_count()))
            if torch.version.cuda:
                cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        except (RuntimeError, AssertionError) as failure:
            error = (str(failure).splitlines() or [type(failure).__name__])[0]
    return CudaFacts(
        torch_version=str(torch.__version__),
        built_for=torch.version.cuda,
        devices=devices,
        cudnn=None if cudnn is None else str(cudnn),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        error=error,
    )


def _cuda_device(number: int) -> CudaDevice:
    import torch

    properties = torch.cuda.get_device_properties(number)
    capability = (properties.major, properties.minor)
    return CudaDevice(
        uuid=f"GPU-{str(properties.uuid).removeprefix('GPU-')}",
        name=properties.name,
        capability=f"{properties.major}.{properties.minor}",
        supported=has_code_for(capability, torch.cuda.get_arch_list()),
    )


def has_code_for(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Whether a build (`sm_80`, `compute_90`, ...) has code for a GPU of this capability.

    Machine code runs on its own major version, from its minor version on; PTX also runs on every
    newer one. A build whose list names no version is assumed to have code.
    """
    has_versions = False
    for name in built:
        kind, _, digits = name.partition("_")
        if kind in ("sm", "compute") and digits.isdigit():
            has_versions = True
            version = (int(digits[:-1]), int(digits[-1]))
            if version <= capability and (kind == "compute" or version[0] == capability[0]):
                return True
    return not has_versions
