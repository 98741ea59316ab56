"""Manifests: what is read of them, which one is meant, and which checkpoints may go."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.runs.journal import encode
from tui_trainer.runs.manifests import (
    FORMAT,
    Manifest,
    free_name,
    manifest_path,
    no_longer_kept,
    read_manifests,
    select,
)
from tui_trainer.text.errors import BadInput, CheckpointUnusable


def of(step: int, attempt: int = 1, best_step: int | None = None) -> Manifest:
    name = f"step-{step:08d}" + ("" if attempt == 1 else f"-{attempt}")
    return Manifest(f"{name}.pt", "0" * 64, 3, step, step // 10, best_step, {"loss": 0.5}, "now")


def put(folder: Path, manifest: Manifest, **changes: Any) -> Path:
    """The checkpoint file and its manifest."""
    (folder / manifest.file).write_bytes(b"abc")
    path = manifest_path(folder, manifest.file)
    facts = {**asdict(manifest), **changes}
    check = hashlib.sha256(encode([facts])).hexdigest()[:16]
    path.write_text(json.dumps({**facts, "check": check}))
    return path


def test_manifests_are_read_as_written_oldest_first(tmp_path: Path) -> None:
    made = [of(5), of(30, best_step=5), of(30, 2), of(30, 10), of(200), of(123456789)]
    for manifest in reversed(made):
        put(tmp_path, manifest)
        manifest_path(tmp_path, manifest.file).write_bytes(manifest.to_json())

    assert read_manifests(tmp_path) == made
    assert [manifest.attempt for manifest in made] == [1, 1, 2, 10, 1, 1]


def test_a_metric_that_is_not_finite_is_null_in_the_file() -> None:
    text = replace(of(1), metrics={"auc": math.nan, "loss": 0.5}).to_json()

    assert b"NaN" not in text
    assert json.loads(text)["metrics"] == {"auc": None, "loss": 0.5}


def test_there_are_none_where_there_is_no_folder(tmp_path: Path) -> None:
    assert read_manifests(tmp_path / "gone") == []


def test_fault_4_a_manifest_without_its_file_and_a_file_without_its_manifest_do_not_count(
    tmp_path: Path,
) -> None:
    put(tmp_path, of(1))
    put(tmp_path, of(2)).unlink()
    put(tmp_path, of(3))
    (tmp_path / of(3).file).unlink()

    assert read_manifests(tmp_path) == [of(1)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        "[" * 100_000,
        "\0" * 50,
        '{"file": "step-00000002.pt"}',
    ],
)
def test_fault_6_what_is_no_manifest_is_passed_over(tmp_path: Path, text: str) -> None:
    put(tmp_path, of(1))
    put(tmp_path, of(2)).write_text(text)

    assert read_manifests(tmp_path) == [of(1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../step-00000002.pt"},
        {"file": "/etc/passwd"},
        {"file": "step-00000003.pt"},
        {"file": "step-2.pt"},
        {"file": 2},
        {"step": "2"},
        {"step": None},
        {"step": True},
        {"step": 3},
        {"epoch": "x"},
        {"size_bytes": "3"},
        {"size_bytes": None},
        {"format": "1"},
        {"format": None},
        {"sha256": 7},
        {"best_step": "5"},
        {"metrics": [1]},
    ],
)
def test_fault_6_a_manifest_with_a_wrong_fact_is_passed_over(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    put(tmp_path, of(1))
    put(tmp_path, of(2), **changes)

    assert read_manifests(tmp_path) == [of(1)]


def test_fault_6_a_fact_that_was_changed_later_is_noticed(tmp_path: Path) -> None:
    path = put(tmp_path, of(2, best_step=4))
    assert [manifest.best_step for manifest in read_manifests(tmp_path)] == [4]
    path.write_text(path.read_text().replace('"best_step": 4', '"best_step": 5'))
    assert read_manifests(tmp_path) == []


def test_fault_8_a_manifest_of_a_newer_format_is_seen_so_that_it_can_be_refused(
    tmp_path: Path,
) -> None:
    put(tmp_path, of(1), format=FORMAT + 1, shards=["a", "b"])

    assert read_manifests(tmp_path) == [replace(of(1), format=FORMAT + 1)]


def test_a_second_writing_of_a_step_gets_another_name(tmp_path: Path) -> None:
    assert free_name(tmp_path, 7) == "step-00000007.pt"
    put(tmp_path, of(7))
    assert free_name(tmp_path, 7) == "step-00000007-2.pt"
    put(tmp_path, of(7, 2)).unlink()
    assert free_name(tmp_path, 7) == "step-00000007-3.pt", "a file without manifest has the name"
    manifest_path(tmp_path, of(7, 3).file).write_text("")
    assert free_name(tmp_path, 7) == "step-00000007-4.pt"
    assert free_name(tmp_path, 8) == "step-00000008.pt"


MADE = [of(10), of(20, best_step=20), of(20, 2, best_step=20), of(30, best_step=20)]


def test_last_is_the_newest_and_falls_back_to_older_ones() -> None:
    assert select(MADE, "last") == MADE[::-1]
    assert select([], "last") == []


def test_best_is_what_the_newest_manifest_says_and_its_newest_writing_comes_first() -> None:
    assert select(MADE, "best") == [MADE[2], MADE[1]]
    assert select([*MADE, of(40, best_step=10)], "best") == [MADE[0]]


@pytest.mark.parametrize("made", [[], [of(10)], [of(10), of(20, best_step=15)]])
def test_no_best_one_is_told_with_what_to_do(made: list[Manifest]) -> None:
    with pytest.raises(CheckpointUnusable, match="--from last"):
        select(made, "best")


def test_a_step_is_that_step_in_all_its_writings() -> None:
    assert select(MADE, "10") == [MADE[0]]
    assert select(MADE, "20") == [MADE[2], MADE[1]]
    assert select(MADE, "0020") == [MADE[2], MADE[1]]


@pytest.mark.parametrize("which", ["15", "0", "-10", "1e1", "newest", "", "10 ", "../x"])
def test_fault_5_what_names_no_checkpoint_is_refused_with_those_there_are(which: str) -> None:
    with pytest.raises(BadInput, match="10, 20, 30"):
        select(MADE, which)


def test_the_newest_steps_stay_and_older_ones_go() -> None:
    made = [of(step) for step in (1, 2, 3, 4)]

    assert no_longer_kept(made, 1, set()) == made[:3]
    assert no_longer_kept(made, 3, set()) == made[:1]
    assert no_longer_kept(made, 9, set()) == []
    assert no_longer_kept([], 1, set()) == []


def test_fault_4_the_best_stays_as_the_newest_manifest_tells_it() -> None:
    made = [of(1, best_step=1), of(2, best_step=2), of(3, best_step=2), of(4, best_step=2)]

    assert no_longer_kept(made, 1, set()) == [made[0], made[2]]
    assert no_longer_kept([*made, of(5, best_step=5)], 1, set()) == made


def test_fault_4_what_was_resumed_from_stays() -> None:
    made = [of(1), of(2), of(3)]

    assert no_longer_kept(made, 1, {1, 99}) == [made[1]]


def test_of_several_writings_of_a_step_the_newest_stays() -> None:
    made = [of(1), of(1, 2), of(2), of(3, best_step=1), of(3, 2, best_step=1)]

    assert no_longer_kept(made, 1, set()) == [made[0], made[2], made[3]]
    assert no_longer_kept(made, 1, {2}) == [made[0], made[3]]


@given(
    keys=st.sets(st.tuples(st.integers(0, 12), st.integers(1, 3)), max_size=20),
    best_step=st.none() | st.integers(0, 12),
    keep_last=st.integers(1, 6),
    protected=st.sets(st.integers(0, 12), max_size=3),
)
def test_fault_4_whatever_goes_each_step_that_must_stay_has_its_newest_writing(
    keys: set[tuple[int, int]], best_step: int | None, keep_last: int, protected: set[int]
) -> None:
    made = [of(*key, best_step=best_step) for key in sorted(keys)]

    gone = no_longer_kept(made, keep_last, protected)

    left = [manifest for manifest in made if manifest not in gone]
    steps = sorted({manifest.step for manifest in made})
    must_stay = {*steps[-keep_last:], *protected, best_step} & set(steps)
    assert {manifest.step for manifest in left} == must_stay
    assert len(left) == len(must_stay)
    for manifest in left:
        assert manifest.attempt == max(attempt for step, attempt in keys if step == manifest.step)
    assert no_longer_kept(left, keep_last, protected) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": 10**400},
        {"size_bytes": -1},
        {"epoch": 2**62},
        {"best_step": 10**400},
        {"best_step": True},
        {"metrics": {"loss": 10**400}},
        {"metrics": {"loss": [[1]]}},
        {"saved_at": 3},
        {"format": 10**400},
    ],
    ids=lambda changes: f"{changes!r:.40}",
)
def test_fault_56_a_manifest_out_of_bounds_is_damaged(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    put(tmp_path, of(5), **changes)

    assert read_manifests(tmp_path) == []


@pytest.mark.parametrize("which", ["9" * 5000, "9" * 21])
def test_a_step_of_thousands_of_digits_is_bad_input(which: str) -> None:
    with pytest.raises(BadInput, match="expected last, best or a step"):
        select([of(5)], which)
