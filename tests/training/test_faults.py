"""What a training does when its disk, its numbers or its checkpoints are bad."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.harness import React, Run, at_step, both, same, small_experiment, write_images
from tui_trainer.runs.commands import Command, Resume, Save, Set, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Event,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    SaveFailed,
    StateChanged,
    StepsTaken,
)
from tui_trainer.runs.files import Files
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import BadInput, CannotWrite, CheckpointUnusable, ExitCode
from tui_trainer.training.changes import data_change
from tui_trainer.training.checkpoint_data import Origin, check_fits
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.directory_watch import MOST_OFTEN_S
from tui_trainer.training.forward import Forward
from tui_trainer.training.loop import train
from tui_trainer.training.saver import origin_of
from tui_trainer.training.start_point import FromScratch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


class FullDisk(Files):
    """A disk on which writing checkpoints fails while `full` is set."""

    def __init__(self, code: int = errno.ENOSPC) -> None:
        self.full = False
        self.code = code

    def fsync(self, descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if self.full and "step-" in name:
            raise OSError(self.code, os.strerror(self.code))
        super().fsync(descriptor)


def of(kind: type[Event], run: Run) -> list[Any]:
    return [event for event in run.events if isinstance(event, kind)]


def test_fault_01_full_disk_keeps_the_old_checkpoint_and_is_retried(
    tmp_path: Path, data: Path
) -> None:
    disk = FullDisk()
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))

    def fill(event: Event) -> Sequence[Command]:
        if isinstance(event, CheckpointSaved) and event.step == 2:
            disk.full = True
        if isinstance(event, StepsTaken) and event.step == 8:
            disk.full = False
        return ()

    outcome = run.start(fill, files=disk)
    assert outcome.state == "finished"
    failed = of(SaveFailed, run)
    assert failed, "the full disk was told of"
    assert " free there" in failed[0].reason
    steps = {manifest.step for manifest in read_manifests(run.directory.checkpoints)}
    assert {2, 12} <= steps
    kinds = [type(e) for e in run.events if isinstance(e, SaveFailed | CheckpointSaved)]
    assert kinds[-1] is CheckpointSaved, "it was tried again, and went well"
    assert not list(run.directory.checkpoints.glob(".tui*"))
    for manifest in read_manifests(run.directory.checkpoints):
        read_checkpoint(run.directory.checkpoints, manifest)


def test_fault_01_gives_up_when_no_save_succeeds_for_too_long(tmp_path: Path, data: Path) -> None:
    disk = FullDisk()
    disk.full = True
    settings = {"every_steps": 1, "give_up_s": 0.0}
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint=settings))
    with pytest.raises(CannotWrite, match="no checkpoint could be written"):
        run.start(files=disk)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
def test_fault_02_a_save_that_failed_is_never_reported_as_saved(
    tmp_path: Path, data: Path, code: int
) -> None:
    disk = FullDisk(code)
    disk.full = True
    run = Run.new(tmp_path / "run", small_experiment(data))
    with pytest.raises(CannotWrite, match="NOT saved"):
        run.start(at_step(3, Save(), Stop()), files=disk)
    assert not of(CheckpointSaved, run)
    answers = [event for event in of(CommandApplied, run) if event.command == "save"]
    assert answers[0].refused.startswith("not saved")


def test_fault_05_a_truncated_checkpoint_falls_back_and_says_so(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 4}))
    run.start()
    newest = read_manifests(run.directory.checkpoints)[-1]
    path = run.directory.checkpoints / newest.file
    os.truncate(path, newest.size_bytes // 2)
    checkpoint, notes = choose_checkpoint(run.directory.checkpoints, "last", "small")
    assert checkpoint.manifest.step < newest.step or checkpoint.manifest.file != newest.file
    assert "truncated" in notes[0]
    assert newest.file in notes[0]
    with pytest.raises(CheckpointUnusable, match="resume small --from best, or --from STEP"):
        choose_checkpoint(run.directory.checkpoints, str(newest.step), "tui-trainer resume small")


def test_fault_07_a_checkpoint_of_another_model_is_refused_with_the_first_differences(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start(at_step(3, Stop()))
    before = sorted(run.directory.path.rglob("*"))
    other = Run(small_experiment(data, model={"type": "mlp", "layers": [9]}), run.directory, [])
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "small")
    with pytest.raises(CheckpointUnusable, match=r"another model: .*\(8, 16\).*\(9, 16\)"):
        check_fits(other.task().model, checkpoint.data.state.model)
    assert sorted(run.directory.path.rglob("*")) == before


def test_fault_10_another_thread_count_is_noted_as_not_bitwise(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training={"threads": 1}))
    run.start(at_step(3, Stop()))
    run.experiment = small_experiment(data, training={"threads": 2})
    assert run.resume().state == "finished"
    notes = of(RunStarted, run)[-1].notes
    assert any("not bitwise: threads was 1, is 2" in note for note in notes)


def test_older_checkpoints_are_not_bitwise_if_images_are_moved(tmp_path: Path, data: Path) -> None:
    still = {"shift_pixels": 0, "rotate_degrees": 0}
    for number, settings in enumerate((still, {})):
        run = Run.new(tmp_path / str(number), small_experiment(data, dataset=settings))
        now = origin_of(run.task())
        older = {name: value for name, value in now.to_dict().items() if name != "moves"}
        differences = Origin.from_dict(older).differences(now)
        assert len(differences) == number
        assert all("rounds shifts and turns of images in another way" in d for d in differences)


def test_fault_13_without_any_checkpoint_metrics_are_not_doubled(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    disk = FullDisk()
    disk.full = True
    with pytest.raises(CannotWrite):
        run.start(at_step(3, Stop()), files=disk)
    assert run.lines()
    assert run.start().state == "finished"
    assert [line["step"] for line in run.lines()] == list(range(1, 13))


def poisoned(step: int) -> React:
    """A learning rate so high that the numbers leave what a float can hold."""
    return at_step(
        step, Set(key="optimizer.lr", value=1e4), Set(key="training.max_steps", value=60)
    )


def exploding(data: Path, **training: Any) -> Any:
    return small_experiment(
        data,
        model={"type": "linear"},
        optimizer={"type": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 100.0},
        schedule={"type": "constant"},
        early_stopping={"patience": None},
        training={"grad_clip_norm": None, "epochs": None, "max_steps": 60, **training},
        checkpoint={"every_steps": 2},
    )


def test_fault_15_numbers_that_are_not_finite_stop_and_keep_the_last_good_state(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", exploding(data))
    outcome = run.start(poisoned(6))
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    fault = of(NonFinite, run)[0]
    assert 0 < len(fault.rows) <= 20
    assert f"step {fault.step}" in outcome.reason
    newest = read_manifests(run.directory.checkpoints)[-1]
    assert newest.step < fault.step
    for manifest in read_manifests(run.directory.checkpoints):
        weights = read_checkpoint(run.directory.checkpoints, manifest).data.state.model
        assert all(tensor.isfinite().all() for tensor in weights.values())
    bad = next(line for line in run.lines() if line["step"] == fault.step)
    assert bad["train/loss"] is None or bad["grad_norm"] is None
    assert outcome.best is None or outcome.best["step"] < fault.step


def test_fault_15_pause_goes_back_to_the_last_good_state(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", exploding(data, on_nonfinite="pause"))

    def mend(event: Event) -> Sequence[Command]:
        if isinstance(event, StateChanged) and event.state == "paused":
            assert "resume goes back to step" in event.reason
            return (
                Set(key="optimizer.lr", value=1e-5),
                Set(key="optimizer.weight_decay", value=0.0),
                Resume(),
            )
        return ()

    outcome = run.start(both(poisoned(6), mend))
    assert (outcome.state, outcome.step) == ("finished", 60)
    assert [line["step"] for line in run.lines()] == list(range(1, 61))
    assert (run.directory.discarded / "1" / "metrics.jsonl").exists()


def test_fault_15_a_pause_that_cannot_be_says_why_and_what_to_do(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training={"on_nonfinite": "pause"}))
    task = run.task()
    parameter = next(task.model.parameters())
    parameter.register_hook(lambda grad: grad * float("nan"))  # type: ignore[no-untyped-call]
    outcome = train(task, FromScratch(), Control(), run.events.append, run.directory)
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "no checkpoint yet" in outcome.reason
    assert "could not pause as training.on_nonfinite asks" in outcome.reason
    assert "there is no good checkpoint to go back to" in outcome.reason
    assert "lower optimizer.lr" in outcome.reason
    assert "checkpoint.every_steps" not in outcome.reason, "none comes before the first step"


def test_a_run_that_was_not_asked_to_pause_says_nothing_of_a_pause(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", exploding(data))
    assert "pause" not in run.start(poisoned(6)).reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"epochs": None, "max_steps": 1}, "1 step is done"),
        ({"epochs": None, "max_steps": 2}, "2 steps are done"),
        ({"epochs": 1}, "1 epoch is done"),
    ],
)
def test_the_reason_of_an_end_counts_as_people_do(
    tmp_path: Path, data: Path, limits: dict[str, Any], reason: str
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training=limits))
    assert run.start().reason == reason


def test_fault_16_a_gradient_that_is_not_finite_counts_like_a_loss(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    task = run.task()
    hook_calls = 0

    def poison(grad: torch.Tensor) -> torch.Tensor:
        nonlocal hook_calls
        hook_calls += 1
        return grad * float("nan") if hook_calls == 5 else grad

    next(task.model.parameters()).register_hook(poison)  # type: ignore[no-untyped-call]
    outcome = train(task, FromScratch(), Control(), run.events.append, run.directory)
    assert outcome.exit_code == 1
    # Two micro-batches a step, the third step being of one alone: the fifth call is in step 3.
    assert of(NonFinite, run)[0].step == 3
    assert "gradient norm is nan" in outcome.reason
    assert not read_manifests(run.directory.checkpoints)


def test_fault_32_a_deleted_run_directory_pauses_and_is_made_anew(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    whole = Run.new(tmp_path / "whole", small_experiment(data))
    whole.start()

    def delete(event: Event) -> Sequence[Command]:
        if isinstance(event, StepsTaken) and event.step == 5:
            shutil.rmtree(run.directory.path)
        if isinstance(event, StateChanged) and event.state == "paused":
            assert "is gone" in event.reason
            assert not run.directory.path.exists()
            return (Resume(),)
        return ()

    outcome = run.start(delete)
    assert outcome.state == "finished"
    assert run.directory.config.exists()
    assert 5 in {manifest.step for manifest in read_manifests(run.directory.checkpoints)}
    assert [line["step"] for line in run.lines()] == list(range(5, 13))
    assert same(run.final()["model"], whole.final()["model"])


def test_fault_32_a_deletion_that_was_hindered_pauses_and_loses_nothing(
    tmp_path: Path, data: Path
) -> None:
    """As `rm -rf` leaves it when the heartbeat is written meanwhile: the folder and one file."""
    run = Run.new(tmp_path / "run", small_experiment(data))
    whole = Run.new(tmp_path / "whole", small_experiment(data))
    whole.start()

    def delete(event: Event) -> Sequence[Command]:
        if isinstance(event, StepsTaken) and event.step == 5:
            shutil.rmtree(run.directory.path)
            run.directory.path.mkdir()
            run.directory.status.write_text("{}")
        if isinstance(event, StateChanged) and event.state == "paused":
            assert "the content of" in event.reason
            return (Resume(),)
        return ()

    outcome = run.start(delete)
    assert outcome.state == "finished"
    assert any(event.state == "paused" for event in of(StateChanged, run))
    assert run.directory.config.exists()
    assert run.directory.control.is_dir()
    assert [line["step"] for line in run.lines()] == list(range(5, 13))
    assert same(run.final()["model"], whole.final()["model"])


@pytest.mark.parametrize("section", ["training.validate_every_steps", "checkpoint.every_steps"])
def test_fault_32_a_deletion_is_seen_when_no_report_is_ever_due(
    tmp_path: Path, data: Path, section: str
) -> None:
    """Validations and saves read the numbers too, and often ones leave nothing due by time."""
    name, key = section.split(".")
    rarely = {"logging": {"every_seconds": 60}}
    run = Run.new(tmp_path / "run", small_experiment(data, **rarely, **{name: {key: 1}}))
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += MOST_OFTEN_S / 4
        return now_s

    def delete(event: Event) -> Sequence[Command]:
        if event.step == 5 and not (tmp_path / "away").exists():
            run.directory.path.rename(tmp_path / "away")
        paused = isinstance(event, StateChanged) and event.state == "paused"
        return (Resume(),) if paused else ()

    assert run.start(delete, clock=clock).state == "finished"
    paused_at = [event.step for event in of(StateChanged, run) if event.state == "paused"]
    assert paused_at in ([5], [6])


def replace_by_a_file(folder: Path, away: Path) -> None:
    """Put a file in the place of a folder, so that the next save in it fails."""
    for number in count():
        folder.rename(away / f"folder-{number}")
        # The writer may have made it anew already.
        with contextlib.suppress(IsADirectoryError):
            folder.write_text("no folder")
            return


def test_fault_32_saves_that_failed_before_the_pause_do_not_end_what_is_back(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 1}))
    now_s = 0.0

    def react(event: Event) -> Sequence[Command]:
        nonlocal now_s
        now_s += 1e-3
        if isinstance(event, StepsTaken) and event.step == 5:
            replace_by_a_file(run.directory.checkpoints, tmp_path)
        if isinstance(event, SaveFailed) and run.directory.path.exists():
            run.directory.path.rename(tmp_path / "gone")
        if isinstance(event, StateChanged) and event.state == "paused":
            now_s += 2 * run.experiment.checkpoint.give_up_s
            return (Resume(),)
        return ()

    assert run.start(react, clock=lambda: now_s).state == "finished"
    assert of(SaveFailed, run)
    assert read_manifests(run.directory.checkpoints)[-1].step == 12


def test_a_setting_that_is_not_live_is_refused_with_the_reason(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start(
        at_step(
            2,
            Set(key="training.batch_size", value=5),
            Set(key="optimizer.lrr", value=5),
            Set(key="optimizer.lr", value=-1),
        )
    )
    refused = [event.refused for event in of(CommandApplied, run)]
    assert "cannot be edited while training" in refused[0]
    assert "did you mean 'optimizer.lr'" in refused[1]
    assert "above 0" in refused[2]
    assert not run.directory.edits.exists()


def test_a_longer_horizon_is_told_of(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(at_step(6, Set(key="training.epochs", value=6)))
    assert outcome.step == 18
    assert any("schedule now ends at step 18" in event.text for event in of(Notice, run))


def test_edits_are_on_the_disk_with_step_old_and_new(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start(at_step(6, Set(key="optimizer.lr", value=0.5, origin="a test")))
    record = json.loads(run.directory.edits.read_text())
    assert (record["apply_at_step"], record["old"], record["new"]) == (6, 0.01, 0.5)
    assert record["origin"] == "a test"


def test_a_resume_on_changed_data_is_noted(tmp_path: Path, data: Path) -> None:
    mine = tmp_path / "mine.csv"
    shutil.copy(data, mine)
    run = Run.new(tmp_path / "run", small_experiment(mine))
    run.start(at_step(3, Stop()))
    lines = mine.read_text().splitlines()
    first = lines[0].split(",")
    mine.write_text("\n".join([",".join(["9", *first[1:]]), *lines[1:]]) + "\n")
    run.resume()
    changed = "not bitwise: the data changed: "
    told = "1 of 72 pictures of the run is gone or changed, and 1 picture is new and left out"
    assert changed + told in of(RunStarted, run)[-1].notes

    mine.write_text("\n".join(lines[:-9]) + "\n")
    run.resume(which="3")
    (note,) = (note for note in of(RunStarted, run)[-1].notes if "data changed" in note)
    assert note == f"{changed}9 of 72 pictures of the run are gone or changed"


def test_a_resume_of_an_older_run_on_changed_data_is_noted(tmp_path: Path, data: Path) -> None:
    mine = tmp_path / "mine.csv"
    shutil.copy(data, mine)
    run = Run.new(tmp_path / "run", small_experiment(mine, dataset={"split_by": "position"}))
    run.start(at_step(3, Stop()))
    # Older versions kept neither a record of the rows nor the rule in the checkpoint.
    run.directory.splits.unlink()
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "small")
    fitted = {k: v for k, v in checkpoint.data.preprocessing.items() if k != "split"}
    lines = mine.read_text().splitlines()
    mine.write_text("\n".join([lines[1], *lines[1:]]) + "\n")
    changed = "the data changed since the checkpoint was written: "
    same_size = "there are as many samples as before, with other values or settings"
    assert data_change(run.task(fitted), checkpoint.data.origin) == changed + same_size

    mine.write_text("\n".join(lines[:-9]) + "\n")
    assert data_change(run.task(fitted), checkpoint.data.origin) == (
        f"{changed}48 training, 9 validation and 15 test samples then, "
        "42 training, 8 validation and 13 test samples now"
    )


def test_batch_norm_on_a_batch_of_one_is_refused_before_training(
    tmp_path: Path, data: Path
) -> None:
    experiment = small_experiment(
        data,
        model={"type": "mlp", "layers": [8], "norm": "batch"},
        training={"batch_size": 47},
    )
    with pytest.raises(BadInput, match="batch of one"):
        Run.new(tmp_path / "run", experiment).task()


class Failing(nn.Module):
    """A model whose n-th forward pass in training raises."""

    def __init__(self, model: nn.Module, at: int, error: Exception) -> None:
        super().__init__()
        self.model = model
        self.left = at
        self.error = error

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.left -= 1
            if self.left == 0:
                raise self.error
        outputs: torch.Tensor = self.model(inputs)
        return outputs


def broken_off(run: Run, error: Exception, at: int = 8) -> RunEnded:
    """Train with a model that fails in its n-th micro-batch; two of them are a step."""
    task = run.task()
    task = replace(task, forward=Forward(Failing(task.model, at, error)))
    return train(task, FromScratch(), Control(), run.events.append, run.directory)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_fault_17_out_of_memory_saves_the_last_finished_step_and_says_what_helps(
    tmp_path: Path, data: Path, error: Exception
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = broken_off(run, error)
    assert (outcome.state, outcome.exit_code) == ("failed", ExitCode.FAILED)
    assert outcome.reason.startswith("out of memory")
    assert (
        "in step 5; saved at step 4; start a new run with a smaller training.batch_size"
        in outcome.reason
    )
    assert "\n" not in outcome.reason
    assert run.resume().state == "finished"
    notes = [note for e in run.events if isinstance(e, RunStarted) for note in e.notes]
    assert "not bitwise: the step after this one had already begun when it failed" in notes


def test_fault_18_a_lost_gpu_is_asked_nothing_more(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    outcome = broken_off(run, RuntimeError("CUDA error: uncorrectable ECC error encountered"))
    assert outcome.exit_code == ExitCode.FAILED
    assert "the GPU failed: CUDA error: uncorrectable ECC" in outcome.reason
    assert "resume on another device" in outcome.reason
    assert [m.step for m in read_manifests(run.directory.checkpoints)][-1] == 4
    quiet = Run.new(tmp_path / "quiet", small_experiment(data, checkpoint={"every_steps": 2}))
    quiet.start()
    assert run.resume().state == "finished"
    assert same(run.final(), quiet.final())


def test_fault_22_an_operation_that_is_not_deterministic_says_which_and_what_to_do(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    error = RuntimeError("cumsum_cuda_kernel does not have a deterministic implementation, but")
    outcome = broken_off(run, error)
    assert outcome.reason.startswith("cumsum_cuda_kernel does not have a deterministic")
    assert "set training.deterministic=false" in outcome.reason


class Unsupported(RuntimeError):
    """As torch's compiler raises it."""

    __module__ = "torch._dynamo.exc"


def test_an_error_of_the_compiler_names_the_line_of_the_model(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    text = "Data-dependent branching\n  more\n\nfrom user code:\n"
    places = '   File "/a/step.py", line 9, in f\n    x\n  File "/b/odd.py", line 11, in forward\n'
    outcome = broken_off(run, Unsupported(text + places))
    begin = "torch.compile failed: Data-dependent branching (/b/odd.py:11) in step 5"
    assert outcome.reason.startswith(begin)
    assert "training.compile=false" in outcome.reason


def test_an_unexpected_error_is_raised_after_the_work_is_saved(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    with pytest.raises(ZeroDivisionError):
        broken_off(run, ZeroDivisionError("a bug"))
    assert [m.step for m in read_manifests(run.directory.checkpoints)][-1] == 4
    assert any(isinstance(e, Notice) and e.text == "saved at step 4" for e in run.events)


def test_an_error_in_the_middle_of_an_update_saves_no_half_changed_weights(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    task = run.task()
    taken = 0
    whole = task.optimizer.step

    def step() -> None:
        nonlocal taken
        taken += 1
        whole()
        if taken == 6:
            raise torch.OutOfMemoryError("CUDA out of memory")

    task.optimizer.step = step  # type: ignore[assignment,method-assign]
    outcome = train(task, FromScratch(), Control(), run.events.append, run.directory)
    assert "the last checkpoint is step 4" in outcome.reason
