"""The interval between refreshes depends on their cost."""

from __future__ import annotations

from tui_trainer.ui.run.refresh import LONGEST_REST_S, RefreshRate


class Cpu:
    """A clock of the thread's time that a test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def rests(costs_s: list[float], fps: float = 2.0) -> list[float]:
    """The rest after each of some looks."""
    cpu = Cpu()
    pace = RefreshRate(fps, cpu)
    found = []
    for cost_s in costs_s:
        pace.begin()
        cpu.now_s += cost_s
        found.append(pace.rest_s() + pace.settle_s)
        cpu.now_s += 100
    return found


def share(cost_s: float, fps: float = 2.0) -> float:
    """The share of the wall that looks of a cost take in the long run."""
    rest_s = rests([cost_s] * 10, fps)[-1]
    return cost_s / (cost_s + rest_s)


def test_cheap_looks_come_at_the_rate_asked_for() -> None:
    assert abs(rests([0.003] * 5)[-1] - 0.497) < 1e-9
    assert abs(rests([0.003] * 5, fps=10)[-1] - 0.097) < 1e-9


def test_at_the_default_rate_looks_take_well_below_two_percent_however_dear() -> None:
    assert share(0.008) < 0.007
    assert share(0.018) < 0.007
    assert share(0.040) < 0.015


def test_a_higher_rate_may_cost_more_and_is_bounded_too() -> None:
    assert 0.02 < share(0.020, fps=10) < 0.1


def test_one_dear_look_does_not_slow_the_next_ones() -> None:
    assert rests([0.002, 0.3, 0.002, 0.002])[1] <= 0.5
    assert max(rests([0.002, 0.3, 0.002, 0.002])) <= 0.5


def test_a_look_comes_at_least_every_few_seconds() -> None:
    assert max(rests([5.0] * 10)) <= LONGEST_REST_S
    assert rests([0.001], fps=0.1)[0] > LONGEST_REST_S


def test_what_is_done_between_two_looks_is_not_held_against_them() -> None:
    assert rests([0.001] * 6) == rests([0.001] * 6)
    assert rests([0.001] * 6)[-1] > 0.49
