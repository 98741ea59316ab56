"""What `doctor` tells, above all when a reading fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tui_trainer import __version__
from tui_trainer.machine.doctor import Report, Sources, examine
from tui_trainer.machine.gpus import CudaDevice, CudaFacts, GpuInfo
from tui_trainer.text.format import GIB

CARD = GpuInfo(0, "GPU-0", "Card", 80 * GIB, 61 * GIB, None, "580.65.06", ((7, GIB),))
CUDA = CudaFacts("2.13.0", "13.0", (CudaDevice("GPU-0", "Card", "9.0"),), cudnn="91002")
PLAIN = Sources(gpus=lambda: (), cuda=lambda: CudaFacts("2.13.0+cpu", None), env={"TERM": "xterm"})


def fails(*_: object) -> Any:
    raise OSError("it is broken")


def section(report: Report, name: str) -> dict[str, str]:
    return {key: fact.text for key, fact in report.groups[name].items()}


def test_a_healthy_machine_is_told_without_a_warning(tmp_path: Path) -> None:
    presets = [tmp_path, tmp_path / "none"]
    report = examine(presets, tmp_path / "runs", PLAIN)
    assert report.warnings == ()
    assert section(report, "versions")["tui-trainer"] == __version__
    assert section(report, "devices")["torch"] == "2.13.0+cpu, built without CUDA"
    assert section(report, "devices")["auto"].startswith("cpu, ")
    assert section(report, "folders") == {
        "runs": f"{tmp_path / 'runs'} (not there)",
        "presets 1": str(tmp_path),
        "presets 2": f"{tmp_path / 'none'} (not there)",
    }
    assert str(tmp_path) in section(report, "disk")["runs"]
    assert report.lines()[0] == "versions"
    assert not (tmp_path / "runs").exists()


def test_gpus_are_told_with_driver_memory_and_what_auto_takes(tmp_path: Path) -> None:
    sources = replace(
        PLAIN,
        gpus=lambda: (CARD,),
        cuda=lambda: CUDA,
        env={"CUDA_VISIBLE_DEVICES": "0"},
    )
    report = examine([], tmp_path, sources)
    devices = section(report, "devices")
    assert devices["driver"] == "580.65.06"
    assert devices["gpu 0"] == (
        "Card, 61.0 GiB of 80.0 GiB free, load not known, processes 1, GPU-0"
    )
    assert devices["CUDA_VISIBLE_DEVICES"] == "'0'"
    assert devices["torch"] == "2.13.0, built for CUDA 13.0, cuDNN 91002"
    assert devices["cuda:0"] == "Card, GPU-0, compute capability 9.0"
    assert devices["auto"] == "cuda:0 Card, 61 of 80 GiB free"
    assert report.warnings == ()


def test_a_gpu_that_torch_cannot_use_is_a_warning(tmp_path: Path) -> None:
    report = examine([], tmp_path, replace(PLAIN, gpus=lambda: (CARD,)))
    (warning,) = report.warnings
    assert "Card (driver 580.65.06) is NOT used" in warning
    assert report.lines()[-1] == f"WARNING: {warning}"


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'torch'"), OSError("libtorch.so: no such file")]
)
def test_without_torch_the_rest_is_told_and_how_to_install_it(
    tmp_path: Path, error: Exception
) -> None:
    def broken() -> CudaFacts:
        raise error

    report = examine([], tmp_path, replace(PLAIN, gpus=lambda: (CARD,), cuda=broken))
    devices = section(report, "devices")
    assert devices["torch"].startswith(f"not known: {type(error).__name__}: {error}")
    assert "gpu 0" in devices
    (warning,) = report.warnings
    assert str(error) in warning
    assert "-m pip install 'torch>=2.10'" in warning


def test_readings_that_fail_are_not_known_and_say_why(tmp_path: Path) -> None:
    no_disk = tmp_path / "file"
    no_disk.write_text("")
    sources = Sources(gpus=fails, cuda=fails, root=tmp_path, env={})
    report = examine([no_disk], no_disk / "runs", sources)
    assert section(report, "devices")["gpus"] == "not known: OSError: it is broken"
    plain = report.to_dict()
    assert plain["devices"]["torch"] is None
    assert plain["not_known"]["devices.torch"] == "OSError: it is broken"
    assert any("cannot be written" in warning for warning in report.warnings)


def test_the_report_is_plain_data(tmp_path: Path) -> None:
    gpus: Sequence[GpuInfo] = (CARD,)
    report = examine([tmp_path], tmp_path, replace(PLAIN, gpus=lambda: gpus, cuda=lambda: CUDA))
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["devices"]["gpu 0"]["memory_free_bytes"] == 61 * GIB
    assert plain["cpu"]["threads"] >= 1
    assert plain["memory"]["free"] > 0
    assert plain["terminal"]["TERM"] == "xterm"
    assert plain["terminal"]["LANG"] is None
    assert plain["folders"]["presets 1"] == {"path": str(tmp_path), "there": True}


def test_fault_37_foreign_strings_reach_the_terminal_harmless(tmp_path: Path) -> None:
    evil = replace(CARD, name="\x1b[2Jcard\n")
    sources = replace(PLAIN, gpus=lambda: (evil,), env={"TERM": "\x1b]0;x\x07"})
    text = examine([tmp_path / "\x1b[31m"], tmp_path, sources).lines()
    assert not any("\x1b" in line or "\n" in line or "\x07" in line for line in text)
    assert any("\\x1b" in line for line in text)
