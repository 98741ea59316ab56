"""What was computed of large arrays is kept, and is never used if anything is wrong with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.array_files import labels, loaded, pictures
from tests.data.splits import tensors
from tui_trainer.data.files.array_cache import keep_results, load_results
from tui_trainer.data.files.cache_store import ARRAYS, LEAST_BYTES, SUM, VARIABLE, clear_cache

NAME = f"{'0' * 32}{ARRAYS}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def test_results_come_back_as_they_were(cache: Path) -> None:
    results = {"keys": np.arange(5, dtype=np.uint64), "mean": np.array(0.1), "none": np.zeros(0)}
    keep_results(NAME, results)

    found = load_results(NAME)
    assert found is not None
    for name, array in results.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert load_results(f"1{NAME}") is None
    assert load_results("") is None
    clear_cache()
    assert load_results(NAME) is None


@pytest.mark.parametrize("place", [0, 10, 40, -40, -1])
def test_a_damaged_file_is_as_good_as_none(cache: Path, place: int) -> None:
    keep_results(NAME, {"keys": np.arange(5, dtype=np.uint64)})
    content = bytearray((cache / NAME).read_bytes())
    content[place] ^= 1
    (cache / NAME).write_bytes(content)
    assert load_results(NAME) is None
    (cache / NAME).write_bytes(content[:place])
    assert load_results(NAME) is None


def test_a_second_start_reads_no_large_array_again(cache: Path, tmp_path: Path) -> None:
    count = LEAST_BYTES // 1024 + 8
    np.save(tmp_path / "x.npy", pictures(count, 32, 32))
    np.save(tmp_path / "y.npy", labels(count))
    for name in ("x.npy", "y.npy"):
        os.utime(tmp_path / name, (time.time() - 60, time.time() - 60))
    first = loaded(tmp_path)
    kept = sorted(path.suffix for path in cache.iterdir())
    assert kept == [ARRAYS, ARRAYS, SUM]

    # Only the sizes and times of a file are looked at, so a byte of it may differ.
    facts = os.stat(tmp_path / "x.npy")
    with (tmp_path / "x.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\0")
    os.utime(tmp_path / "x.npy", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    again = loaded(tmp_path)

    assert again.preprocessing == first.preprocessing
    assert again.fingerprint == first.fingerprint
    assert torch.equal(tensors(again.train).rows, tensors(first.train).rows)
    os.utime(tmp_path / "x.npy", (time.time() - 50, time.time() - 50))
    assert loaded(tmp_path).fingerprint != first.fingerprint
