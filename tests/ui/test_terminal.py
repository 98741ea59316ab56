"""The terminal under a small app: prints, hang-ups, stalls, signals and an app that fails."""

from __future__ import annotations

import io
import json
import os
import signal
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.integration.terminals import TerminalProcess, program
from tui_trainer.runs.output import FILE_LIMIT
from tui_trainer.ui.terminal.driver import MOST_WAITING, Pen
from tui_trainer.ui.terminal.stdout import SHOWN_AT_ONCE, Output
from tui_trainer.ui.terminal.terminal import can_open_app

PROGRAM = str(Path(__file__).with_name("small_program.py"))
LIMIT_S = 60.0


@contextmanager
def small(
    folder: Path, *words: str, size: tuple[int, int] = (80, 24), **env: str
) -> Iterator[TerminalProcess]:
    with program(folder, PROGRAM, str(folder / "report"), *words, size=size, env=env) as process:
        process.until_text("step ")
        yield process


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report").read_text())
    return found


# Whether an app can be opened.


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize(
    ("term", "stdin", "stdout", "why"),
    [
        ("xterm", True, True, ""),
        ("xterm", False, True, "input"),
        ("xterm", True, False, "output"),
        ("dumb", True, True, "TERM=dumb"),
        ("", True, True, "TERM="),
    ],
)
def test_fault_27_an_app_needs_two_streams_on_a_terminal_that_has_screens(
    term: str, stdin: bool, stdout: bool, why: str
) -> None:
    found = can_open_app({"TERM": term}, Stream(stdin), Stream(stdout))
    assert why in found
    assert bool(found) == bool(why)


def test_closed_streams_are_no_terminal() -> None:
    assert can_open_app({"TERM": "xterm"}, None, Stream(True))
    closed = Stream(True)
    closed.close()
    assert not can_open_app({"TERM": "xterm"}, Stream(True), Stream(True))
    assert can_open_app({"TERM": "xterm"}, Stream(True), None)


# What is printed.


@contextmanager
def listening() -> Iterator[tuple[Output, list[str]]]:
    output = Output()
    heard: list[str] = []
    output.subscribe(heard.extend)
    try:
        yield output, heard
    finally:
        output.close()


def put(output: Output, text: bytes) -> None:
    os.write(output.fileno, text)
    output.look()


def test_whole_lines_are_passed_on_without_colours_and_bars_in_their_last_state() -> None:
    with listening() as (output, heard):
        put(output, b"one\ntw")
        assert heard == ["one"]
        put(output, b"o\n\x1b[31mred\x1b[0m\n 10 %\r 50 %\r100 %\n\x1b]0;title\x07t\n")
        assert heard == ["one", "two", "red", "100 %", "t"]


@example(b"\xc2\xa0\x00")
@given(st.binary(max_size=200))
def test_whatever_is_printed_reaches_the_screen_without_controls(data: bytes) -> None:
    with listening() as (output, heard):
        put(output, data + b"\n")
    signs = {sign for line in heard for sign in line} - {"\u200c", "\u200d"}
    # Other spaces, as one that does not break, are not printable to Python, but control nothing.
    assert all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in signs)


def test_what_came_before_there_was_a_run_goes_into_its_file(tmp_path: Path) -> None:
    with listening() as (output, _):
        put(output, b"before\n")
        output.to(tmp_path / "output.log")
        put(output, b"\x1b[31mduring\x1b[0m\n")
        output.to(None)
        put(output, b"after\n")
        assert (tmp_path / "output.log").read_bytes() == b"before\nduring\n"


def test_lines_that_no_file_has_got_come_back_at_the_end() -> None:
    output = Output()
    os.write(output.fileno, b"kept\nwithout an end")
    assert output.close() == ["kept", "without an end"]


def test_a_late_listener_hears_what_was_printed_so_far() -> None:
    output = Output()
    put(output, b"early\n")
    late: list[str] = []
    end = output.subscribe(late.extend)
    put(output, b"more\n")
    end()
    put(output, b"unheard\n")
    output.close()
    assert late == ["early", "more"]


def test_a_flood_is_bounded_in_the_file_on_the_screen_and_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    batches: list[Sequence[str]] = []
    output = Output()
    output.subscribe(batches.append)
    output.to(path)
    flood = (b"x" * 99 + b"\n") * 20_000
    for _ in range(10):
        put(output, flood)
    held = os.fstat(output.fileno).st_size
    output.close()
    assert FILE_LIMIT < path.stat().st_size < FILE_LIMIT + 100
    assert path.read_bytes().endswith(b"(more was printed, not kept)\n")
    assert max(map(len, batches)) == SHOWN_AT_ONCE + 1
    assert "19,800 lines omitted" in batches[0][0]
    assert held < FILE_LIMIT


def test_a_file_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    with listening() as (output, heard):
        output.to(tmp_path / "nowhere" / "output.log")
        put(output, b"still heard\n")
    assert heard == ["still heard"]


def test_fault_53_what_is_printed_goes_into_no_file_behind_a_link(tmp_path: Path) -> None:
    start_file = tmp_path / "start-file"
    start_file.write_text("# mine\n")
    (tmp_path / "output.log").symlink_to(start_file)
    with listening() as (output, heard):
        output.to(tmp_path / "output.log")
        put(output, b"touch ran\n")
    assert heard == ["touch ran"]
    assert start_file.read_text() == "# mine\n"


def test_prints_and_output_of_c_code_reach_the_app_and_not_the_screen(tmp_path: Path) -> None:
    with small(tmp_path, "compose") as terminal:
        terminal.press("o")
        terminal.until_text("heard [from 2]")
        first = terminal.screen.text.splitlines()
        assert first[0].startswith("step ")
        assert not any("from" in line for line in first[1:])
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.until_text("a print\nfrom 1\nfrom 2")
        terminal.assert_restored()
    assert report(tmp_path)["heard"] == ["a print", "from 1", "from 2"]


# The pen: a writer that holds nobody up.


def test_a_pen_never_blocks_and_drops_frames_where_nobody_reads() -> None:
    reading, writing = os.pipe()
    pen = Pen(writing, "utf-8")
    pen.start()
    frame = "x" * 2**15
    for _ in range(100):
        pen.write(frame, droppable=True)
    assert pen.dropping
    assert pen.waiting <= MOST_WAITING + len(frame)
    assert not pen.finish(0.05)
    os.close(reading)
    pen.join(LIMIT_S)
    assert not pen.is_alive()
    os.close(writing)


def test_a_pen_writes_everything_in_order_and_then_ends() -> None:
    reading, writing = os.pipe()
    pen = Pen(writing, "latin-1")
    pen.start()
    for text in ("a", "é", "→", "z"):
        pen.write(text, droppable=True)
    assert pen.finish(LIMIT_S)
    assert os.read(reading, 100) == b"a\xe9>z"
    os.close(reading)
    os.close(writing)


def test_fault_24_a_pen_without_a_reader_empties_its_queue_and_says_so() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pen = Pen(writing, "utf-8")
    pen.start()
    pen.write("x" * 2**20, droppable=False)
    assert pen.finish(LIMIT_S)
    assert pen.failed.is_set()
    assert pen.waiting == 0
    os.close(writing)


# The app and what happens to it.


def test_leaving_gives_the_terminal_back(tmp_path: Path) -> None:
    with small(tmp_path, "compose") as terminal:
        assert terminal.screen.modes["alternate screen"]
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
        assert terminal.screen.unknown == []


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        ("run", signal.SIGTERM, 143),
        ("compose", signal.SIGINT, 130),
        pytest.param("run", signal.SIGINT, 130, marks=pytest.mark.full),
        pytest.param("compose", signal.SIGTERM, 143, marks=pytest.mark.full),
    ],
)
def test_fault_23_a_signal_stops_the_run_and_gives_the_terminal_back(
    tmp_path: Path, kind: str, number: int, code: int
) -> None:
    with small(tmp_path, kind, "60") as terminal:
        terminal.signal(number)
        assert terminal.wait() == code
        terminal.assert_restored()
    assert report(tmp_path)["sent"] == (["Stop"] if kind == "run" else [])


def test_fault_23_a_stalled_terminal_does_not_hold_up_a_signal(tmp_path: Path) -> None:
    with small(tmp_path, "run", "60", size=(200, 50)) as terminal:
        terminal.stall()
        terminal.until((tmp_path / "dropped").exists)
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 143
        terminal.go_on()
        terminal.until(lambda: not terminal.screen.modes.get("alternate screen"))
        terminal.assert_restored()
    assert report(tmp_path)["sent"] == ["Stop"]


def test_after_a_stall_the_whole_screen_is_painted_anew(tmp_path: Path) -> None:
    with small(tmp_path, "compose", size=(240, 60)) as terminal:
        terminal.stall()
        terminal.until((tmp_path / "dropped").exists)
        # A terminal that has forgotten everything: only a whole paint brings the first row back.
        terminal.screen.resize(240, 60)
        terminal.go_on()
        terminal.until_text("step 0")
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_terminal_is_behind_while_it_does_not_take_what_was_drawn(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    with small(tmp_path, "compose", size=(240, 60)) as terminal:
        terminal.stall()
        terminal.until((tmp_path / "dropped").exists)
        terminal.until(lambda: taken.read_text() == "no")
        terminal.go_on()
        # Drawing as fast as it does, a busy machine may never have caught up when it is asked.
        terminal.press("h")
        terminal.until(lambda: taken.read_text() == "yes")


def test_fault_24_closing_the_terminal_leaves_the_run_alone(tmp_path: Path) -> None:
    with small(tmp_path, "run", "1.5") as terminal:
        terminal.close()
        assert terminal.wait() == 0
    found = report(tmp_path)
    assert found["sent"] == []
    assert found["steps"] > 100
    assert found["cpu_s"] < 1.0, "nothing spins at the end of the input"


def test_fault_24_closing_the_terminal_without_a_run_ends_it_with_129(tmp_path: Path) -> None:
    with small(tmp_path, "compose") as terminal:
        terminal.close()
        assert terminal.wait() == 129


def test_fault_24_a_hang_up_signal_alone_takes_the_app_and_not_the_run(tmp_path: Path) -> None:
    with small(tmp_path, "run", "2") as terminal:
        terminal.signal(signal.SIGHUP)
        terminal.until(lambda: not terminal.screen.modes.get("alternate screen"))
        assert terminal.wait() == 0
        terminal.assert_restored()
    assert report(tmp_path)["sent"] == []


def test_fault_23_after_a_hang_up_a_signal_still_stops_and_saves(tmp_path: Path) -> None:
    with small(tmp_path, "run", "60") as terminal:
        terminal.close()
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 143
    assert report(tmp_path)["sent"] == ["Stop"]


def test_fault_28_an_app_that_fails_stops_and_saves_the_run(tmp_path: Path) -> None:
    with small(tmp_path, "run", "60") as terminal:
        terminal.press("x")
        assert terminal.wait() == 1
        terminal.assert_restored()
        terminal.until_text("the app failed: RuntimeError: an error of the app")
        assert "locals" not in terminal.screen.text
    assert report(tmp_path)["sent"] == ["Stop"]


@pytest.mark.full
def test_fault_28_a_frozen_app_is_left_after_the_run_is_saved(tmp_path: Path) -> None:
    with small(tmp_path, "run", "60") as terminal:
        terminal.press("z")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 143
        terminal.assert_restored()


def test_an_app_that_ends_while_a_run_lives_stops_and_saves_it(tmp_path: Path) -> None:
    with small(tmp_path, "run", "60") as terminal:
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.until_text("stopping and saving the run")
    assert report(tmp_path)["sent"] == ["Stop"]


def test_fault_27_windows_of_any_size_and_a_storm_of_sizes(tmp_path: Path) -> None:
    with small(tmp_path, "compose") as terminal:
        for width, height in [(1, 1), (20, 5), (500, 200), (3, 100), (60, 20)] * 4:
            terminal.resize(width, height)
        terminal.until_text("60x20")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()


def test_bytes_that_are_no_text_do_not_end_the_app(tmp_path: Path) -> None:
    with small(tmp_path, "compose") as terminal:
        os.write(terminal.master, b"\xff\xfe\xe9")
        terminal.press("o")
        terminal.until_text("heard [from 2]")
        terminal.press("q")
        assert terminal.wait() == 0
