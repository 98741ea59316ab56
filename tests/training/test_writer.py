"""The writer thread: lines reach the disk in order, in few writes, and before what follows them."""

from __future__ import annotations

from pathlib import Path

from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.training.writer import Writer

NEVER_S = 3600.0


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
