"""A file that another program puts into a run is never followed, waited for, or trusted."""

from __future__ import annotations

import ast
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tui_trainer
from tests.runs.children import BOUND_S
from tui_trainer.runs.directory import RunDirectory, check_run, make_skeleton
from tui_trainer.runs.discarded import set_aside
from tui_trainer.runs.files import PREFIX, Files, sweep_temporaries
from tui_trainer.runs.folder import NotOurs, UnsafeFile, check_ours
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.journal import MOST_LINE_BYTES, Journal, read_records
from tui_trainer.runs.lookup import find_run
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.runs.paths import (
    count_files,
    exists,
    is_folder,
    names_in,
    open_file,
    read_file,
    remove_tree,
    size_of,
)
from tui_trainer.runs.status import read_status
from tui_trainer.text.errors import BadInput, CannotWrite

pytestmark = pytest.mark.timeout(BOUND_S)

FILES = (
    *("config.yaml", "provenance.json", "metrics.jsonl", "events.jsonl", "edits.jsonl"),
    *("status.json", "history.bin", "output.log", "lock"),
)
FOLDERS = ("checkpoints", "control", "discarded")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = RunDirectory(tmp_path / "runs" / "x")
    make_skeleton(made)
    made.config.write_text("seed: 1\n")
    made.discarded.mkdir()
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    for number in range(120):
        (folder / f"thesis-{number}.txt").write_text("mine")
    return folder


@pytest.fixture
def untouched(victim: Path) -> Iterator[None]:
    """Asserts at the end that the victim's folder is as it was."""
    before = contents(victim)
    yield
    assert contents(victim) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def link(path: Path) -> None:
    target = path.parent.parent / "elsewhere"
    target.write_text('{"step": 1}\n')
    path.symlink_to(target)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def folder(path: Path) -> None:
    path.mkdir()


ODD: dict[str, Callable[[Path], None]] = {
    "symbolic link": link,
    "symbolic link to nowhere": link_to_nowhere,
    "symbolic link to a device": endless,
    "named pipe": os.mkfifo,
    "sparse file": sparse,
    "folder": folder,
}


def put(path: Path, kind: str) -> Path:
    if path.is_dir():
        remove_tree(path)
    path.unlink(missing_ok=True)
    ODD[kind](path)
    return path


@pytest.mark.parametrize("kind", ODD)
def test_only_regular_files_are_opened_and_at_once(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / "file", kind)

    for opening in (open_file, lambda path: read_file(path, 100), Files().open_append):
        with pytest.raises(UnsafeFile, match=kind.removesuffix(" to nowhere").split(" to a ")[0]):
            opening(path)
    assert size_of(path) == 0


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The path of a socket may have 107 bytes.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(UnsafeFile, match="is a socket, not a file"):
            open_file(tmp_path / "s")


def test_a_file_that_is_larger_than_it_may_be_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read_file(path, 5) == b"12345"
    with pytest.raises(UnsafeFile, match="more than 4 bytes"):
        read_file(path, 4)


def test_a_large_file_of_real_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (65 * 2**20))

    assert size_of(path) == 65 * 2**20


def test_a_file_with_a_second_name_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    os.link(path, tmp_path / "second")

    with pytest.raises(UnsafeFile, match="hard link"):
        Files().open_append(path)
    assert read_file(path, 10) == b"mine"


def test_what_is_another_users_is_read_and_not_written(tmp_path: Path) -> None:
    facts = list(os.stat(tmp_path))
    facts[4] = os.geteuid() + 1
    theirs = os.stat_result(facts)

    if os.geteuid() == 0:
        check_ours(theirs, str(tmp_path))
    else:
        with pytest.raises(NotOurs, match="belongs to user"):
            check_ours(theirs, str(tmp_path))


@pytest.mark.parametrize("nesting", ["discarded", "control"])
def test_neither_a_folder_nor_the_one_around_it_is_reached_by_a_link(
    tmp_path: Path, nesting: str
) -> None:
    real = tmp_path / "real" / nesting / "1"
    real.mkdir(parents=True)
    (real / "file").write_text("x")
    (tmp_path / nesting).symlink_to(tmp_path / "real" / nesting)
    (tmp_path / "last").symlink_to(real)

    assert read_file(real / "file", 10) == b"x"
    for path in (tmp_path / nesting / "1" / "file", tmp_path / "last" / "file"):
        with pytest.raises(UnsafeFile, match="symbolic link"):
            read_file(path, 10)
        assert not exists(path)
        with pytest.raises(UnsafeFile, match="symbolic link"):
            Files().open_append(path)
    assert names_in(tmp_path / "last") == []
    assert not is_folder(tmp_path / "last")


def test_a_run_is_found_through_links_and_then_has_none_in_its_path(
    run: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(run.path.parent)

    assert find_run("x", tmp_path / "link") == run
    assert find_run(str(tmp_path / "link" / "x"), tmp_path) == run
    assert [summary.path for summary in list_runs(tmp_path / "link")] == [run.path]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ODD)
def test_fault_53_a_run_with_an_odd_file_is_refused_by_its_name(
    run: RunDirectory, name: str, kind: str
) -> None:
    put(run.path / name, kind)

    with pytest.raises(BadInput, match=name):
        check_run(run)
    with pytest.raises(BadInput):
        find_run("x", run.path.parent)
    listed = list_runs(run.path.parent)
    assert [summary.state for summary in listed] == ["unreadable"]


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("kind", ["symbolic link", "symbolic link to nowhere", "named pipe"])
def test_fault_53_a_run_with_an_odd_folder_is_refused_by_its_name(
    run: RunDirectory, name: str, kind: str
) -> None:
    put(run.path / name, kind)

    with pytest.raises(BadInput, match=f"{name} is a (symbolic link|named pipe), not a folder"):
        check_run(run)


def test_a_run_as_it_is_made_is_not_refused(run: RunDirectory) -> None:
    check_run(run, writing=True)


def test_fault_53_what_is_rejected_goes_through_no_link(
    run: RunDirectory, victim: Path, untouched: None
) -> None:
    (run.control / "rejected").symlink_to(victim)

    with pytest.raises(BadInput, match="control/rejected is a symbolic link"):
        check_run(run, writing=True)


@pytest.mark.parametrize("name", ["control", "checkpoints"])
def test_fault_53_the_folders_of_a_run_are_not_made_through_a_link(
    run: RunDirectory, victim: Path, untouched: None, name: str
) -> None:
    put(run.path / name, "symbolic link")
    (run.path / name).unlink()
    (run.path / name).symlink_to(victim)

    with pytest.raises(CannotWrite, match=f"{name} is a symbolic link"):
        make_skeleton(run)
    assert victim.stat().st_mode & 0o777 != 0o700


def test_fault_53_nothing_is_set_aside_through_a_link(
    run: RunDirectory, victim: Path, untouched: None
) -> None:
    run.metrics.write_text('{"step": 1}\n{"step": 2}\n')
    run.discarded.rmdir()
    run.discarded.symlink_to(victim)

    with pytest.raises(CannotWrite, match="discarded is a symbolic link"):
        set_aside(run, [], 12, Files())
    assert run.metrics.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_fault_53_nothing_is_swept_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{PREFIX}1-file").write_text("theirs")
    (tmp_path / "link").symlink_to(outside)

    sweep_temporaries(tmp_path / "link")
    assert (outside / f"{PREFIX}1-file").exists()
    sweep_temporaries(outside)
    assert not (outside / f"{PREFIX}1-file").exists()


@pytest.mark.parametrize("kind", ODD)
def test_fault_53_an_odd_manifest_is_passed_over(run: RunDirectory, kind: str) -> None:
    put(run.checkpoints / "step-00000016.json", kind)
    (run.checkpoints / "step-00000016.pt").write_bytes(b"x")

    assert read_manifests(run.checkpoints) == []


def test_the_path_of_a_run_may_be_removed_with_links_in_it(
    run: RunDirectory, victim: Path, untouched: None
) -> None:
    (run.checkpoints / "step-00000001.pt").symlink_to(victim / "thesis-1.txt")
    (run.path / "notes").symlink_to(victim)

    assert count_files(run.path, ".pt") == (0, len("seed: 1\n"))
    remove_tree(run.path)
    assert not run.path.exists()


def test_lines_that_are_too_long_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    long = b'{"step": 2, "text": "' + b"x" * MOST_LINE_BYTES + b'"}\n'
    path.write_bytes(b'{"step": 1}\n' + long + b'{"step": 3}\n' + long[:-1])

    assert [record["step"] for _, record in read_records(path)] == [1, 3]
    assert [offset for offset, _ in read_records(path)] == [12, 12 + len(long) + 12]


def test_a_status_is_read_at_once_or_not_at_all(run: RunDirectory) -> None:
    for kind in ODD:
        put(run.status, kind)
        assert read_status(run.status) is None


def test_a_folder_that_is_swapped_for_a_link_takes_no_more_lines(
    run: RunDirectory, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    run.events.symlink_to(outside)

    with pytest.raises(UnsafeFile):
        Journal(run.events)
    assert outside.read_text() == ""


ROOT = Path(tui_trainer.__file__).parent
OF_OS = {
    *("open", "rename", "replace", "unlink", "remove", "mkdir", "makedirs", "rmdir", "scandir"),
    *("listdir", "link", "symlink", "truncate", "utime", "chmod", "chown", "mkfifo", "walk"),
    *("removedirs", "renames", "stat", "lstat"),
}
OF_OS_PATH = {"exists", "isdir", "isfile", "getsize", "getmtime", "lexists"}
OF_PATH = {
    *("open", "read_bytes", "read_text", "write_bytes", "write_text", "iterdir", "glob", "rglob"),
    *("symlink_to", "hardlink_to", "chmod", "touch", "exists", "is_file", "is_dir", "is_symlink"),
    *("stat", "lstat"),
}
OF_PATH_WITH_SO_MANY_ARGUMENTS = {"unlink": 0, "mkdir": 0, "rmdir": 0, "rename": 1, "replace": 1}
"""`Files` has methods of the same names, with one argument more."""

ELSEWHERE: dict[str, tuple[set[str], str]] = {
    "cli/main": ({"open"}, "/dev/null in the place of descriptors that are closed"),
    "cli/detached": ({"open"}, "/dev/null"),
    "cli/hints": ({"exists"}, "whether a word names a file of the user's"),
    "cli/own_data": (
        {"exists", "getsize", "isdir", "isfile"},
        "the data that a word of the user's may name",
    ),
    "cli/output_file": (
        {"lexists", "mkdir", "replace", "unlink", "is_file"},
        "the file or folder that the user names for predictions",
    ),
    "cli/prediction_file": ({"open"}, "that file, under another name until it is complete"),
    "cli/plugin": ({"open"}, "a new file of the user's to start a plugin from"),
    "cli/preferences": ({"exists", "mkdir", "open"}, "the user's preferences"),
    "cli/presets": ({"mkdir", "open", "read_bytes", "read_text"}, "presets"),
    "runs/folder": (
        {
            *("open", "mkdir", "replace", "link", "unlink", "utime", "listdir", "stat", "lstat"),
        },
        "the door itself",
    ),
    "runs/paths": ({"rmtree"}, "removes a folder below one that the door has opened"),
    "runs/directory": (
        {"mkdir", "TemporaryFile", "isdir", "lexists"},
        "the folder that holds the runs, and making the directory of a run in it",
    ),
    "runs/lookup": ({"scandir", "is_dir", "stat"}, "the folder that holds the runs"),
    "runs/index": ({"TemporaryFile", "stat"}, "the clock of the file system that the runs are on"),
    "runs/files": ({"exists", "disk_usage"}, "how much room is on the disk"),
    "runs/host": ({"read_text"}, "/proc"),
    "runs/lock": ({"read_bytes"}, "/proc"),
    "runs/repository": (
        {"open", "stat", "lstat", "lexists"},
        "the files of the user's own repository",
    ),
    "machine/devices": ({"exists", "open", "read_text"}, "/proc and /sys"),
    "machine/doctor": ({"disk_usage", "isdir", "lexists"}, "the folders that it tells of"),
    "sessions/data_files": (
        {"scandir", "is_dir", "is_file", "stat", "open"},
        "the folders and files that the user looks for data in",
    ),
    "sessions/plugin_check": ({"TemporaryDirectory"}, "the folder of runs that are thrown away"),
    "sessions/new_run": ({"exists"}, "a file that the user named in training.init_from"),
    "sessions/run_reader": ({"isdir"}, "whether the folder that holds the runs is there"),
    "sessions/thumbnails": (
        {"scandir", "is_dir", "is_file", "open"},
        "the user's pictures; PIL opens the bytes of a run's previews, which come through the door",
    ),
    "training/preparation": (
        {"is_dir", "is_file", "open"},
        "what the user named in training.init_from",
    ),
    "ui/terminal/stdout": ({"TemporaryFile"}, "a file without a name, for what programs print"),
    "ui/runs/screen": ({"open"}, "a bar that is opened"),
    "ui/run/layout": ({"open"}, "a bar that is opened"),
    "ui/compose/save_preset": ({"exists", "is_symlink"}, "presets"),
    "ui/compose/search": ({"open"}, "a bar that is opened"),
    "ui/terminal/terminal": ({"open"}, "the terminal, and /dev/null"),
}
"""Direct uses of the file system that modules may make, and on which files."""


def file_call(node: ast.AST) -> str:
    """The name of a call that reaches a file by its path; empty for any other node."""
    if not isinstance(node, ast.Call):
        return ""
    called = node.func
    if isinstance(called, ast.Name):
        return called.id if called.id == "open" else ""
    if not isinstance(called, ast.Attribute):
        return ""
    name, owner = called.attr, ast.unparse(called.value)
    known = {
        "os": name in OF_OS,
        "os.path": name in OF_OS_PATH,
        "shutil": name not in ("copyfileobj", "get_terminal_size"),
        "tempfile": True,
        "dataclasses": False,
    }
    if owner in known:
        return name if known[owner] else ""
    if name in OF_PATH_WITH_SO_MANY_ARGUMENTS:
        return name if len(node.args) == OF_PATH_WITH_SO_MANY_ARGUMENTS[name] else ""
    return name if name in OF_PATH else ""


def test_runs_are_opened_through_one_door() -> None:
    """`data`, `models` and `config` know no runs, so they may open files."""
    elsewhere: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        module = path.relative_to(ROOT).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        if module.split("/")[0] in ("data", "models", "config", "plugins"):
            assert "tui_trainer.runs" not in text
        elif calls := {file_call(node) for node in ast.walk(ast.parse(text))} - {""}:
            elsewhere[module] = calls

    assert elsewhere == {module: calls for module, (calls, _) in ELSEWHERE.items()}, (
        "what is in a run is opened through tui_trainer.runs.folder"
    )
