"""`tui-trainer doctor`: reports what this machine has, and what is wrong with it.

Layer: machine. A reading that fails becomes "not known: why", never an exception. That holds for
torch too, which may be missing or broken; the rest is reported all the same.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from tui_trainer import __version__
from tui_trainer.machine.devices import (
    ROOT,
    cgroup_cpus,
    choose_device,
    cpu_count,
    default_threads,
    free_memory_bytes,
    unusable,
    usable_cpus,
)
from tui_trainer.machine.gpus import CudaFacts, GpuInfo, cuda_facts, nvml_gpus
from tui_trainer.text.clean import clean
from tui_trainer.text.format import GIB

PACKAGES = (
    "torch",
    "numpy",
    "pyarrow",
    "pydantic",
    "PyYAML",
    "rich",
    "psutil",
    "nvidia-ml-py",
    "platformdirs",
)
LITTLE_BYTES = 1 * GIB
"""Warn when there is less free memory than this, or less free disk space for runs."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A reading: text for people, the plain value for `--json`, and `why` if it is not known."""

    text: str
    value: Any = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Facts by group and name, in the order in which they are shown, and then `warnings`."""

    groups: Mapping[str, Mapping[str, Fact]]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the report as text, safe for a terminal."""
        width = max(len(name) for facts in self.groups.values() for name in facts)
        lines = []
        for group, facts in self.groups.items():
            lines.append(group)
            lines += [f"  {name:<{width}}  {clean(fact.text)}" for name, fact in facts.items()]
        return lines + [f"WARNING: {clean(warning)}" for warning in self.warnings]

    def to_dict(self) -> dict[str, Any]:
        """Return the values by group and name; `not_known` says why a value is null."""
        facts = [
            (group, name, fact)
            for group, group_facts in self.groups.items()
            for name, fact in group_facts.items()
        ]
        values: dict[str, Any] = {group: {} for group in self.groups}
        for group, name, fact in facts:
            values[group][name] = fact.value
        values["not_known"] = {
            f"{group}.{name}": fact.why for group, name, fact in facts if fact.why
        }
        values["warnings"] = list(self.warnings)
        return values


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the readings; a test passes others."""

    gpus: Callable[[], Sequence[GpuInfo]] = nvml_gpus
    cuda: Callable[[], CudaFacts] = cuda_facts
    root: Path = ROOT
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)


def examine(preset_dirs: Sequence[Path], runs_dir: Path, sources: Sources | None = None) -> Report:
    """Examine versions, terminal, CPU, memory, devices, disk and folders. Imports torch.

    Writes nothing, and raises nothing.
    """
    sources = sources or Sources()
    warnings: list[str] = []
    groups = {
        "versions": _versions(),
        "terminal": _terminal(sources.env, warnings),
        "cpu": _cpu(sources.root),
        "memory": _memory(sources.root, warnings),
        "devices": _devices(sources, warnings),
        "disk": _disk(runs_dir, warnings),
        "folders": _folders(preset_dirs, runs_dir),
    }
    return Report(groups, tuple(warnings))


def _read(read: Callable[[], Any], show: Callable[[Any], str] = str) -> Fact:
    """Take a reading; if it fails, the fact says why."""
    try:
        value = read()
        return Fact(show(value), value)
    except Exception as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Fact(f"not known: {why}", None, why)


def _versions() -> dict[str, Fact]:
    python = sys.version.split()[0]
    versions = {
        "tui-trainer": Fact(__version__, __version__),
        "python": Fact(f"{python} ({sys.executable})", python),
        "system": _read(platform.platform),
    }
    for package in PACKAGES:
        versions[package] = _read(partial(metadata.version, package))
    return versions


def _terminal(env: Mapping[str, str], warnings: list[str]) -> dict[str, Fact]:
    encoding = _read(locale.getencoding)
    if encoding.value and encoding.value.lower().replace("-", "") != "utf8":
        warnings.append(
            f"the terminal's encoding is {encoding.value}, not UTF-8; set LANG=C.UTF-8 or the like"
        )
    settings = ("TERM", "COLORTERM", "LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR")
    return {
        "stdout": _read(
            sys.stdout.isatty, lambda is_one: "a terminal" if is_one else "no terminal"
        ),
        "size": _read(
            lambda: list(shutil.get_terminal_size()), lambda size: f"{size[0]}x{size[1]}"
        ),
        "encoding": encoding,
        **{name: Fact(env.get(name, "not set"), env.get(name)) for name in settings},
    }


def _cpu(root: Path) -> dict[str, Fact]:
    def quota(cpus: float | None) -> str:
        return "no quota" if cpus is None else f"{cpus:g}"

    return {
        "logical": _read(lambda: psutil.cpu_count(logical=True)),
        "physical": _read(lambda: psutil.cpu_count(logical=False)),
        "by affinity": _read(lambda: len(usable_cpus())),
        "by cgroup": _read(lambda: cgroup_cpus(root), quota),
        "to plan for": _read(lambda: cpu_count(root)),
        "threads": _read(lambda: default_threads(root), lambda count: f"{count} by default"),
    }


def _memory(root: Path, warnings: list[str]) -> dict[str, Fact]:
    free = _read(lambda: free_memory_bytes(root), _gb)
    if free.value is not None and free.value < LITTLE_BYTES:
        warnings.append(f"only {free.text} of memory is free; training may be killed")
    return {"total": _read(lambda: psutil.virtual_memory().total, _gb), "free": free}


def _devices(sources: Sources, warnings: list[str]) -> dict[str, Fact]:
    """Report GPUs as NVML and torch see them, and the device that `auto` takes."""
    gpus_fact = _read(lambda: tuple(sources.gpus()))
    gpus: Sequence[GpuInfo] = gpus_fact.value or ()
    facts = {f"gpu {gpu.index}": _gpu(gpu) for gpu in gpus}
    if not gpus:
        facts["gpus"] = (
            gpus_fact if gpus_fact.why else Fact("none; NVML finds no NVIDIA driver", [])
        )
    else:
        facts["driver"] = Fact(gpus[0].driver_version, gpus[0].driver_version)
    visible = sources.env.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        facts["CUDA_VISIBLE_DEVICES"] = Fact(repr(visible), visible)
    cuda_fact = _read(sources.cuda)
    cuda: CudaFacts | None = cuda_fact.value
    if cuda is None:
        warnings.append(
            f"torch cannot be used ({cuda_fact.why}); "
            f"install it: {sys.executable} -m pip install 'torch>=2.10'"
        )
        return {**facts, "torch": Fact(f"not known: {cuda_fact.why}", None, cuda_fact.why)}
    facts["torch"] = _torch(cuda)
    for number, device in enumerate(cuda.devices):
        text = f"{device.name}, {device.uuid}, compute capability {device.capability}"
        facts[f"cuda:{number}"] = Fact(text, {"name": device.name, "uuid": device.uuid})
    facts["auto"] = _read(lambda: choose_device("auto", gpus, cuda).label)
    if warning := unusable(gpus, cuda):
        warnings.append(warning)
    return facts


def _gpu(gpu: GpuInfo) -> Fact:
    load = "not known" if gpu.utilization_percent is None else f"{gpu.utilization_percent} %"
    text = (
        f"{gpu.name}, {_gb(gpu.memory_free_bytes)} of {_gb(gpu.memory_total_bytes)} free, "
        f"load {load}, processes {len(gpu.processes)}, {gpu.uuid}"
    )
    value = {
        "name": gpu.name,
        "uuid": gpu.uuid,
        "memory_free_bytes": gpu.memory_free_bytes,
        "memory_total_bytes": gpu.memory_total_bytes,
        "utilization_percent": gpu.utilization_percent,
        "processes": [{"pid": pid, "memory_bytes": size} for pid, size in gpu.processes],
    }
    return Fact(text, value)


def _torch(cuda: CudaFacts) -> Fact:
    built = f"built for CUDA {cuda.built_for}" if cuda.built_for else "built without CUDA"
    parts = [cuda.torch_version, built]
    if cuda.cudnn:
        parts.append(f"cuDNN {cuda.cudnn}")
    if cuda.error:
        parts.append(cuda.error)
    value = {"version": cuda.torch_version, "cuda": cuda.built_for, "cudnn": cuda.cudnn}
    return Fact(", ".join(parts), {**value, "error": cuda.error or None})


def _disk(runs_dir: Path, warnings: list[str]) -> dict[str, Fact]:
    existing = _nearest_existing(runs_dir)
    free = _read(
        lambda: shutil.disk_usage(existing).free, lambda size: f"{_gb(size)} free in {existing}"
    )
    if free.value is not None and free.value < LITTLE_BYTES:
        warnings.append(f"only {_gb(free.value)} of disk space is free for runs in {runs_dir}")
    if not os.access(existing, os.W_OK | os.X_OK):
        warnings.append(
            f"{existing} cannot be written, so no run can be kept in {runs_dir}; "
            "name another folder with --runs-dir or TUI_TRAINER_RUNS_DIR"
        )
    shared = Path("/dev/shm")
    return {
        "runs": free,
        "/dev/shm": _read(lambda: shutil.disk_usage(shared).free, lambda size: f"{_gb(size)} free"),
    }


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    path = folder.absolute()
    return next(
        (candidate for candidate in (path, *path.parents) if os.path.lexists(candidate)), path
    )


def _folders(preset_dirs: Sequence[Path], runs_dir: Path) -> dict[str, Fact]:
    facts = {"runs": _folder(runs_dir)}
    for number, folder in enumerate(preset_dirs, 1):
        facts[f"presets {number}"] = _folder(folder)
    return facts


def _folder(folder: Path) -> Fact:
    path = folder.absolute()
    exists = os.path.isdir(path)
    return Fact(
        str(path) if exists else f"{path} (not there)", {"path": str(path), "there": exists}
    )


def _gb(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
