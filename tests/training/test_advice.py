"""Messages propose only what exists for this experiment, and is not set already."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.training.harness import Run, small_experiment, write_images
from tui_trainer.config.experiment import Experiment
from tui_trainer.data.batches.worker_process import describe_death
from tui_trainer.data.load import load
from tui_trainer.text.errors import BadInput, CheckpointUnusable
from tui_trainer.training.advice import against_batches_of_one, against_divergence, less_memory
from tui_trainer.training.checkpoints import choose_checkpoint

SMALLER = "a smaller training.batch_size (with training.grad_accumulation for the same step)"


def with_training(model: dict[str, Any] | None = None, **training: Any) -> Experiment:
    return small_experiment(
        Path("x.csv"),
        model=model or {"type": "mlp", "layers": [8]},
        training={"grad_clip_norm": None, **training},
    )


@pytest.mark.parametrize(
    ("training", "blocks", "advice"),
    [
        (
            {},
            True,
            f"{SMALLER}, training.gradient_checkpointing=true, training.precision=bf16 or ",
        ),
        ({"batch_size": 1}, True, "training.gradient_checkpointing=true, training.precision=bf16 "),
        ({"gradient_checkpointing": True, "precision": "fp16"}, True, f"{SMALLER} or "),
        ({"batch_size": 1, "precision": "bf16"}, False, ""),
    ],
)
def test_less_memory_is_sought_where_some_is_left(
    training: dict[str, Any], blocks: bool, advice: str
) -> None:
    model = nn.Sequential()
    if blocks:
        model.blocks = nn.Sequential(nn.Linear(2, 2))
    told = less_memory(with_training(**training), model, stateful=False)
    assert told.startswith(f"start a new run with {advice}")
    assert told.endswith("a smaller model")
    assert "gradient_checkpointing" not in less_memory(
        with_training(**training), model, stateful=True
    )


def test_a_clip_that_is_set_is_lowered_and_not_set_again() -> None:
    assert against_divergence(with_training()) == (
        "lower optimizer.lr or set training.grad_clip_norm"
    )
    assert against_divergence(with_training(grad_clip_norm=0.5)) == (
        "lower optimizer.lr or training.grad_clip_norm (now 0.5)"
    )
    assert "grad_clip_norm" not in against_divergence(with_training(grad_clip_value=2))


def test_a_batch_of_one_is_left_out_only_if_others_remain() -> None:
    assert against_batches_of_one(with_training()) == (
        "choose another, set training.drop_last=true or set another model.norm"
    )
    assert against_batches_of_one(with_training({"type": "linear"}, batch_size=1)) == (
        "choose a larger one"
    )


def test_a_single_worker_cannot_become_fewer() -> None:
    class Dead:
        pid, exitcode = 7, -signal.SIGKILL

    two, one = (describe_death(Dead(), workers) for workers in (2, 1))  # type: ignore[arg-type]
    assert (
        "out of memory? fewer workers (loader.num_workers=) need less, loader.num_workers=0" in two
    )
    assert "out of memory? If so, loader.num_workers=0 runs without workers" in one


def test_a_class_that_is_not_trained_on_is_mended_by_what_can_change_it(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(20)) + "1,c\n")
    section = small_experiment(
        data,
        dataset={"type": "table", "path": str(data), "target": "y", "stratify": False},
    ).dataset
    told = set()
    for seed in range(40):
        for stratify in (False, True):
            changes = {"split_seed": seed, "stratify": stratify}
            try:
                load(section.model_copy(update=changes))
            except BadInput as error:
                text = str(error)
                if "no row of the class 'c'" in text:
                    told.add((stratify, text.rpartition("; ")[2]))
    assert (False, "set dataset.stratify=true") in told
    assert (True, "set dataset.stratify=true") not in told


def test_no_other_checkpoint_is_proposed_where_there_is_none(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(write_images(tmp_path / "images.csv")))
    with pytest.raises(CheckpointUnusable) as caught:
        choose_checkpoint(run.directory.checkpoints, "last", "run")
    assert str(caught.value).endswith("no checkpoint was published")


def test_a_model_for_numbers_is_told_that_a_text_was_recognised(tmp_path: Path) -> None:
    rows = [f"a review of {n} words and more,{n % 2}x" for n in range(40)]
    (tmp_path / "t.csv").write_text("text,y\n" + "\n".join(rows) + "\n")
    section = {"type": "table", "path": str(tmp_path / "t.csv"), "target": "y"}
    run = Run.new(tmp_path / "run", small_experiment(tmp_path, dataset=section))
    with pytest.raises(
        BadInput, match=r"use rnn, .*; the only input is the column 'text'.*=\[text"
    ):
        run.task()
