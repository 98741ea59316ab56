"""`reason_against`: why something can not be done with a run now, in words.

Layer: ui, without Textual. The same answer hides a key from the last line, and is told when the key
is pressed all the same.
"""

from __future__ import annotations

from tui_trainer.config.keys import actions_of
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.sessions.session import Latest

_FLAGS = {flag.name for kind in COMMANDS.values() for flag in kind.flags}
_SENDING = {it.name for it in actions_of("run") if it.name in {*COMMANDS, *_FLAGS}}
OF_A_LIVE_RUN = frozenset({*_SENDING, "edit", "detach"})
"""Names of actions that mean nothing to a run that has ended: no command does."""


def reason_against(action: str, latest: Latest, *, is_over: bool) -> str:
    """Why an action can do nothing for a run; empty where it can."""
    if is_over and action in OF_A_LIVE_RUN:
        return f"the run has ended: {latest.state}"
    if action == "offload" and latest.device.startswith("cpu"):
        return "this run is on the CPU: no GPU has memory to give back; p pauses it"
    return ""
