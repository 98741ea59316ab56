"""Runs that version 0.1 left are listed, read, measured, resumed and forked as they were then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.processes import call, lines, status, steps
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.training.checkpoints import read_checkpoint

pytestmark = pytest.mark.processes

FIXTURE = Path(__file__).parents[1] / "fixtures" / "run-0.1"
MADE_ON = "AMD EPYC"
SAME_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("finished", "stopped"):
        shutil.copytree(FIXTURE / name, tmp_path / "runs" / name)
    return tmp_path


def output_of(folder: Path, *words: str) -> str:
    """Return the output of a command, which must succeed without doubting the reproduction."""
    done = call(folder, *words, env=SAME_KERNELS)
    assert done.returncode == 0, done.stderr
    assert "not bitwise" not in done.stdout + done.stderr
    return done.stdout


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def weights(run: Path) -> dict[str, torch.Tensor]:
    folder = run / "checkpoints"
    return read_checkpoint(folder, read_manifests(folder)[-1]).data.state.model


def is_cpu_of_the_fixture() -> bool:
    try:
        return f": {MADE_ON}\n" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def assert_same_numbers(one: Any, other: Any) -> None:
    """The same bits on the CPU that made them, and nearly the same on any other."""
    exact = is_cpu_of_the_fixture() and str(torch.__version__).startswith("2.13.0")
    tolerance = 0.0 if exact else 1e-6
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def test_they_are_listed_with_their_numbers(folder: Path) -> None:
    listed = {run["name"]: run for run in json.loads(output_of(folder, "runs", "--json"))}

    assert {name: run["state"] for name, run in listed.items()} == {
        "finished": "finished",
        "stopped": "stopped",
    }
    for name, run in listed.items():
        kept = status(FIXTURE / name)
        for key in ("step", "epoch", "total_steps", "best", "best_step", "test", "validation"):
            assert run[key] == kept[key]


def test_what_happened_in_them_is_told(folder: Path) -> None:
    logs = output_of(folder, "logs", "finished")
    attached = output_of(folder, "attach", "finished", "--no-ui")

    assert "optimizer.lr 0.01 -> 0.004 by ctl (alice@box/4711)" in logs
    for told in (logs, attached):
        assert "4 epochs are done" in told
        assert "accuracy 85.51 %" in told
        assert "step-00000032.pt" in told
    started, left_out, *_, ended = attached.splitlines()[0], *attached.splitlines()[6:]
    assert started.startswith("finished-1126-1711: 931 parameters on cpu")
    assert left_out == "... (tui-trainer logs finished prints what came before)"
    assert ended == f"run: {folder / 'runs' / 'finished'}"


def test_they_are_measured_as_they_were(folder: Path) -> None:
    measured = json.loads(output_of(folder, "evaluate", "finished", "--json"))

    (ended,) = [event for event in events(FIXTURE / "finished") if event["event"] == "run_ended"]
    for name in ("loss", "accuracy"):
        assert_same_numbers(measured[name], ended["test"][name])
    assert measured["step"] == ended["best"]["step"]


def test_they_predict_what_they_predicted(folder: Path) -> None:
    told = output_of(folder, "predict", "finished", str(FIXTURE / "new.csv"), "--json")

    predicted = {row["place"]: row["shares"] for row in map(json.loads, told.splitlines())}
    assert_same_numbers(predicted, json.loads((FIXTURE / "predicted.json").read_text()))


def test_a_resume_ends_in_the_bits_of_the_run_that_was_never_stopped(folder: Path) -> None:
    output_of(folder, "resume", "stopped", "--no-ui")

    run = folder / "runs" / "stopped"
    assert steps(run) == list(range(1, 33))
    assert_same_numbers(lines(run), lines(FIXTURE / "finished"))
    assert_same_numbers(weights(run), weights(FIXTURE / "finished"))


def test_a_fork_goes_on_from_them(folder: Path) -> None:
    output_of(folder, "fork", "finished", "--no-ui", "--from", "20", "--name", "fork")

    (fork,) = (folder / "runs").glob("fork-*")
    assert_same_numbers(lines(fork), lines(FIXTURE / "finished"))
    assert_same_numbers(weights(fork), weights(FIXTURE / "finished"))
