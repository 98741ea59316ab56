"""Taking a run over from another host, which cannot be asked: whether, and so that it is safe.

Layer: runs. A lock that is free proves nothing there: file systems that hosts share may lock for
each of them alone. What is left is the heartbeat.
"""

from __future__ import annotations

import shutil
import socket
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.atomic import Files, publish
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.folder import exists, open_file
from tui_trainer.runs.index import unheard_s
from tui_trainer.runs.status import CRASHED_AFTER_S, LOST_AFTER_S, read_status
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


def gone_host(run: RunDirectory, *, force: bool = False) -> str:
    """The host that a run may be taken over from; empty where no other one has it.

    Raises:
        BadInput: it lives there; or it may, and nobody who knows better said `force`.
    """
    status = read_status(run.status)
    if status is None or status.state in FINAL_STATES:
        return ""
    if status.process.host == socket.gethostname():
        return ""
    silent_s = unheard_s(run)
    who = f"{run.path}: process {status.process.pid} on {clean(status.process.host, 80)}"
    name = run.path.name
    if silent_s < LOST_AFTER_S:
        raise BadInput(
            f"{who} is writing this run; stop it first: tui-trainer ctl {name} stop (if it was "
            f"killed, tui-trainer runs says lost? {LOST_AFTER_S:.0f} s after its last word)"
        )
    if silent_s < CRASHED_AFTER_S and not force:
        raise BadInput(
            f"{who} has said nothing for {silent_s:.0f} s, and may still live; if you know that it "
            f"is gone: tui-trainer resume {name} --force"
        )
    return status.process.host


def fence(run: RunDirectory) -> None:
    """Put copies in the place of the files that are only appended to.

    A process that is not dead after all, and was stopped between its look at the lock and its
    write, then writes into files that nobody reads any more.

    Raises:
        CannotWrite: the files are as they were.
    """
    for path in (run.metrics, run.events, run.edits):
        if exists(path):
            publish(Files(), path, partial(_copy, path))


def _copy(source: Path, target: BinaryIO) -> None:
    with open_file(source) as file:
        shutil.copyfileobj(file, target)
