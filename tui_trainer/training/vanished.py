"""When the run directory is deleted or unmounted under a training: pause, say so, make it anew.

Layer: training. What was on the disk is gone, the state in memory is not: the first thing that is
written into the new directory is a checkpoint.
"""

from __future__ import annotations

from tui_trainer.runs.atomic import write_atomically
from tui_trainer.runs.commands import Resume, Stop, name_of
from tui_trainer.runs.directory import make_skeleton
from tui_trainer.runs.events import CommandApplied
from tui_trainer.runs.folder import exists, is_folder
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.context import Context
from tui_trainer.training.saver import change_state, save_and_wait

_LOOK_S = 0.5


def is_gone(t: Context) -> bool:
    """Whether the run directory is not there any more, or what was in it.

    `rm -rf` gives up on a folder in which a file was made meanwhile, as the heartbeat is: what it
    leaves is no run that could be resumed, and lines would go into a file without a name.
    """
    return not exists(t.run.metrics)


def wait_for_directory(t: Context) -> None:
    """Pause until the directory is back, or `resume` or `stop` makes it anew, and save there.

    Raises:
        CannotWrite: nobody did anything for `checkpoint.give_up_s`, or it cannot be made.
    """
    give_up_s = t.experiment.checkpoint.give_up_s
    gone_at_s = t.clock()
    t.watch.pause()
    is_emptied = is_folder(t.run.path)
    what = (
        f"what was in {t.run.path} is gone: deleted? Resume makes it "
        if is_emptied
        else f"{t.run.path} is gone: deleted or unmounted? Bring it back to go on; resume makes it "
    )
    change_state(
        t,
        "paused",
        f"{what}anew, stop makes it anew to save in; without either the run ends in "
        f"{give_up_s:g} s",
    )
    while is_gone(t):
        # An empty directory in the place of one that was gone is a place to go on in; what is left
        # of one that is being deleted is not.
        is_there = is_folder(t.run.path)
        if is_there and not is_emptied:
            break
        is_emptied = is_there
        command = t.control.take()
        if command is None:
            t.control.wait(_LOOK_S)
            if t.clock() - gone_at_s > give_up_s:
                raise CannotWrite(f"{t.run.path} was gone for {give_up_s:g} s")
            continue
        known = isinstance(command, Resume | Stop)
        if isinstance(command, Stop):
            t.stop = command
        refused = "" if known else "the run directory is gone; resume makes it anew"
        t.emit(
            CommandApplied(t.progress.step, command.id, name_of(command), command.origin, refused)
        )
        if known:
            break
    _make_anew(t)
    t.watch.resume()
    if t.stop is None:
        change_state(t, "running", "the run directory is there again")


def _make_anew(t: Context) -> None:
    make_skeleton(t.run)
    if t.config and not exists(t.run.config):
        write_atomically(t.run.config, t.config)
    t.writer.drain()
    t.progress.metrics_bytes = t.writer.reopen()
    t.saved = None
    # Saves that failed for want of the directory say nothing of the one that is there now.
    t.failing_since_s = t.failure = None
    if t.stop is None or t.stop.save:
        save_and_wait(t)
