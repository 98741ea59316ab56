"""A file is the old one or the new one, at whichever call the disk fails or the process dies."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.runs.failing import DEATH, FAULTS, Died, FailingFiles, error_of, failures
from tui_trainer.runs.files import (
    PREFIX,
    Files,
    cannot_write,
    publish,
    sweep_temporaries,
    write_atomically,
)
from tui_trainer.text.errors import CannotWrite, ExitCode

OLD = b"the old one"
NEW = b"the new one, which is longer" * 100


def write_new(file: BinaryIO) -> None:
    for begin in range(0, len(NEW), 700):
        file.write(NEW[begin : begin + 700])


def write_old(file: BinaryIO) -> None:
    file.write(OLD)


def verify(path: Path) -> None:
    assert path.read_bytes() == NEW


def temporaries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(PREFIX)]


def check_outcome(files: FailingFiles, fault: int | None, error: object, target: Path) -> None:
    """Check the state after publishing: a complete file, a fitting error, nothing left behind."""
    assert target.read_bytes() in (OLD, NEW)
    if not files.failed:
        assert error is None
        assert target.read_bytes() == NEW
    elif fault is DEATH:
        assert isinstance(error, Died)
        assert target.read_bytes() == NEW or files.failed != "fsync_directory"
    else:
        assert isinstance(error, CannotWrite)
        assert str(target) in str(error)
        assert os.strerror(fault) in str(error)
        assert error.exit_code == ExitCode.CANNOT_WRITE
    if fault is errno.ENOSPC and files.failed:
        assert re.search(r"[\d.]+ [kMGT]B free", str(error))
    if fault is not DEATH:
        assert temporaries(target.parent) == []
    sweep_temporaries(target.parent)
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_1_to_4_publish_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, fault: int | None, torn: bool
) -> None:
    seen = set()
    for files in failures(fault, torn=torn):
        target = tmp_path / str(files.fail_at) / "file"
        target.parent.mkdir()
        target.write_bytes(OLD)

        error = error_of(publish, files, target, write_new, verify)

        check_outcome(files, fault, error, target)
        seen.add(files.failed)
    assert {"open_new", "write", "fsync", "replace", "fsync_directory", ""} <= seen


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_1_to_4_write_atomically_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, fault: int | None
) -> None:
    for files in failures(fault):
        target = tmp_path / str(files.fail_at) / "file"
        target.parent.mkdir()
        target.write_bytes(OLD)

        error = error_of(write_atomically, target, NEW, files)

        check_outcome(files, fault, error, target)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_13_a_first_file_is_whole_or_not_there(tmp_path: Path, fault: int | None) -> None:
    for files in failures(fault):
        target = tmp_path / str(files.fail_at) / "file"
        target.parent.mkdir()

        error_of(write_atomically, target, NEW, files)

        assert not target.exists() or target.read_bytes() == NEW


def test_what_write_or_verify_raises_passes_and_nothing_is_left(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)

    def fail(_: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        publish(Files(), target, fail)
    with pytest.raises(LookupError, match="mine"):
        publish(Files(), target, write_new, verify=fail)

    assert os.listdir(tmp_path) == ["file"]
    assert target.read_bytes() == OLD


def test_publish_tells_how_many_bytes_it_wrote(tmp_path: Path) -> None:
    assert publish(Files(), tmp_path / "file", write_new) == len(NEW)
    assert publish(Files(), tmp_path / "file", write_old) == len(OLD)
    assert (tmp_path / "file").read_bytes() == OLD


def test_short_writes_are_carried_on(tmp_path: Path) -> None:
    class Short(Files):
        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            return super().write(descriptor, data[:7])

    write_atomically(tmp_path / "file", NEW, Short())

    assert (tmp_path / "file").read_bytes() == NEW


def test_fault_36_a_link_at_the_target_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(OLD)
    target = tmp_path / "file"
    target.symlink_to(outside)

    write_atomically(target, NEW)

    assert outside.read_bytes() == OLD
    assert not target.is_symlink()
    assert target.read_bytes() == NEW


def test_fault_1_the_error_of_a_full_disk_tells_what_is_needed(tmp_path: Path) -> None:
    # open_new is the second call, after the removal of an old temporary file.
    files = FailingFiles(3, errno.ENOSPC)

    with pytest.raises(CannotWrite, match=r"at least 3\.1 MB needed, [\d.]+ [kMGT]B free"):
        write_atomically(tmp_path / "file", bytes(3 << 20), files)

    assert files.failed == "write"


def test_fault_32_a_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file") as caught:
        write_atomically(tmp_path / "gone" / "file", NEW)

    assert "\n" not in str(caught.value)
    assert str(tmp_path / "gone" / "file") in str(caught.value)


def test_fault_1_the_error_of_a_full_disk_tells_what_is_free_even_where_nothing_is(
    tmp_path: Path,
) -> None:
    error = cannot_write(tmp_path / "not" / "there" / "file", OSError(errno.EDQUOT, "Quota"))

    assert re.search(
        r"file: cannot be written: Quota; [\d.]+ [kMGT]B free there; free ", str(error)
    )


def test_only_our_temporaries_are_swept(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}1-step.pt").write_bytes(b"half")
    (tmp_path / "step.pt").write_bytes(b"whole")
    (tmp_path / f"{PREFIX}folder").mkdir()

    sweep_temporaries(tmp_path)
    sweep_temporaries(tmp_path / "not there")

    assert sorted(os.listdir(tmp_path)) == [f"{PREFIX}folder", "step.pt"]
