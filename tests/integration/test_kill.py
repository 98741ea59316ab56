"""kill -9 at any moment of a save: what is read afterwards is a state that was saved."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from tui_trainer.runs.files import Files, sweep_temporaries
from tui_trainer.runs.manifests import FORMAT, no_longer_kept, read_manifests
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import choose_checkpoint, remove_checkpoint, write_checkpoint

KILLS = 200


def content(step: int) -> dict[str, object]:
    """A state in which every number tells the step."""
    weights = {"weight": torch.full((64, 256), float(step)), "bias": torch.full((9,), -float(step))}
    best = {"metric": "loss", "value": 0.5, "step": step - step % 5, "epoch": 1, "metrics": {}}
    return {
        "format": FORMAT,
        "model": weights,
        "optimizer": {"state": {}, "param_groups": []},
        "rng": {},
        "progress": {"step": step, "metrics_bytes": 0, "best": best},
        "best": weights,
        "preprocessing": {},
        "origin": {"device": "cpu", "torch": "2", "threads": 1, "world": 1, "fingerprint": ""},
    }


def save_for_ever(folder: Path, first: int, told: int) -> None:
    """Save step after step as the writer does, telling each one that is published."""
    files = Files()
    step = first
    while True:
        data = CheckpointData.from_dict(content(step))
        write_checkpoint(folder, data, saved_at="", files=files)
        os.write(told, step.to_bytes(8, "big"))
        for old in no_longer_kept(read_manifests(folder), 2, {1}):
            remove_checkpoint(folder, old, files)
        step += 1


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fault_03_04_kill_at_random_while_saving_loses_nothing(tmp_path: Path) -> None:
    dice = random.Random(1)
    torch.set_num_threads(1)
    newest = 0
    torn = 0
    for number in range(KILLS):
        hear, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_for_ever(tmp_path, newest + 1, tell)
            finally:
                os._exit(1)
        os.close(tell)
        # Some publish a checkpoint even on a machine too busy to let them begin in time.
        told = os.read(hear, 8) if number % 4 == 0 else b""
        # Wherever in a save this falls is what is tested: no event could be waited for.
        time.sleep(dice.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(hear, "rb") as pipe:
            heard = told + pipe.read()
        published = [int.from_bytes(heard[at : at + 8], "big") for at in range(0, len(heard), 8)]
        newest = max([newest, *published])
        torn += any(tmp_path.glob(".tui-trainer-tmp-*"))
        sweep_temporaries(tmp_path)
        if newest == 0:
            continue
        checkpoint, notes = choose_checkpoint(tmp_path, "last", "killed")
        assert notes == [], "no published checkpoint is ever damaged"
        step = checkpoint.data.progress.step
        assert step >= newest, "what was told as published is there"
        assert checkpoint.data.state.model["weight"].eq(step).all()
        newest = step
    assert newest > 20
    assert torn > 0, "some kills fell into the middle of a save"
