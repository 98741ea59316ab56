"""The list of devices: named as torch counts them, with who else is there."""

from __future__ import annotations

import os

from tui_trainer.machine.devices import device_states
from tui_trainer.machine.gpus import CudaDevice, CudaFacts, GpuInfo
from tui_trainer.text.format import GIB


def gpu(index: int, uuid: str, processes: tuple[tuple[int, int], ...] = ()) -> GpuInfo:
    return GpuInfo(index, uuid, "H100", 80 * GIB, 61 * GIB, 34, "580.1", processes)


def test_gpus_have_the_names_that_torch_gives_them() -> None:
    cuda = CudaFacts("2.13", "13.0", (CudaDevice("b", "H100"), CudaDevice("a", "A\x1b[1m")))
    states = device_states((gpu(0, "a"), gpu(1, "b")), cuda)
    assert [state.name for state in states] == ["cuda:0", "cuda:1", "cpu"]
    assert states[0].free_bytes == 61 * GIB
    assert states[0].load_percent == 34
    assert "\x1b" not in states[1].label


def test_others_are_named_and_this_process_is_not_among_them() -> None:
    used = ((os.getpid(), GIB), (2**22 + 1, 2 * GIB), (os.getppid(), 0))
    cuda = CudaFacts("2.13", "13.0", (CudaDevice("a", "H100"),))
    others = device_states((gpu(0, "a", used),), cuda)[0].others
    assert len(others) == 2
    assert others[0] == f"unknown user (pid {2**22 + 1}, 2.0 GiB)"
    assert others[1].endswith(f"(pid {os.getppid()})")


def test_a_gpu_that_torch_cannot_use_or_nvml_does_not_show_is_no_failure() -> None:
    cuda = CudaFacts("2.13", "13.0", (CudaDevice("x", "New", supported=False),))
    assert [state.name for state in device_states((gpu(0, "a"),), cuda)] == ["cpu"]
    cuda = CudaFacts("2.13", "13.0", (CudaDevice("x", "H100"),))
    assert device_states((), cuda)[0].load_percent is None


def test_the_cpu_is_always_there() -> None:
    cpu = device_states((), CudaFacts("2.13", None))[-1]
    assert cpu.name == "cpu"
    assert 0 < cpu.free_bytes <= cpu.total_bytes
