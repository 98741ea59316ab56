"""Checkpoints on a failing disk, damaged ones and malicious ones: none is ever loaded."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.runs.failing import DEATH, FAULTS, FailingFiles, error_of, failures
from tui_trainer.runs.files import Files, sweep_temporaries
from tui_trainer.runs.manifests import FORMAT, Manifest, manifest_path, read_manifests
from tui_trainer.text.errors import CannotWrite, CheckpointUnusable, ExitCode
from tui_trainer.training.checkpoint_data import REQUIRED, CheckpointData
from tui_trainer.training.checkpoints import (
    choose_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)

FLIPS = 1000


def content(step: int) -> dict[str, Any]:
    origin = {"device": "cpu", "torch": "2", "threads": 1, "world": 1, "fingerprint": ""}
    return {
        **{key: {} for key in REQUIRED},
        "model": {"weight": torch.full((3, 4), float(step))},
        "optimizer": {"state": {}},
        "progress": {"step": step, "metrics_bytes": 0, "best": None},
        "best": None,
        "origin": origin,
    }


def save(folder: Path, step: int, files: Files | None = None) -> Manifest:
    data = CheckpointData.from_dict({"format": FORMAT, **content(step)})
    return write_checkpoint(folder, data, saved_at="now", files=files or Files())


def step_of(folder: Path, manifest: Manifest) -> float:
    """The step that is in the weights themselves."""
    return float(read_checkpoint(folder, manifest).data.state.model["weight"][0, 0])


def refusal(folder: Path, manifest: Manifest) -> str:
    with pytest.raises(CheckpointUnusable) as caught:
        read_checkpoint(folder, manifest)
    assert caught.value.exit_code == ExitCode.CHECKPOINT_UNUSABLE
    assert manifest.file in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = save(tmp_path, 7)

    assert read_manifests(tmp_path) == [manifest]
    assert step_of(tmp_path, manifest) == 7
    assert manifest.size_bytes == (tmp_path / manifest.file).stat().st_size
    assert sorted(os.listdir(tmp_path)) == ["step-00000007.json", "step-00000007.pt"]


@pytest.mark.parametrize(
    ("fault", "torn"),
    [*((fault, False) for fault in FAULTS), (errno.ENOSPC, True), (DEATH, True)],
)
def test_fault_1_to_4_after_any_fault_the_newest_checkpoint_is_one_that_was_saved(
    tmp_path: Path, fault: int | None, torn: bool
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    save(before, 1)
    seen = set()
    for files in failures(fault, torn=torn):
        folder = tmp_path / str(files.fail_at)
        shutil.copytree(before, folder)

        error = error_of(save, folder, 2, files)

        seen.add(files.failed)
        check_saved(folder, files, fault, error)
        save(folder, 3)
        chosen, notes = choose_checkpoint(folder, "last", "run")
        assert (chosen.manifest.step, notes) == (3, [])
    assert {"open_new", "write", "fsync", "replace", "fsync_directory", ""} <= seen


def check_saved(
    folder: Path, files: FailingFiles, fault: int | None, error: BaseException | None
) -> None:
    manifests = read_manifests(folder)
    assert [step_of(folder, manifest) for manifest in manifests] in ([1.0], [1.0, 2.0])
    if not files.failed:
        assert error is None
        assert len(manifests) == 2
    elif fault is not DEATH:
        assert isinstance(error, CannotWrite)
        assert re.search(r"step-00000002\.(pt|json): cannot be written", str(error))
        left = sorted(os.listdir(folder))
        assert left == ["step-00000001.json", "step-00000001.pt"], "it takes room and is not used"
    else:
        assert error is not None
    if files.failed and fault == errno.ENOSPC:
        assert re.search(r"[\d.]+ [kMGT]B free", str(error))
    sweep_temporaries(folder)
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_4_removing_an_old_one_leaves_no_manifest_that_promises_a_missing_file(
    tmp_path: Path, fault: int | None
) -> None:
    for files in failures(fault):
        folder = tmp_path / str(files.fail_at)
        folder.mkdir()
        old, new = save(folder, 1), save(folder, 2)

        error_of(remove_checkpoint, folder, old, files)

        names = set(os.listdir(folder))
        assert {new.file, manifest_path(folder, new.file).name} <= names
        assert old.file in names or manifest_path(folder, old.file).name not in names
        assert read_manifests(folder)[-1] == new
        remove_checkpoint(folder, old, Files())
        remove_checkpoint(folder, old, Files())
        assert read_manifests(folder) == [new]


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """One bit of the file the other way round meanwhile."""
    with path.open("r+b", buffering=0) as file:
        file.seek(place // 8)
        byte = file.read(1)[0]
        file.seek(place // 8)
        file.write(bytes([byte ^ 1 << place % 8]))
        yield
        file.seek(place // 8)
        file.write(bytes([byte]))


def test_fault_6_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    manifest = save(tmp_path, 7)
    path = tmp_path / manifest.file
    places = random.Random(6).sample(range(8 * manifest.size_bytes), FLIPS)

    for place in places:
        with flipped(path, place):
            assert "sha256" in refusal(tmp_path, manifest)

    assert step_of(tmp_path, manifest) == 7


def test_fault_6_no_flipped_bit_of_a_manifest_loads_anything_but_the_truth(tmp_path: Path) -> None:
    manifest = save(tmp_path, 7)
    path = manifest_path(tmp_path, manifest.file)

    for place in random.Random(6).sample(range(8 * path.stat().st_size), FLIPS):
        with flipped(path, place):
            for listed in read_manifests(tmp_path):
                error = error_of(read_checkpoint, tmp_path, listed)
                assert error is None or isinstance(error, CheckpointUnusable)
                assert error is not None or listed.step == 7


def test_fault_5_a_truncated_checkpoint_is_refused_at_every_length(tmp_path: Path) -> None:
    manifest = save(tmp_path, 7)
    path = tmp_path / manifest.file
    whole = path.read_bytes()

    for size in {0, 1, 2, 30, len(whole) // 2, len(whole) - 22, len(whole) - 1}:
        path.write_bytes(whole[:size])
        assert "truncated" in refusal(tmp_path, manifest)
    path.write_bytes(whole + b"\0")
    refusal(tmp_path, manifest)
    path.unlink()
    refusal(tmp_path, manifest)


def test_fault_5_last_falls_back_and_says_which_and_why(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step)
    for step in (2, 3):
        with (tmp_path / f"step-{step:08d}.pt").open("r+b") as file:
            file.truncate(100)

    chosen, notes = choose_checkpoint(tmp_path, "last", "digits")

    assert chosen.manifest.step == 1
    assert [re.findall(r"step-0*(\d)\.pt: (\w+)", note) for note in notes] == [
        [("3", "truncated")],
        [("2", "truncated")],
    ]
    with pytest.raises(CheckpointUnusable, match="resume digits --from best"):
        choose_checkpoint(tmp_path, "3", "tui-trainer resume digits")


def test_fault_13_no_checkpoint_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnusable, match="no checkpoint was published"):
        choose_checkpoint(tmp_path, "last", "digits")


def republished(folder: Path, data: bytes) -> Manifest:
    """A checkpoint with any bytes and a manifest that is right about them."""
    name = "step-00000009.pt"
    (folder / name).write_bytes(data)
    manifest = Manifest(name, hashlib.sha256(data).hexdigest(), len(data), 9, 0)
    manifest_path(folder, name).write_bytes(manifest.to_json())
    return manifest


def saved_bytes(value: object, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def test_fault_8_a_newer_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    manifest = save(tmp_path, 7)
    newer = FORMAT + 1

    assert "update tui-trainer" in refusal(tmp_path, replace(manifest, format=newer))
    inside = republished(tmp_path, saved_bytes({"format": newer, **content(9)}))
    assert f"format {newer}" in refusal(tmp_path, inside)


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path: Path, missing: str) -> None:
    parts = {"format": FORMAT, **content(9)}
    del parts[missing]

    assert missing in refusal(tmp_path, republished(tmp_path, saved_bytes(parts)))


class Payload:
    """Unpickled by an unsafe reader, it makes the marker file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self._marker}'",)


def test_fault_9_the_payload_would_run_where_pickles_are_trusted(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "marker")))

    assert (tmp_path / "marker").exists(), "the tests below could not fail"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["model", "whole"])
def test_fault_9_a_malicious_checkpoint_with_the_right_sum_is_refused_and_does_not_run(
    tmp_path: Path, zipped: bool, place: str
) -> None:
    marker = tmp_path / "marker"
    payload = Payload(marker)
    value = payload if place == "whole" else {"format": FORMAT, **content(9), place: payload}
    manifest = republished(tmp_path, saved_bytes(value, zipped=zipped))

    assert "refused" in refusal(tmp_path, manifest)

    assert not marker.exists()


def test_fault_9_a_bare_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    refusal(tmp_path, republished(tmp_path, pickle.dumps(Payload(marker), protocol=2)))

    assert not marker.exists()


def zip_of(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"archive/{name}", data)
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a checkpoint",
        b"PK\x05\x06" + b"\0" * 18,
        b"\x80\x02.",
        zip_of("other", b""),
        zip_of("data.pkl", b""),
        zip_of("data.pkl", b"\x80\x02."),
        zip_of("data.pkl", b"\x80\x02h\x00."),
        zip_of("data.pkl", b"\x80\x02}0."),
        zip_of("data.pkl", b"\x80\x02K\x01K\x02s."),
        zip_of("data.pkl", b"\x80\x02ctorch\nTensor\n)R."),
        zip_of("data.pkl", b"\x80\x02]X\x05\x00\x00\x00ab"),
        saved_bytes([1, 2]),
        saved_bytes({}),
        saved_bytes({"format": "1", **content(9)}),
        saved_bytes(torch.zeros(2)),
    ],
)
def test_fault_9_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    refusal(tmp_path, republished(tmp_path, data))


@pytest.mark.parametrize("stem", ["step-x", "step-", "step-00000009-x", "step-9", "step--1"])
def test_fault_56_a_file_of_another_name_is_no_checkpoint_and_no_error(
    tmp_path: Path, stem: str
) -> None:
    manifest = save(tmp_path, 7)
    (tmp_path / f"{stem}.pt").write_bytes(b"a")
    (tmp_path / f"{stem}.json").write_text("{}")

    chosen, notes = choose_checkpoint(tmp_path, "last", "run")

    assert (chosen.manifest, notes) == (manifest, [])


def test_a_newer_checkpoint_with_a_damaged_manifest_is_told_of(tmp_path: Path) -> None:
    save(tmp_path, 7)
    (tmp_path / "step-00000009.pt").write_bytes(b"a")
    (tmp_path / "step-00000009.json").write_text("{}")

    _, notes = choose_checkpoint(tmp_path, "last", "run")

    assert len(notes) == 1
    assert "step-00000009.pt: passed over: its manifest is damaged" in notes[0]
