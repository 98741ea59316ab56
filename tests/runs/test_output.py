"""A log that descriptors append to stays below its limit, and says that more was printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_trainer.runs.output import CUT, OutputLimit


@pytest.mark.parametrize("before", [b"", b"of the life before\n"])
def test_what_is_too_much_is_cut_off_and_told_of_once(tmp_path: Path, before: bytes) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(before)
    ours = os.open(log, os.O_WRONLY | os.O_APPEND)
    child = os.open(log, os.O_WRONLY | os.O_APPEND)
    limit = OutputLimit(ours, 100)
    os.write(ours, b"x" * 60)
    limit.look()
    assert log.read_bytes() == before + b"x" * 60
    for _ in range(3):
        for descriptor in (ours, child):
            os.write(descriptor, b"y" * 50)
            limit.look()
    assert log.read_bytes() == before + b"x" * 60 + b"y" * 40 + CUT
    for descriptor in (ours, child):
        os.close(descriptor)


def test_just_as_much_as_is_allowed_stays(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    with log.open("ab", buffering=0) as file:
        limit = OutputLimit(file.fileno(), 100)
        file.write(b"x" * 100)
        limit.look()
    assert log.read_bytes() == b"x" * 100
