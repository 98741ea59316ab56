"""`is_this_host`: recognises the machine that a process ran on, also after it was renamed.

Layer: runs. A host name is no identity: a pod gets a new one at each start, and a laptop in each
network. The kernel's boot id is one, until the machine is started again; then the name is left.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """Return the id that the kernel got when it started; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def process_namespace() -> str:
    """Return the name space in which this process sees others by their ids; empty if unknown."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def is_this_host(name: str, boot: str) -> bool:
    """Whether a process with this host name and boot id, which may be empty, ran on this host."""
    return name == socket.gethostname() or (bool(boot) and boot == boot_id())
