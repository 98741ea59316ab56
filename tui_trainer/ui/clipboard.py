"""`copy`: a text into the user's clipboard, also over SSH and inside tmux; and what to say of it.

Layer: ui. A terminal is asked with the sequence OSC 52, and never says whether it obeyed, so
nothing here promises that it did. tmux drops that sequence as it is set up by default, and is asked
itself: it keeps a buffer of its own and hands the text on to the terminal that it is shown in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from textual.app import App

PATIENCE_S = 2.0
ASKED = "where the terminal lets programs copy; if it does not paste, select it in the details"
IN_TMUX = "in tmux's buffer, and in the terminal's clipboard where that lets programs copy"


async def copy(app: App[Any], text: str, env: Mapping[str, str]) -> str:
    """Copy it, and return in words how far that is known to have worked."""
    app.copy_to_clipboard(text)
    return IN_TMUX if env.get("TMUX") and await _into_tmux(text, env) else ASKED


async def _into_tmux(text: str, env: Mapping[str, str]) -> bool:
    """Whether tmux took it; False where there is none to be asked, or it hangs."""
    quiet = asyncio.subprocess.DEVNULL
    try:
        tmux = await asyncio.create_subprocess_exec(
            *("tmux", "load-buffer", "-w", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            env=env,
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(tmux.communicate(text.encode()), PATIENCE_S)
    except TimeoutError:
        tmux.kill()
        await tmux.wait()
    return tmux.returncode == 0
