"""What is printed when the app closes: one result for each run that it has shown."""

from __future__ import annotations

from tui_trainer.runs.events import RunEnded, RunState
from tui_trainer.runs.view import RunView
from tui_trainer.ui.start import one_per_run


def ended(run_dir: str, state: RunState = "finished", *, has_begun: bool = True) -> RunView:
    view = RunView(run_dir=run_dir)
    view.apply(RunEnded(8, state, "", 1, run_dir or None, 1.0, 0, has_begun=has_begun))
    return view


def test_each_run_has_its_newest_result_and_only_that() -> None:
    first, other, longer = ended("/runs/a"), ended("/runs/b"), ended("/runs/a")
    assert one_per_run([(view, False) for view in (first, other, longer)]) == [
        (other, False),
        (longer, False),
    ]
    alive = RunView(run_dir="/runs/a")
    assert one_per_run([(first, False), (alive, False)]) == [(alive, False)], "it is detached"


def test_a_start_that_comes_to_nothing_is_told_of_only_if_there_is_no_result() -> None:
    result = ended("/runs/a")
    failed = ended("/runs/a", "failed", has_begun=False)
    assert one_per_run([(result, True), (failed, False)]) == [(result, True)]
    unnamed = [(ended("", "failed", has_begun=False), False) for _ in range(2)]
    assert one_per_run([(failed, False), *unnamed]) == [(failed, False), *unnamed]
