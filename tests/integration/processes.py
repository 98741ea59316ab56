"""Real processes of tui-trainer: start, follow by their JSON lines, signal, wait."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.forking import ForkedProcess, forked

LIMIT_S = 300.0
ENDLESS = ("training.epochs=null", "training.max_steps=1000000000", "schedule=constant")


class Process:
    """A `tui-trainer ... --log-format json`, its events arriving in a queue."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        before: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        words = (*words, "--log-format", "json")
        self._process: subprocess.Popen[str] | ForkedProcess
        if before or env or not _can_fork(words):
            self._process = subprocess.Popen(
                [*before, sys.executable, "-m", "tui_trainer", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
                env={**environment(folder), **(env or {})},
                start_new_session=True,
            )
        else:
            self._process = forked(words, environment(folder))
        self.pid = self._process.pid
        self.events: list[dict[str, Any]] = []
        self.errors = ""
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors = self._process.stderr.read()

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for an event."""
        until_s = time.monotonic() + LIMIT_S
        while True:
            event = self._arrived.get(timeout=max(until_s - time.monotonic(), 0.01))
            assert event is not None, f"ended before: {self.events[-3:]} {self.errors}"
            self.events.append(event)
            if wanted(event):
                return event

    def until_step(self, step: int) -> dict[str, Any]:
        return self.until(lambda e: e["event"] == "steps_taken" and e["step"] >= step)

    def until_event(self, name: str, **facts: Any) -> dict[str, Any]:
        return self.until(
            lambda e: e["event"] == name and all(e.get(k) == v for k, v in facts.items())
        )

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end; the exit status as a shell has it."""
        code = self._process.wait(LIMIT_S)
        for reader in self._readers:
            reader.join(LIMIT_S)
        while (event := self._arrived.get(timeout=LIMIT_S)) is not None:
            self.events.append(event)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return code if code >= 0 else 128 - code

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(LIMIT_S)
        for reader in self._readers:
            reader.join(LIMIT_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    @property
    def run(self) -> Path:
        """The directory of the newest run."""
        return max((self.folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process: its runs go below the folder."""
    root = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "TUI_TRAINER_RUNS_DIR": str(folder / "runs"),
        "PYTHONPATH": root,
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def started(
    folder: Path,
    *words: str,
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """A process that is killed at the end if it still runs."""
    process = Process(folder, *words, before=before, env=env)
    try:
        yield process
    finally:
        process.end()


def call(
    folder: Path, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    if not env and _can_fork(words):
        return _call_forked(folder, words)
    return subprocess.run(
        [sys.executable, "-m", "tui_trainer", *words],
        capture_output=True,
        text=True,
        env={**environment(folder), **(env or {})},
        stdin=subprocess.DEVNULL,
        timeout=LIMIT_S,
    )


def _can_fork(words: Sequence[str]) -> bool:
    """Return whether a fork does for a command: not where it starts processes itself."""
    return not any(word == "--detach" or word.startswith("loader.num_workers") for word in words)


def _call_forked(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        outputs = out.fileno(), errors.fileno()
        process = forked(words, environment(folder), outputs=outputs)
        try:
            code = process.wait(LIMIT_S)
        finally:
            process.kill()
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(list(words), code, out.read(), errors.read())


def status(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "status.json").read_text())
    return found


def steps(run: Path) -> list[int]:
    """The steps of metrics.jsonl, in the order of the lines."""
    with (run / "metrics.jsonl").open() as file:
        return [json.loads(line)["step"] for line in file]


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the time."""
    with (run / "metrics.jsonl").open() as file:
        records = [json.loads(line) for line in file]
    times = ("elapsed_s", "samples_per_s")
    return [{k: v for k, v in record.items() if k not in times} for record in records]


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
