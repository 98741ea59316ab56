"""`provenance.json` records the making of a run: versions, code, command, machine and settings.

Layer: runs. Versions come from the packages' metadata, so that torch is not imported for them. Each
command imports this module, so that what is slow to import stands inside functions. The settings
repeat config.yaml as flat JSON, which a list of a thousand runs can read much faster than YAML.
They count only for the very file they were taken from: config.yaml defines the run.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tui_trainer.runs.bounds import is_mapping, is_plain
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.paths import read_file

PACKAGES = ("tui-trainer", "torch", "numpy", "pydantic", "pyyaml")
MOST_BYTES = 8 * 2**20
MOST_EARLIER = 100
"""The most earlier starts kept, the newest ones."""
_SETTINGS, _CONFIG_SUM = "settings", "config_sha256"


def collect(
    argv: Sequence[str], *, device: str, threads: int, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Collect the facts as plain data; null for those that cannot be found out."""
    from tui_trainer.runs.repository import state_of

    return {
        "argv": list(argv),
        "cwd": _cwd(),
        # Runs are ordered by it, and several may start within a second.
        "started_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "host": socket.gethostname(),
        "user": _user(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in PACKAGES},
        "device": device,
        "threads": threads,
        "git": state_of(),
        **(extra or {}),
    }


def read_provenance(path: Path) -> dict[str, Any]:
    """Read the facts; empty if they cannot be read."""
    try:
        facts = json.loads(read_file(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def settings_facts(settings: Mapping[str, Any], config: bytes) -> dict[str, Any]:
    """Return settings by their flat keys as facts, tied to the content of their config.yaml.

    Settings that no reader would accept are left out; they are read from the YAML instead.
    """
    if not (is_mapping(settings) and all(map(is_plain, settings.values()))):
        return {}
    return {_SETTINGS: settings, _CONFIG_SUM: _sum(config)}


def settings_in(facts: Mapping[str, Any], config: bytes) -> dict[str, Any] | None:
    """Return the settings among the facts, or None if they do not belong to this config.yaml.

    An older version wrote none, config.yaml may have been edited since, and settings that are out
    of bounds were not written by a run.
    """
    settings = facts.get(_SETTINGS)
    if facts.get(_CONFIG_SUM) != _sum(config):
        return None
    if not isinstance(settings, dict) or not is_mapping(settings):
        return None
    return settings if all(map(is_plain, settings.values())) else None


def write_provenance(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts; at a resume the previous ones are kept under `earlier`."""
    before = read_provenance(path)
    known = before.pop("earlier", [])
    # The present settings are enough; repeated for each start they would make the file slow to
    # read.
    for name in (_SETTINGS, _CONFIG_SUM):
        before.pop(name, None)
    earlier = [*(known if isinstance(known, list) else []), *([before] if before else [])]
    # The file may have been edited, so its facts are checked like any others.
    earlier = [facts for facts in earlier[-MOST_EARLIER:] if is_plain(facts)]
    plain = {**facts, **({"earlier": earlier} if earlier else {})}
    write_atomically(path, (json.dumps(plain, indent=1) + "\n").encode())


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _sum(config: bytes) -> str:
    import hashlib

    return hashlib.sha256(config).hexdigest()


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
