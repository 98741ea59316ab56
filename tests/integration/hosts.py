"""Processes that have another host's name, and a file system without flock, for real.

The name is one of a name space of the kernel's, which `unshare` makes; flock is taken away by a
library that is loaded before libc.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

OTHER = "other-host"
_UNSHARE = ("unshare", "--map-root-user", "--uts", "--mount", "sh", "-c")
_RENAME = f"hostname {OTHER}"
_REBOOT = (
    "file=$(mktemp) && echo 00000000-1111-2222-3333-444444444444 >$file"
    " && mount --bind $file /proc/sys/kernel/random/boot_id && rm $file"
)
"""The other host has a kernel of its own, for all that its processes can see."""
_PRELOADED = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = NUMBER; return -1; }
"""


@functools.cache
def _can_rename() -> bool:
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*_UNSHARE, f"{_RENAME} && {_REBOOT}"], capture_output=True)
    return done.returncode == 0


needs_other_host = pytest.mark.skipif(not _can_rename(), reason="unshare gives no other host name")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def on_other_host() -> tuple[str, ...]:
    """Return the words before a command that is to run on the other host."""
    return (*_UNSHARE, f'{_RENAME} && {_REBOOT} && exec "$@"', "sh")


def on_renamed_host() -> tuple[str, ...]:
    """Return the words before a command that is to run on this host under the other name."""
    return (*_UNSHARE, f'{_RENAME} && exec "$@"', "sh")


def without_flock(folder: Path, number: str = "ENOLCK") -> Mapping[str, str]:
    """The environment of a process for which no file system has flock."""
    source, library = folder / "no_flock.c", folder / "no_flock.so"
    source.write_text(_PRELOADED.replace("NUMBER", number))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library)}
