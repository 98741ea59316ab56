"""The writer thread: lines reach the disk in order, in few writes, and before what follows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.training.checkpoint_data import CheckpointData, Origin, Snapshot
from tui_trainer.training.checkpoints import read_checkpoint
from tui_trainer.training.progress import Progress
from tui_trainer.training.writer import SaveJob, Writer

NEVER_S = 3600.0


def job_of(await_copies: Callable[[], None], weights: dict[str, Tensor]) -> SaveJob:
    """Return a checkpoint of weights that another stream copies."""
    snapshot = Snapshot(
        await_copies=await_copies, model=weights, optimizer={"state": {}}, rng={"torch": None}
    )
    data = CheckpointData(
        state=snapshot,
        progress=Progress(step=1),
        best=None,
        preprocessing={},
        origin=Origin("cuda", "2", 1, 1, ""),
    )
    return SaveJob(data, keep_last=1, protected=frozenset())


class CountedFiles(Files):
    """Real files, and the number of writes."""

    def __init__(self) -> None:
        self.writes = 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self.writes += 1
        return super().write(descriptor, data)


def test_lines_that_arrive_fast_are_written_together_in_their_order(tmp_path: Path) -> None:
    files, path = CountedFiles(), tmp_path / "metrics.jsonl"
    lines = [b'{"step": %d}\n' % step for step in range(1000)]
    with Writer(tmp_path, Journal(path, files), files, lines_every_s=NEVER_S) as writer:
        for line in lines:
            writer.lines(line)
        writer.drain()
        assert path.read_bytes() == b"".join(lines)
        # The first line is written at once, with those that were there by then.
        assert files.writes <= 2


def test_the_end_does_not_wait_for_more_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Writer(tmp_path, Journal(path), Files(), lines_every_s=NEVER_S) as writer:
        writer.lines(b"{}\n")
        writer.drain()
        writer.lines(b"[]\n")
    assert path.read_bytes() == b"{}\n[]\n"


def test_a_checkpoint_is_written_only_once_its_copies_are_there(tmp_path: Path) -> None:
    weights = {"weight": torch.zeros(3)}

    def arrive() -> None:
        weights["weight"] += 1

    job = job_of(arrive, weights)
    with Writer(tmp_path, Journal(tmp_path / "metrics.jsonl"), Files()) as writer:
        writer.save(job)
        (result,) = writer.drain()
    assert result.manifest is not None
    assert read_checkpoint(tmp_path, result.manifest).data.state.model["weight"].tolist() == [1] * 3


def test_copies_that_never_arrive_are_a_failed_save(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: the device is gone")

    job = job_of(fail, {})
    with Writer(tmp_path, Journal(tmp_path / "metrics.jsonl"), Files()) as writer:
        writer.save(job)
        (result,) = writer.drain()
    assert "the device is gone" in str(result.error)
    assert not list(tmp_path.glob("*.pt"))
