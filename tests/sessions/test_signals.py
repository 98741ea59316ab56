"""Signals become commands: one request a second, and a way out that touches nothing."""

from __future__ import annotations

import signal

import pytest

from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.runs.commands import Command, Save, Stop
from tui_trainer.runs.events import Event
from tui_trainer.sessions.signals import SignalHandler


class Recorder:
    """A session that only remembers what it was sent."""

    ended = False

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.settings: TrainingSection | None = TrainingSection()

    def events(self, cursor: int) -> tuple[list[Event], int]:
        return [], cursor

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def wait(self, timeout_s: float) -> bool:
        return False


class Desk:
    """A desk with a clock that is set by hand, and a leave that is only noted."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.left: list[int] = []
        self.session = Recorder()
        self.desk = SignalHandler(self.session, leave=self.left.append, clock=lambda: self.now_s)

    def signal(self, number: int, *, at_s: float) -> None:
        self.now_s = 100.0 + at_s
        self.desk.on_stop(number)
        self.desk.deliver()


def test_fault_23_signals_within_a_second_are_one_request() -> None:
    desk = Desk()
    for number, at_s in ((signal.SIGINT, 0.0), (signal.SIGINT, 0.3), (signal.SIGTERM, 0.9)):
        desk.signal(number, at_s=at_s)
    assert [(c.save, c.signal) for c in desk.session.sent if isinstance(c, Stop)] == [(True, 2)]
    assert desk.left == []


def test_fault_23_a_later_second_sigint_leaves_at_once() -> None:
    desk = Desk()
    desk.signal(signal.SIGINT, at_s=0.0)
    desk.signal(signal.SIGINT, at_s=1.2)
    assert desk.left == [130]


def test_fault_23_a_first_sigint_after_a_sigterm_does_not_leave() -> None:
    desk = Desk()
    for number, at_s in ((signal.SIGTERM, 0.0), (signal.SIGINT, 5.0)):
        desk.signal(number, at_s=at_s)
    assert desk.left == []
    desk.signal(signal.SIGINT, at_s=10.0)
    assert desk.left == [130]


def test_fault_23_sigterm_never_shortens_a_save() -> None:
    desk = Desk()
    desk.signal(signal.SIGTERM, at_s=0.0)
    for at_s in (2.0, 5.0, 60.0):
        desk.signal(signal.SIGTERM, at_s=at_s)
    assert desk.left == []
    assert len(desk.session.sent) == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_other_signals_do_not_stop(number: int) -> None:
    desk = Desk()
    before = signal.getsignal(number)
    with desk.desk:
        signal.raise_signal(number)
        desk.desk.deliver()
    assert signal.getsignal(number) == before
    assert [type(command) for command in desk.session.sent] == (
        [Save] if number == signal.SIGUSR1 else []
    )


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_with_a_setting_waits_until_the_setting_is_known(number: int) -> None:
    desk = Desk()
    desk.session.settings = None
    with desk.desk:
        signal.raise_signal(number)
        desk.desk.deliver()
        assert desk.session.sent == []
        name = signal.Signals(number).name
        desk.session.settings = TrainingSection.model_validate({"preempt_signals": [name]})
        desk.desk.deliver()
        desk.desk.deliver()
    (stop,) = desk.session.sent
    assert isinstance(stop, Stop)
    assert (stop.origin, stop.signal) == (name, number)


def test_fault_24_a_hang_up_is_told_once_and_stops_where_that_is_wanted() -> None:
    desk = Desk()
    desk.session.settings = TrainingSection(on_hangup="save-and-stop")
    for _ in range(3):
        desk.desk.hang_up()
        desk.desk.deliver()
    (stop,) = desk.session.sent
    assert isinstance(stop, Stop)
    assert (stop.save, stop.signal) == (True, signal.SIGHUP)


def test_two_requests_to_save_within_a_second_are_one() -> None:
    desk = Desk()
    for at_s in (0.0, 0.5, 1.5):
        desk.now_s = 100.0 + at_s
        desk.desk.on_other(signal.SIGUSR1)
    desk.desk.deliver()
    assert [type(command) for command in desk.session.sent] == [Save, Save]
