"""Chooses the device of a run, and counts the CPUs and the memory this process may use.

Layer: machine; imports torch only inside functions. A control group or the CPU affinity often
leaves a process less than the machine has, so nothing is planned from what the machine has. GPUs
are listed as torch counts them, so that a name from here works with `--device`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import psutil

from tui_trainer.machine.cpu_load import CpuLoad
from tui_trainer.machine.gpus import CudaDevice, CudaFacts, GpuInfo, cuda_facts, nvml_gpus
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import GIB

ROOT = Path("/")
DRIVERS = {"12": 525, "13": 580}
"""The oldest driver that runs programs built for each major version of CUDA."""


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device by torch's name, a label for people, and a warning that the user must see."""

    torch_name: str
    label: str
    warning: str = ""
    uuid: str = ""
    """The UUID of a GPU, as torch and NVML both name it; empty for the CPU."""


def choose_device(
    request: str, gpus: Sequence[GpuInfo] | None = None, cuda: CudaFacts | None = None
) -> DeviceChoice:
    """Choose the device for `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` and `cuda` take the visible GPU with the most free memory. If there is none, `auto` takes
    the CPU, with a warning when there is a GPU that torch cannot use.

    Raises:
        BadInput: the request is none of these, or it is for a GPU that does not exist or that torch
            cannot use; the message says why and what to install.
    """
    match = re.fullmatch(r"(auto|cpu|cuda)|cuda:([0-9]{1,4})", request)
    if match is None:
        raise BadInput(f"--device {clean(request, 40)}: should be auto, cpu, cuda or cuda:N")
    if request == "cpu":
        return _cpu()
    gpus = nvml_gpus() if gpus is None else gpus
    cuda = cuda_facts() if cuda is None else cuda
    if match[2] and cuda.devices:
        return _choose_numbered(int(match[2]), gpus, cuda)
    free = {gpu.uuid: gpu.memory_free_bytes for gpu in gpus}
    usable = [n for n, device in enumerate(cuda.devices) if device.supported]
    if usable:
        freest = max(usable, key=lambda n: (free.get(cuda.devices[n].uuid, -1), -n))
        return _cuda(freest, gpus, cuda)
    why = unusable(gpus, cuda)
    if request == "auto":
        return _cpu(why)
    if not why and gpus:
        why = f"CUDA_VISIBLE_DEVICES={clean(cuda.visible or '', 80)!r} hides every GPU; unset it"
    raise BadInput(f"--device {request}: {why or 'no GPU was found'}")


def _choose_numbered(number: int, gpus: Sequence[GpuInfo], cuda: CudaFacts) -> DeviceChoice:
    if number >= len(cuda.devices):
        available = ", ".join(f"cuda:{n} {device.name}" for n, device in enumerate(cuda.devices))
        raise BadInput(f"--device cuda:{number}: there is no such GPU; available: {available}")
    if not cuda.devices[number].supported:
        raise BadInput(
            f"--device cuda:{number}: {_explain_no_code(cuda.devices[number], gpus, cuda)}"
        )
    return _cuda(number, gpus, cuda)


def unusable(gpus: Sequence[GpuInfo], cuda: CudaFacts) -> str:
    """Return a warning if there are GPUs and torch can use none of them, else an empty string.

    It is also empty when CUDA_VISIBLE_DEVICES hides all of them on purpose.
    """
    if cuda.devices:
        refused = [device for device in cuda.devices if not device.supported]
        return _explain_no_code(refused[0], gpus, cuda) if len(refused) == len(cuda.devices) else ""
    visible = None if cuda.visible is None else cuda.visible.strip()
    if not gpus or visible in ("", "-1"):
        return ""
    driver = gpus[0].driver_version
    text = f"{gpus[0].name} (driver {driver}) is NOT used: torch {cuda.torch_version}"
    if cuda.built_for is None:
        return f"{text} is built without CUDA; {_remedy(cuda, driver)}"
    text += f" for CUDA {cuda.built_for}"
    needed = DRIVERS.get(cuda.built_for.split(".")[0], 0)
    if 0 < _major(driver) < needed:
        return f"{text} needs driver {needed} or newer; update it, or {_remedy(cuda, driver)}"
    if visible is not None and "No CUDA GPUs" in cuda.error:
        return f"{text} sees no GPU: CUDA_VISIBLE_DEVICES={clean(visible, 80)} names none"
    reason = clean(cuda.error or "it finds no GPU", 200)
    return (
        f"{text} cannot start CUDA ({reason}); run nvidia-smi for details, or restart the machine"
    )


def _explain_no_code(device: CudaDevice, gpus: Sequence[GpuInfo], cuda: CudaFacts) -> str:
    driver = next((gpu.driver_version for gpu in gpus if gpu.uuid == device.uuid), "not known")
    return (
        f"{device.name} (driver {driver}) is NOT used: torch {cuda.torch_version} for CUDA "
        f"{cuda.built_for} has no code for its compute capability {device.capability}; "
        f"{_remedy(cuda, driver, index='cu126')}"
    )


def _remedy(cuda: CudaFacts, driver: str, index: str = "") -> str:
    """Say how to install the same torch, built for a version of CUDA that the driver runs.

    `index` overrides the choice: builds for an older CUDA serve older GPUs.
    """
    if 0 < _major(driver) < DRIVERS["12"]:
        return f"install driver {DRIVERS['13']} or newer, and a torch built for CUDA"
    index = index or ("cu130" if _major(driver) >= DRIVERS["13"] else "cu126")
    version = cuda.torch_version.partition("+")[0]
    return (
        f"install a build that fits: python -m pip install --force-reinstall torch=={version} "
        f"--index-url https://download.pytorch.org/whl/{index}"
    )


def _major(driver: str) -> int:
    digits = driver.partition(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _cpu(warning: str = "") -> DeviceChoice:
    cores = cpu_count()
    return DeviceChoice("cpu", f"cpu, {cores} core{'' if cores == 1 else 's'}", warning)


def _cuda(number: int, gpus: Sequence[GpuInfo], cuda: CudaFacts) -> DeviceChoice:
    device = cuda.devices[number]
    label = f"cuda:{number} {device.name}"
    for gpu in gpus:
        if gpu.uuid == device.uuid:
            free, total = gpu.memory_free_bytes / GIB, gpu.memory_total_bytes / GIB
            label += f", {free:.0f} of {total:.0f} GiB free"
    return DeviceChoice(f"cuda:{number}", label, uuid=device.uuid)


def usable_cpus() -> frozenset[int]:
    """Return the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cpu_count(root: Path = ROOT, cpus: Collection[int] | None = None) -> int:
    """Return how many CPUs to plan for: those of the affinity, limited by the cgroup's quota."""
    count = len(usable_cpus() if cpus is None else cpus)
    quota = cgroup_cpus(root)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def default_threads(root: Path = ROOT, cpus: Collection[int] | None = None) -> int:
    """Return the threads for torch: one per physical core of the affinity, at most `cpu_count`."""
    cpus = usable_cpus() if cpus is None else cpus
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        cores = len({(root / topology.format(cpu)).read_text().strip() for cpu in cpus})
    except OSError:
        cores = psutil.cpu_count(logical=False) or len(cpus)
    return max(1, min(cores, cpu_count(root, cpus)))


def cgroup_cpus(root: Path = ROOT) -> float | None:
    """Return the tightest quota of all control groups above this process, in CPUs, or None."""
    quotas = []
    for folder in _control_groups(root, "cpu"):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if quota != "max" and int(quota) > 0:
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return min(quotas, default=None)


def free_memory_bytes(root: Path = ROOT) -> int:
    """Return the memory still available, of the machine and of the control group."""
    machine = psutil.virtual_memory()
    free = [int(machine.available), *_cgroup_free(root, int(machine.total))]
    return max(0, min(free))


def _cgroup_free(root: Path, total_bytes: int) -> Iterator[int]:
    """Yield what each control group above this process leaves, reclaimable file cache included.

    A limit above the memory of the machine is none: version 1 writes a huge number for it.
    """
    for folder, limit, used, cache in _memory_limits(root):
        try:
            limit_bytes = int(_text(folder, limit))
            if limit_bytes > total_bytes:
                # The statistics are expensive to read, once per second during a run.
                continue
            free = limit_bytes - int(_text(folder, used))
            stat = dict(line.split() for line in _text(folder, "memory.stat").splitlines())
            yield free + int(stat.get(cache, 0))
        except (OSError, ValueError):
            continue


@lru_cache(maxsize=8)
def _memory_limits(root: Path) -> tuple[tuple[str, str, str, str], ...]:
    """Return folder, limit, use and key of the cache of each control group that has a limit.

    They are looked for once: a process stays in its groups.
    """
    versions = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    return tuple(
        (str(folder), *names)
        for folder in _control_groups(root, "memory")
        for names in versions
        if os.path.exists(folder / names[0])
    )


def _text(folder: str, name: str) -> str:
    with open(os.path.join(folder, name)) as file:
        return file.read()


def _control_groups(root: Path, controller: str) -> list[Path]:
    """Return the folders of the control groups that hold this process, for both cgroup versions."""
    top = root / "sys/fs/cgroup"
    folders = dict.fromkeys((top, top / controller))
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = top / controller if controllers else top
        group = PurePosixPath(path.lstrip("/"))
        folders.update(dict.fromkeys(base / ancestor for ancestor in (group, *group.parents)))
    return list(folders)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device as it is now; `others` are the other processes on it: `alice (pid 123, 2.1 GiB)`."""

    name: str
    """In the form that --device takes: `cpu`, `cuda:0`."""
    label: str
    free_bytes: int
    total_bytes: int
    load_percent: int | None
    others: tuple[str, ...] = ()


def device_states(
    gpus: Sequence[GpuInfo] | None = None, cuda: CudaFacts | None = None
) -> tuple[DeviceState, ...]:
    """Return the usable GPUs, then the CPU, whose load is that since the last call."""
    gpus = nvml_gpus() if gpus is None else gpus
    cuda = cuda_facts() if cuda is None else cuda
    by_uuid = {gpu.uuid: gpu for gpu in gpus}
    states = [
        _gpu(number, device, by_uuid.get(device.uuid))
        for number, device in enumerate(cuda.devices)
        if device.supported
    ]
    return (*states, _cpu_state())


def _gpu(number: int, device: CudaDevice, gpu: GpuInfo | None) -> DeviceState:
    name, label = f"cuda:{number}", clean(device.name, 60)
    if gpu is None:
        return DeviceState(name, label, free_bytes=0, total_bytes=0, load_percent=None)
    others = tuple(
        _describe_process(pid, used) for pid, used in gpu.processes if pid != os.getpid()
    )
    return DeviceState(
        name,
        label,
        free_bytes=gpu.memory_free_bytes,
        total_bytes=gpu.memory_total_bytes,
        load_percent=gpu.utilization_percent,
        others=others,
    )


def _describe_process(pid: int, used_bytes: int) -> str:
    """Describe a process on a GPU; inside a container its owner is often hidden."""
    try:
        owner = clean(psutil.Process(pid).username(), 40)
    except (psutil.Error, OSError, KeyError):
        owner = "unknown user"
    size = f", {used_bytes / GIB:.1f} GiB" if used_bytes else ""
    return f"{owner} (pid {pid}{size})"


_CPU_LOAD = CpuLoad()


def _cpu_state() -> DeviceState:
    cores, load = cpu_count(), _CPU_LOAD.read()
    return DeviceState(
        "cpu",
        f"{cores} core{'' if cores == 1 else 's'}",
        free_memory_bytes(),
        int(psutil.virtual_memory().total),
        None if load is None else round(load),
    )
