"""Manifests of checkpoints: the facts about each file and its checksum, readable without torch.

Layer: runs. A checkpoint without a manifest was never published. The newest manifest says which
step is the best, so that no separate pointer can go stale.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from tui_trainer.runs.bounds import are_metrics, is_count, is_text
from tui_trainer.runs.folder import Folder, open_folder
from tui_trainer.runs.journal import encode
from tui_trainer.runs.paths import exists, names_in
from tui_trainer.text.errors import BadInput, CheckpointUnusable

FORMAT = 2
"""Of checkpoints. 1: rows are split by position. 2: by the file `splits` of the run."""
MOST_BYTES = 2**20
_MOST_DIGITS = 20
"""The most digits of a step in a request; Python refuses to read a number of some thousands."""
_FILE = re.compile(r"step-([0-9]{8,18})(?:-([0-9]{1,9}))?\.pt")
_NAME = re.compile(r"step-([0-9]{8,18})(?:-([0-9]{1,9}))?\.json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts about a checkpoint file."""

    file: str
    sha256: str
    size_bytes: int
    step: int
    epoch: int
    best_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    saved_at: str = ""
    format: int = FORMAT

    @property
    def attempt(self) -> int:
        """The number of this file among those written for its step, from 1."""
        match = _FILE.fullmatch(self.file)
        return int(match[2] or 1) if match else 0

    def to_json(self) -> bytes:
        """Return one line with a checksum, since a flipped bit may leave the facts well formed."""
        return encode([{**asdict(self), "check": self._check()}])

    def _check(self) -> str:
        return hashlib.sha256(encode([asdict(self)])).hexdigest()[:16]

    def is_whole(self, check: object) -> bool:
        """Whether a checksum is that of these facts; a newer format may compute it differently."""
        return self.format > FORMAT or check == self._check()


def manifest_path(directory: Path, file: str) -> Path:
    """Return the path of the manifest of a checkpoint file."""
    return directory / f"{file.removesuffix('.pt')}.json"


def free_name(directory: Path, step: int) -> str:
    """Return an unused file name: a second checkpoint of a step never replaces the first."""
    name = f"step-{step:08d}.pt"
    attempt = 2
    while exists(directory / name) or exists(manifest_path(directory, name)):
        name = f"step-{step:08d}-{attempt}.pt"
        attempt += 1
    return name


def read_manifests(directory: Path) -> list[Manifest]:
    """Return the manifests whose file exists, oldest first; unreadable ones are skipped."""
    manifests = []
    try:
        with open_folder(directory) as folder:
            for name in folder.names():
                manifest = _read(folder, name) if _NAME.fullmatch(name) else None
                if manifest is not None and _is_file(folder, manifest.file):
                    manifests.append(manifest)
    except OSError:
        return []
    return sorted(manifests, key=lambda manifest: (manifest.step, manifest.attempt))


def checkpoint_files(directory: Path) -> list[str]:
    """Return the names of the checkpoint files that have a manifest, readable or not; sorted."""
    return sorted(_files_in(directory)[0])


def manifest_files(directory: Path) -> list[str]:
    """Return the names of the manifests, readable or not; sorted."""
    return [name for name in names_in(directory) if _NAME.fullmatch(name)]


def unpublished_files(directory: Path) -> list[str]:
    """Return the names of the checkpoint files without a manifest; sorted."""
    return sorted(_files_in(directory)[1])


def _files_in(directory: Path) -> tuple[list[str], list[str]]:
    """Return the names of the checkpoint files with a manifest, and of those without."""
    names = set(names_in(directory))
    files = [name for name in names if _FILE.fullmatch(name)]
    with_one = [name for name in files if manifest_path(directory, name).name in names]
    return with_one, [name for name in files if name not in with_one]


def step_of(file: str) -> int:
    """Return the step of a checkpoint file by its name; -1 for the name of another file."""
    match = _FILE.fullmatch(file)
    return int(match[1]) if match else -1


def _is_file(folder: Folder, name: str) -> bool:
    facts = folder.facts(name)
    return facts is not None and stat.S_ISREG(facts.st_mode)


def _read(folder: Folder, name: str) -> Manifest | None:
    try:
        plain = json.loads(folder.read(name, MOST_BYTES))
        # A newer format may have more keys; it is the file itself that is refused when it is read.
        known = {item.name for item in fields(Manifest)}
        manifest = Manifest(**{key: value for key, value in plain.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    right = _is_right(manifest, name.removesuffix(".json")) and manifest.is_whole(
        plain.get("check")
    )
    return manifest if right else None


def _is_right(manifest: Manifest, stem: str) -> bool:
    """Whether the facts are of the right types, and belong to the file of this name."""
    counts = (manifest.step, manifest.epoch, manifest.size_bytes, manifest.format)
    match = _FILE.fullmatch(manifest.file) if isinstance(manifest.file, str) else None
    return (
        match is not None
        and all(map(is_count, counts))
        and int(match[1]) == manifest.step
        and manifest.file.removesuffix(".pt") == stem
        and is_text(manifest.sha256)
        and (manifest.best_step is None or is_count(manifest.best_step))
        and are_metrics(manifest.metrics)
        and is_text(manifest.saved_at)
    )


def select(manifests: list[Manifest], which: str) -> list[Manifest]:
    """Return the candidates for `last`, `best` or a step, the first choice first.

    `last` falls back to older ones; `best` and a step do not, because they name one state.

    Raises:
        BadInput: `which` is none of these, or there is no such step.
        CheckpointUnusable: there is no best one.
    """
    if which == "last":
        return manifests[::-1]
    if which == "best":
        # Each manifest names the best step up to its own, so the newest one decides.
        step = manifests[-1].best_step if manifests else None
        chosen = [manifest for manifest in manifests if manifest.step == step][::-1]
        if not chosen:
            raise CheckpointUnusable("there is no best checkpoint yet; use --from last")
        return chosen
    steps = sorted({manifest.step for manifest in manifests})
    there = ", ".join(map(str, steps)) or "none"
    if not which.isdecimal() or len(which) > _MOST_DIGITS:
        raise BadInput(f"--from {which!r}: expected last, best or a step; available: {there}")
    chosen = [manifest for manifest in manifests if manifest.step == int(which)][::-1]
    if not chosen:
        raise BadInput(f"--from {which}: no checkpoint of that step; available: {there}")
    return chosen


def no_longer_kept(
    manifests: list[Manifest], keep_last: int, protected: set[int]
) -> list[Manifest]:
    """Return the checkpoints to delete, when the newest `keep_last` steps are kept.

    Also kept are the `protected` steps, the best step by the newest manifest, and the best step by
    each manifest that is kept. Of several files of a step the newest stays.
    """
    if not manifests:
        return []
    steps = sorted({manifest.step for manifest in manifests})
    best = manifests[-1].best_step
    kept = set(steps[-keep_last:]) | protected | ({best} if best is not None else set())
    # A resume may go back to any of them, and then its best step is the best.
    kept |= {m.best_step for m in manifests if m.step in kept and m.best_step is not None}
    newest = {manifest.step: manifest.file for manifest in manifests}
    return [m for m in manifests if m.step not in kept or newest[m.step] != m.file]
