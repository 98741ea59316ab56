"""`logs -f` goes on through what happens to a run, and says how it ended."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.views import a_view
from tui_trainer.cli.arguments import parse
from tui_trainer.cli.logs import print_logs
from tui_trainer.cli.main import main
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import (
    CheckpointSaved,
    Edited,
    Event,
    Notice,
    RunEnded,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.journal import encode
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.log import FILTERS, Filter
from tui_trainer.runs.status import write_status
from tui_trainer.text.errors import BadInput, ExitCode


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "night-1122-0300")
    make_skeleton(run)
    return run


def say(run: RunDirectory, *texts: str) -> None:
    with run.events.open("ab") as file:
        file.write(encode([to_dict(Notice(1, text)) for text in texts]))


def end(run: RunDirectory) -> None:
    ending = RunEnded(
        step=1,
        state="finished",
        reason="1 epoch is done",
        epoch=1,
        run_dir=str(run.path),
        elapsed_s=1.0,
        exit_code=0,
    )
    with run.events.open("ab") as file:
        file.write(encode([to_dict(ending)]))
    beat(run, "finished")


def beat(run: RunDirectory, state: str = "running") -> None:
    write_status(
        run.status,
        a_view(
            name=run.path.name,
            state=state,
            step=1,
            epoch=1,
            pid=os.getpid(),
            host=socket.gethostname(),
            heartbeat=1,
            generation=0,
            device="cpu",
        ),
    )


def looks(*happenings: Callable[[], object]) -> Callable[[float], object]:
    """A sleep in which one thing happens after the other, and in the end an interrupt."""
    waiting = list(happenings)

    def sleep(seconds: float) -> None:
        assert waiting, "nothing more happens, and the end was not seen"
        if len(waiting) > 1:
            waiting.pop(0)()
        else:
            waiting[0]()

    return sleep


def test_a_run_that_was_killed_is_told_of(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "so far so good")
    beat(run)
    assert print_logs(run, follow=True, sleep=looks(lambda: None)) == ExitCode.OK
    said = capsys.readouterr().out.splitlines()
    assert "so far so good" in said[0]
    assert "crashed: its process is gone" in said[-1]
    assert f"{run.command('resume')} starts it again from the beginning" in said[-1]


def test_a_deleted_directory_is_told_of(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "so far so good")
    beat(run)
    lock = RunLock.acquire(run.lock)
    print_logs(run, follow=True, sleep=looks(lambda: shutil.rmtree(run.path)))
    assert "the directory of the run is gone" in capsys.readouterr().out.splitlines()[-1]
    lock.release()


def test_files_that_were_made_anew_are_read_from_their_beginning(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "one", "two", "three")
    beat(run)
    lock = RunLock.acquire(run.lock)

    def make_anew() -> None:
        run.events.unlink()
        say(run, "anew")

    print_logs(run, follow=True, sleep=looks(make_anew, lambda: beat(run, "finished")))
    assert capsys.readouterr().out.splitlines()[-1].endswith("anew")
    lock.release()


def printed(run: RunDirectory, *texts: str) -> None:
    with run.output.open("a") as file:
        file.writelines(f"{text}\n" for text in texts)


def test_events_that_a_detached_run_printed_too_are_told_once(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "one", "twice", "twice")
    printed(run, "note: one", "by hand", "note: twice", "note: twice", "note: twice")
    beat(run, "finished")
    print_logs(run)
    texts = [line[21:] for line in capsys.readouterr().out.splitlines()]
    assert texts == ["note: one", "note: twice", "note: twice", "by hand", "note: twice"]


def test_what_is_printed_ahead_of_its_event_is_told_once(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    beat(run)
    lock = RunLock.acquire(run.lock)
    happenings = looks(
        lambda: printed(run, "note: soon an event", "by hand"),
        lambda: say(run, "soon an event"),
        *[lambda: None] * 4,
        lambda: printed(run, "at last"),
        lambda: end(run),
        lambda: None,
    )
    print_logs(run, follow=True, sleep=happenings)
    texts = [line[21:] for line in capsys.readouterr().out.splitlines()]
    assert texts[:3] == ["note: soon an event", "by hand", "at last"]
    assert texts[3].startswith("finished after")
    lock.release()


def test_of_what_was_there_only_the_newest_is_told_also_when_followed(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "one")
    printed(run, "a", "b", "c")
    beat(run)
    lock = RunLock.acquire(run.lock)
    happenings = looks(*[lambda: None] * 4, lambda: beat(run, "finished"))
    print_logs(run, follow=True, newest=1, sleep=happenings)
    assert [line[21:] for line in capsys.readouterr().out.splitlines()] == ["c"]
    lock.release()


def said_in(run: RunDirectory, *events: Event) -> None:
    with run.events.open("ab") as file:
        file.write(encode([to_dict(event) for event in events]))


def a_varied_log(run: RunDirectory) -> None:
    """Two validations, of which one improved, a save, a warning, an edit, and output."""
    said_in(
        run,
        ValidationEnded(10, 1, 1.0, {"loss": 0.5}, 0.1, True, 0),
        CheckpointSaved(10, "step-00000010.pt", 620_000, 0.01, True),
        Edited(12, "optimizer.lr", 0.1, 0.2, "ctl (eve@box/7)", None),
        ValidationEnded(20, 2, 2.0, {"loss": 0.6}, 0.1, False, 1),
        Notice(21, "3 threads", "warning"),
    )
    printed(run, "by hand")
    beat(run, "finished")


@pytest.mark.parametrize(
    ("level", "grep", "texts"),
    [
        (
            "important",
            None,
            [
                "step 10: validation loss 0.5000, best so far",
                "step 12: optimizer.lr 0.1 -> 0.2 by ctl (eve@box/7)",
                "warning: 3 threads",
            ],
        ),
        ("warnings", None, ["warning: 3 threads"]),
        (
            "all",
            "validation .*loss",
            ["step 10: validation loss 0.5000, best so far", "step 20: validation loss 0.6000"],
        ),
        ("all", "BY HAND", []),
        ("all", "by HAND", []),
        ("all", "by hand", ["by hand"]),
        ("all", "optimizer.LR|nothing", []),
        ("important", "^2026|saved", []),
    ],
)
def test_lines_are_chosen_by_level_and_pattern(
    run: RunDirectory,
    capsys: pytest.CaptureFixture[str],
    level: Filter,
    grep: str | None,
    texts: list[str],
) -> None:
    a_varied_log(run)
    print_logs(run, level=level, grep=grep)
    assert [line[21:] for line in capsys.readouterr().out.splitlines()] == texts


def test_the_newest_lines_are_counted_among_those_that_are_chosen(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    a_varied_log(run)
    print_logs(run, newest=1, grep="validation")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("step 20: validation loss 0.6000")


@pytest.mark.parametrize("pattern", [None, "line [0-9]*00 ", "line 7 ", "nothing"])
def test_the_newest_lines_of_a_long_log_are_its_last(
    run: RunDirectory, capsys: pytest.CaptureFixture[str], pattern: str | None
) -> None:
    """It is read from its end, and further back where the pattern is rare."""
    say(run, *(f"line {number} {'of a long log ' * 4}" for number in range(6000)))
    beat(run, "finished")
    print_logs(run, grep=pattern)
    everything = capsys.readouterr().out.splitlines()
    for count in (0, 1, 20, 5000):
        print_logs(run, newest=count, grep=pattern)
        printed = capsys.readouterr().out.splitlines()
        assert printed == everything[max(len(everything) - count, 0) :], count


def test_printed_copies_of_events_that_are_left_out_are_left_out_too(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    a_varied_log(run)
    printed(run, "warning: 3 threads", "step 20: validation loss 0.6000")
    print_logs(run, grep="threads|0.6")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_pattern_that_is_none_is_refused(run: RunDirectory) -> None:
    with pytest.raises(BadInput, match=r"--grep: '\(' is not a regular expression"):
        print_logs(run, grep="(")


def test_a_negative_number_of_lines_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "last", "-n", "-3"]) == 2
    printed = capsys.readouterr().err
    assert (
        printed == "tui-trainer: -n -3: should be at least 0, the number of newest lines to print\n"
    )


def test_the_levels_of_the_command_line_are_those_of_the_log() -> None:
    for level in FILTERS:
        assert parse(["logs", "last", "--level", level]).level == level
    with pytest.raises(BadInput, match=r"--level: no 'warning' \(did you mean 'warnings'\?\)"):
        parse(["logs", "last", "--level", "warning"])
