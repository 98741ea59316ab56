"""The time that the words for the tab key take, beside that of an interpreter that does nothing.

    python benchmarks/completion.py [RUNS]

Makes RUNS (200) runs in a temporary folder, and prints the least and the median of 15 calls of
each, interleaved, in milliseconds of the clock, and the ratio of the least ones.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 15


def milliseconds(*words: str, env: dict[str, str]) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=env)
    return 1000 * (time.perf_counter() - began_s)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            run = Path(folder) / f"run-{number}"
            run.mkdir()
            (run / "config.yaml").write_text("name: run\n")
        env = {**os.environ, "TUI_TRAINER_RUNS_DIR": folder}
        words = ("-m", "tui_trainer", "completion", "candidates", "--", "resume", "")
        pairs = [
            (milliseconds("-c", "", env=env), milliseconds(*words, env=env)) for _ in range(COUNT)
        ]
    bare, full = ([pair[place] for pair in pairs] for place in (0, 1))
    for name, taken in (("python -c ''", bare), ("completion", full)):
        print(f"{name:12} least {min(taken):6.1f} ms, median {statistics.median(taken):6.1f} ms")
    print(f"ratio of the least: {min(full) / min(bare):.2f}")


if __name__ == "__main__":
    main()
