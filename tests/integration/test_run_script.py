"""`./run`, driven for real against interpreters and a pip that only pretend."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.fake_python import make_program, make_python

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.processes

PARTS = ("run", "pyproject.toml", "constraints.txt", "tui_trainer/__init__.py")
TOOLS = (
    *("bash", "cat", "cksum", "df", "dirname", "env", "find", "flock", "grep", "ls", "mkdir", "mv"),
    *("readlink", "rm", "sed", "sh", "timeout", "tr", "uname"),
)
QUICK = [
    "not full and not soak and not processes and not further and not gpu",
    "--hypothesis-profile=quick",
]
BOUND_S = 300.0


class Fakes:
    """A checkout in a folder with a space, and a PATH with nothing but tools and fake pythons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "a checkout"
        self.bin = folder / "bin"
        self.log = folder / "calls"
        self.pip = folder / "pip"
        self.pip.write_text("works")
        self.bin.mkdir()
        for part in PARTS:
            target = self.home / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / part, target)
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.bin / tool).symlink_to(found)
        self.replace("uname", "echo Linux x86_64")

    def python(
        self,
        name: str = "python3",
        version: str = "3.12",
        *,
        venv: str = "yes",
        works: bool = True,
        torch: bool = False,
        cuda: bool = False,
        builds: str = "2.13.0",
        pytest: int = 0,
    ) -> Path:
        """An interpreter in the PATH, or where `name` says."""
        me = {"version": version, "venv": venv, "works": works, "torch": torch, "cuda": cuda}
        places = {"log": str(self.log), "pip": str(self.pip), "bad": str(self.folder / "bad")}
        path = self.bin / name
        make_python(path, {**me, **places, "builds": builds, "pytest": pytest})
        return path

    def replace(self, tool: str, text: str) -> None:
        (self.bin / tool).unlink()
        make_program(self.bin / tool, text)

    def start(
        self, *words: str, script: Path | None = None, cwd: Path | None = None, **env: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.bin / "bash"), str(script or self.home / "run"), *words],
            cwd=cwd or self.folder,
            env={"PATH": str(self.bin), "HOME": str(self.folder), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, script: Path | None = None, cwd: Path | None = None, **env: str
    ) -> tuple[int, list[str], list[str]]:
        """Exit status, and the lines of stdout and stderr."""
        with self.start(*words, script=script, cwd=cwd, **env) as process:
            out, err = process.communicate(timeout=BOUND_S)
        return process.returncode, out.splitlines(), err.splitlines()

    def calls(self, *beginning: str) -> list[list[str]]:
        """Calls of pythons that began so, since the last time they were forgotten."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        words: list[list[str]] = [json.loads(line) for line in lines]
        return [one for one in words if tuple(one[: len(beginning)]) == beginning]

    def forget(self) -> None:
        self.log.unlink(missing_ok=True)

    def environments_made(self) -> int:
        return len(self.calls("-m", "venv"))

    def installs(self) -> list[list[str]]:
        return [words[3:] for words in self.calls("-m", "pip", "install")]


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    return Fakes(tmp_path)


def test_fault_54_nothing_of_the_current_folder_runs(fakes: Fakes) -> None:
    fakes.python()
    python, places = fakes.bin / "python3", fakes.folder / "places"
    python.write_text(python.read_text().replace("exec ", f"pwd >>'{places}'\nexec ", 1))
    unpacked, ran = fakes.folder / "unpacked", fakes.folder / "ran"
    for name in (*TOOLS, "python3", "python3.13"):
        make_program(unpacked / name, f"echo {name} >>'{ran}'")
    code, out, _ = fakes.run("where", cwd=unpacked, PATH=f".::{fakes.bin}:../unpacked:")
    assert not ran.exists()
    assert (code, out) == (7, [str(unpacked), "where"])
    # Where a Python is started by -c or -m, nothing of that folder is imported.
    assert set(places.read_text().splitlines()) == {str(fakes.home)}


def fails_in_one_line(result: tuple[int, list[str], list[str]], status: int) -> str:
    code, out, err = result
    assert (code, out, len(err)) == (status, [], 1), err
    return err[0]


def test_the_first_call_installs_says_what_it_takes_and_hands_over(fakes: Fakes) -> None:
    fakes.python()
    code, out, err = fakes.run("train", "a preset", "x=1")
    assert (code, out) == (7, ["train", "a preset", "x=1"])
    assert fakes.installs() == [["-c", "constraints.txt", "-e", "."]]
    said = "\n".join(err)
    assert "to download: torch 2.13.0" in said
    assert "MB are free" in said
    assert (fakes.home / ".venv/bin/tui-trainer").exists()


def test_no_arguments_stay_none(fakes: Fakes) -> None:
    fakes.python()
    assert fakes.run()[1] == [""]


def test_a_second_call_starts_no_python_and_says_nothing(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("runs")
    fakes.forget()
    assert fakes.run("runs", "--json") == (7, ["runs", "--json"], [])
    assert fakes.calls() == []


def test_it_works_from_anywhere_and_through_links(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("runs")
    fakes.forget()
    first, second = fakes.folder / "link", fakes.bin / "trainer"
    first.symlink_to(Path("a checkout") / "run")
    second.symlink_to(first)
    assert fakes.run("x", script=second, cwd=Path("/")) == (7, ["x"], [])
    assert fakes.run("x", script=Path("run"), cwd=fakes.home) == (7, ["x"], [])
    assert fakes.calls() == []


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_changed_file_has_pip_look_again_in_the_same_environment(fakes: Fakes, part: str) -> None:
    fakes.python()
    fakes.run("x")
    fakes.forget()
    with open(fakes.home / part, "a", encoding="utf-8") as file:
        file.write("\n# more\n")
    assert fakes.run("x")[0] == 7
    assert (fakes.environments_made(), len(fakes.installs())) == (0, 1)
    fakes.forget()
    fakes.run("x")
    assert fakes.calls() == []


def test_the_packages_for_tests_come_with_test_and_stay(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("x")
    fakes.forget()
    fakes.run("test")
    assert fakes.installs() == [["-c", "constraints.txt", "-e", ".[dev]"]]
    fakes.forget()
    fakes.run("x")
    fakes.run("check")
    assert fakes.installs() == []
    (fakes.home / "constraints.txt").write_text("torch==2.13.0\n")
    fakes.run("x")
    assert fakes.installs() == [["-c", "constraints.txt", "-e", ".[dev]"]]


def test_the_program_starts_where_the_user_is(fakes: Fakes) -> None:
    fakes.python()
    for _ in range(2):
        assert fakes.run("where", cwd=fakes.bin)[1] == [str(fakes.bin), "where"]


def test_a_python_that_became_another_gets_a_new_environment(fakes: Fakes) -> None:
    python = fakes.python("python3.12")
    link = fakes.bin / "python3"
    link.symlink_to(python)
    fakes.run("x")
    fakes.forget()
    link.unlink()
    link.symlink_to(fakes.python("python3.13", version="3.13"))
    assert fakes.run("x")[0] == 7
    assert fakes.environments_made() == 1


def test_an_environment_is_not_built_from_its_own_python(fakes: Fakes) -> None:
    good = fakes.python()
    fakes.run("x")
    (fakes.home / ".venv/.installed").unlink()
    activated = f"{fakes.home / '.venv/bin'}:{fakes.bin}"
    code, _, err = fakes.run("x", PATH=activated)
    assert code == 7
    assert err[0].endswith(f"from {good}")
    line = fails_in_one_line(
        fakes.run("x", TUI_TRAINER_PYTHON=str(fakes.home / ".venv/bin/python")), 2
    )
    assert "itself" in line


def test_a_moved_environment_is_made_anew(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("x")
    fakes.forget()
    moved = (fakes.home / ".venv").rename(fakes.folder / "moved")
    assert fakes.run("x", TUI_TRAINER_VENV=str(moved))[0] == 7
    assert fakes.environments_made() == 1


def test_a_moved_checkout_gets_a_new_environment(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("x")
    fakes.forget()
    fakes.home = fakes.home.rename(fakes.folder / "moved")
    assert fakes.run("x")[0] == 7
    assert fakes.environments_made() == 1


def test_an_installation_that_fails_is_shown_and_not_taken_as_done(fakes: Fakes) -> None:
    fakes.python()
    fakes.pip.write_text("fails")
    code, out, err = fakes.run("x")
    assert (code, out) == (1, [])
    assert "no such package" in err
    assert "start it again" in err[-1]
    fakes.pip.write_text("works")
    fakes.forget()
    assert fakes.run("x")[0] == 7
    assert fakes.environments_made() == 1


def test_an_update_that_fails_keeps_the_environment(fakes: Fakes) -> None:
    fakes.python()
    fakes.run("x")
    (fakes.home / "constraints.txt").write_text("torch==2.13.0\n")
    fakes.pip.write_text("fails")
    assert fakes.run("x")[0] == 1
    fakes.pip.write_text("works")
    fakes.forget()
    assert fakes.run("x")[0] == 7
    assert (fakes.environments_made(), len(fakes.installs())) == (0, 1)


@pytest.mark.parametrize("when", ["first", "later"])
def test_an_installation_that_was_killed_is_made_from_nothing(fakes: Fakes, when: str) -> None:
    fakes.python()
    if when == "later":
        fakes.run("x")
        (fakes.home / "constraints.txt").write_text("torch==2.13.0\n")
    fakes.pip.write_text("is killed")
    assert fakes.run("x")[0] == -9
    left_over = fakes.home / ".venv" / "left over"
    left_over.touch()
    fakes.pip.write_text("works")
    fakes.forget()
    assert fakes.run("x")[0] == 7
    assert fakes.environments_made() == 1
    assert not left_over.exists()


@pytest.mark.skipif(shutil.which("flock") is None, reason="without flock nothing is locked")
def test_a_second_call_waits_for_the_one_that_installs(fakes: Fakes) -> None:
    fakes.python()
    gate = fakes.folder / "gate"
    os.mkfifo(gate)
    fakes.pip.write_text(f"waits for {gate}")
    with fakes.start("first") as first:
        assert first.stderr is not None
        while "installing" not in first.stderr.readline():
            assert first.poll() is None
        with fakes.start("second") as second:
            assert second.stderr is not None
            assert "another ./run is installing" in second.stderr.readline()
            gate.write_text("go on")
            assert first.communicate(timeout=BOUND_S)[0] == "first\n"
            assert second.communicate(timeout=BOUND_S) == ("second\n", "")
    assert (fakes.environments_made(), len(fakes.installs())) == (1, 1)


def test_an_old_python_gets_one_line_that_says_what_to_install(fakes: Fakes) -> None:
    fakes.python(version="3.9")
    line = fails_in_one_line(fakes.run("train"), 2)
    assert "needs Python 3.11 or newer, and python3 is 3.9" in line
    assert "apt install python3.11 python3.11-venv" in line


def test_no_python_at_all_gets_one_line(fakes: Fakes) -> None:
    assert "python3 is not there" in fails_in_one_line(fakes.run("train"), 2)


def test_a_python_without_venv_gets_the_package_to_install(fakes: Fakes) -> None:
    fakes.python(version="3.12", venv="no")
    line = fails_in_one_line(fakes.run("train"), 2)
    assert "apt install python3.12-venv" in line


def test_the_first_python_that_will_do_is_taken(fakes: Fakes) -> None:
    fakes.python("python3", version="3.9")
    fakes.python("python3.13", version="3.13", works=False)
    fakes.python("python3.12", version="3.12", venv="no")
    good = fakes.python("python3.11", version="3.11")
    assert fakes.run("x")[0] == 7
    assert str(good) in (fakes.home / ".venv/.installed").read_text().splitlines()


def test_a_python_named_by_hand_wins(fakes: Fakes) -> None:
    fakes.python("python3")
    named = fakes.python("elsewhere/my python", version="3.13")
    code, _, err = fakes.run("x", TUI_TRAINER_PYTHON=str(named))
    assert code == 7
    assert str(named) in err[0]
    fakes.forget()
    fakes.run("x", TUI_TRAINER_PYTHON=str(named))
    fakes.run("x")
    assert fakes.calls() == []
    fakes.run("x", TUI_TRAINER_PYTHON="python3")
    assert fakes.environments_made() == 1


def test_a_python_named_by_hand_that_is_not_there_gets_one_line(fakes: Fakes) -> None:
    fakes.python()
    line = fails_in_one_line(fakes.run("x", TUI_TRAINER_PYTHON="/none/python"), 2)
    assert "TUI_TRAINER_PYTHON=/none/python: there is no such program" in line


def test_system_torch_without_a_torch_gets_one_line(fakes: Fakes) -> None:
    path = fakes.python()
    line = fails_in_one_line(fakes.run("--system-torch", "train"), 2)
    assert f"{path} has no torch >= 2.10" in line


@pytest.mark.parametrize("how", ["--system-torch", "TUI_TRAINER_PYTHON"])
def test_a_torch_that_is_there_is_used_and_never_installed(fakes: Fakes, how: str) -> None:
    fakes.python(torch=True)
    if how == "--system-torch":
        code, out, err = fakes.run(how, "train")
    else:
        code, out, err = fakes.run("train", TUI_TRAINER_PYTHON="python3")
    assert (code, out) == (7, ["train"])
    venv = fakes.home / ".venv"
    wanted = (venv / "requirements.txt").read_text().splitlines()
    assert "numpy" in "".join(wanted)
    assert not [line for line in wanted if re.match(r"torch\b", line)]
    pinned = (venv / "constraints.txt").read_text().splitlines()
    assert pinned
    assert not [line for line in pinned if re.match(r"torch\b", line)]
    assert fakes.installs()[1] == ["--no-deps", "-e", "."]
    found = (venv / "system-torch.pth").read_text().splitlines()
    assert any(line.endswith("site-packages") for line in found)
    assert not any(line.endswith("lib-dynload") for line in found)
    assert any("no torch" in line for line in err)
    fakes.forget()
    assert fakes.run("train") == (7, ["train"], [])
    assert fakes.calls() == []


def test_a_torch_that_is_there_is_not_used_unasked(fakes: Fakes) -> None:
    fakes.python(torch=True)
    fakes.run("x")
    assert fakes.installs() == [["-c", "constraints.txt", "-e", "."]]
    fakes.forget()
    fakes.run("--system-torch", "x")
    assert fakes.environments_made() == 1


@pytest.mark.parametrize(
    ("builds", "said"),
    [
        ("2.13.0+cpu, 2.13.0", "torch 2.13.0+cpu (about 200 MB)"),
        ("2.13.0, 2.12.1", "torch 2.13.0 with CUDA (about 3 GB"),
        ("2.12.1", "torch 2.13.0 with CUDA (about 3 GB"),
    ],
)
def test_the_size_said_is_that_of_the_build_that_pip_takes(
    fakes: Fakes, builds: str, said: str
) -> None:
    fakes.python(builds=builds)
    assert any(said in line for line in fakes.run("x")[2])


def test_too_little_room_is_refused_before_anything_is_downloaded(fakes: Fakes) -> None:
    fakes.python()
    fakes.replace("df", 'echo "Filesystem 1024-blocks Used Available Capacity Mounted on"; '
                  'echo "/dev/a disk 9000000 8900000 102400 99% /a place"')  # fmt: skip
    code, out, err = fakes.run("x")
    assert (code, out) == (3, [])
    assert "100 MB free of 7200 MB needed" in err[-1]
    assert "TUI_TRAINER_VENV" in err[-1]
    assert fakes.installs() == []


def test_the_environment_can_be_elsewhere(fakes: Fakes) -> None:
    fakes.python()
    assert fakes.run("x", TUI_TRAINER_VENV="an env", cwd=fakes.folder)[0] == 7
    assert (fakes.folder / "an env/bin/tui-trainer").exists()
    assert not (fakes.home / ".venv").exists()


def test_a_folder_that_it_did_not_make_is_left_alone(fakes: Fakes) -> None:
    fakes.python()
    own = fakes.folder / "documents"
    own.mkdir()
    (own / "thesis").touch()
    line = fails_in_one_line(fakes.run("x", TUI_TRAINER_VENV=str(own)), 2)
    assert "was not made by ./run" in line
    assert [path.name for path in own.iterdir()] == ["thesis"]


def test_a_folder_that_cannot_be_made_gets_one_line(fakes: Fakes) -> None:
    fakes.python()
    in_the_way = fakes.folder / "file"
    in_the_way.touch()
    line = fails_in_one_line(fakes.run("x", TUI_TRAINER_VENV=str(in_the_way / "env")), 3)
    assert "cannot make" in line
    assert "TUI_TRAINER_VENV" in line


def pytest_with(workers: int) -> list[str]:
    return ["pytest", "-n", str(workers), "--dist", "worksteal", "-m"]


def in_full(gpu: str) -> list[str]:
    return [
        *pytest_with(3),
        f"not full and not soak{gpu}",
        "-x",
        *pytest_with(2),
        f"full and not soak{gpu}",
    ]


@pytest.mark.parametrize(
    ("words", "cuda", "expected"),
    [
        (["-k", "a b"], False, [*pytest_with(3), *QUICK, "-k", "a b"]),
        (["--full", "-x"], False, [*in_full(" and not gpu"), "-x"]),
        (["-x", "--full"], True, [*in_full(""), "-x"]),
        (["--soak", "-x"], False, [*pytest_with(0), "soak", "-x"]),
    ],
)
def test_tests_are_chosen_by_marks_and_the_rest_goes_to_pytest(
    fakes: Fakes, words: Sequence[str], *, cuda: bool, expected: list[str]
) -> None:
    fakes.python(cuda=cuda, pytest=5)
    assert fakes.run("test", *words)[:2] == (5, expected)


def test_check_runs_format_lint_types_and_tests(fakes: Fakes) -> None:
    fakes.python()
    code, out, _ = fakes.run("check")
    assert code == 0
    assert out == ["ruff format --check .", "ruff check .", "mypy", *pytest_with(3), *QUICK]
    assert fakes.run("check", "--no-tests") == (0, out[:3], [])


@pytest.mark.parametrize(
    ("bad", "named"), [("ruff-format", "format"), ("ruff-check", "lint"), ("mypy-", "types")]
)
def test_check_goes_on_after_a_failure_and_names_it(fakes: Fakes, bad: str, named: str) -> None:
    fakes.python()
    (fakes.folder / f"bad-{bad}").touch()
    code, out, err = fakes.run("check")
    assert (code, err[-1]) == (1, f"run: check failed: {named}")
    assert "pytest" in out


def test_check_fails_with_the_tests(fakes: Fakes) -> None:
    fakes.python(pytest=1)
    code, _, err = fakes.run("check")
    assert (code, err[-1]) == (1, "run: check failed: tests")


@pytest.mark.parametrize(
    ("check", "test", "status"), [("0", "0", 0), ("1", "0", 1), ("0", "5", 5), ("1", "2", 2)]
)
def test_ci_runs_the_checks_and_the_full_tests_and_fails_with_either(
    tmp_path: Path, check: str, test: str, status: int
) -> None:
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    make_program(tmp_path / "run", f'echo "$@"; [ "$1" = check ] && exit {check}; exit {test}')
    done = subprocess.run(
        ["bash", script], cwd="/", capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == status
    assert done.stdout.splitlines() == ["check --no-tests", "test --full"]


def test_the_scripts_can_be_started() -> None:
    for script in ("run", ".ci/run"):
        assert os.access(ROOT / script, os.X_OK)
