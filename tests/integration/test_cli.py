"""The commands as a user meets them, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.processes import (
    ENDLESS,
    LIMIT_S,
    STOPS,
    call,
    environment,
    lines,
    started,
    status,
    steps,
)
from tui_trainer.cli.main import main

SHORT = ("penguins-mlp", "training.epochs=3", "training.threads=1")


def test_a_run_from_start_to_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains in a process of its own; this process calls what comes after."""
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path / "runs"))
    with started(tmp_path, "train", *SHORT, "--name", "My first run!") as process:
        assert process.wait() == 0
        last = process.events[-1]
    assert last["event"] == "run_ended"
    assert last["state"] == "finished"
    assert last["exit_code"] == 0
    assert 0 <= last["test"]["accuracy"] <= 1
    assert set(last["baseline"]) == {"majority_class", "nearest_neighbour"}
    run = Path(last["run_dir"])
    assert run.name.startswith("my-first-run-")
    assert steps(run) == list(range(1, last["step"] + 1))
    found = status(run)
    assert (found["state"], found["step"]) == ("finished", last["step"])
    assert {"epoch", "pid", "host", "heartbeat"} <= found.keys()
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert {"step", "epoch", "elapsed_s", "train/loss", "lr", "grad_norm"} <= first.keys()
    assert main(["evaluate", run.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == last["test"]["accuracy"]
    assert main(["runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["state"]) for one in listed] == [(run.name, "finished")]
    for manifest in (run / "checkpoints").glob("*.json"):
        manifest.rename(tmp_path / manifest.name)
    before = sorted(run.rglob("*"))
    # A run whose manifests are lost must not begin at 0 again.
    assert main(["resume", run.name, "training.epochs=9"]) == 4
    assert sorted(run.rglob("*")) == before
    for manifest in tmp_path.glob("step-*.json"):
        manifest.rename(run / "checkpoints" / manifest.name)
    assert main(["resume", run.name]) == 0
    assert "nothing to do: 3 epochs are done" in capsys.readouterr().out


@pytest.mark.full
def test_fault_11_a_finished_run_goes_on_with_a_larger_limit(tmp_path: Path) -> None:
    with started(tmp_path, "train", *SHORT, "schedule=constant") as process:
        assert process.wait() == 0
        done = process.events[-1]["step"]
    with started(tmp_path, "resume", "last", "training.epochs=5") as process:
        assert process.wait() == 0
        assert process.events[-1]["epoch"] == 5
        run = Path(process.events[-1]["run_dir"])
    assert steps(run) == list(range(1, done // 3 * 5 + 1))
    edit = json.loads((run / "edits.jsonl").read_text())
    assert (edit["key"], edit["old"], edit["new"]) == ("training.epochs", 3, 5)


@pytest.mark.processes
@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_fault_23_a_signal_saves_and_ends_with_its_exit_code(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        process.signal(number)
        process.signal(number)
        assert process.wait() == STOPS[signal.Signals(number)]
        last = process.events[-1]
        run = process.run
    assert (last["state"], last["exit_code"]) == ("stopped", 128 + number)
    saved = sorted((run / "checkpoints").glob("*.json"))[-1]
    assert json.loads(saved.read_text())["step"] == last["step"]
    assert status(run)["state"] == "stopped"


@pytest.mark.full
def test_fault_23_a_later_second_sigint_leaves_at_once(tmp_path: Path) -> None:
    # One step of this takes far longer than a second, so the first request cannot be met yet.
    slow = ("model=mlp", "model.layers=[8000,8000]", "training.batch_size=1200")
    with started(tmp_path, "train", "digits-cnn", *ENDLESS, *slow) as process:
        process.until_event("state_changed", state="running")
        process.signal(signal.SIGINT)
        process.until_event("command_accepted", command="stop")
        threading.Event().wait(1.1)
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert all(event["event"] != "run_ended" for event in process.events)
        run = process.run
    assert json.loads(call(tmp_path, "runs", "--json").stdout)[0]["state"] == "crashed"
    assert not list((run / "checkpoints").glob("*.json"))


@pytest.mark.full
def test_fault_03_a_killed_run_resumes_to_the_uncut_result(tmp_path: Path) -> None:
    words = ("penguins-mlp", "training.epochs=null", "training.max_steps=400")
    often = ("checkpoint.every_steps=7", "training.threads=1")
    with started(tmp_path, "train", *words, *often, "--name", "whole") as process:
        assert process.wait() == 0
        whole = process.run
    with started(tmp_path, "train", *words, *often, "--name", "killed") as process:
        process.until_event("checkpoint_saved")
        process.until_step(60)
        killed = process.run
        process.signal(signal.SIGKILL)
        assert process.wait() == 137
    with started(tmp_path, "resume", killed.name) as process:
        assert process.wait() == 0
    assert lines(killed) == lines(whole)
    assert len(lines(whole)) == 400


@pytest.mark.full
def test_fault_24_a_hang_up_does_not_end_a_headless_run(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        seen = process.until_step(20)["step"]
        process.signal(signal.SIGHUP)
        process.until_step(seen + 200)
        process.signal(signal.SIGTERM)
        assert process.wait() == 143


@pytest.mark.processes
def test_fault_30_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        second = call(tmp_path, "resume", process.run.name)
        assert second.returncode == 2
        assert f"process {process.pid} on" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == 137
        listed = json.loads(call(tmp_path, "runs", "--json").stdout)
        assert listed[0]["state"] == "crashed"
        run = process.run
    with started(tmp_path, "resume", run.name, "training.max_seconds=0.5") as process:
        assert process.wait() == 0
        texts = [event.get("text", "") for event in process.events]
    assert any("starts again from step 0" in text for text in texts), "FAULT 13"
    assert steps(run)[0] == 1
    assert len(steps(run)) == len(set(steps(run)))


@pytest.mark.processes
def test_ctl_pauses_edits_saves_validates_resumes_and_stops(tmp_path: Path) -> None:
    rarely = "training.validate_every_steps=1000000000"
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS, rarely) as process:
        process.until_step(20)
        name = process.run.name
        paused = call(tmp_path, "ctl", name, "pause")
        assert paused.returncode == 0, paused.stderr
        assert "pause: received" in paused.stdout
        state = process.until_event("state_changed", state="paused")
        assert f"saved at step {state['step']:,}" in state["reason"]
        for word in ("save", "validate"):
            assert "applied at step" in call(tmp_path, "ctl", name, word).stdout
        done = call(tmp_path, "ctl", name, "set", "optimizer.lr=1e-4", "optimizer.weight_decay=0")
        assert done.stdout.count("applied at step") == 2
        refused = call(tmp_path, "ctl", name, "set", "model.layers=3")
        assert refused.returncode == 2
        assert "cannot be edited while training" in refused.stderr
        assert call(tmp_path, "ctl", name, "resume").returncode == 0
        process.until_step(state["step"] + 20)
        assert "applied" in call(tmp_path, "ctl", name, "stop").stdout
        assert process.wait() == 0
        assert process.events[-1]["state"] == "stopped"
    dead = call(tmp_path, "ctl", name, "pause")
    assert dead.returncode == 2
    assert "nothing to steer" in dead.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    "words",
    [
        ("train", "digits-cn"),
        ("train", "penguins-mlp", "dataset.target=spices"),
        ("resume", "nothing"),
    ],
    ids=" ".join,
)
def test_a_run_that_never_was_has_its_end_in_the_json_lines_too(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = call(tmp_path, *words, "--log-format", "json")
    assert done.returncode == 2
    *start, ended = map(json.loads, done.stdout.splitlines())
    assert {event["event"] for event in start} <= {"fact_found", "stage_started"}
    assert (ended["event"], ended["state"], ended["exit_code"]) == ("run_ended", "failed", 2)
    assert f"tui-trainer: {ended['reason']}" in done.stderr


@pytest.mark.full
def test_faults_05_06_08_a_checkpoint_that_cannot_be_used_ends_in_4(tmp_path: Path) -> None:
    with started(tmp_path, "train", *SHORT, "checkpoint.keep_last=1") as process:
        assert process.wait() == 0
        run = process.run
    files = sorted((run / "checkpoints").glob("*.pt"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for path in files:
        path.write_bytes(before[path][:-10] + b"X" * 10)
    damaged = call(tmp_path, "resume", run.name, "training.epochs=9")
    assert damaged.returncode == 4
    assert "sha256" in damaged.stderr
    assert f"resume {run.name} --from best, or --from STEP" in damaged.stderr
    for path in files:
        path.write_bytes(before[path])
        manifest = path.with_suffix(".json")
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    newer = call(tmp_path, "resume", run.name, "training.epochs=9")
    assert newer.returncode == 4
    assert "update tui-trainer" in newer.stderr
    assert not (run / "edits.jsonl").exists()
    assert not (run / "discarded").exists()


@pytest.mark.processes
def test_closed_streams_and_a_deleted_directory_are_no_bugs(tmp_path: Path) -> None:
    words = f"{sys.executable} -m tui_trainer train penguins-mlp training.epochs=1"
    closed = subprocess.run(
        ["bash", "-c", f"{words} >&- 2>&- <&-"], env=environment(tmp_path), timeout=LIMIT_S
    )
    assert closed.returncode == 0
    assert json.loads(call(tmp_path, "runs", "--json").stdout)[0]["state"] == "finished"
    gone = subprocess.run(
        ["bash", "-c", f"mkdir gone && cd gone && rmdir ../gone && {words}"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert gone.returncode == 2
    assert gone.stderr == "tui-trainer: the current directory is gone; go to another one (cd)\n"


@pytest.mark.full
def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tui_trainer", "train", "penguins-mlp", "training.epochs=40"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(LIMIT_S) == 0, process.stderr.read()
    assert json.loads(call(tmp_path, "runs", "--json").stdout)[0]["state"] == "finished"


@pytest.mark.processes
def test_fault_58_a_run_begins_with_the_preset_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "presets" / "models" / "mlp.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("type: mlp\nlayers: [4]\n")
    done = call(tmp_path, "train", *SHORT, "--no-ui")
    said = f"tui-trainer: {path} replaces the built-in model preset mlp"
    assert done.returncode == 0
    assert done.stderr.splitlines() == [said]
    # What a run is, it is from then on: its configuration names no preset.
    done = call(tmp_path, "resume", "last", "training.epochs=4", "--no-ui")
    assert (done.returncode, done.stderr) == (0, "")
