"""Much memory is copied in several threads, and all of it is there afterwards."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tui_trainer.machine.devices import cpu_count
from tui_trainer.training.byte_copies import _LEAST_BYTES, _PIECE_BYTES, Bytes, copy_bytes


def pairs(*sizes: int) -> list[tuple[Bytes, Bytes]]:
    """Return memory to copy, no byte of which is there already."""
    numbers = np.arange(1, 252, dtype=np.uint8)
    return [(np.zeros(size, np.uint8), np.resize(numbers, size)) for size in sizes]


def check(copied: list[tuple[Bytes, Bytes]]) -> None:
    assert all(np.array_equal(target, source) for target, source in copied)


@pytest.mark.parametrize(
    "sizes", [(), (0, 3), (_LEAST_BYTES, 5, _LEAST_BYTES // 2), (2 * _PIECE_BYTES + 7,)]
)
def test_all_bytes_are_there_at_the_return(sizes: tuple[int, ...]) -> None:
    copied = pairs(*sizes)
    copy_bytes(copied)
    check(copied)
    assert "copies" not in [thread.name for thread in threading.enumerate()]


def test_all_bytes_are_there_although_no_thread_can_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(thread: threading.Thread) -> None:
        tried.append(thread.name)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    copied = pairs(_LEAST_BYTES, _LEAST_BYTES)
    copy_bytes(copied)
    check(copied)
    assert tried[:1] == (["copies"] if cpu_count() > 1 else [])


@pytest.mark.skipif(cpu_count() == 1, reason="one CPU has nobody to help")
def test_all_bytes_are_there_although_a_thread_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, copy = threading.Event(), np.copyto

    def fail_in_helpers(target: Bytes, source: Bytes) -> None:
        if threading.current_thread().name == "copies":
            failed.set()
            raise MemoryError
        assert failed.wait(60)
        copy(target, source)

    monkeypatch.setattr(np, "copyto", fail_in_helpers)
    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    copied = pairs(_LEAST_BYTES, _LEAST_BYTES, 5)
    copy_bytes(copied)
    check(copied)
