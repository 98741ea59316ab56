"""`copy`: copies a text to the user's clipboard, also over SSH and inside tmux.

Layer: ui. A terminal receives the text with the sequence OSC 52 and never answers whether it
accepted it, so the messages here do not promise that it did. By default tmux drops that sequence,
so tmux is asked directly: it keeps the text in a buffer of its own and passes it on to the terminal
that it is shown in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import App

from tui_trainer.config.processes import feed
from tui_trainer.text.clean import harmless_block

PATIENCE_S = 2.0
ASKED = "this needs a terminal that lets programs copy; if not, select the text in the details"
IN_TMUX = "to tmux's buffer, and to the terminal's clipboard if it lets programs copy"


async def copy(app: App[Any], text: str, env: Mapping[str, str]) -> str:
    """Copy the text without control characters; return how far that is known to have worked."""
    text = harmless_block(text)
    app.copy_to_clipboard(text)
    words = ("tmux", "load-buffer", "-w", "-")
    if env.get("TMUX") and await feed(*words, given=text.encode(), timeout_s=PATIENCE_S, env=env):
        return IN_TMUX
    return ASKED
