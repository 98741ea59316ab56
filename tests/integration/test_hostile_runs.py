"""Run directories that somebody wrote to do harm, and every command that opens one.

Whatever is in them: no code of theirs runs, nothing outside is read, moved, written or removed, no
command waits, none prints a control character of theirs, and none ends in a defect of ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.forking import forked
from tests.integration.processes import LIMIT_S, call, environment
from tui_trainer.runs.recording import MAGIC

pytestmark = [pytest.mark.full, pytest.mark.processes]

EXAMPLES = 15
HANG_S = 15.0
"""A command either hangs forever or takes a second, or a few on a busy machine."""
SECRET = "SECRET-OF-SOMEBODY"
CLIPBOARD = "\x1b]52;c;cHduZWQ=\x1b\\"
BAD_TEXT = f"{CLIPBOARD}\x1b[31m\u202e\x9b\x07\r[red]{SECRET[:3]}"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
FILES = (
    *("config.yaml", "provenance.json", "metrics.jsonl", "events.jsonl", "edits.jsonl"),
    *("status.json", "history.bin", "output.log", "lock"),
)
FOLDERS = ("control", "control/rejected", "checkpoints", "discarded")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "--filter", "lr<1", "--sort", "best"),
    ("logs", "x"),
    ("attach", "x", "--no-ui"),
    ("attach", "x", "--no-ui", "--log-format", "json"),
    ("ctl", "x", "save", "--timeout", "1"),
    ("evaluate", "x"),
    ("evaluate", "x", "--json"),
    ("fork", "x", "--no-ui", "--name", "copy"),
    ("resume", "x", "--no-ui", "training.epochs=3"),
    ("resume", "x", "--no-ui", "training.epochs=4", "--from", "best", "--force"),
)


class Payload:
    """Runs code where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch '{self._marker}'",))


@dataclass
class Place:
    """The folder of the hostile run, and the files that must not change."""

    folder: Path
    base: Path

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "x"

    @property
    def victim(self) -> Path:
        return self.folder / "victim"

    @property
    def marker(self) -> Path:
        return self.folder / "code-ran"

    def renew(self) -> None:
        for path in (self.folder / "runs", self.victim):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.base, self.run)
        shutil.copytree(self.base, self.folder / "runs" / "good")
        self.victim.mkdir()
        for number in range(120):
            (self.victim / f"step-{number:08d}.pt").write_text(f"{SECRET} {number}\n")
            (self.victim / f"{number:08d}-ab12.json").write_text('{"command": "stop"}')
        (self.victim / "lines").write_text(f'{{"step": 1, "x": "{SECRET}"}}\n' * 300)
        os.chmod(self.victim / "lines", 0o600)

    def held(self) -> dict[str, tuple[int, bytes]]:
        found = {}
        for path in sorted(self.victim.rglob("*")):
            facts = path.lstat()
            found[str(path)] = (facts.st_mode, path.read_bytes() if path.is_file() else b"")
        return found


@dataclass(frozen=True)
class Harm:
    """One thing that is done to a run."""

    words: str
    do: Callable[[Place], None]

    def __repr__(self) -> str:
        return self.words


def replaced(name: str, make: Callable[[Path, Place], None], words: str) -> Harm:
    def do(place: Place) -> None:
        path = place.run / name
        path.parent.mkdir(exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        make(path, place)

    return Harm(f"{name}: {words}", do)


def sparse(path: Path, place: Place) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def odd_entries() -> list[Harm]:
    kinds: dict[str, Callable[[Path, Place], None]] = {
        "a link to a file of the victim": lambda path, p: path.symlink_to(p.victim / "lines"),
        "a link to the folder of the victim": lambda path, p: path.symlink_to(p.victim),
        "a link to itself": lambda path, p: path.symlink_to(path),
        "an endless device": lambda path, p: path.symlink_to("/dev/zero"),
        "a pipe": lambda path, p: os.mkfifo(path),
        "a sparse file": sparse,
        "a folder": lambda path, p: path.mkdir(),
        "nothing": lambda path, p: None,
        "noise": lambda path, p: fill(path, os.urandom(5000)),
        "zeros": lambda path, p: fill(path, bytes(3 * 2**20)),
        "one line of 3 MB": lambda path, p: fill(path, b"[" * (3 * 2**20)),
    }
    names = (*FILES, *FOLDERS, "checkpoints/step-00000016.json", "checkpoints/step-00000016.pt")
    return [replaced(name, make, words) for name in names for words, make in kinds.items()]


ODD_VALUES: tuple[Any, ...] = (
    *(BAD_TEXT, 10**400, -(10**400), -1, 2**63, 1e308, float("nan"), float("inf"), None, True),
    *([], {}, {BAD_TEXT: BAD_TEXT}, {BAD_TEXT: 1.5}, [[[[]]]], "x" * 200_000, [1] * 5000),
)
EVENTS: tuple[dict[str, Any], ...] = (
    {
        **{"event": "run_started", "step": 0, "epoch": 1, "run": "x", "device": "cpu"},
        **{"parameters": 1, "samples": 1, "steps_per_epoch": 1, "total_steps": 16},
        **{"generation": 0, "notes": ["a"]},
    },
    {
        **{"event": "validation_ended", "step": 16, "epoch": 2, "elapsed_s": 1.0},
        **{"duration_s": 1.0, "improved": True, "stale": 0, "metrics": {"loss": 0.5}},
    },
    {"event": "edited", "step": 16, "key": "optimizer.lr", "old": 1, "new": 2, "origin": "x"},
    {"event": "non_finite", "step": 16, "epoch": 2, "what": "loss", "rows": [1]},
    {"event": "command_accepted", "step": 16, "id": "a", "command": "save", "origin": "x"},
    {
        **{"event": "command_applied", "step": 16, "id": "a", "command": "save"},
        **{"origin": "x", "refused": "no"},
    },
    {
        **{"event": "checkpoint_saved", "step": 16, "file": "a", "size_bytes": 1},
        **{"duration_s": 1.0, "best": True},
    },
    {"event": "save_failed", "step": 16, "error": "e"},
    {"event": "state_changed", "step": 16, "state": "paused", "reason": "r", "freed_bytes": 1},
    {"event": "notice", "step": 16, "text": "t", "level": "note"},
    {
        **{"event": "run_ended", "step": 16, "state": "finished", "reason": "r", "epoch": 2},
        **{"run_dir": "d", "elapsed_s": 1.0, "exit_code": 0, "test": {"loss": 1.0}},
        **{"best": {"metric": "loss", "value": 0.5, "step": 3, "epoch": 1, "metrics": {}}},
        **{"baseline": {"majority": {"accuracy": 1.0}}, "confusion": [[1]], "classes": ["a"]},
    },
)
LINE = {
    **{"step": 17, "epoch": 2, "elapsed_s": 1.0, "train/loss": 0.1, "lr": 0.1},
    **{"grad_norm": 1.0, "samples_per_s": 1.0, "val/loss": 0.5},
}


def is_plain_file(path: Path) -> bool:
    """Whether nothing odd has been put there yet, so that it can be read and changed."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 2**24


def appended(name: str, record: dict[str, Any], words: str) -> Harm:
    def do(place: Place) -> None:
        path = place.run / name
        if is_plain_file(path):
            with path.open("a") as file:
                file.write(json.dumps(record) + "\n")

    return Harm(f"{name}: {words}", do)


def changed(name: str, key: str, value: object) -> Harm:
    def do(place: Place) -> None:
        path = place.run / name
        if is_plain_file(path):
            try:
                plain = dict(json.loads(path.read_bytes()))
            except (ValueError, TypeError):
                return
            path.write_text(json.dumps({**plain, key: value}))

    return Harm(f"{name}: {key}={str(value)[:40]!r}", do)


@st.composite
def odd_lines(draw: st.DrawFn) -> Harm:
    value = draw(st.sampled_from(ODD_VALUES))
    name = draw(st.sampled_from(["events.jsonl", "metrics.jsonl", "edits.jsonl"]))
    if name == "events.jsonl":
        record = dict(draw(st.sampled_from(EVENTS)))
    elif name == "metrics.jsonl":
        record = dict(LINE)
    else:
        record = {"id": "a", "apply_at_step": 9, "key": "optimizer.lr", "old": 1.0, "new": 0.1}
        record["origin"] = "x"
    key = draw(st.sampled_from(sorted(record)))
    if draw(st.booleans()):
        record[key] = value
    else:
        record[BAD_TEXT] = record.pop(key)
    return appended(name, record, f"{key}={str(value)[:40]!r}")


@st.composite
def odd_facts(draw: st.DrawFn) -> Harm:
    value = draw(st.sampled_from(ODD_VALUES))
    name, keys = draw(
        st.sampled_from(
            [
                (
                    "status.json",
                    "name state step epoch pid host heartbeat generation device total_steps "
                    "elapsed_s validation best best_step test saved_step message loss usage "
                    "samples_per_s waiting_share updated_at",
                ),
                (
                    "checkpoints/step-00000016.json",
                    "file sha256 size_bytes step epoch best_step metrics saved_at format check",
                ),
                (
                    "provenance.json",
                    "argv host plugins versions git earlier started_at device settings "
                    "config_sha256",
                ),
                ("lock", "pid host started_at birth"),
            ]
        )
    )
    return changed(name, draw(st.sampled_from(keys.split())), value)


def pickled(legacy: bool) -> Harm:
    """A checkpoint that runs code where it is unpickled, with a manifest that is right."""

    def do(place: Place) -> None:
        folder = place.run / "checkpoints"
        if not folder.is_dir() or folder.is_symlink():
            return
        data = pickle.dumps(Payload(place.marker), protocol=2 if legacy else 5)
        for path in folder.glob("step-*.json"):
            if not is_plain_file(path):
                continue
            target = path.with_suffix(".pt")
            if os.path.lexists(target) and not is_plain_file(target):
                continue
            target.write_bytes(data)
            try:
                plain = dict(json.loads(path.read_bytes()))
            except (ValueError, TypeError):
                continue
            plain.pop("check", None)
            plain.update(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
            check = hashlib.sha256((json.dumps(plain) + "\n").encode()).hexdigest()[:16]
            path.write_text(json.dumps({**plain, "check": check}) + "\n")

    return Harm(f"checkpoints: pickles that run code, legacy={legacy}", do)


def odd_history(header: bytes) -> Harm:
    def do(place: Place) -> None:
        path = place.run / "history.bin"
        if is_plain_file(path):
            data = MAGIC + struct.pack("<II", zlib.crc32(header), len(header)) + header
            path.write_bytes(data)

    return Harm(f"history.bin: {header[:30]!r}", do)


def odd_config(text: str) -> Harm:
    def do(place: Place) -> None:
        path = place.run / "config.yaml"
        if is_plain_file(path):
            # Another harm may have filled it with noise.
            more = text.replace("MARKER", str(place.marker)).encode()
            path.write_bytes(path.read_bytes() + more)

    return Harm(f"config.yaml: {text[:40]!r}", do)


def code_beside(name: str) -> Harm:
    """Code that would run if the run's own directory, or what it names, were imported."""

    def do(place: Place) -> None:
        (place.run / name).write_text(f"open({str(place.marker)!r}, 'w')\n")
        facts = [{"path": str(place.run / name), "sha256": "0" * 64}]
        changed("provenance.json", "plugins", facts).do(place)

    return Harm(f"a plugin {name} in the run", do)


def mail(name: str, data: bytes) -> Harm:
    def do(place: Place) -> None:
        folder = place.run / "control"
        if folder.is_dir() and not folder.is_symlink():
            (folder / name).write_bytes(data)

    return Harm(f"control/{name}: {data[:30]!r}", do)


def other_host(place: Place) -> None:
    changed("status.json", "state", "running").do(place)
    changed("status.json", "host", f"other{BAD_TEXT}").do(place)
    path = place.run / "status.json"
    if is_plain_file(path):
        os.utime(path, (1, 1))


FIXED = (
    pickled(legacy=True),
    pickled(legacy=False),
    odd_history(b"[" * 200_000),
    odd_history(b'{"times": [], "series": []}'),
    odd_history(b'{"times": [1e400, 1], "series": []}'),
    odd_history(b'{"times": [0, 0], "series": [], "marks": {}, "steps_per_epoch": 0}'),
    odd_config("\nx: !!python/object/apply:os.system ['touch MARKER']\n"),
    odd_config(f"\n{BAD_TEXT!r}: 1\n"),
    odd_config("\na: &a [x, x]\nb: &b [*a, *a]\n"),
    odd_config("\n" + "[" * 20_000),
    code_beside("plugin.py"),
    code_beside("random.py"),
    mail("00000001-ab12.json", b'{"command": "stop"}'),
    mail(f"{BAD_TEXT.replace('/', '')}", b"x"),
    mail("00000002-ab12.json", b"[" * 60_000),
    Harm("a run of another host", other_host),
)
HARMS = st.one_of(st.sampled_from(odd_entries()), odd_lines(), odd_facts(), st.sampled_from(FIXED))


def run(place: Place, *words: str) -> tuple[int, str, float]:
    """The exit status, what was printed, and how long it took; it is killed when it hangs."""
    printed = place.folder / "printed"
    with printed.open("wb") as file:
        outputs = file.fileno(), file.fileno()
        process = forked(words, environment(place.folder), cwd=place.folder, outputs=outputs)
    begin_s = time.monotonic()
    try:
        code = process.wait(HANG_S if words[0] == "attach" else LIMIT_S)
    except subprocess.TimeoutExpired:
        if words[0] == "attach":
            # It may follow a run that seems to live on another host, until an interrupt.
            os.kill(process.pid, signal.SIGINT)
            begin_s = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT_S if words[0] == "attach" else 0.0)
        process.kill()
        code = process.wait(LIMIT_S)
    took_s = time.monotonic() - begin_s
    code = code if code >= 0 else 128 - code
    return code, printed.read_bytes().decode("utf-8", "replace"), took_s


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("hostile")
    done = call(folder, "train", "penguins-mlp", "training.epochs=2", "--no-ui", "--name", "base")
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "runs").iterdir()
    base = folder / "base"
    made.rename(base)
    return Place(folder, base)


@pytest.mark.parametrize("legacy", [True, False])
def test_fault_9_the_pickles_of_these_runs_are_reached_and_not_run(
    place: Place, legacy: bool
) -> None:
    place.renew()
    pickled(legacy).do(place)

    code, printed, _ = run(place, "evaluate", "x")

    assert code == 4
    assert "something other than tensors and plain data" in printed
    assert not place.marker.exists()


@given(harms=st.lists(HARMS, min_size=1, max_size=3))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_fault_53_to_56_a_hostile_run_does_no_harm(place: Place, harms: list[Harm]) -> None:
    place.renew()
    for harm in harms:
        harm.do(place)
    before = place.held()
    for words in COMMANDS:
        code, printed, took_s = run(place, *words)
        told = f"{' '.join(words)} after {harms}: status {code}, {printed[-500:]!r}"

        assert took_s < LIMIT_S, told
        assert code in (0, 1, 2, 3, 4, 130), told
        assert "this is a bug" not in printed, told
        assert "Traceback" not in printed, told
        raw = RAW.search(printed)
        assert raw is None, f"{raw} in {told}"
        assert SECRET not in printed, told
        assert not place.marker.exists(), told
        assert place.held() == before, told
        if words[0] == "runs":
            assert "good" in printed, told
    for path in (place.folder / "runs").rglob("*"):
        if path.is_file() and not path.is_symlink():
            is_small = path.stat().st_size < 2**24
            assert not is_small or SECRET.encode() not in path.read_bytes(), path
