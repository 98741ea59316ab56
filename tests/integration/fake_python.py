"""Stands in for an interpreter, its venv and its pip, when `run` is driven without a network.

What it is comes as JSON in its first argument (see `Fakes` in test_run_script.py); each call is
appended to `log` as a JSON list.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
if (: >&9) 2>/dev/null; then echo "the lock is still held"; fi
if [ "$1" = where ]; then pwd; fi
printf "%s\\n" "$@"
exit 7
"""


def main() -> int:
    me: dict[str, Any] = json.loads(sys.argv[1])
    here, words = Path(sys.argv[2]), sys.argv[3:]
    with open(me["log"], "a", encoding="utf-8") as log:
        log.write(json.dumps(words if words[0] == "-m" else words[:1]) + "\n")
    match words:
        case ["-m", "venv", folder]:
            (Path(folder) / "bin").mkdir(parents=True)
            for name in ("python", "python3"):
                (Path(folder) / "bin" / name).symlink_to(here)
            return 0
        case ["-m", "pip", "index", *_]:
            print("Available versions: 2.15.0, " + me["builds"])
            return 0
        case ["-m", "pip", "install", *rest]:
            return install(here.parent, rest, me)
        case ["-m", *rest]:
            print("\n".join(rest))
            return int(me["pytest"])
        case ["-c", code, *_] if "ensurepip" in code:
            if me["works"]:
                print(*me["version"].split("."), me["venv"])
            return 0 if me["works"] else 1
        case ["-c", code, *_] if "cuda" in code:
            return 0 if me["cuda"] else 1
        case ["-c", code, *_] if "torch.__version__" in code:
            return 0 if me["torch"] else 1
        case ["-c", code, *_] if "purelib" in code:
            print(here.parent.parent)
            return 0
    return subprocess.run([sys.executable, *words], check=False).returncode


def install(bin_dir: Path, words: list[str], me: dict[str, Any]) -> int:
    mode = Path(me["pip"]).read_text()
    if mode == "fails":
        print("no such package")
        return 1
    if mode == "is killed":
        os.kill(os.getppid(), signal.SIGKILL)
        return 0
    if mode.startswith("waits for "):
        Path(mode.removeprefix("waits for ")).read_text()
    if "-e" in words:
        make_program(bin_dir / "tui-trainer", PROGRAM)
        for name in ("ruff", "mypy"):
            make_program(bin_dir / name, f'echo {name} "$@"; [ ! -e {me["bad"]}-{name}-$1 ]')
    return 0


def make_python(path: Path, me: dict[str, Any]) -> None:
    """An interpreter that is this file; links to it know by what name they were called."""
    words = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(me)]
    make_program(path, f'exec {shlex.join(words)} "$0" "$@"')


def make_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
