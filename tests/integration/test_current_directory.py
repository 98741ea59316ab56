"""Nothing of the current directory runs, in the program or in any process that it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import LIMIT_S, call, environment, status

pytestmark = pytest.mark.processes

MODULES = (
    *("random", "signal", "selectors", "tempfile", "socket", "struct", "pickle", "threading"),
    *("functools", "ctypes", "logging", "json", "platform", "warnings", "shutil", "subprocess"),
    *("torch", "numpy", "pydantic", "yaml", "textual", "tui_trainer", "sitecustomize"),
    *("usercustomize", "multiprocessing", "encodings", "__main__", "__mp_main__"),
)
PROGRAMS = ("git", "uname", "tmux", "g++", "gcc", "clang", "as", "ld", "ldconfig", "sh", "python")
SCRIPT = """
import sys
from tui_trainer.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder full of modules and programs that write down that they ran."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for name in MODULES:
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write('{name}.py ')\n"
        (folder / f"{name}.py").write_text(text)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho '{name}' >>'{tmp_path}/ran'\n")
        (folder / name).chmod(0o755)
    return folder


def train_in(folder: Path, *words: str, limit_s: float = LIMIT_S) -> str:
    """Train there, started as the script of an installation; which of those files ran."""
    script = folder.parent / "bin" / "tui-trainer"
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    env = {**environment(folder.parent), "PATH": f":.:{os.environ['PATH']}"}
    env.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, script, "train", "digits-mlp", "--no-ui", "training.epochs=1", *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (folder.parent / "runs").iterdir()
    assert status(run)["state"] == "finished"
    shutil.rmtree(run)
    ran = folder.parent / "ran"
    return ran.read_text() if ran.exists() else ""


def test_the_files_there_would_run(folder: Path) -> None:
    words = [sys.executable, "-c", "import random, os; os.system('PATH=.:$PATH; git')"]
    subprocess.run(words, cwd=folder, check=True)
    assert set((folder.parent / "ran").read_text().split()) >= {"random.py", "git"}


@pytest.mark.parametrize(
    ("count", "method"),
    [
        (1, "spawn"),
        (2, "forkserver"),
        pytest.param(1, "forkserver", marks=pytest.mark.soak),
        pytest.param(2, "spawn", marks=pytest.mark.soak),
    ],
)
def test_fault_54_workers_run_nothing_of_it(folder: Path, count: int, method: str) -> None:
    words = (f"loader.num_workers={count}", f"loader.start_method={method}")
    assert train_in(folder, *words) == ""


def test_fault_54_workers_that_start_anew_run_nothing_of_it(folder: Path) -> None:
    words = ("loader.num_workers=1", "loader.persistent_workers=false", "training.epochs=2")
    assert train_in(folder, *words) == ""


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_fault_54_compiling_runs_nothing_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was compiled before is not tried out again.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder.parent / "cache"))
    words = ("training.compile=true", "training.max_steps=2")
    # The C++ compiler needs a minute of processor time.
    assert train_in(folder, *words, limit_s=1000.0) == ""


PLUGIN = """
import multiprocessing, sys
import torch
from tui_trainer.plugins import Data, dataset
from points_beside import LABELS

class Points(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        from points_later import scale
        assert multiprocessing.parent_process() is None or sys.flags.safe_path
        return scale(torch.randn(2) + index % 2), LABELS[index % 2]

@dataset("points", description="points")
def points(params):
    return Data(Points(), classes=("even", "odd"))
"""
EXPERIMENT = """
dataset: points
model: {type: mlp, layers: [4]}
optimizer: sgd
training: {epochs: 1, batch_size: 8}
"""


@pytest.mark.parametrize(
    ("place", "method"),
    [
        ("here", "forkserver"),
        ("elsewhere", "spawn"),
        pytest.param("here", "spawn", marks=pytest.mark.soak),
        pytest.param("elsewhere", "forkserver", marks=pytest.mark.soak),
    ],
)
def test_a_plugin_with_modules_beside_it_works_in_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, place: str
) -> None:
    beside = tmp_path / "plugin"
    beside.mkdir()
    (beside / "points.py").write_text(PLUGIN)
    (beside / "points_beside.py").write_text("LABELS = (0, 1)\n")
    (beside / "points_later.py").write_text("def scale(point):\n    return point * 2\n")
    (beside / "points.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(beside if place == "here" else tmp_path)
    file = "points.py" if place == "here" else "plugin/points.py"
    words = ("loader.num_workers=2", f"loader.start_method={method}", "--plugin", file)
    done = call(tmp_path, "train", str(beside / "points.yaml"), "--no-ui", *words)
    assert done.returncode == 0, done.stderr
