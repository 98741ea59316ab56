"""Names of runs are safe and never shared; nothing outside the runs directory is written."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tui_trainer
from tests.runs.children import BOUND_S
from tests.runs.failing import DEATH, FAULTS, error_of, failures
from tui_trainer.runs.directory import (
    RunDirectory,
    check_writable,
    create_run,
    default_runs_dir,
    is_default,
    list_command,
    make_skeleton,
    why_not_writable,
)
from tui_trainer.runs.discarded import set_aside
from tui_trainer.runs.files import Files
from tui_trainer.runs.lookup import find_run, run_names
from tui_trainer.runs.names import asked_name
from tui_trainer.text.errors import BadInput, CannotWrite, ExitCode

NOON = datetime(2026, 11, 22, 12, 5, 59)
BAD_NAMES = [
    "../x",
    "..",
    ".",
    "/etc/x",
    "a/b",
    "a\\b",
    "nul\0byte",
    "x" * 300,
    "CON",
    "con.txt",
    "-rf",
    ".hidden",
    "",
    "\x1b[31mred",
    "\u202egnp.exe",
    "线性 🙂",
    "name.",
    " ",
]


def make_run(runs_dir: Path, name: str, age_s: int = 0) -> RunDirectory:
    """A run with a configuration that is `age_s` old."""
    run = RunDirectory(runs_dir / name)
    make_skeleton(run)
    run.config.write_text("seed: 1\n")
    os.utime(run.config, (1_700_000_000 - age_s,) * 2)
    return run


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_name_is_slug_month_day_hour_minute_and_a_number_when_taken(tmp_path: Path) -> None:
    runs = [create_run(tmp_path, "Digits, big!", NOON) for _ in range(3)]

    assert [run.path.name for run in runs] == [
        "digits-big-1122-1205",
        "digits-big-1122-1205-2",
        "digits-big-1122-1205-3",
    ]
    assert all(run.checkpoints.is_dir() and run.control.is_dir() for run in runs)
    assert all(run.path.is_absolute() for run in runs)


def test_the_mailbox_is_the_users_alone(tmp_path: Path) -> None:
    assert create_run(tmp_path, "x").control.stat().st_mode & 0o777 == 0o700


def test_fault_29_many_at_once_at_the_same_minute_get_runs_of_their_own(tmp_path: Path) -> None:
    start = threading.Barrier(16)
    made: list[Path] = []

    def make() -> None:
        start.wait(BOUND_S)
        made.extend(create_run(tmp_path, "same", NOON).path for _ in range(5))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_S)

    assert len(made) == 80
    assert len(set(made)) == 80
    assert len(os.listdir(tmp_path)) == 80


def test_a_name_is_not_used_while_anything_has_it(tmp_path: Path) -> None:
    (tmp_path / "x-1122-1205").write_text("a file")
    (tmp_path / "x-1122-1205-2").symlink_to(tmp_path / "nowhere")

    assert create_run(tmp_path, "x", NOON).path.name == "x-1122-1205-3"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_fault_36_a_bad_name_makes_a_run_inside_the_folder(tmp_path: Path, name: str) -> None:
    runs_dir = tmp_path / "runs"
    runs_dir.mkdir()

    run = create_run(runs_dir, name, NOON)

    assert os.listdir(tmp_path) == ["runs"]
    assert os.listdir(runs_dir) == [run.path.name]
    assert run.path.parent == runs_dir
    assert len(run.path.name) < 100
    run.config.write_text("")
    assert run_names(runs_dir) == [run.path.name], "a run that cannot be found again"


@given(name=st.text(max_size=400))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fault_36_no_text_makes_a_run_elsewhere(tmp_path: Path, name: str) -> None:
    run = create_run(tmp_path, name, NOON)

    assert run.path.parent == tmp_path
    assert run.path.name.isascii()
    assert not run.path.name.startswith(("-", "."))


def test_the_run_of_that_very_name_wins_over_one_whose_name_goes_on(tmp_path: Path) -> None:
    for name in ("inc-1127-1920", "inc2-1127-1921", "inc2-1127-1922"):
        make_run(tmp_path, name)
    assert find_run("inc", tmp_path).path.name == "inc-1127-1920"
    with pytest.raises(BadInput, match="ambiguous"):
        find_run("inc2", tmp_path)


@pytest.mark.parametrize(
    "reference",
    [
        *BAD_NAMES,
        "../../etc/passwd",
        "/etc",
        "/" + "x" * 300,
        "/a\0b",
        "~nobody-has-this-name/run",
        "x" * 5000 + "/y",
        "/proc/self/mem/x",
    ],
)
def test_fault_36_a_bad_reference_is_refused_in_one_harmless_line(
    tmp_path: Path, reference: str
) -> None:
    make_run(tmp_path, "digits-1")
    before = tree(tmp_path)

    with pytest.raises(BadInput) as caught:
        find_run(reference, tmp_path)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert tree(tmp_path) == before


def test_fault_36_a_link_in_the_runs_directory_is_no_run(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside", "theirs")
    runs_dir = tmp_path / "runs"
    make_run(runs_dir, "ours")
    (runs_dir / "link").symlink_to(outside.path)

    assert run_names(runs_dir) == ["ours"]
    assert find_run("last", runs_dir).path == runs_dir / "ours"
    with pytest.raises(BadInput):
        find_run("link", runs_dir)


def test_fault_36_folders_with_unsafe_names_or_without_files_of_a_run_are_no_runs(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, "good")
    for name in ["-rf", "\x1b[31m", ".hidden", "con"]:
        make_run(tmp_path, name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")

    assert run_names(tmp_path) == ["good"]


def test_runs_are_listed_newest_first_and_none_is_no_error(tmp_path: Path) -> None:
    for age_s, name in enumerate(["c", "a", "b"]):
        make_run(tmp_path, name, age_s)

    assert run_names(tmp_path) == ["c", "a", "b"]
    assert run_names(tmp_path / "not there") == []


def test_the_last_run_is_the_one_started_last_whatever_a_copy_did_to_the_file_times(
    tmp_path: Path,
) -> None:
    for age_s, name, started_at in [
        (0, "first", "2026-11-26T17:11:49+00:00"),
        (10, "resumed", "2026-11-26T19:30:00.250+01:00"),
        (20, "second", "2026-11-26T18:29:59.900+00:00"),
    ]:
        run = make_run(tmp_path, name, age_s)
        earlier = [{"started_at": "2030-01-01T00:00:00+00:00"}]
        run.provenance.write_text(json.dumps({"started_at": started_at, "earlier": earlier}))

    assert run_names(tmp_path) == ["resumed", "second", "first"]
    assert find_run("last", tmp_path).path.name == "resumed"

    # The start is read again once the record has changed.
    (tmp_path / "first" / "provenance.json").write_text('{"started_at": "2026-11-27T00:00:00Z"}')
    assert find_run("last", tmp_path).path.name == "first"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"started_at": 7}', '{"started_at": "0001-01-01"}']
)
def test_a_run_whose_start_cannot_be_read_counts_by_its_files(tmp_path: Path, text: str) -> None:
    for age_s, name in [(0, "new"), (10, "middle"), (20, "old")]:
        make_run(tmp_path, name, age_s).provenance.write_text(text)

    assert run_names(tmp_path) == ["new", "middle", "old"]


def test_a_run_is_opened_by_name_beginning_last_and_path(tmp_path: Path) -> None:
    old = make_run(tmp_path, "digits-1122-1205", 60)
    new = make_run(tmp_path, "digits-1122-1205-2", 0)
    penguins = make_run(tmp_path, "penguins-1122-1206", 30)

    assert find_run("last", tmp_path) == find_run("latest", tmp_path) == new
    assert find_run("digits-1122-1205", tmp_path) == old
    assert find_run("pen", tmp_path) == penguins
    assert find_run(str(old.path), tmp_path / "elsewhere") == old


def test_a_run_is_opened_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "digits")
    monkeypatch.chdir(tmp_path)

    assert find_run("./digits", Path("runs")).path == run.path
    assert find_run("digits/", Path("runs")).path == run.path


def test_a_beginning_of_several_names_and_a_near_miss_are_refused_with_them(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, "digits-1")
    make_run(tmp_path, "digits-2")

    with pytest.raises(BadInput, match="digits-1") as caught:
        find_run("dig", tmp_path)
    assert "digits-2" in str(caught.value)
    with pytest.raises(BadInput, match="did you mean 'digits-1'"):
        find_run("digts-1", tmp_path)
    with pytest.raises(BadInput, match="none"):
        find_run("last", tmp_path / "empty")
    with pytest.raises(BadInput, match=r"config\.yaml"):
        find_run(f"{tmp_path}/", tmp_path)


def test_fault_31_a_folder_that_can_be_written_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"

    check_writable(folder)
    check_writable(folder)

    assert folder.is_dir()
    assert os.listdir(folder) == []


def check_refused(folder: Path) -> None:
    """These tests use places that no mode opens to anybody, because root passes every mode."""
    for action in (check_writable, lambda path: create_run(path, "x")):
        with pytest.raises(CannotWrite) as caught:
            action(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == ExitCode.CANNOT_WRITE


def test_whether_a_folder_takes_runs_is_found_out_without_making_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, Path("runs"), tmp_path / "a" / "b"):
        assert why_not_writable(folder) == ""
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(CannotWrite) as caught:
            check_writable(folder)
        assert why_not_writable(folder) == str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_fault_31_below_a_regular_file_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    check_refused(tmp_path / "file")
    check_refused(tmp_path / "file" / "runs")

    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_fault_31_in_proc_nothing_can_be_written() -> None:
    check_refused(Path("/proc/runs"))
    check_refused(Path("/proc/self"))


def test_only_the_folder_that_every_shell_would_take_needs_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TUI_TRAINER_RUNS_DIR", raising=False)
    assert is_default(Path("runs"))
    assert not is_default(Path("other"))
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", "other")
    assert not is_default(Path("runs"))
    assert not is_default(Path("other"))


def test_the_runs_directory_comes_from_the_environment() -> None:
    assert default_runs_dir({}) == Path("runs")
    assert default_runs_dir({"TUI_TRAINER_RUNS_DIR": ""}) == Path("runs")
    assert default_runs_dir({"TUI_TRAINER_RUNS_DIR": "/data/runs"}) == Path("/data/runs")
    assert default_runs_dir({"TUI_TRAINER_RUNS_DIR": "~/runs"}) == Path.home() / "runs"


LINES = [b'{"step": %d}\n' % step for step in range(1, 7)]
STEPS = (2, 4, 6)


def trained(folder: Path) -> RunDirectory:
    """A run of six logged steps with checkpoints at 2, 4 and 6."""
    run = RunDirectory(folder)
    make_skeleton(run)
    run.metrics.write_bytes(b"".join(LINES))
    for step in STEPS:
        for path in files_of(run, step):
            path.write_text(f"of step {step}")
    return run


def files_of(run: RunDirectory, step: int) -> list[Path]:
    return [run.checkpoints / f"step-{step:08d}{suffix}" for suffix in (".json", ".pt")]


def back_to_2(run: RunDirectory, files: Files) -> Path | None:
    later = [path for step in (4, 6) for path in files_of(run, step)]
    return set_aside(run, later, len(b"".join(LINES[:2])), files)


def whole_steps(run: RunDirectory) -> list[int]:
    return [step for step in STEPS if all(path.exists() for path in files_of(run, step))]


def contents(folder: Path, names: Sequence[str]) -> list[bytes]:
    """Return the contents of the files with these names in all folders of discarded/."""
    return [path.read_bytes() for name in names for path in folder.glob(f"*/{name}")]


def test_what_lies_after_a_checkpoint_is_set_aside(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")

    folder = back_to_2(run, Files())

    assert folder == run.discarded / "1"
    assert run.metrics.read_bytes() == b"".join(LINES[:2])
    assert (folder / "metrics.jsonl").read_bytes() == b"".join(LINES[2:])
    assert whole_steps(run) == [2]
    assert len(os.listdir(folder)) == 5
    assert back_to_2(run, Files()) is None
    assert os.listdir(run.discarded) == ["1"]
    with run.metrics.open("ab") as file:
        file.write(LINES[2])
    assert back_to_2(run, Files()) == run.discarded / "2"


def test_a_run_without_metrics_is_set_aside_too(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    run.metrics.unlink()

    back_to_2(run, Files())

    assert whole_steps(run) == [2]
    assert not run.metrics.exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_1_to_4_setting_aside_loses_nothing_and_can_be_repeated(
    tmp_path: Path, fault: int | None
) -> None:
    seen = set()
    for files in failures(fault):
        run = trained(tmp_path / str(files.fail_at))

        error = error_of(back_to_2, run, files)

        seen.add(files.failed)
        check_nothing_lost(run)
        if files.failed and fault is not DEATH:
            assert isinstance(error, CannotWrite)
        back_to_2(run, Files())
        check_nothing_lost(run)
        assert run.metrics.read_bytes() == b"".join(LINES[:2])
        assert whole_steps(run) == [2]
    assert {"mkdir", "open_new", "replace", "truncate", "fsync", ""} <= seen


def check_nothing_lost(run: RunDirectory) -> None:
    kept = run.metrics.read_bytes()
    tails = contents(run.discarded, ["metrics.jsonl"])
    assert b"".join(LINES) in {kept + tail for tail in (b"", *tails)}
    for step in STEPS:
        for path in files_of(run, step):
            everywhere = [*contents(run.discarded, [path.name])]
            everywhere += [path.read_bytes()] if path.exists() else []
            assert everywhere == [f"of step {step}".encode()]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_14_after_a_cut_in_setting_aside_the_newest_checkpoint_has_all_its_lines(
    tmp_path: Path, fault: int | None
) -> None:
    for files in failures(fault):
        run = trained(tmp_path / str(files.fail_at))

        error_of(back_to_2, run, files)

        newest = whole_steps(run)[-1]
        assert run.metrics.read_bytes().startswith(b"".join(LINES[:newest])), files.failed


def test_commands_call_a_run_by_its_name_where_that_finds_it_and_else_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "digits")
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path))
    assert run.reference == "digits"
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path / "others"))
    assert find_run(run.reference, tmp_path / "others") == run


def test_a_command_on_a_run_finds_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = make_run(tmp_path / "runs", "here")
    newest, odd, away = (
        make_run(tmp_path / name, run)
        for name, run in (("runs", "last"), ("runs", "two words"), ("a way", "here"))
    )

    assert here.command("resume", "--force") == "tui-trainer resume here --force"
    # `last` is the newest run, a name with a blank is in no list, and the others are elsewhere.
    for run in (newest, odd, away):
        assert shlex.split(run.command("logs")) == ["tui-trainer", "logs", str(run.path)]
    for run in (here, newest, odd, away):
        assert find_run(run.reference, default_runs_dir()) == run
    assert list_command(Path("runs")) == "tui-trainer runs"
    assert list_command(tmp_path / "a way") == f"tui-trainer runs --runs-dir '{tmp_path}/a way'"


def test_only_one_function_names_runs_in_commands() -> None:
    words = re.compile(r"\b(resume|attach|ctl|logs|fork|evaluate|predict) $")
    package = Path(tui_trainer.__file__).parent
    wrong = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        for part, following in pairwise(node.values)
        if isinstance(part, ast.Constant)
        and "tui-trainer" in str(part.value)
        and words.search(str(part.value))
        and isinstance(following, ast.FormattedValue)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("asked", "default", "expected"),
    [
        ("", "digits-cnn", ""),
        ("digits-cnn", "digits-cnn", ""),
        ("My run", "digits-cnn", "my-run"),
        ("", "My file", ""),
        ("night-2026-1127", "digits-cnn", "night-2026-1127"),
    ],
)
def test_the_name_of_a_run_tells_the_name_that_was_asked_for(
    tmp_path: Path, asked: str, default: str, expected: str
) -> None:
    for _ in range(3):
        run = create_run(tmp_path, asked or default, NOON)
        assert asked_name(run.path.name, default) == expected
