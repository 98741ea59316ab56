"""The wheel: built, installed elsewhere, and used from there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tui_trainer import __version__
from tui_trainer.config.presets import KINDS, builtin_dir

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 300.0

pytestmark = pytest.mark.full


def python(*words: str, cwd: Path, **env: str) -> str:
    """Return what a Python process prints; a failure includes its standard error."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = [
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    python(*words, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def files_below(folder: Path, suffixes: tuple[str, ...]) -> set[str]:
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in suffixes
    }


def test_the_wheel_lists_its_own_presets_when_installed_elsewhere(
    wheel: Path, tmp_path: Path
) -> None:
    target, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python("-m", "pip", "install", "--no-deps", "--target", str(target), str(wheel), cwd=elsewhere)
    env = {"PYTHONPATH": str(target), "HOME": str(elsewhere), "TUI_TRAINER_PRESETS": ""}
    where = python("-c", "import tui_trainer; print(tui_trainer.__file__)", cwd=elsewhere, **env)
    assert Path(where.strip()).is_relative_to(target)
    listed = python("-m", "tui_trainer", "presets", "list", cwd=elsewhere, **env)
    for kind in KINDS:
        for preset in (ROOT / "presets" / f"{kind}s").glob("*.yaml"):
            assert preset.stem in listed.split()
    shown = python("-m", "tui_trainer", "train", "penguins-mlp", "--dry-run", cwd=elsewhere, **env)
    assert "penguins" in shown


def test_the_wheel_has_the_code_the_data_and_the_presets_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    kinds = (".py", ".tcss", ".txt", ".typed", ".csv", ".gz", ".json", ".md")
    code = files_below(ROOT / "tui_trainer", kinds)
    presets = files_below(ROOT / "presets", (".yaml", ".py"))
    expected = {f"tui_trainer/{name}" for name in code}
    expected |= {f"tui_trainer/_presets/{name}" for name in presets}
    assert names == expected


def test_the_wheel_says_its_version_licence_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(name).decode())
    assert (about["Version"], about["License-Expression"]) == (__version__, "MIT")
    assert about["Requires-Python"] == ">=3.11"
    needed = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert "torch>=2.10" in needed
    assert any(line.startswith("numpy") for line in needed)


def test_a_checkout_uses_the_presets_beside_the_package() -> None:
    assert builtin_dir() == ROOT / "presets"
