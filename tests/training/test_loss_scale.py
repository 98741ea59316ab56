"""Steps that the fp16 loss scaler skips: the learning-rate schedule waits with the optimizer.

The class weights make the scaled gradients overflow every few steps, on the CPU too.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.training.harness import Run, at_step, cut_at, same, small_experiment, write_images
from tui_trainer.runs.commands import Set
from tui_trainer.runs.events import Edited, Notice
from tui_trainer.text.errors import CheckpointUnusable
from tui_trainer.training.progress import Progress

STEPS = 12
COSINE = {"type": "cosine", "warmup_steps": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def overflowing(folder: Path, data: Path, schedule: dict[str, Any], **training: Any) -> Run:
    experiment = small_experiment(
        data,
        schedule=schedule,
        loss={"type": "cross_entropy", "class_weights": [10, 10, 10]},
        early_stopping={"patience": None},
        training={"precision": "fp16", "grad_clip_norm": None, **training},
    )
    return Run.new(folder, experiment)


def skipped_before(run: Run) -> list[int]:
    """Return for each step how many steps before it overflowed, by their gradient norms."""
    overflows = [not math.isfinite(line["grad_norm"] or math.nan) for line in run.lines()]
    assert len(overflows) == STEPS
    return [sum(overflows[:index]) for index in range(STEPS)]


def test_warm_up_and_cosine_wait_while_steps_are_skipped(tmp_path: Path, data: Path) -> None:
    run = overflowing(tmp_path, data, COSINE)
    assert run.start().step == STEPS
    skipped = skipped_before(run)
    assert 0 < skipped[3] < skipped[-1], "some steps overflow in the warm-up, and some after it"
    for step, (line, waited) in enumerate(zip(run.lines(), skipped, strict=True)):
        updates = step - waited
        if updates < 4:
            expected = 0.01 * (updates + 1) / 4
        else:
            expected = 0.01 * (1 + math.cos(math.pi * (updates - 4) / 7)) / 2
        assert line["lr"] == pytest.approx(expected, rel=1e-12), step
    assert run.final()["progress"]["skipped_steps"] == skipped[-1]
    told = [e.text for e in run.events if isinstance(e, Notice) and e.text.startswith("fp16")]
    assert f"schedule did not advance ({skipped[-1]} steps skipped so far)" in told[-1]


def test_milestones_count_updates_and_an_edit_of_the_rate_keeps_them(
    tmp_path: Path, data: Path
) -> None:
    milestones = {"type": "milestones", "counted_in": "steps", "at": [3, 6], "gamma": 0.1}
    run = overflowing(tmp_path, data, milestones)
    run.start(at_step(5, Set(key="optimizer.lr", value=0.02)))
    assert any(isinstance(event, Edited) for event in run.events)
    skipped = skipped_before(run)
    assert skipped[3] > 0
    for step, (line, waited) in enumerate(zip(run.lines(), skipped, strict=True)):
        base = 0.01 if step < 5 else 0.02
        falls = sum(step - waited >= milestone for milestone in (3, 6))
        assert line["lr"] == pytest.approx(base * 0.1**falls, rel=1e-12), step


def test_fault_46_a_cut_after_skipped_steps_equals_the_uncut_run(
    tmp_path: Path, data: Path
) -> None:
    uncut = overflowing(tmp_path / "uncut", data, COSINE, ema_decay=0.9)
    uncut.start()
    assert skipped_before(uncut)[-1] > 1
    for first in (1, 2):
        run = overflowing(tmp_path / f"cut-{first}", data, COSINE, ema_decay=0.9)
        assert cut_at(run, range(first, STEPS, 2)).step == STEPS
        assert run.lines() == uncut.lines()
        assert same(run.final(), uncut.final())


def test_skipped_steps_are_none_in_an_older_checkpoint_and_never_more_than_steps() -> None:
    saved = Progress(step=7).to_dict()
    assert Progress.from_dict({**saved, "skipped_steps": 7}).updates == 0
    del saved["skipped_steps"]
    assert Progress.from_dict(saved).updates == 7
    for odd in (8, -1, 1.5, None):
        with pytest.raises(CheckpointUnusable, match="an odd skipped_steps"):
            Progress.from_dict({**saved, "skipped_steps": odd})
    with pytest.raises(CheckpointUnusable, match="an odd step, skipped_steps"):
        Progress.from_dict({**saved, "step": {}})
