"""`copy`: a text into the user's clipboard, also over SSH and inside tmux; and what to say of it.

Layer: ui. A terminal is asked with the sequence OSC 52, and never says whether it obeyed, so
nothing here promises that it did. tmux drops that sequence as it is set up by default, and is asked
itself: it keeps a buffer of its own and hands the text on to the terminal that it is shown in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import App

from tui_trainer.config.processes import feed
from tui_trainer.text.clean import harmless_block

PATIENCE_S = 2.0
ASKED = "where the terminal lets programs copy; if it does not paste, select it in the details"
IN_TMUX = "in tmux's buffer, and in the terminal's clipboard where that lets programs copy"


async def copy(app: App[Any], text: str, env: Mapping[str, str]) -> str:
    """Copy it without control characters, and return how far that is known to have worked."""
    text = harmless_block(text)
    app.copy_to_clipboard(text)
    words = ("tmux", "load-buffer", "-w", "-")
    if env.get("TMUX") and await feed(*words, given=text.encode(), timeout_s=PATIENCE_S, env=env):
        return IN_TMUX
    return ASKED
