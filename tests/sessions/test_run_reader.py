"""What a reader makes of a run's directory, with a clock that the test moves."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.runs.test_recording import append, metrics_line
from tests.runs.views import a_view, changed
from tests.ui.runs import USAGE, an_ending, some_events
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Pause, Save
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import (
    CommandApplied,
    Edited,
    Event,
    MeasurementAdvanced,
    Notice,
    RunEnded,
    RunStarted,
    StateChanged,
    StepsTaken,
    to_dict,
)
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.mailbox import Mailbox
from tui_trainer.runs.status import write_status
from tui_trainer.sessions.attached import AttachedSession
from tui_trainer.sessions.event_log import EventLog
from tui_trainer.sessions.run_reader import RunReader

HERE = socket.gethostname()
NAME = "digits-cnn-1122-2315"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    """A run as its files tell it, and a session that is looked with by hand."""

    def __init__(self, folder: Path, host: str = HERE) -> None:
        self.run = RunDirectory(folder / NAME)
        make_skeleton(self.run)
        experiment = PresetLibrary([builtin_dir()]).experiment("digits-cnn")
        self.run.config.write_text(to_yaml(experiment.to_dict()))
        self.status = a_view(
            NAME,
            "running",
            step=300,
            epoch=14,
            pid=4711,
            host=host,
            heartbeat=1,
            generation=1,
            device="cuda:0",
            total_steps=460,
            elapsed_s=3.0,
        )
        self.lock = RunLock.acquire(self.run.lock)
        self.tell(*some_events(300))
        append(self.run.metrics, *(metrics_line(step) for step in range(1, 301)))
        self.clock = Clock()
        self.session = AttachedSession(self.run, self.clock)
        self.cursor = 0

    def tell(self, *events: Event) -> None:
        """What a watcher would write; of the steps there are the lines."""
        append(self.run.events, *(to_dict(e) for e in events if not isinstance(e, StepsTaken)))

    def beat(self, **changes: object) -> None:
        beats = self.status.process.heartbeat + 1
        self.status = changed(self.status, heartbeat=beats, **changes)
        write_status(self.run.status, self.status)

    def look(self, after_s: float = 0.25) -> list[Event]:
        """Look once, as the thread would, and bring it into the picture."""
        self.clock.now_s += after_s
        self.session._post()
        self.session._poll()
        self.session.refresh()
        events, self.cursor = self.session.events(self.cursor)
        return events

    @property
    def state(self) -> str:
        return self.session.view.state


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    made = Watched(tmp_path)
    made.beat(usage=asdict(USAGE), waiting_share=0.1)
    return made


def of_kind(events: Sequence[Event], *kinds: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kinds)]


def notices(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.level, event.text) for event in events if isinstance(event, Notice)]


def test_of_a_long_run_the_newest_events_come_at_once_and_the_others_can_be_read(
    watched: Watched,
) -> None:
    watched.run.events.unlink()
    texts = [f"note {number}" for number in range(1, 4001)]
    watched.tell(*(Notice(1, text) for text in texts))
    newest = [text for _, text in notices(watched.look())]
    earlier = watched.session.earlier
    assert earlier is not None
    assert 0 < earlier.size < watched.run.events.stat().st_size
    before = [entry.text for entry in earlier.read().entries]
    assert 0 < len(before) < 4000
    assert before + newest == texts
    watched.tell(Notice(2, "later"))
    assert notices(watched.look()) == [("note", "later")]
    assert watched.session.earlier is earlier


def test_of_a_short_run_all_events_come_at_once(watched: Watched) -> None:
    watched.look()
    assert watched.session.earlier is None


def test_a_run_that_lives_and_writes_nothing_is_told_of_once_and_heard_again(
    watched: Watched,
) -> None:
    watched.look()
    reports = [notice for _ in range(60) for notice in notices(watched.look(1.0))]
    ((level, text),) = reports
    assert level == "warning"
    assert text.startswith("the run is alive but has written nothing for 30 s: is its disk full?")
    assert watched.state == "running"
    watched.beat()
    assert notices(watched.look()) == [("note", "the run is writing again")]
    assert notices(watched.look()) == []


def test_the_end_is_seen_only_when_its_event_can_be_read(watched: Watched) -> None:
    session = watched.session
    watched.look()
    seen_early: list[bool] = []

    class PeekingLog(EventLog):
        """Looks for the end before any event is added."""

        def append(self, *events: Event) -> None:
            seen_early.append(session.ended)
            super().append(*events)

    session._log = PeekingLog()
    watched.tell(an_ending())
    session._poll()
    assert seen_early == [False]
    assert session.ended


def test_the_first_look_has_the_whole_picture(watched: Watched) -> None:
    events = watched.look()
    view = watched.session.view
    assert isinstance(events[1], RunStarted)
    assert (view.name, view.state, view.step, view.epoch) == (NAME, "running", 300, 14)
    assert (view.model.parameters, view.steps_per_epoch, view.total_steps) == (48906, 23, 460)
    assert (view.numbers.loss, view.numbers.grad_norm, view.numbers.waiting_share) == (
        1 / 300,
        0.5,
        0.1,
    )
    assert (view.scores.best_step, view.saved.step) == (299, 299)
    assert watched.session.usage == USAGE
    assert watched.session.history.newest == 300
    assert [mark.kind for mark in watched.session.history.marks(x="step", window="all")].count(
        "pause"
    ) == 1
    assert view.speed.step_s == pytest.approx(0.01)
    assert watched.session.experiment is not None


def test_what_is_new_is_told_and_drawn_once(watched: Watched) -> None:
    watched.look()
    assert watched.look() == []
    append(watched.run.metrics, *(metrics_line(step) for step in range(301, 311)))
    edit = Edited(305, "optimizer.lr", 3e-3, 1e-4, "ctl (a@b/1)", 500)
    watched.tell(edit)
    events = watched.look()
    assert of_kind(events, Edited) == [edit]
    assert sum(len(event.losses) for event in events if isinstance(event, StepsTaken)) == 10
    assert watched.session.history.newest == watched.session.view.step == 310
    assert watched.session.view.total_steps == 500
    assert watched.session.experiment is not None
    assert watched.session.experiment.get("optimizer.lr") == 1e-4


def test_a_start_from_an_earlier_step_reloads_the_picture(watched: Watched) -> None:
    watched.look()
    watched.tell(RunEnded(300, "stopped", "asked", 14, "", 6.0, 0))
    watched.beat(state="stopped")
    watched.look()
    assert (watched.state, watched.session.ended) == ("stopped", True)
    lines = watched.run.metrics.read_bytes().splitlines(keepends=True)[:200]
    watched.run.metrics.write_bytes(b"".join(lines))
    watched.beat(state="starting", step=200, generation=2)
    watched.look()
    start = RunStarted(200, 9, NAME, "cpu", 48906, 1221, 23, 460, 2)
    watched.tell(start, StateChanged(200, "running"))
    append(watched.run.metrics, metrics_line(201))
    events = watched.look()
    assert of_kind(events, RunStarted) == [start]
    view = watched.session.view
    assert (view.state, view.step, view.generation) == ("running", 201, 2)
    assert (view.ending, watched.session.ended) == (None, False)
    assert watched.session.history.newest == 201
    assert all(m.step <= 200 for m in watched.session.history.marks(x="step", window="all"))


def test_the_best_of_this_start_is_known_though_its_validation_is_far_back(
    watched: Watched,
) -> None:
    start = RunStarted(200, 9, NAME, "cpu", 48906, 1221, 23, 460, 2)
    watched.tell(start, StateChanged(200, "running"))
    watched.beat(generation=2, best={"loss": 0.1}, best_step=250)
    watched.look()
    scores = watched.session.view.scores
    assert (scores.best, scores.best_step) == ({"loss": 0.1}, 250)


def test_the_end_of_an_earlier_life_is_not_that_of_the_one_that_starts(watched: Watched) -> None:
    watched.tell(RunEnded(300, "stopped", "asked", 14, "", 6.0, 0))
    watched.beat(state="starting", generation=2)
    watched.look()
    assert (watched.state, watched.session.ended) == ("starting", False)


def test_a_run_that_has_ended_opens_with_its_results_where_it_is_now(watched: Watched) -> None:
    watched.tell(an_ending())
    watched.beat(state="finished")
    watched.lock.release()
    watched.look()
    assert watched.session.ended
    assert an_ending().run_dir != str(watched.run.path)
    ending = replace(an_ending(), run_dir=str(watched.run.path))
    assert watched.session.view.ending == ending


def test_an_end_that_no_event_tells_is_told_by_the_status(watched: Watched) -> None:
    watched.run.events.unlink()
    watched.beat(state="failed", reason="the disk is full")
    events = watched.look()
    assert watched.session.ended
    assert [(e.state, e.reason) for e in events if isinstance(e, RunEnded)] == [
        ("failed", "the disk is full")
    ]


def test_a_process_that_is_gone_is_a_crash_until_another_goes_on(watched: Watched) -> None:
    watched.look()
    watched.lock.release()
    assert watched.look(1.0) == [], "it may just be slow"
    events = watched.look(3.0)
    assert watched.state == "crashed"
    assert watched.session.ended
    reason = watched.session.view.reason
    assert "process 4711" in reason
    assert f"{watched.run.command('resume')} starts it again from the beginning" in reason
    assert len(of_kind(events, RunEnded)) == 1
    assert watched.look(3.0) == []
    lock = RunLock.acquire(watched.run.lock)
    watched.beat(state="running", generation=2)
    watched.look()
    assert (watched.state, watched.session.ended) == ("running", False)
    lock.release()


def test_a_run_that_has_crashed_before_it_is_watched_is_told_of_once(watched: Watched) -> None:
    watched.lock.release()
    events = [event for _ in range(4) for event in watched.look(3.0)]
    assert [event.state for event in events if isinstance(event, RunEnded)] == ["crashed"]
    assert watched.state == "crashed"


def test_the_progress_of_a_test_is_read_from_the_status(watched: Watched) -> None:
    watched.look()
    watched.tell(StateChanged(460, "testing", "360 samples, then 2 baselines"))
    progress = {"test_part": "test split", "test_total": 360, "test_unit": "samples"}
    watched.beat(state="testing", step=460, **progress, test_done=0)
    watched.look()
    watched.beat(**progress, test_done=90, test_elapsed_s=5.0)
    events = watched.look()
    assert events == [MeasurementAdvanced(460, "test split", 90, 360, "samples", 5.0, "")]
    assert (watched.state, watched.session.view.eta_s) == ("testing", 15.0)
    watched.beat()
    assert watched.look() == []
    watched.lock.release()
    watched.look(4.0)
    assert watched.state == "crashed"
    assert watched.session.view.lacks_only_test
    reason = f"all its steps are saved; {watched.run.command('resume')} only tests it"
    assert watched.session.view.reason.endswith(reason)
    later = AttachedSession(watched.run, watched.clock)
    later._poll()
    later.refresh()
    assert (later.view.state, later.view.final_test.done) == ("crashed", 90)
    assert later.view.lacks_only_test


def test_a_status_that_is_ahead_of_the_events_moves_the_state_on(watched: Watched) -> None:
    """A viewer showed the progress of the test beside the state `starting`, until its next look."""
    watched.beat(state="starting", step=460, generation=2)
    watched.tell(RunStarted(460, 20, NAME, "cuda:0", 48906, 1221, 23, 460, 2))
    watched.look()
    assert watched.state == "starting"
    progress = {"test_part": "test split", "test_total": 360, "test_unit": "samples"}
    watched.beat(state="testing", **progress, test_done=90)
    watched.look()
    assert (watched.state, watched.session.view.final_test.done) == ("testing", 90)
    watched.beat(state="running")
    watched.look()
    assert watched.state == "testing", "a status never takes the state back"
    watched.tell(StateChanged(460, "paused"))
    watched.beat(state="testing")
    watched.look()
    assert watched.state == "paused"


def test_of_another_host_the_heartbeat_alone_tells_by_our_own_clock(tmp_path: Path) -> None:
    watched = Watched(tmp_path, host="elsewhere")
    watched.lock.release()
    watched.beat()
    states = []
    for after_s in (0.0, 20.0, 15.0, 200.0, 80.0):
        watched.look(after_s)
        states.append(watched.state)
    assert states == ["running", "running", "lost?", "lost?", "crashed"]
    assert watched.session.ended
    watched.beat()
    watched.look()
    assert (watched.state, watched.session.ended) == ("running", False)


def test_a_directory_that_is_gone_is_told_once_and_may_come_back(
    watched: Watched, tmp_path: Path
) -> None:
    watched.look()
    watched.run.path.rename(tmp_path / "aside")
    events = [*watched.look(), *watched.look()]
    assert [event.text for event in events if isinstance(event, Notice)] == [
        f"the directory of the run was deleted: {watched.run.path}"
    ]
    assert (watched.state, watched.session.ended) == ("deleted", True)
    assert watched.session.history.newest == 300
    (tmp_path / "aside").rename(watched.run.path)
    watched.beat()
    watched.look()
    assert (watched.state, watched.session.ended) == ("running", False)


def test_a_file_system_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    watched = Watched(tmp_path / "mount")
    watched.beat()
    watched.look()
    shutil.rmtree(tmp_path / "mount")
    watched.look()
    assert (watched.state, watched.session.ended) == ("unreachable", False)


def test_a_directory_with_nothing_to_be_read_is_no_error(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "empty")
    make_skeleton(run)
    for path in (run.status, run.events, run.metrics, run.history, run.edits, run.config):
        path.write_bytes(b'\0{"step": "x", \xff\n')
    update = RunReader(run).poll()
    assert update.snapshot is not None
    assert update.snapshot.tracked.view.state == "starting"
    assert update.snapshot.tracked.experiment is None


def test_a_command_goes_by_the_mailbox_and_comes_back_as_ours(watched: Watched) -> None:
    watched.look()
    command = Pause(offload=True)
    watched.session.send(command)
    watched.look()
    taken = Mailbox(watched.run.control).take()
    assert [sent.id for sent in taken.commands] == [command.id]
    origin = taken.commands[0].origin
    assert origin.startswith("attached (")
    watched.tell(CommandApplied(300, command.id, "pause", origin))
    assert [e.origin for e in watched.look() if isinstance(e, CommandApplied)] == ["you"]


def test_a_command_that_nobody_takes_is_told_of(watched: Watched) -> None:
    watched.look()
    watched.session.send(Save())
    assert watched.look() == []
    watched.beat()
    events = watched.look(6.0)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "save: not answered yet; the run is running"
    ]
    assert watched.look() == []


def test_a_command_is_refused_by_the_end_and_by_a_box_that_takes_none(watched: Watched) -> None:
    watched.look()
    sent = [Save(), Save(), Save()]
    watched.session.send(sent[0])
    watched.look()
    shutil.rmtree(watched.run.control)
    watched.session.send(sent[1])
    refused = watched.look()
    watched.tell(an_ending())
    watched.beat(state="finished")
    refused += watched.look()
    watched.session.send(sent[2])
    refused += watched.look()
    answers = {e.id: e.refused for e in refused if isinstance(e, CommandApplied)}
    assert answers[sent[0].id] == answers[sent[2].id] == "the run has ended"
    assert "cannot be written" in answers[sent[1].id]


def test_an_edit_that_does_not_fit_ends_nothing(watched: Watched) -> None:
    watched.look()
    watched.tell(Edited(300, "model.nothing", 1, 2, "somebody"), StateChanged(300, "pausing"))
    watched.look()
    assert watched.state == "pausing"
