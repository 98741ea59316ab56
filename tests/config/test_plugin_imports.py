"""Files that a plugin imports from its own folder: known, kept with the run, never another's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins import restored
from tui_trainer.cli.main import main
from tui_trainer.config.plugin_imports import files_beside
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.text.errors import BadInput

POINTS = """
import torch
from helper import SHIFT
from tui_trainer.plugins import Data, dataset


@dataset("points")
def points():
    import later.inner

    return Data([(torch.randn(2) + SHIFT * (i % 2), i % 2) for i in range(40)], classes=("a", "b"))
"""


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    with restored():
        yield
    sys.path[:] = path
    for name in ("helper", "deeper", "later", "later.inner"):
        sys.modules.pop(name, None)


def written(folder: Path) -> Path:
    (folder / "later").mkdir(parents=True)
    (folder / "points.py").write_text(POINTS)
    (folder / "helper.py").write_text("import deeper\nimport math\nSHIFT = deeper.SHIFT\n")
    (folder / "deeper.py").write_text("import helper\nSHIFT = 3\n")
    (folder / "unused.py").write_text("1 / 0\n")
    (folder / "later" / "__init__.py").write_text("")
    (folder / "later" / "inner.py").write_text("DONE = 1\n")
    return folder / "points.py"


def test_the_files_are_found_that_it_and_they_import(tmp_path: Path) -> None:
    file = written(tmp_path)
    modules = files_beside(str(file), file.read_bytes())
    assert {*modules} == {"helper", "deeper", "later"}
    assert [Path(one.path).name for one in modules["later"]] == ["__init__.py", "inner.py"]


def test_a_run_keeps_them_and_a_resume_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "own")
    words = ("--plugin", str(file), "--no-ui")
    chosen = ("model=mlp", "training.epochs=null", "early_stopping.patience=null")
    with restored():
        assert main(["train", *words, *chosen, "training.max_steps=2", "--name", "run"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    kept = {copy.name.rpartition("-")[0] for copy in (run / "plugins").iterdir()}
    assert kept == {"points", "helper", "deeper", "__init__", "inner"}
    (facts,) = json.loads((run / "provenance.json").read_text())["plugins"]
    assert {Path(one["path"]).name for one in facts["beside"]} >= {"helper.py", "inner.py"}
    (file.parent / "helper.py").write_text("SHIFT = 3\n")
    capsys.readouterr()
    assert main(["resume", run.name, *words, "training.max_steps=4"]) == 0
    said = capsys.readouterr().out
    assert "the file beside the plugin helper.py changed since the checkpoint was written" in said
    assert f"1 line added, 3 removed (as it was: {run / 'plugins' / 'helper-'}" in said


def test_two_plugins_that_import_modules_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = written(tmp_path / "one"), written(tmp_path / "two")
    second.write_text(POINTS.replace('"points"', '"others"'))
    other = tmp_path / "three" / "plain.py"
    other.parent.mkdir()
    other.write_text("import math\n")
    load_plugins([other, first])
    with pytest.raises(BadInput) as refused:
        load_plugins([second])
    text = str(refused.value)
    assert text.startswith(f"{second} imports helper, which is {second.parent / 'helper.py'}")
    assert f"beside the plugin {first}" in text
