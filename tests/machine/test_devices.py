"""Which device a run takes, and how many CPUs and how much memory it may use."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tui_trainer.machine.devices import (
    cgroup_cpus,
    choose_device,
    cpu_count,
    default_threads,
    free_memory_bytes,
    unusable,
)
from tui_trainer.machine.gpus import (
    CudaDevice,
    CudaFacts,
    GpuInfo,
    cuda_facts,
    has_code_for,
    nvml_gpus,
)
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import GIB

PLENTY = 4096 * GIB


def gpu(index: int, free_gb: float, driver: str = "580.65.06") -> GpuInfo:
    return GpuInfo(index, f"GPU-{index}", f"Card {index}", 80 * GIB, int(free_gb * GIB), 0, driver)


def seen(*uuids: str, **facts: Any) -> CudaFacts:
    devices = tuple(CudaDevice(uuid, f"Card {uuid[-1]}", "9.0") for uuid in uuids)
    return CudaFacts("2.13.0+cu130", "13.0", devices, **facts)


CPU_BUILD = CudaFacts("2.13.0+cpu", None)


def test_auto_takes_the_gpu_with_the_most_free_memory() -> None:
    chosen = choose_device("auto", [gpu(0, 10), gpu(1, 61)], seen("GPU-0", "GPU-1"))
    assert (chosen.torch_name, chosen.warning) == ("cuda:1", "")
    assert chosen.label == "cuda:1 Card 1, 61 of 80 GiB free"


def test_torch_and_nvml_are_matched_by_uuid_when_visible_devices_reorder_and_hide() -> None:
    gpus = [gpu(0, 70), gpu(1, 20), gpu(2, 50)]
    cuda = seen("GPU-2", "GPU-1", visible="2,1")
    assert choose_device("auto", gpus, cuda).label == "cuda:0 Card 2, 50 of 80 GiB free"
    assert choose_device("cuda:1", gpus, cuda).label == "cuda:1 Card 1, 20 of 80 GiB free"


def test_equally_free_gpus_give_the_first() -> None:
    chosen = choose_device("cuda", [gpu(0, 40), gpu(1, 40)], seen("GPU-0", "GPU-1"))
    assert chosen.torch_name == "cuda:0"


def test_a_gpu_that_nvml_does_not_show_can_be_taken() -> None:
    assert choose_device("auto", [], seen("GPU-5")).label == "cuda:0 Card 5"


def test_auto_without_a_gpu_is_the_cpu_and_warns_of_nothing() -> None:
    chosen = choose_device("auto", [], CPU_BUILD)
    assert (chosen.torch_name, chosen.warning) == ("cpu", "")
    assert chosen.label.startswith(f"cpu, {cpu_count()} core")


def test_cpu_asks_neither_nvml_nor_torch() -> None:
    refused: Any = SimpleNamespace()
    assert choose_device("cpu", refused, refused).torch_name == "cpu"


@pytest.mark.parametrize("request_", ["cuda", "cuda:0"])
def test_asking_for_a_gpu_where_none_is_there_is_refused(request_: str) -> None:
    with pytest.raises(BadInput, match=f"--device {request_}: no GPU was found"):
        choose_device(request_, [], CPU_BUILD)


def test_a_number_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadInput, match=r"cuda:7.*cuda:0 Card 0, cuda:1 Card 1"):
        choose_device("cuda:7", [gpu(0, 1), gpu(1, 1)], seen("GPU-0", "GPU-1"))


@pytest.mark.parametrize("request_", ["tpu", "cuda:", "cuda:x", "cuda:-1", "auto:1", "", "\x1b[2J"])
def test_other_words_are_refused_harmlessly(request_: str) -> None:
    with pytest.raises(BadInput, match="should be auto, cpu, cuda or cuda:N") as refused:
        choose_device(request_, [], CPU_BUILD)
    assert "\x1b" not in str(refused.value)


UNUSABLE = {
    "built without CUDA": (
        CPU_BUILD,
        "580.65.06",
        ["torch 2.13.0+cpu", "without CUDA", "torch==2.13.0 ", "whl/cu130"],
    ),
    "built without CUDA, older driver": (CPU_BUILD, "550.54.15", ["whl/cu126"]),
    "built without CUDA, driver that runs no build": (CPU_BUILD, "470.82", ["install driver 580"]),
    "driver too old": (
        seen(error="The NVIDIA driver on your system is too old (found version 12040)."),
        "550.54.15",
        ["for CUDA 13.0 needs driver 580 or newer", "update it", "whl/cu126"],
    ),
    "CUDA does not start": (
        seen(error="CUDA unknown error"),
        "580.65.06",
        ["for CUDA 13.0", "CUDA unknown error", "nvidia-smi"],
    ),
    "visible devices name none": (
        seen(visible="7", error="No CUDA GPUs are available"),
        "580.65.06",
        ["CUDA_VISIBLE_DEVICES=7 names none"],
    ),
    "no code for this GPU": (
        CudaFacts("2.13.0", "13.0", (CudaDevice("GPU-0", "Card 0", "6.1", supported=False),)),
        "580.65.06",
        ["no code for its compute capability 6.1", "whl/cu126"],
    ),
}


@pytest.mark.parametrize(("cuda", "driver", "parts"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_gpu_that_torch_cannot_use_is_said_loudly(
    cuda: CudaFacts, driver: str, parts: list[str]
) -> None:
    gpus = [gpu(0, 61, driver)]
    chosen = choose_device("auto", gpus, cuda)
    assert chosen.torch_name == "cpu"
    for part in ["Card 0", f"driver {driver}", f"torch {cuda.torch_version}", "NOT used", *parts]:
        assert part in chosen.warning
    assert "\n" not in chosen.warning
    for request in ("cuda", "cuda:0"):
        with pytest.raises(BadInput) as refused:
            choose_device(request, gpus, cuda)
        assert str(refused.value) == f"--device {request}: {chosen.warning}"


@pytest.mark.parametrize("visible", ["", "-1", " "])
def test_gpus_hidden_on_purpose_are_not_warned_of(visible: str) -> None:
    cuda = seen(visible=visible, error="No CUDA GPUs are available")
    assert choose_device("auto", [gpu(0, 61)], cuda).warning == ""
    with pytest.raises(BadInput, match=r"CUDA_VISIBLE_DEVICES=.* hides every GPU"):
        choose_device("cuda", [gpu(0, 61)], cuda)


def test_a_gpu_without_code_for_it_is_passed_over_for_one_that_has() -> None:
    old = CudaDevice("GPU-0", "Card 0", "6.1", supported=False)
    cuda = CudaFacts("2.13.0", "13.0", (old, CudaDevice("GPU-1", "Card 1", "9.0")))
    gpus = [gpu(0, 70), gpu(1, 10)]
    assert choose_device("auto", gpus, cuda).torch_name == "cuda:1"
    assert unusable(gpus, cuda) == ""
    with pytest.raises(BadInput, match=r"compute capability 6\.1"):
        choose_device("cuda:0", gpus, cuda)


@pytest.mark.parametrize(
    ("capability", "built", "has"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),
        ((6, 1), ["sm_75", "sm_80"], False),
        ((8, 0), ["sm_86"], False),
        ((12, 0), ["sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_120"], True),
        ((9, 0), ["gfx90a"], True),
        ((9, 0), [], True),
    ],
)
def test_code_for_a_gpu(capability: tuple[int, int], built: list[str], *, has: bool) -> None:
    assert has_code_for(capability, built) is has


class FakeNvml:
    """As much of NVML as is used; GPU 1 is lost, GPU 2 tells no load."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, driver: bool = True) -> None:
        self.driver = driver
        self.shut_down = False

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError

    def nvmlShutdown(self) -> None:
        self.shut_down = True

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.65.06"

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == 1:
            raise self.NVMLError
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=8 * GIB, free=(handle + 1) * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if handle == 2:
            raise self.NVMLError
        return SimpleNamespace(gpu=35)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [
            SimpleNamespace(pid=10, usedGpuMemory=GIB),
            SimpleNamespace(pid=11, usedGpuMemory=None),
        ]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"Card"


def test_a_lost_gpu_does_not_hide_the_others() -> None:
    nvml = FakeNvml()
    first, last = nvml_gpus(nvml)
    assert first == GpuInfo(0, "GPU-0", "Card", 8 * GIB, GIB, 35, "580.65.06", ((10, GIB), (11, 0)))
    assert (last.index, last.utilization_percent) == (2, None)
    assert nvml.shut_down


def test_no_driver_means_no_gpus() -> None:
    assert nvml_gpus(FakeNvml(driver=False)) == ()


def test_what_torch_says_of_cuda_is_what_torch_has() -> None:
    import torch

    facts = cuda_facts()
    assert (facts.torch_version, facts.built_for) == (torch.__version__, torch.version.cuda)
    assert len(facts.devices) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


@pytest.mark.gpu
def test_the_gpu_of_this_machine_is_taken_with_its_free_memory() -> None:
    import torch

    chosen = choose_device("auto")
    assert torch.ones(3, device=chosen.torch_name).sum().item() == 3
    assert "GiB free" in chosen.label
    assert {device.uuid for device in cuda_facts().devices} <= {gpu.uuid for gpu in nvml_gpus()}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


V2 = "sys/fs/cgroup/"
V1_CPU = "sys/fs/cgroup/cpu/"
QUOTAS: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing to read": ({}, None),
    "v2, none": ({V2 + "cpu.max": "max 100000"}, None),
    "v2, of a container": ({V2 + "cpu.max": "150000 100000"}, 1.5),
    "v2, of a group below": (
        {
            "proc/self/cgroup": "0::/slurm/job_7/step",
            V2 + "slurm/job_7/step/cpu.max": "max 100000",
            V2 + "slurm/job_7/cpu.max": "400000 100000",
            V2 + "slurm/cpu.max": "1600000 100000",
        },
        4.0,
    ),
    "v1": (
        {V1_CPU + "cpu.cfs_quota_us": "200000", V1_CPU + "cpu.cfs_period_us": "100000"},
        2.0,
    ),
    "v1, none": ({V1_CPU + "cpu.cfs_quota_us": "-1", V1_CPU + "cpu.cfs_period_us": "100000"}, None),
    "v1, of a group below": (
        {
            "proc/self/cgroup": "9:name=systemd:/x\n4:memory:/x\n3:cpu,cpuacct:/docker/abc",
            V1_CPU + "cpu.cfs_quota_us": "-1",
            V1_CPU + "docker/abc/cpu.cfs_quota_us": "50000",
            V1_CPU + "docker/abc/cpu.cfs_period_us": "100000",
        },
        0.5,
    ),
    "rubbish": ({V2 + "cpu.max": "a lot", "proc/self/cgroup": "0::/../../x"}, None),
}


@pytest.mark.parametrize(("files", "quota"), QUOTAS.values(), ids=QUOTAS)
def test_the_tightest_quota_of_the_control_groups_counts(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cgroup_cpus(write(tmp_path, files)) == quota


@pytest.mark.parametrize(
    ("quota", "cpus", "count"),
    [("max", 8, 8), ("1000000", 8, 8), ("150000", 8, 2), ("50000", 8, 1), ("400000", 2, 2)],
)
def test_cpus_to_plan_for_are_the_affinity_cut_to_the_quota(
    tmp_path: Path, quota: str, cpus: int, count: int
) -> None:
    root = write(tmp_path, {V2 + "cpu.max": f"{quota} 100000"})
    assert cpu_count(root, range(cpus)) == count


def test_threads_are_one_a_physical_core_of_those_allowed(tmp_path: Path) -> None:
    siblings = {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 4},{cpu % 4 + 4}"
        for cpu in range(8)
    }
    root = write(tmp_path, siblings)
    assert default_threads(root, range(8)) == 4
    assert default_threads(root, [0, 4]) == 1
    assert default_threads(root, [0, 1, 4]) == 2
    write(root, {V2 + "cpu.max": "200000 100000"})
    assert default_threads(root, range(8)) == 2


def test_threads_without_a_topology_are_within_the_affinity(tmp_path: Path) -> None:
    assert default_threads(tmp_path, [0]) == 1


def test_free_memory_is_what_the_control_group_leaves_with_its_cache(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job",
            V2 + "job/memory.max": "900000",
            V2 + "job/memory.current": "500000",
            V2 + "job/memory.stat": "anon 100\nfile 300000\ninactive_file 200000",
        },
    )
    assert free_memory_bytes(root) == 600_000


def test_free_memory_reads_version_1_too_and_is_never_negative(tmp_path: Path) -> None:
    top = "sys/fs/cgroup/memory/"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box",
            top + "memory.limit_in_bytes": "9223372036854771712",
            top + "memory.usage_in_bytes": "5000000",
            top + "memory.stat": "total_inactive_file 0",
            top + "box/memory.limit_in_bytes": "1000000",
            top + "box/memory.usage_in_bytes": "1200000",
            top + "box/memory.stat": "cache 5\ntotal_inactive_file 50000",
        },
    )
    assert free_memory_bytes(root) == 0
    write(root, {top + "box/memory.usage_in_bytes": "400000"})
    assert free_memory_bytes(root) == 650_000


def test_free_memory_without_a_limit_is_that_of_the_machine(tmp_path: Path) -> None:
    assert 0 < free_memory_bytes(write(tmp_path, {V2 + "memory.max": "max"})) < PLENTY
