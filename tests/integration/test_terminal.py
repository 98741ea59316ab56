"""The whole program in a terminal: what the terminal does is never the run's loss."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.integration.processes import ENDLESS, call, lines, status
from tests.integration.terminals import Screen, TerminalProcess, opened, program

pytestmark = pytest.mark.processes

EXPERIMENT = "penguins-mlp"
LOGGED = (*ENDLESS, "logging.every_steps=1")
"""Without it every second step has a line from step 4,096 on, and the last may have none."""
SHORT = ("training.max_steps=400", "training.epochs=null", "schedule=constant")


def newest_run(folder: Path) -> Path | None:
    runs = [path for path in (folder / "runs").glob("*") if (path / "status.json").exists()]
    return max(runs, key=lambda path: path.stat().st_mtime_ns, default=None)


def written(run: Path | None) -> int:
    """Return how many bytes of metrics a run has written; none without a run."""
    metrics = run / "metrics.jsonl" if run else None
    return metrics.stat().st_size if metrics and metrics.exists() else 0


def until_training(terminal: TerminalProcess, folder: Path) -> Path:
    """Wait until steps have been taken; the run's directory."""
    terminal.until(lambda: written(newest_run(folder)) > 5_000)
    run = newest_run(folder)
    assert run is not None
    return run


def until_more(terminal: TerminalProcess, run: Path, size: int) -> None:
    """Wait until the training has written so many bytes more."""
    before = written(run)
    terminal.until(lambda: written(run) >= before + size)


def is_finished(folder: Path) -> bool:
    run = newest_run(folder)
    return run is not None and status(run)["state"] == "finished"


def assert_saved_to_the_last_step(run: Path) -> None:
    last = lines(run)[-1]["step"]
    found = status(run)
    assert found["state"] == "stopped"
    assert found["saved_step"] == found["step"] == last


def test_fault_23_ctrl_c_asks_and_the_run_can_be_saved_and_left(tmp_path: Path) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *LOGGED) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.until_text("running", "Quit")
        title = f"tui-trainer - {run.name} running"
        terminal.until(lambda: terminal.screen.title.startswith(title))
        terminal.press("ctrl+c")
        terminal.until_text("Stop penguins-mlp", "save and stop", "keep training")
        until_more(terminal, run, 1)
        terminal.press("s")
        terminal.until(lambda: status(run)["state"] == "stopped")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
        assert terminal.screen.unknown == []
    assert_saved_to_the_last_step(run)


def test_the_first_paint_waits_for_no_settings_and_names_the_experiments(tmp_path: Path) -> None:
    """They take longer to import than the app itself, and are imported in another thread."""
    program_text = (
        "import sys, threading\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('pydantic', 'yaml'):\n"
        "            with open('importers', 'a') as file:\n"
        "                print(name, threading.current_thread().name, file=file)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from tui_trainer.cli.main import main\n"
        "sys.exit(main(['compose']))\n"
    )
    with program(tmp_path, "-c", program_text) as terminal:
        terminal.until(lambda: b"stdlib-packages" in terminal.received)
        terminal.until_text("Optimizer", "Quit")
        # The last word of the last line: what comes before it is the first picture of this screen.
        first = Screen(80, 24)
        received = bytes(terminal.received)
        first.feed(received[: received.index(b"Quit") + 4].decode())
    for part in (
        "● digits-cnn     ▃│",
        "batch size       64",
        "over the run",
        "▶ Start",
        "F5 Start",
    ):
        assert part in first.text
    importers = (tmp_path / "importers").read_text().splitlines()
    assert {line.split()[0] for line in importers} == {"pydantic", "yaml"}
    assert not [line for line in importers if "MainThread" in line]


def test_a_start_has_its_name_at_once_and_is_left_at_once(tmp_path: Path) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *LOGGED) as terminal:
        terminal.until_text("○ penguins-mlp-", "reading presets")
        terminal.until_text("import torch", "differs from the preset", "Cancel")
        (run,) = (tmp_path / "runs").iterdir()
        assert f"○ {run.name} · starting" in terminal.screen.text
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
        terminal.until_text("stopped by you while importing torch")
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.full
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_fault_23_a_signal_saves_leaves_and_gives_the_terminal_back(
    tmp_path: Path, number: int, code: int
) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *LOGGED) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.signal(number)
        assert terminal.wait() == code
        terminal.assert_restored()
    assert_saved_to_the_last_step(run)


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_fault_23_a_signal_while_torch_is_imported_gives_the_terminal_back(
    tmp_path: Path, number: int
) -> None:
    with opened(tmp_path) as terminal:
        terminal.until(lambda: terminal.screen.modes.get("alternate screen", False))
        terminal.signal(number)
        assert terminal.wait() == 128 + number
        terminal.assert_restored()
        terminal.until(lambda: "Traceback" not in terminal.screen.text)


def test_fault_23_24_a_stalled_terminal_slows_nothing_and_stops_nothing(tmp_path: Path) -> None:
    size = (200, 50)
    with opened(tmp_path, "train", EXPERIMENT, *LOGGED, size=size) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.stall()
        for _ in range(3):
            until_more(terminal, run, 20_000)
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 143
        terminal.go_on()
        terminal.until(lambda: not terminal.screen.modes.get("alternate screen"))
        terminal.assert_restored()
    assert_saved_to_the_last_step(run)


def test_fault_24_a_closed_terminal_leaves_the_run_to_train_to_its_end(tmp_path: Path) -> None:
    words = ("training.max_steps=4000", *SHORT[1:])
    with opened(tmp_path, "train", EXPERIMENT, *words) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.close()
        assert status(run)["state"] in ("running", "starting")
        assert terminal.wait() == 0
    found = status(run)
    assert (found["state"], found["step"]) == ("finished", 4000)


@pytest.mark.full
def test_fault_27_a_storm_of_sizes_while_training_ends_in_a_whole_screen(tmp_path: Path) -> None:
    sizes = [(1, 1), (20, 5), (500, 200), (60, 20), (200, 50), (3, 100)]
    with opened(tmp_path, "train", EXPERIMENT, *LOGGED) as terminal:
        run = until_training(terminal, tmp_path)
        for size in sizes * 5:
            terminal.resize(*size)
            until_more(terminal, run, 1)
        terminal.resize(80, 24)
        terminal.until_text("penguins", "Pause", "Quit")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 143
        terminal.assert_restored()
        assert terminal.screen.unknown == []
    assert_saved_to_the_last_step(run)


def test_the_losses_of_a_run_in_the_app_are_those_of_one_without_it(tmp_path: Path) -> None:
    watched, unwatched = tmp_path / "watched", tmp_path / "unwatched"
    for folder in (watched, unwatched):
        folder.mkdir()
    with opened(watched, "train", EXPERIMENT, *SHORT) as terminal:
        terminal.until(lambda: is_finished(watched))
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
    assert call(unwatched, "train", EXPERIMENT, *SHORT).returncode == 0
    runs = [newest_run(folder) for folder in (watched, unwatched)]
    one, other = (lines(run) for run in runs if run is not None)
    assert len(one) > 100
    assert one == other


def test_a_finished_run_is_resumed_in_the_app(tmp_path: Path) -> None:
    assert call(tmp_path, "train", EXPERIMENT, *SHORT).returncode == 0
    with opened(tmp_path, "resume", "last") as terminal:
        terminal.until_text("nothing to do")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()


def test_fault_27_a_dumb_terminal_gets_text(tmp_path: Path) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *SHORT, env={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == 0
        assert b"\x1b[?1049h" not in terminal.received
        terminal.assert_restored()
    with opened(tmp_path, env={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == 2
        terminal.until(lambda: "(TERM=dumb)" in terminal.screen.text.replace("\n", ""))


@pytest.mark.full
@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"NO_COLOR": "1", "COLORTERM": "truecolor"},
        {"COLUMNS": "10", "LINES": "3"},
        {"TERM": "vt100"},
    ],
    ids=" ".join,
)
def test_fault_27_other_surroundings_show_the_same_screen(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with opened(tmp_path, env=env) as terminal:
        terminal.until_text("tui-trainer")
        terminal.until_text("Quit")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
        assert terminal.screen.unknown == []
        if "LC_ALL" in env:
            assert terminal.received.isascii()
        if "NO_COLOR" in env:
            colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", terminal.received)
            assert colours
            assert all(red == green == blue for red, green, blue in colours)
