"""The loader: one piece after the other, the newest of a kind, and nothing beside a run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tui_trainer.sessions.loader import Loader
from tui_trainer.text.errors import BadInput, TrainerError

LIMIT_S = 60.0


def nothing(say: Callable[[str], None]) -> None:
    say("loading nothing")


class Gate:
    """A piece of work that tells when it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.wait()
        return "gate"

    def wait(self) -> None:
        self.begun.set()
        assert self.may_end.wait(LIMIT_S)


class Results:
    """Collects what was delivered, so that a test can wait for it."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self._arrived = threading.Condition()

    def take(self, result: Any) -> None:
        with self._arrived:
            self.found.append(result)
            self._arrived.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.found) >= count, LIMIT_S)
            return self.found


@contextmanager
def running(
    first: Callable[[Callable[[str], None]], None] = nothing,
    extras: tuple[Callable[[], object], ...] = (),
) -> Iterator[Loader]:
    loader = Loader(extras, first=first)
    loader.start(lambda call: call())
    try:
        yield loader
    finally:
        loader.close()


def test_what_was_submitted_before_the_start_is_done_after_loading() -> None:
    order: list[str] = []
    results = Results()
    loader = Loader((lambda: order.append("extra"),), first=lambda say: order.append("first"))
    loader.submit("preview", lambda: order.append("work"), results.take)
    assert loader.stage
    loader.start(lambda call: call())
    results.wait_for(1)
    assert order == ["first", "extra", "work"]
    assert loader.stage == ""
    loader.close()


def test_the_stage_is_what_it_loads() -> None:
    loading = threading.Event()
    go_on = threading.Event()

    def load(say: Callable[[str], None]) -> None:
        say("importing torch")
        loading.set()
        go_on.wait(LIMIT_S)

    with running(load) as loader:
        assert loading.wait(LIMIT_S)
        assert loader.stage == "importing torch"
        go_on.set()


def test_of_pieces_of_one_kind_that_wait_only_the_newest_is_done() -> None:
    gate, results = Gate(), Results()
    with running() as loader:
        loader.submit("other", gate, results.take)
        assert gate.begun.wait(LIMIT_S)
        for number in range(5):
            loader.submit("preview", partial(int, number), results.take)
        loader.submit("devices", lambda: "devices", results.take)
        gate.may_end.set()
        assert results.wait_for(3) == ["gate", 4, "devices"]


def test_an_error_is_the_result_and_a_bug_is_one_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = BadInput("no such file; name another")
    results = Results()

    def refuse() -> None:
        raise refused

    with running() as loader:
        loader.submit("a", refuse, results.take)
        loader.submit("b", lambda: 1 / 0, results.take)
        loader.submit("c", lambda: "still there", results.take)
        first, second, third = results.wait_for(3)
    assert first is refused
    assert isinstance(second, TrainerError)
    assert "ZeroDivisionError" in str(second)
    assert third == "still there"
    assert "Traceback" in capsys.readouterr().err


def test_without_torch_each_piece_is_answered_with_what_to_do() -> None:
    results = Results()

    def fail(say: Callable[[str], None]) -> None:
        raise ImportError("libtorch_cpu.so: cannot open shared object file")

    with running(fail) as loader:
        loader.submit("preview", lambda: "never", results.take)
        (error,) = results.wait_for(1)
        assert loader.stage == ""
    assert isinstance(error, TrainerError)
    assert "libtorch_cpu.so" in str(error)
    assert "tui-trainer doctor" in str(error)


def test_a_run_waits_for_the_piece_in_hand_and_no_piece_begins_beside_it() -> None:
    gate, results = Gate(), Results()
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    with running() as loader:
        loader.submit("slow", gate, lambda result: order.append("slow done"))
        assert gate.begun.wait(LIMIT_S)

        def run() -> None:
            with loader.held():
                order.append("run begins")
                inside.set()
                leave.wait(LIMIT_S)
                order.append("run ends")

        trainer = threading.Thread(target=run)
        trainer.start()
        assert not inside.is_set(), "the piece in hand is not done yet"
        gate.may_end.set()
        assert inside.wait(LIMIT_S)
        loader.submit("preview", lambda: order.append("preview"), results.take)
        leave.set()
        trainer.join()
        results.wait_for(1)
    assert order[-2:] == ["run ends", "preview"]
    assert order.index("run begins") < order.index("run ends")


def test_a_run_waits_until_torch_is_loaded() -> None:
    gate = Gate()
    begun = threading.Event()
    with running(lambda say: gate.wait()) as loader:

        def run() -> None:
            with loader.held():
                assert gate.may_end.is_set()
                begun.set()

        trainer = threading.Thread(target=run)
        trainer.start()
        gate.may_end.set()
        assert begun.wait(LIMIT_S)
        trainer.join()


def test_after_close_nothing_is_begun_and_nothing_delivered() -> None:
    gate, results = Gate(), Results()
    loader = Loader(first=lambda say: gate.wait())
    loader.start(lambda call: call())
    loader.submit("preview", lambda: "never", results.take)
    assert gate.begun.wait(LIMIT_S)
    closing = threading.Thread(target=loader.close)
    closing.start()
    gate.may_end.set()
    closing.join(LIMIT_S)
    assert not closing.is_alive()
    assert results.found == []
    loader.close()


def test_a_loader_that_never_started_closes() -> None:
    Loader(first=nothing).close()


def test_a_closed_loop_ends_the_loader() -> None:
    def refuse(call: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    loader = Loader(first=nothing)
    loader.start(refuse)
    loader.submit("preview", lambda: 1, lambda result: None)
    loader.close()


def in_process(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_S * 3
    )


@pytest.mark.full
def test_loading_torch_leaves_generator_threads_and_environment_as_they_are() -> None:
    done = in_process(
        "import gc, os, sys, threading\n"
        "from tui_trainer.sessions.loader import Loader, import_torch\n"
        "environment, seen = dict(os.environ), []\n"
        "def look(stage):\n"
        "    torch = sys.modules.get('torch')\n"
        "    seen.append((torch.get_rng_state().tolist(), torch.get_num_threads())\n"
        "                if torch else None)\n"
        "loader = Loader((lambda: look(''),), first=lambda say: import_torch(look))\n"
        "loader.start(lambda call: call())\n"
        "with loader.held():\n"
        "    pass\n"
        "loader.close()\n"
        "print(seen[0], seen[1] == seen[-1] and seen[1] is not None)\n"
        # Torch's own, set when the first optimizer of any process is made.
        "for known in (os.environ, environment):\n"
        "    known.pop('TORCHINDUCTOR_CACHE_DIR', None)\n"
        "print(os.environ == environment)\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
    )
    assert done.stdout.splitlines() == ["None True", "True", "True True"], done.stderr
    assert done.returncode == 0


@pytest.mark.full
def test_closing_in_the_middle_of_the_import_is_a_clean_end() -> None:
    done = in_process(
        "import threading, time\n"
        "from tui_trainer.sessions.loader import Loader, import_torch\n"
        "begun = threading.Event()\n"
        "def first(say):\n"
        "    def told(stage):\n"
        "        begun.set()\n"
        "        say(stage)\n"
        "    import_torch(told)\n"
        "loader = Loader(first=first)\n"
        "loader.start(lambda call: call())\n"
        "assert begun.wait(300)\n"
        "begin_s = time.monotonic()\n"
        "loader.close()\n"
        "print(f'{time.monotonic() - begin_s:.1f}')\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) < LIMIT_S
