"""The output of a detached run goes into its own output.log, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import environment

PROGRAM = """
import os, sys
from pathlib import Path
from tui_trainer.cli.detached import _print_into
told = os.dup(1)
limit = _print_into(Path(sys.argv[1]))
os.write(1, b"touch ran\\n")
os.write(told, b"kept" if limit is not None else b"let go")
"""


def print_into(path: Path, folder: Path) -> str:
    """Print a line in another process that has its output there; whether it was kept."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def test_what_is_printed_goes_to_the_end_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("before\n")

    assert print_into(tmp_path / "output.log", tmp_path) == "kept"
    assert (tmp_path / "output.log").read_text() == "before\ntouch ran\n"


@pytest.mark.parametrize("second_name", [False, True])
def test_fault_53_nothing_is_printed_into_a_file_behind_a_link(
    tmp_path: Path, second_name: bool
) -> None:
    start_file = tmp_path / "start-file"
    start_file.write_text("# mine\n")
    output = tmp_path / "output.log"
    if second_name:
        output.hardlink_to(start_file)
    else:
        output.symlink_to(start_file)

    assert print_into(output, tmp_path) == "let go"
    assert start_file.read_text() == "# mine\n"
