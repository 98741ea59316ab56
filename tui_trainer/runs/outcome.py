"""The outcome of a run: how its newest start ended, and the command that goes on with it.

Layer: runs. The end is read from events.jsonl, because baselines and the confusion matrix are only
there: status.json is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import RunEnded, RunStarted
from tui_trainer.runs.limits import done_in, limit_reached, trained_on
from tui_trainer.runs.paths import size_of
from tui_trainer.runs.tail import records_before

if TYPE_CHECKING:
    from tui_trainer.config.experiment import Experiment
    from tui_trainer.runs.view import RunView

_TAIL_BYTES = 256 * 1024


def last_end(run: RunDirectory) -> RunEnded | None:
    """Return the end of the newest start; None if that start has none, or it cannot be read."""
    for record in reversed(records_before(run.events, size_of(run.events), _TAIL_BYTES)):
        event = event_of(record)
        if isinstance(event, RunEnded):
            return event
        if isinstance(event, RunStarted):
            return None
    return None


def way_on(
    run: RunDirectory, view: RunView, state: str, experiment: Experiment | None = None
) -> str:
    """Return the command that goes on with a run that has ended, and what that command does.

    `state` is the state as a reader concludes it. With the configuration in force, the command for
    a finished run raises the limit that has ended it.
    """
    resume = run.command("resume")
    if view.lacks_only_test or view.state == "testing":
        return f"all its steps are saved; {resume} only tests it"
    if state == "finished":
        limit = f"{resume} with a larger limit, such as training.epochs,"
        if experiment is not None:
            done = done_in(view, experiment, view.saved.step)
            reached = limit_reached(experiment, done)
            if reached is not None:
                limit = run.command("resume", trained_on(reached, experiment, done))
        return f"{limit} trains on, {run.command('fork')} starts a new run from it"
    if view.saved.step is None:
        return f"it has no checkpoint: {resume} starts it again from the beginning"
    return f"{resume} continues from step {view.saved.step:,}"
