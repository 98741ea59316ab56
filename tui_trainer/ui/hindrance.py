"""`unavailable_reason`: why an action of the run screen does nothing now, in words.

Layer: ui, without Textual. The same answer hides a key from the footer, and is shown when the key
is pressed anyway.
"""

from __future__ import annotations

from tui_trainer.config.keys import actions_of
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.runs.view import RunView

_FLAGS = {flag.name for kind in COMMANDS.values() for flag in kind.flags}
_SENDING = {it.name for it in actions_of("run") if it.name in {*COMMANDS, *_FLAGS}}
LIVE_ONLY = frozenset({*_SENDING, "edit", "detach"})
"""Actions that need a live run: those that send a command, editing, and detaching."""


def unavailable_reason(action: str, view: RunView, *, is_over: bool) -> str:
    """Return why `action` is unavailable, or an empty string."""
    if is_over and action in LIVE_ONLY:
        return f"the run has ended: {view.state}"
    if action == "offload" and view.device.startswith("cpu"):
        return "this run is on the CPU: no GPU has memory to give back; p pauses it"
    return ""
