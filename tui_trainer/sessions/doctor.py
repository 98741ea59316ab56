"""`tui-trainer doctor`: what this machine has, and what is wrong with it.

Layer: sessions. A reading that fails becomes a line that says so, never an exception.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tui_trainer.config.text import clean
from tui_trainer.sessions.devices import (
    GB,
    affinity_cpus,
    cgroup_cpus,
    cpu_count,
    cuda_facts,
    default_threads,
    free_memory_bytes,
    nvml_gpus,
    unusable,
)

PACKAGES = ("tui-trainer", "torch", "numpy", "pydantic", "PyYAML", "rich", "psutil", "nvidia-ml-py")
LITTLE_DISK_BYTES = 1 * GB


@dataclass(frozen=True, slots=True)
class Report:
    """Facts by group, in the order in which they are shown; `warnings` are shown last."""

    groups: dict[str, dict[str, str]]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report as text."""
        found = []
        for group, facts in self.groups.items():
            found.append(group)
            found += [f"  {name:<18} {clean(value, 300)}" for name, value in facts.items()]
        found += [f"WARNING: {clean(warning, 500)}" for warning in self.warnings]
        return found

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(preset_dirs: Sequence[Path], runs_dir: Path) -> Report:
    """Look at versions, devices, memory, disk and folders; imports torch."""
    warnings: list[str] = []
    groups = {
        "versions": _versions(),
        "terminal": _terminal(),
        "cpu": {
            "logical": str(os.cpu_count()),
            "by affinity": _known(lambda: str(affinity_cpus())),
            "by cgroup": _known(lambda: f"{cgroup_cpus():g}" if cgroup_cpus() else "no quota"),
            "to plan for": _known(lambda: str(cpu_count())),
            "threads": _known(lambda: f"{default_threads()} by default"),
        },
        "memory": {"free": _known(lambda: _gb(free_memory_bytes()))},
        "devices": _devices(warnings),
        "disk": {"runs": _disk(runs_dir, warnings), "/dev/shm": _disk(Path("/dev/shm"), [])},
        "folders": {
            "runs": str(runs_dir.absolute()),
            **{
                f"presets {number}": f"{folder}{'' if folder.is_dir() else ' (not there)'}"
                for number, folder in enumerate(preset_dirs, 1)
            },
        },
    }
    return Report(groups, tuple(warnings))


def _known(read: Callable[[], str]) -> str:
    """What a reading gives, or why it gives nothing."""
    try:
        return read()
    except Exception as error:
        return f"not known: {type(error).__name__}: {error}"


def _versions() -> dict[str, str]:
    found = {
        "python": f"{sys.version.split()[0]} ({sys.executable})",
        "system": platform.platform(),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _terminal() -> dict[str, str]:
    size = shutil.get_terminal_size()
    return {
        "TERM": os.environ.get("TERM", "not set"),
        "encoding": _known(lambda: locale.getpreferredencoding(False)),
        "size": f"{size.columns}x{size.lines}",
        "stdout": "a terminal" if sys.stdout.isatty() else "not a terminal",
    }


def _devices(warnings: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    gpus = nvml_gpus()
    for gpu in gpus:
        load = "-" if gpu.utilization_percent is None else f"{gpu.utilization_percent} %"
        found[f"gpu {gpu.index}"] = (
            f"{gpu.name}, {_gb(gpu.memory_free_bytes)} of {_gb(gpu.memory_total_bytes)} free, "
            f"load {load}, {len(gpu.processes)} processes, driver {gpu.driver_version}"
        )
    if not gpus:
        found["gpus"] = "none (NVML finds no NVIDIA driver)"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        found["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]
    try:
        cuda = cuda_facts()
    except ImportError as error:
        warnings.append(f"torch cannot be imported ({error}); pip install 'torch>=2.10'")
        return {**found, "torch": "cannot be imported"}
    found["torch"] = f"{cuda.torch_version}, " + (
        f"built for CUDA {cuda.built_for}" if cuda.built_for else "built without CUDA"
    )
    for number, name in enumerate(cuda.names):
        found[f"cuda:{number}"] = f"{name} ({cuda.uuids[number]})"
    if loud := unusable(gpus, cuda):
        warnings.append(loud)
    return found


def _disk(folder: Path, warnings: list[str]) -> str:
    """Free space where a folder is, or would be made."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return f"not known: {error}"
    if free < LITTLE_DISK_BYTES:
        warnings.append(f"only {_gb(free)} free for runs in {folder}; checkpoints may not fit")
    return f"{_gb(free)} free in {place}"


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB"
