"""Attaching to a run in a process of its own: several viewers, every control, every way to end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import ENDLESS, LIMIT_S, call, lines, started, status, steps
from tests.integration.terminals import opened
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop, Validate
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import CommandAccepted, CommandApplied, Event, RunStarted
from tui_trainer.runs.series import MOST_BUCKETS
from tui_trainer.sessions.attached import AttachedSession

pytestmark = pytest.mark.processes

RARELY = "training.validate_every_steps=1000000000"
LOOK_S = 0.05


class Viewer:
    """An attached session, and all that it has said."""

    def __init__(self, run: Path) -> None:
        self.session = AttachedSession(RunDirectory(run))
        self.events: list[Event] = []
        self._cursor = 0

    def look(self) -> None:
        self.session.refresh()
        new, self._cursor = self.session.events(self._cursor)
        self.events += new

    def until(self, wanted: Callable[[], object]) -> None:
        """Wait until something holds of what is seen."""
        until_s = time.monotonic() + LIMIT_S
        while not wanted():
            assert time.monotonic() < until_s, f"waited in vain: {self.session.view}"
            self.session.wait(LOOK_S)
            self.look()

    def until_state(self, state: str) -> None:
        self.until(lambda: self.session.view.state == state)

    def until_step(self, step: int) -> None:
        self.until(lambda: self.session.view.step >= step)

    def has_lr(self, value: float) -> bool:
        experiment = self.session.experiment
        return experiment is not None and experiment.get("optimizer.lr") == value

    def has_accepted(self, command: Command) -> bool:
        return any(
            isinstance(event, CommandAccepted) and event.id == command.id for event in self.events
        )

    def ask(self, command: Command) -> CommandApplied:
        """Send a command and wait until it is applied, or refused."""
        self.session.send(command)

        def answers() -> list[CommandApplied]:
            return [
                event
                for event in self.events
                if isinstance(event, CommandApplied) and event.id == command.id
            ]

        self.until(answers)
        assert answers()[0].origin == "you"
        return answers()[0]


@contextmanager
def viewing(run: Path) -> Iterator[Viewer]:
    viewer = Viewer(run)
    viewer.session.start()
    try:
        yield viewer
    finally:
        viewer.session.close()


def recorded(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_every_control_by_one_of_two_viewers(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS, RARELY) as process:
        process.until_step(20)
        run = process.run
        with viewing(run) as first, viewing(run) as second:
            first.until_step(50)
            assert first.session.view.model.device == "cpu"
            first.until(lambda: first.session.usage)
            paused = first.ask(Pause())
            first.until_state("paused")
            second.until_state("paused")
            for command in (Save(), Validate()):
                assert not first.ask(command).refused
            assert not second.ask(Set(key="optimizer.lr", value=1e-4)).refused
            first.until(lambda: first.has_lr(1e-4))
            second.until(lambda: second.has_lr(1e-4))
            assert "cannot be edited" in first.ask(Set(key="model.layers", value=3)).refused
            assert not second.ask(Resume()).refused
            first.until_step(paused.step + 50)
            names = set(first.session.history.names)
            assert {"train/loss", "val/loss", "lr", "grad_norm"} <= names
            assert not first.ask(Stop()).refused
            for viewer in (first, second):
                viewer.until_state("stopped")
                assert viewer.session.ended
                assert viewer.session.view.ending is not None
            assert first.session.view.step == second.session.view.step
        assert process.wait() == 0
    asked = [line for line in recorded(run) if line["event"] == "command_accepted"]
    assert [line["command"] for line in asked] == [
        *("pause", "save", "validate", "set", "set", "resume", "stop")
    ]
    assert all(str(line["origin"]).startswith("attached (") for line in asked)
    assert all(line["id"] and line["time"] for line in asked)
    assert (run / "history.bin").exists()


@pytest.mark.full
def test_leaving_leaves_the_run_alone(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        step = process.until_step(20)["step"]
        with viewing(process.run) as viewer:
            viewer.until_step(step)
        process.until_step(viewer.session.view.step + 100)


def _acceptance_s(viewer: Viewer) -> float:
    command = Save()
    begin_s = time.monotonic()
    viewer.session.send(command)
    viewer.until(lambda: viewer.has_accepted(command))
    return time.monotonic() - begin_s


@pytest.mark.full
def test_a_command_is_accepted_within_a_second(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        with viewing(process.run) as viewer:
            viewer.until_step(50)
            took = sorted(_acceptance_s(viewer) for _ in range(20))
    # Most of them: on a busy machine some wait for the processor.
    assert took[14] < 1.0, took


@pytest.mark.full
def test_fault_03_killed_is_crashed_everywhere_and_resumes_exactly(tmp_path: Path) -> None:
    words = ("penguins-mlp", "training.epochs=null", "training.max_steps=400", "schedule=constant")
    often = ("checkpoint.every_steps=7", "training.threads=1")
    with started(tmp_path, "train", *words, *often, "--name", "whole") as process:
        assert process.wait() == 0
        whole = process.run
    slow = ("training.max_steps=100000000",)
    with started(tmp_path, "train", *words, *often, *slow, "--name", "killed") as process:
        process.until_event("checkpoint_saved")
        process.until_step(60)
        killed = process.run
        with viewing(killed) as viewer:
            viewer.until_step(60)
            process.signal(signal.SIGKILL)
            assert process.wait() == 137
            viewer.until_state("crashed")
            assert viewer.session.ended
            assert f"process {process.pid}" in viewer.session.view.reason
            listed = json.loads(call(tmp_path, "runs", "--state", "crashed", "--json").stdout)
            assert [one["name"] for one in listed] == [killed.name]
            with started(tmp_path, "resume", killed.name, "training.max_steps=100000001") as again:
                viewer.until(lambda: not viewer.session.ended)
                viewer.until_state("running")
                viewer.until_step(400)
                again.signal(signal.SIGTERM)
                assert again.wait() == 143
                viewer.until(lambda: viewer.session.ended)
    assert lines(killed)[:400] == lines(whole)
    assert steps(killed) == sorted(set(steps(killed)))


def test_fault_25_a_stopped_process_is_suspended_and_not_crashed(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        with viewing(process.run) as viewer:
            viewer.until_state("running")
            process.signal(signal.SIGSTOP)
            viewer.until_state("suspended")
            assert not viewer.session.ended
            listed = json.loads(call(tmp_path, "runs", "--json").stdout)
            assert listed[0]["state"] == "suspended"
            told = call(tmp_path, "ctl", process.run.name, "pause")
            assert told.returncode == 2
            assert f"kill -CONT {process.pid}" in told.stderr
            process.signal(signal.SIGCONT)
            viewer.until_state("running")


def test_a_resume_from_an_earlier_step_reloads_what_is_attached(tmp_path: Path) -> None:
    often = ("checkpoint.every_steps=100", "checkpoint.keep_last=50")
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS, *often) as process:
        process.until_step(500)
        run = process.run
        with viewing(run) as viewer:
            viewer.until_step(500)
            process.signal(signal.SIGTERM)
            assert process.wait() == 143
            viewer.until(lambda: viewer.session.ended)
            viewer.look()
            reached = viewer.session.history.newest
            assert reached >= 500
            first = min(
                json.loads(path.read_text())["step"] for path in run.glob("checkpoints/*.json")
            )
            with started(tmp_path, "resume", run.name, "--from", str(first)) as again:
                again.until_event("run_started")
                again.until_step(first + 1)
                viewer.until(lambda: not viewer.session.ended)
                assert not viewer.ask(Pause()).refused
                viewer.until_state("paused")
                starts = [event for event in viewer.events if isinstance(event, RunStarted)]
                assert [start.generation for start in starts] == [0, 1]
                assert viewer.session.view.generation == status(run)["generation"] == 1
                viewer.until(lambda: viewer.session.history.newest == steps(run)[-1])
                curve = viewer.session.history.curve(
                    "train/loss", x="step", window="all", columns=9999, smoothing=0
                )
                # A bucket has one step or more, and on a curve it stands at the last of them that
                # was read: of a stretch of thousands of lines, every second or third is read.
                width = viewer.session.history.parts().series["train/loss"].width
                assert width * MOST_BUCKETS <= 2 * max(reached, steps(run)[-1] + 1) or width == 1
                assert set(curve.xs) <= set(steps(run))
                assert curve.xs[-1] == steps(run)[-1] > first
                buckets = [x // width for x in curve.xs]
                assert buckets == list(range(1 // width, int(buckets[-1]) + 1))


@pytest.mark.full
def test_a_deleted_directory_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", "training.max_steps=40") as process:
        assert process.wait() == 0
        run = process.run
    with viewing(run) as viewer:
        viewer.until(lambda: viewer.session.view.ending)
        run.rename(tmp_path / "aside")
        viewer.until_state("deleted")


def test_without_a_terminal_it_follows_to_the_end(tmp_path: Path) -> None:
    none = call(tmp_path, "attach")
    assert none.returncode == 2
    assert "no live run" in none.stderr
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        name = process.run.name
        with started(tmp_path, "attach") as follower:
            follower.until_event("run_started")
            follower.until(lambda event: event["event"] == "steps_taken")
            assert call(tmp_path, "ctl", name, "stop").returncode == 0
            assert follower.wait() == 0
            assert follower.events[-1]["event"] == "run_ended"
            assert follower.events[-1]["state"] == "stopped"
        assert process.wait() == 0
    lines_of = call(tmp_path, "attach", name, "--no-ui")
    assert lines_of.returncode == 0
    assert "stopped after" in lines_of.stdout
    logs = call(tmp_path, "logs", name).stdout.splitlines()
    assert "parameters on cpu" in logs[0]
    assert any("stop: requested by ctl (" in line for line in logs)
    assert any("stop: applied at step" in line for line in logs)
    assert call(tmp_path, "logs", name, "-n", "2").stdout.splitlines() == logs[-2:]
    followed = call(tmp_path, "logs", name, "-f")
    assert followed.returncode == 0, "it has ended, so there is nothing to wait for"
    assert followed.stdout.splitlines() == logs


@pytest.mark.full
def test_an_interrupt_leaves_with_0(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        for number in (signal.SIGINT, signal.SIGTERM):
            with started(tmp_path, "attach") as follower:
                follower.until(lambda event: event["event"] == "steps_taken")
                follower.signal(number)
                assert follower.wait() == 0
                assert follower.errors == ""
        process.until_step(process.events[-1]["step"] + 100)


def test_the_app_steers_and_leaves(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", *ENDLESS) as process:
        process.until_step(20)
        run = process.run
        for key in ("q", "d"):
            with opened(tmp_path, "attach", size=(110, 30)) as terminal:
                terminal.until_text(f"{run.name} ", "reading presets")
                terminal.until_text("running", "Detach", "Quit")
                if key == "q":
                    terminal.press("p")
                    terminal.until_text("paused, saved at step")
                    assert status(run)["state"] == "paused"
                    terminal.press("p")
                    terminal.until(lambda: status(run)["state"] == "running")
                terminal.press(key)
                assert terminal.wait() == 0
                terminal.assert_restored()
                assert "continues without you" in terminal.screen.text
                assert f"tui-trainer attach {run.name}" in terminal.screen.text.replace("\n", "")
            process.until_step(process.events[-1]["step"] + 100)


@pytest.mark.full
def test_the_app_shows_the_results_of_a_run_that_has_ended(tmp_path: Path) -> None:
    with started(tmp_path, "train", "penguins-mlp", "training.epochs=3") as process:
        assert process.wait() == 0
    with opened(tmp_path, "attach", "last", size=(110, 30)) as terminal:
        terminal.until_text("finished after epoch 3", "train on", "accuracy")
        terminal.press("escape")
        terminal.until_text("── train")
        terminal.press("q")
        assert terminal.wait() == 0


def test_what_is_resumed_in_a_viewer_can_be_left_to_itself(tmp_path: Path) -> None:
    few = ("training.epochs=null", "training.max_steps=40", "schedule=constant")
    with started(tmp_path, "train", "penguins-mlp", *few) as process:
        assert process.wait() == 0
        run = process.run
    with opened(tmp_path, "attach", "last", size=(110, 30)) as terminal:
        terminal.until_text("finished after epoch", "train on")
        terminal.press("r")
        terminal.until_text("training.max_steps")
        terminal.press("1000000000")
        terminal.until_text("1000000000")
        terminal.press("enter")
        terminal.until_text("running", "Detach")
        terminal.press("d")
        assert terminal.wait() == 0
        terminal.assert_restored()
        step = status(run)["step"]
        terminal.until(lambda: status(run)["step"] > step)
        assert call(tmp_path, "ctl", run.name, "stop").returncode == 0
        terminal.until(lambda: status(run)["state"] == "stopped")
