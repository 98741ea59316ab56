"""Who sends a command, in the words that events.jsonl keeps: `ctl (alice@box/4711)`.

Layer: runs.
"""

from __future__ import annotations

import getpass
import os
import socket

from tui_trainer.text.clean import clean

HERE = "you"
"""The origin of a command for whoever sent it, as long as it stays in that process."""


def origin_of(front: str) -> str:
    """The origin of what this process sends: the front end, the user, the host, the process."""
    try:
        user = clean(getpass.getuser(), 40)
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{front} ({user}@{clean(socket.gethostname(), 60)}/{os.getpid()})"
