"""What this program starts finds nothing in the current directory, whatever the environment was."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui_trainer.config.processes import feed, output_of, protect_environment, protected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/bin:/usr/bin", "/bin:/usr/bin"),
        (":/bin", "/bin"),
        ("/bin:", "/bin"),
        ("/bin::/usr/bin", "/bin:/usr/bin"),
        (".:/bin:./tools:../x:~/bin:x", "/bin"),
        (".", os.defpath),
        ("", os.defpath),
    ],
)
def test_programs_are_looked_for_in_absolute_folders_alone(before: str, after: str) -> None:
    env = {"PATH": before}
    protect_environment(env)
    assert env["PATH"] == after


def test_what_is_not_there_stays_so() -> None:
    env: dict[str, str] = {}
    protect_environment(env)
    assert env == {"PYTHONSAFEPATH": "1"}


@pytest.mark.parametrize("given", ["1", "yes"])
def test_a_safe_path_that_was_set_stays_as_it_is(given: str) -> None:
    assert protected({"PYTHONSAFEPATH": given}) == {"PYTHONSAFEPATH": given}


def test_an_empty_one_counts_as_none() -> None:
    assert protected({"PYTHONSAFEPATH": ""})["PYTHONSAFEPATH"] == "1"


def test_a_copy_leaves_the_environment_alone() -> None:
    env = {"PATH": ":/bin"}
    assert protected(env) == {"PATH": "/bin", "PYTHONSAFEPATH": "1"}
    assert env == {"PATH": ":/bin"}


@pytest.mark.parametrize("entry", ["", "."])
def test_a_program_of_the_current_directory_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    program = tmp_path / "some-program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{entry}:{os.environ['PATH']}")
    assert subprocess.run(["some-program"], capture_output=True, check=True).stdout == b"ran\n"
    assert output_of("some-program", timeout_s=60) is None
    taken = feed("some-program", given=b"", timeout_s=60, env=os.environ)
    assert asyncio.run(taken) is False


def test_a_python_imports_nothing_of_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("print('ran')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    words = (sys.executable, "-c", "import random")
    assert subprocess.run(words, capture_output=True, check=True).stdout == b"ran\n"
    assert output_of(*words, timeout_s=60) == b""


def test_what_a_program_prints_is_returned_unless_it_fails() -> None:
    assert output_of("cat", timeout_s=60, given=b"text") == b"text"
    assert output_of("cat", timeout_s=60) == b""
    assert output_of("false", timeout_s=60) is None
    assert output_of("sleep", "60", timeout_s=0.05) is None
    assert output_of("there\0is none", timeout_s=60) is None


def test_what_is_too_much_is_not_kept() -> None:
    assert output_of("cat", timeout_s=60, given=b"12345", most_bytes=5) == b"12345"
    assert output_of("cat", timeout_s=60, given=b"123456", most_bytes=5) is None
    assert output_of("cat", "/dev/zero", timeout_s=60, most_bytes=2**20) is None


def test_much_may_be_given_while_much_is_printed() -> None:
    given = b"line\n" * 500_000
    assert output_of("cat", timeout_s=60, given=given) == given


def test_a_program_that_closed_its_output_and_goes_on_is_ended() -> None:
    assert output_of("sh", "-c", "exec >&-; sleep 60", timeout_s=0.2) is None
