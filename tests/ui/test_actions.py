"""Actions that are unavailable for a run, and why."""

from __future__ import annotations

import pytest

from tests.ui.runs import an_ending, some_events
from tui_trainer.config.keys import actions_of
from tui_trainer.runs.view import RunView
from tui_trainer.ui.run.actions import LIVE_ONLY, unavailable_reason


def a_run(*, ended: bool = False) -> RunView:
    view = RunView()
    for event in [*some_events(), *([an_ending()] if ended else [])]:
        view.apply(event)
    return view


@pytest.mark.parametrize("action", sorted(LIVE_ONLY))
def test_a_run_that_has_ended_takes_no_command(action: str) -> None:
    assert (
        unavailable_reason(action, a_run(ended=True), is_over=True) == "the run has ended: finished"
    )


@pytest.mark.parametrize("action", ["runs", "full_log", "back", "plot"])
def test_what_is_read_can_be_read_after_the_end(action: str) -> None:
    assert unavailable_reason(action, a_run(ended=True), is_over=True) == ""


def test_memory_is_given_back_by_a_gpu_alone() -> None:
    on_gpu, on_cpu = a_run(), a_run()
    on_gpu.model.device, on_cpu.model.device = "cuda:0", "cpu"
    assert unavailable_reason("offload", on_gpu, is_over=False) == ""
    assert unavailable_reason("offload", on_cpu, is_over=False).startswith("this run is on the CPU")
    assert unavailable_reason("offload", on_cpu, is_over=True) == "the run has ended: running"


@pytest.mark.parametrize("action", sorted(LIVE_ONLY - {"offload"}))
def test_a_live_run_takes_every_other_command(action: str) -> None:
    assert unavailable_reason(action, a_run(), is_over=False) == ""


def test_only_actions_that_there_are_can_be_refused() -> None:
    assert {action.name for action in actions_of("run")} >= LIVE_ONLY


def test_every_action_that_sends_a_command_can_be_refused() -> None:
    assert {"pause", "offload", "stop", "save", "validate", "edit", "detach"} <= LIVE_ONLY
