"""An interrupt of what only watches."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tui_trainer.sessions.signals import InterruptFlag

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_is_noted_and_nothing_is_raised(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with InterruptFlag() as leaving:
        asked = [leaving.is_asked]
        signal.raise_signal(number)
        asked.append(leaving.is_asked)
    assert asked == [False, True]
    assert signal.getsignal(number) == before


def test_an_interrupt_where_python_ignores_exceptions_is_not_lost() -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with InterruptFlag() as leaving:
        dying = Dying()
        del dying
        assert leaving.is_asked


@pytest.mark.parametrize("number", NUMBERS)
def test_the_second_one_ends_the_process_whatever_it_waits_for(number: signal.Signals) -> None:
    program = (
        "import signal\n"
        "from tui_trainer.sessions.signals import InterruptFlag\n"
        "with InterruptFlag():\n"
        f"    signal.raise_signal({int(number)})\n"
        f"    signal.raise_signal({int(number)})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=300)
    assert done.returncode == -number
