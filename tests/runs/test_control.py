"""Control hands over every command once, in order, from any thread and from a signal handler."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from tests.runs.children import BOUND_S
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop
from tui_trainer.runs.control import Control


def test_commands_come_out_in_the_order_they_went_in() -> None:
    control = Control()
    sent: list[Command] = [Pause(), Set(key="k", value=1), Resume()]
    for command in sent:
        control.send(command)

    assert [control.take() for _ in range(4)] == [*sent, None]


def flags(control: Control) -> tuple[bool, bool]:
    return control.pending, control.stop_asked


def test_pending_says_whether_there_is_something_to_take() -> None:
    control = Control()
    assert flags(control) == (False, False)

    control.send(Pause())
    control.send(Resume())
    assert flags(control) == (True, False)
    control.take()
    assert flags(control) == (True, False), "the second one would be forgotten"
    control.take()
    assert flags(control) == (False, False)
    assert control.take() is None
    assert flags(control) == (False, False)


def test_a_stop_is_known_before_it_is_taken_and_stays_known() -> None:
    control = Control()
    control.send(Pause())
    control.send(Stop())
    assert flags(control) == (True, True)

    while control.take():
        pass
    assert flags(control) == (False, True)


def test_waiting_ends_when_the_time_is_over_or_something_is_there() -> None:
    control = Control()
    assert not control.wait(0.0)

    control.send(Save())
    assert control.wait(BOUND_S)
    assert control.wait(BOUND_S), "waiting takes nothing"
    control.take()
    assert not control.wait(0.0)


def test_a_sleeping_loop_is_woken_by_another_thread() -> None:
    control = Control()
    woken = threading.Event()

    def loop() -> None:
        if control.wait(BOUND_S):
            woken.set()

    thread = threading.Thread(target=loop)
    thread.start()
    control.send(Resume())
    thread.join(BOUND_S)

    assert woken.is_set()


def test_many_threads_lose_and_reorder_nothing() -> None:
    control = Control()
    threads = 8
    each = 200
    start = threading.Barrier(threads)

    def send(sender: int) -> None:
        start.wait(BOUND_S)
        for number in range(each):
            control.send(Set(key=str(sender), value=number))

    workers = [threading.Thread(target=send, args=(sender,)) for sender in range(threads)]
    for worker in workers:
        worker.start()
    taken: dict[str, list[object]] = {str(sender): [] for sender in range(threads)}
    for _ in range(threads * each):
        command = control.take()
        while command is None:
            assert control.wait(BOUND_S), "a command was lost"
            command = control.take()
        assert isinstance(command, Set)
        taken[command.key].append(command.value)
    for worker in workers:
        worker.join(BOUND_S)

    assert all(values == list(range(each)) for values in taken.values())
    assert control.take() is None


def test_fault_23_a_signal_handler_can_send_while_the_loop_waits() -> None:
    control = Control()

    def handler(number: int, _frame: FrameType | None) -> None:
        control.send(Stop(signal=number))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert control.wait(BOUND_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    command = control.take()
    assert isinstance(command, Stop)
    assert command.signal == signal.SIGALRM
