"""`RunDirectory`: the files of a run, and how runs are named, made and checked.

Layer: runs. Names are slugs and are claimed by an exclusive mkdir: nothing outside the runs
directory is written, and a name is never used twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tui_trainer.runs.files import cannot_write
from tui_trainer.runs.folder import Folder, NotOurs, UnsafeFile, open_folder
from tui_trainer.runs.names import possible_names
from tui_trainer.text.clean import is_safe_name
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
