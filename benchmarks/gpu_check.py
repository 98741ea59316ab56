"""The check for the day a GPU is at hand: runs its parts and prints a row for each.

Each part runs in a process group of its own, which is killed at the part's time limit, and its
output goes to a file. What it finds out is printed at once, its row when it ends, and of a part
that failed the last lines too, so that a check that is cut off still tells something. Exits with 1
when a part failed. On a CPU everything is small, and what needs a GPU is named and skipped.

    bash benchmarks/gpu.sh [--only PART,...] [--out FOLDER] [--device auto|cpu|cuda]
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = 3
"""The exit status of a part that has nothing to do here."""
TOTAL_S = 480.0
"""What all parts together may take on a GPU."""
TOTAL_ON_CPU_S = 900.0
LEAST_S = 8.0
"""A part with less time left is not begun."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the check, by its name in gpu_parts.py."""

    name: str
    limit_s: float
    shown_lines: int = 15
    """How much of its output is shown when it failed."""


# In order of how much they tell, the cheap ones first. Where there are CPUs enough those of one row
# run side by side; memory and step times are measured alone.
PARTS = (
    (Part("devices", 40),),
    (Part("first", 60, 20), Part("tests", 80, 45)),
    (Part("presets", 80, 30), Part("resume", 80, 30)),
    (Part("pause", 40, 20), Part("graphs", 90, 30)),
    (
        Part("crossing", 70, 25),
        Part("options", 80, 30),
        Part("precisions", 80, 30),
        Part("compile", 95, 30),
    ),
    (Part("saves", 40, 20),),
    (Part("steps", 80, 20),),
    (Part("goals", 170, 30),),
)
CPUS_SIDE_BY_SIDE = 8


def main() -> int:
    arguments = _arguments()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="tui-trainer-gpu-"))
    out.mkdir(parents=True, exist_ok=True)
    # The runs are large, and what matters of them is in the logs.
    with tempfile.TemporaryDirectory(prefix="tui-trainer-gpu-runs-") as runs:
        return _check(arguments, out.resolve(), Path(runs))


def _check(arguments: argparse.Namespace, out: Path, runs: Path) -> int:
    begun_s = time.monotonic()
    device = _heading(arguments.device, out)
    if device is None:
        return 1
    ends_s = begun_s + (TOTAL_S if device == "cuda" else TOTAL_ON_CPU_S)
    print(f"{'part':<11} {'result':<8} {'seconds':>7}  figures")
    failures = []
    has_cpus = len(os.sched_getaffinity(0)) >= CPUS_SIDE_BY_SIDE
    if has_cpus:
        # Each of the processes would take as many threads as there are CPUs.
        os.environ.setdefault("OMP_NUM_THREADS", "4")
    for row in PARTS:
        chosen = [part for part in row if not arguments.only or part.name in arguments.only]
        if not chosen:
            continue
        run = partial(_run, device=device, out=out, runs=runs, ends_s=ends_s)
        with ThreadPoolExecutor(len(chosen) if has_cpus else 1) as pool:
            results = list(pool.map(run, chosen))
        failures += [
            p.name for p, result in zip(chosen, results, strict=True) if result == "FAILED"
        ]
    verdict = f"FAILED: {', '.join(failures)}" if failures else "all is well"
    print(f"\n{verdict}; {time.monotonic() - begun_s:.0f} s; logs: {out}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [part.name for row in PARTS for part in row]

    def parts(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(
                f"no part {unknown[0]!r}; there are: {', '.join(names)}"
            )
        return chosen

    parser.add_argument("--only", type=parts, metavar="PART,...", help=", ".join(names))
    parser.add_argument("--out", type=Path, help="folder of the logs (default: temporary)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser.parse_args()


def _heading(wanted: str, out: Path) -> str | None:
    """Print what this machine is, as torch sees it, and return the device; None without torch."""
    asked = subprocess.run(
        [sys.executable, "-c", _ABOUT], capture_output=True, text=True, timeout=120, check=False
    )
    (out / "heading.log").write_text(asked.stdout + asked.stderr)
    lines = asked.stdout.splitlines()
    if asked.returncode or not lines:
        print("torch cannot be asked about this machine:\n" + _indented(asked.stderr, 20))
        return None
    device = lines[0] if wanted == "auto" else wanted
    python = f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
    print("; ".join([*lines[1:], python, f"runs on {device}"]))
    return device


_ABOUT = """
import torch
print("cuda" if torch.cuda.is_available() else "cpu")
if torch.cuda.is_available():
    about = torch.cuda.get_device_properties(0)
    print(f"{about.name}, {about.total_memory / 2**30:.0f} GB, sm_{about.major}{about.minor}")
try:
    import pynvml
    pynvml.nvmlInit()
    print(f"driver {pynvml.nvmlSystemGetDriverVersion()}")
    mode = pynvml.nvmlDeviceGetComputeMode(pynvml.nvmlDeviceGetHandleByIndex(0))
    if mode != pynvml.NVML_COMPUTEMODE_DEFAULT:
        print(f"compute mode {mode}: not for several processes at a time")
except Exception as error:
    print(f"NVML: {error}")
cudnn = torch.backends.cudnn.version() if torch.version.cuda else None
print(f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {cudnn}")
"""


def _run(part: Part, device: str, out: Path, runs: Path, ends_s: float) -> str:
    """Run a part and print its row; returns ok, skipped or FAILED."""
    left_s = ends_s - time.monotonic()
    if left_s < LEAST_S:
        print(f"{part.name:<11} {'FAILED':<8} {0:>7.1f}  not begun: the time of all parts is over")
        return "FAILED"
    limit_s = min(part.limit_s if device == "cuda" else 2 * part.limit_s, left_s)
    program = ROOT / "benchmarks" / "gpu_parts.py"
    where = ("--device", device, "--runs", str(runs))
    command = [sys.executable, "-u", str(program), part.name, *where]
    log = out / f"{part.name}.log"
    begun_s = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        figures: list[str] = []
        assert process.stdout is not None

        def read() -> None:
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                if line.startswith("* "):
                    print(f"    {part.name}: {line[2:].rstrip()}")
                elif line.startswith("= "):
                    figures.append(line[2:].strip())

        reader = threading.Thread(target=read)
        reader.start()
        over = _await(process, limit_s)
        # What it started must not outlive it, nor hold the pipe open.
        _kill_group(process)
        reader.join()
    seconds = time.monotonic() - begun_s
    result = {0: "ok", SKIPPED: "skipped"}.get(process.returncode, "FAILED")
    if over:
        result = "FAILED"
        figures.append(f"killed at its limit of {limit_s:.0f} s")
    elif result == "FAILED":
        figures.append(f"exit status {process.returncode}")
    told = [f"{part.name:<11} {result:<8} {seconds:>7.1f}  {'; '.join(figures)}"]
    if result == "FAILED":
        told.append(_indented(log.read_text(errors="replace"), part.shown_lines))
    print("\n".join(told))
    return result


def _await(process: subprocess.Popen[str], limit_s: float) -> bool:
    """Wait for a process; True when it was still running at the limit, and is killed."""
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        # Its traceback, by faulthandler, says where it hung.
        process.send_signal(signal.SIGABRT)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            process.wait()
        return True
    return False


def _kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _indented(text: str, most: int) -> str:
    """The last lines of a text, each cut to a readable length."""
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if line.strip(" ^~") and "Extension modules:" not in line]
    return "\n".join(f"    | {line[:200]}" for line in lines[-most:])


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main())
