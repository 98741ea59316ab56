from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from tui_trainer.config.sections.datasets import BUILTIN
from tui_trainer.data.files.disk import SUMS, builtin_bytes, open_file
from tui_trainer.text.errors import BadInput, ExitCode

BUILTIN_FOLDER = Path(str(files("tui_trainer.data"))) / "builtin"


@pytest.fixture
def copied_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    shutil.copytree(BUILTIN_FOLDER, folder)
    return folder


def test_every_builtin_file_matches_its_sum_and_is_in_the_readme() -> None:
    sums = json.loads((BUILTIN_FOLDER / SUMS).read_text("utf-8"))
    readme = (BUILTIN_FOLDER / "README.md").read_text("utf-8")
    beside = {path.name for path in BUILTIN_FOLDER.iterdir()} - {SUMS, "README.md"}

    assert set(sums) == beside
    for name, digest in sums.items():
        assert hashlib.sha256((BUILTIN_FOLDER / name).read_bytes()).hexdigest() == digest
        assert f"`{name}`" in readme
        assert digest in readme


def test_a_builtin_file_is_unpacked_and_its_sum_is_of_the_packed_bytes() -> None:
    file = open_file(f"{BUILTIN}digits.csv.gz")

    assert file.content[:].count(b"\n") == 1797
    assert (
        file.sha256 == hashlib.sha256((BUILTIN_FOLDER / "digits.csv.gz").read_bytes()).hexdigest()
    )


def test_an_unknown_builtin_name_lists_what_there_is() -> None:
    with pytest.raises(BadInput) as caught:
        open_file("builtin:digit.csv.gz")

    message = str(caught.value)
    assert "did you mean 'digits.csv.gz'?" in message
    assert "builtin:digits.csv.gz, builtin:penguins.csv" in message
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "name",
    ["../dataset.py", "../files/penguins.csv", "/etc/passwd", "./penguins.csv", "", ".", SUMS],
)
def test_fault_36_a_builtin_name_is_never_a_path(name: str) -> None:
    with pytest.raises(BadInput, match="no file builtin:"):
        open_file(BUILTIN + name)


@pytest.mark.parametrize("position", [0, 10, -1])
def test_fault_40_an_altered_builtin_file_is_refused(copied_folder: Path, position: int) -> None:
    path = copied_folder / "penguins.csv"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadInput, match=r"builtin:penguins\.csv was altered"):
        builtin_bytes("penguins.csv", copied_folder)
    assert builtin_bytes("digits.csv.gz", copied_folder)


def test_fault_40_a_missing_builtin_file_or_list_of_sums_is_refused(copied_folder: Path) -> None:
    (copied_folder / "penguins.csv").unlink()
    with pytest.raises(BadInput, match=r"penguins\.csv.*install the program again"):
        builtin_bytes("penguins.csv", copied_folder)

    for damaged in ("", "[]", "{"):
        (copied_folder / SUMS).write_text(damaged)
        with pytest.raises(BadInput, match=SUMS):
            builtin_bytes("digits.csv.gz", copied_folder)


def test_a_missing_file_is_named_with_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "flowers.csv").write_text("a,b\n")

    with pytest.raises(BadInput) as caught:
        open_file(str(tmp_path / "flower.csv"))
    assert f"{tmp_path}/flower.csv: no such file (did you mean 'flowers.csv'?)" in str(caught.value)

    with pytest.raises(BadInput, match="there is no folder"):
        open_file(str(tmp_path / "nowhere" / "flower.csv"))
    with pytest.raises(BadInput, match=r"no such file \(there is no folder"):
        open_file(str(tmp_path / "flowers.csv" / "flower.csv"))


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")

    with pytest.raises(BadInput, match="not a regular file"):
        open_file(str(tmp_path / "pipe.csv"))
    with pytest.raises(BadInput, match="is a folder"):
        open_file(str(tmp_path))


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_an_impossible_path_is_bad_input(path: str) -> None:
    with pytest.raises(BadInput):
        open_file(path)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    unnamed = tmp_path / "packed.csv"
    unnamed.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert open_file(str(unnamed)).content == b"a,b\n1,2\n"

    misnamed = tmp_path / "plain.csv.gz"
    misnamed.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(BadInput, match="is not a gzip file"):
        open_file(str(misnamed))


def test_a_damaged_gzip_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    packed = gzip.compress(b"1,2,3\n" * 50)
    path = tmp_path / "data.csv.gz"
    for length in range(2, len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(BadInput, match="damaged or cut short"):
            open_file(str(path))
    flipped = bytearray(packed)
    flipped[-6] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(BadInput, match="damaged or cut short"):
        open_file(str(path))


def test_a_file_is_refused_by_its_size_packed_or_not(tmp_path: Path) -> None:
    plain, bomb = tmp_path / "plain.csv", tmp_path / "bomb.csv.gz"
    plain.write_bytes(b"1" * 5000)
    bomb.write_bytes(gzip.compress(b"1" * 50_000_000))

    for path in (plain, bomb):
        with pytest.raises(BadInput, match="too much to hold in memory"):
            open_file(str(path), max_bytes=4999 if path == plain else 1_000_000)


def test_fault_37_a_file_name_with_escapes_is_shown_harmlessly(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        open_file(str(tmp_path / "\x1b[31mred\u202e.csv"))

    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
