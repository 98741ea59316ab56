"""Plugins of installed packages: one that fails is warned of, and ends what asks for its names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.plugins import restored
from tui_trainer.cli.main import main
from tui_trainer.config.plugin_loader import BROKEN
from tui_trainer.config.sections.losses import LOSSES

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with one module and an entry point where Python finds it."""

    def installed(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        facts = tmp_path / f"{name}_package-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\n")
        (facts / "entry_points.txt").write_text(f"[tui_trainer.plugins]\n{name} = {name}\n")

    monkeypatch.syspath_prepend(tmp_path)
    with restored():
        yield installed
    BROKEN.clear()
    for name in ("k_failing", "k_sound"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("failure", ["1 / 0", "raise SystemExit(3)", "import gone_module"])
def test_a_package_that_fails_ends_only_what_asks_for_its_names(
    install: Install, capsys: pytest.CaptureFixture[str], failure: str
) -> None:
    install("k_failing", failure)
    body = "def kind(outputs, target):\n    return outputs.mean()\n"
    install("k_sound", f"from tui_trainer.plugins import loss\n\n\n@loss('kind')\n{body}")
    assert main(["train", "digits-mlp", "--dry-run"]) == 0
    errors = capsys.readouterr().err
    warning = "tui-trainer: warning: the plugin k_failing of k_failing-package cannot be loaded: "
    assert errors.count(warning) == 1
    assert "kind" in LOSSES.names
    assert main(["train", "digits-mlp", "--dry-run"]) == 0
    assert "warning: the plugin" not in capsys.readouterr().err, "it is said once"
    for words in ("loss=missing", "checkpoint.monitor=missing"):
        assert main(["train", "digits-mlp", words, "--dry-run"]) == 2
        errors = capsys.readouterr().err
        assert "a plugin may have it: --plugin FILE; the plugin k_failing of k_failing-" in errors
        assert "may have it, but fails: " in errors
