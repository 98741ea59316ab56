"""The examples run as their first lines say, and a resume of each equals the uncut run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.processes import call, lines

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.full
@pytest.mark.parametrize("name", ["multilabel", "two-inputs"])
def test_an_example_cut_and_resumed_with_workers_equals_the_whole(
    tmp_path: Path, name: str
) -> None:
    plugin = EXAMPLES / f"{name.replace('-', '_')}.py"
    words = ("train", str(EXAMPLES / f"{name}.yaml"), "--plugin", str(plugin), "--no-ui")
    assert f"examples/{name}.yaml --plugin examples/{plugin.name}" in plugin.read_text()
    settings = ("training.epochs=1", "logging.every_steps=1", "training.batch_size=200")
    done = call(tmp_path, *words, *settings, "--name", "whole")
    assert done.returncode == 0, done.stderr
    cut = (*settings, "--name", "cut", "training.max_steps=3", "loader.num_workers=2")
    assert call(tmp_path, *words, *cut).returncode == 0
    whole, part = (next((tmp_path / "runs").glob(f"{name}*")) for name in ("whole", "cut"))
    resume = ("resume", part.name, "training.max_steps=null", "--plugin", str(plugin), "--no-ui")
    done = call(tmp_path, *resume)
    assert done.returncode == 0, done.stderr
    losses = [[line["train/loss"] for line in lines(run)] for run in (whole, part)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 7
