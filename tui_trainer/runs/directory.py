"""`RunDirectory`: the files of a run, and how runs are named, made and found.

Layer: runs. Names are slugs and are claimed by an exclusive mkdir: nothing outside the runs
directory is written, and a name is never used twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.files import Files, cannot_write, publish
from tui_trainer.runs.folder import Folder, NotOurs, UnsafeFile, open_folder
from tui_trainer.runs.names import possible_names, stem_of
from tui_trainer.runs.paths import exists, names_in, open_file, size_of
from tui_trainer.runs.provenance import read_provenance
from tui_trainer.text.clean import clean, is_safe_name, suggest
from tui_trainer.text.errors import BadInput, CannotWrite
from tui_trainer.text.shell import program_line

NEWEST = ("last", "latest")
"""What commands take instead of a name, for the run that was started or resumed last."""
REJECTED = "rejected"
"""The folder in the mailbox for files that must not be executed."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of a run; the files themselves are opened through `Folder`."""

    path: Path
    """Absolute and free of links; use `at` to make a run from any other path."""

    @staticmethod
    def at(path: Path) -> RunDirectory:
        """Return the run in a directory, whatever links lead to it."""
        return RunDirectory(Path(os.path.realpath(path)))

    @property
    def reference(self) -> str:
        """Return what commands call this run: its name in the default folder, else its path."""
        name, folder = self.path.name, os.path.realpath(default_runs_dir())
        is_found = str(self.path.parent) == folder and is_safe_name(name) and name not in NEWEST
        return name if is_found else str(self.path)

    def command(self, word: str, *arguments: str) -> str:
        """Return the command line of a command on this run, to paste where this process began.

        Every message that suggests such a command takes it from here.
        """
        return program_line(word, self.reference, *arguments)

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def edits(self) -> Path:
        return self.path / "edits.jsonl"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def history(self) -> Path:
        return self.path / "history.bin"

    @property
    def output(self) -> Path:
        return self.path / "output.log"

    @property
    def splits(self) -> Path:
        return self.path / "splits"

    @property
    def plugins(self) -> Path:
        return self.path / "plugins"

    @property
    def previews(self) -> Path:
        return self.path / "previews"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def discarded(self) -> Path:
        return self.path / "discarded"

    @property
    def control(self) -> Path:
        return self.path / "control"

    @property
    def lock(self) -> Path:
        return self.path / "lock"


def default_runs_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return $TUI_TRAINER_RUNS_DIR, or ./runs."""
    return Path(env.get("TUI_TRAINER_RUNS_DIR") or "runs").expanduser()


def is_default(runs_dir: Path) -> bool:
    """Whether a command without --runs-dir uses this folder, with the variable set or not."""
    return runs_dir == default_runs_dir() == default_runs_dir({})


def list_command(runs_dir: Path) -> str:
    """Return the command line that lists the runs of a folder."""
    is_found = os.path.realpath(runs_dir) == os.path.realpath(default_runs_dir())
    return program_line("runs", *(() if is_found else ("--runs-dir", str(runs_dir))))


def check_writable(folder: Path) -> None:
    """Make a folder if needed, and make sure that it takes files; CannotWrite if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from error


def why_not_writable(folder: Path) -> str:
    """Return why `check_writable` would fail, or an empty string; makes and writes nothing."""
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if os.path.lexists(path))
    code = 0
    if not os.path.isdir(there):
        code = errno.ENOTDIR if there != whole else errno.EEXIST
    elif not os.access(there, os.W_OK | os.X_OK):
        code = errno.EACCES
    return str(cannot_write(folder, OSError(code, os.strerror(code)))) if code else ""


def create_run(runs_dir: Path, name: str, now: datetime | None = None) -> RunDirectory:
    """Make the directory of a new run, under the first of its names that is free."""
    for candidate in possible_names(name, now or datetime.now()):
        path = runs_dir / candidate
        try:
            # Exclusive: two runs started in the same minute get different names.
            path.mkdir()
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(path, error) from error
    run = RunDirectory.at(path)
    make_skeleton(run)
    return run


def make_skeleton(run: RunDirectory) -> None:
    """Make the folders of a run; the mailbox is private to the user. Raises CannotWrite."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        with open_folder(run.path, writing=True) as folder:
            for path, mode in ((run.checkpoints, 0o777), (run.control, 0o700)):
                with contextlib.suppress(FileExistsError):
                    folder.make(path.name, mode)
                folder.sub(path.name, writing=True).close()
            with folder.sub(run.control.name) as control:
                control.restrict()
    except OSError as error:
        raise cannot_write(run.path, error) from error


def check_run(run: RunDirectory, *, writing: bool = False) -> None:
    """Refuse a directory with an entry that is not what a run has under that name.

    Entries are checked again when they are opened; this gives one clear message before anything is
    read or touched.

    Raises:
        BadInput: a link, a pipe, a device or the like has one of the names.
        CannotWrite: with `writing`, the run or one of its folders is another user's.
    """
    folders = (run.checkpoints, run.discarded, run.control)
    files = (
        run.config,
        run.provenance,
        run.metrics,
        run.events,
        run.edits,
        run.status,
        run.history,
        run.output,
        run.splits,
        run.lock,
    )
    try:
        with open_folder(run.path, writing=writing) as folder:
            for path in folders:
                _check_folder(folder, path.name, writing=writing)
            for path in files:
                _check_file(folder, path.name)
            if writing and folder.facts(run.control.name) is not None:
                with folder.sub(run.control.name) as control:
                    _check_folder(control, REJECTED, writing=writing)
    except NotOurs as error:
        hint = f"copy it into your own runs: {run.command('fork')}"
        raise CannotWrite(f"{error.filename} {error.strerror}; {hint}") from error
    except UnsafeFile as error:
        raise BadInput(
            f"{error.filename} {error.strerror}; a run needs its own files and folders: put back "
            "the original, or remove this one"
        ) from error
    except OSError:
        return  # Reported where the file is needed.


def _check_file(folder: Folder, name: str) -> None:
    try:
        folder.reader(name).close()
    except UnsafeFile:
        raise
    except OSError:
        return  # Reported where the file is needed.


def _check_folder(above: Folder, name: str, *, writing: bool) -> None:
    if above.facts(name) is not None:
        above.sub(name, writing=writing).close()


def run_names(runs_dir: Path) -> list[str]:
    """Return the names of the runs in a folder, the one started or resumed last first."""
    dated_names = []
    with contextlib.suppress(OSError), os.scandir(runs_dir) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and is_safe_name(entry.name):
                made_ns = _made_ns(entry.path)
                if made_ns is not None:
                    dated_names.append((_started_ns(entry.path) or made_ns, made_ns, entry.name))
    return [name for *_, name in sorted(dated_names, reverse=True)]


def _started_ns(path: str) -> int:
    """Return when a run was started or resumed last, by its own record; 0 if that is unreadable.

    The times of its files do not tell: a copy or an archive sets new ones.
    """
    provenance = os.path.join(path, "provenance.json")
    try:
        facts = os.stat(provenance, follow_symlinks=False)
    except OSError:
        return 0
    return _recorded_start_ns(provenance, facts.st_ino, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4096)
def _recorded_start_ns(provenance: str, *stamp: int) -> int:
    """Read the start from a file; cached until the file changes, as a list is read repeatedly."""
    started_at = read_provenance(Path(provenance)).get("started_at")
    try:
        return round(datetime.fromisoformat(str(started_at)).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        return 0


def _made_ns(path: str) -> int | None:
    """Return when a run was made, by the first of its files that exists; None if it is no run."""
    for name in ("config.yaml", "status.json", "lock"):
        with contextlib.suppress(OSError):
            return os.stat(os.path.join(path, name), follow_symlinks=False).st_mtime_ns
    return None


def find_run(reference: str, runs_dir: Path) -> RunDirectory:
    """Find a run by its name, the beginning of exactly one name, `last`, or a path.

    Raises:
        BadInput: there is none, or more than one; the message has names that are similar. Or the
            run must not be opened.
    """
    run = _find(reference, runs_dir)
    check_run(run)
    return run


def _find(reference: str, runs_dir: Path) -> RunDirectory:
    if os.sep in reference:
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            run = RunDirectory.at(Path(reference).expanduser())
            if exists(run.config):
                return run
        raise BadInput(f"{clean(reference)}: not the directory of a run (it has no config.yaml)")
    names = run_names(runs_dir)
    if reference in NEWEST and names:
        return RunDirectory.at(runs_dir / names[0])
    if reference in names:
        return RunDirectory.at(runs_dir / reference)
    beginning = reference.lower()
    near = [name for name in names if reference and name.lower().startswith(beginning)]
    # Of `inc-1127-1920` and `inc2-1127-1921`, the first is the run that was named `inc`.
    named = [name for name in near if stem_of(name.lower()) == beginning]
    if len(named) == 1:
        return RunDirectory.at(runs_dir / named[0])
    if len(near) == 1:
        return RunDirectory.at(runs_dir / near[0])
    shown = clean(reference, 80)
    if near:
        raise BadInput(f"run {shown!r} is ambiguous; it could be {', '.join(near[:8])}")
    newest = f"; the newest are: {', '.join(names[:5])}" if names else "; there are none"
    raise BadInput(f"no run {shown!r} in {runs_dir}{suggest(reference, names)}{newest}")


def set_aside(
    run: RunDirectory, later: Sequence[Path], metrics_bytes: int, files: Files
) -> Path | None:
    """Move everything after a checkpoint into discarded/<n>/, and return that folder.

    Returns None if there is nothing to move. Checkpoints go first and durably, the last of `later`
    first. Then the tail of the metrics is copied, and only then cut off. So at any point of a crash
    the newest checkpoint still has all its metrics, and repeating the call completes the move.

    Raises:
        CannotWrite: every checkpoint is in one of the two places, and no metrics are lost.
    """
    size = size_of(run.metrics)
    moving = [path for path in reversed(later) if exists(path)]
    if size <= metrics_bytes and not moving:
        return None
    folder = _next_folder(run.discarded)
    try:
        if not exists(run.discarded):
            files.mkdir(run.discarded)
            files.fsync_directory(run.path)
        files.mkdir(folder)
        files.fsync_directory(run.discarded)
        # The newest first, so that after a crash the checkpoints left in place have no gap.
        for path in moving:
            files.replace(path, folder / path.name)
        for changed in {path.parent for path in moving}:
            # The target first: after a power cut a file is in both places rather than in none.
            files.fsync_directory(folder)
            files.fsync_directory(changed)
        if size > metrics_bytes:
            publish(
                files, folder / "metrics.jsonl", lambda file: _copy_tail(run, file, metrics_bytes)
            )
            # Only now, when the copy is on the disk.
            _cut(run, metrics_bytes, files)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def cut_metrics(run: RunDirectory, metrics_bytes: int, files: Files) -> None:
    """Cut off the end of the metrics, which is kept elsewhere; raises CannotWrite."""
    try:
        _cut(run, metrics_bytes, files)
    except OSError as error:
        raise cannot_write(run.metrics, error) from error


def _cut(run: RunDirectory, metrics_bytes: int, files: Files) -> None:
    descriptor = files.open_append(run.metrics)
    try:
        files.truncate(descriptor, metrics_bytes)
        files.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_tail(run: RunDirectory, target: BinaryIO, start: int) -> None:
    with open_file(run.metrics) as source:
        source.seek(start)
        shutil.copyfileobj(source, target)


def _next_folder(discarded: Path) -> Path:
    numbers = [int(name) for name in names_in(discarded) if re.fullmatch(r"[0-9]{1,9}", name)]
    return discarded / str(max(numbers, default=0) + 1)
