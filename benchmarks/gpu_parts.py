"""The parts of the GPU check, each run in a process of its own by gpu_check.py.

A line that begins with `* ` is a finding and is shown at once, one with `= ` is the figures of the
part's row; all else goes to the log alone. A part that is wrong exits with 1, one that has nothing
to do on this device with 3.

    python benchmarks/gpu_parts.py PART --device cpu|cuda --runs FOLDER
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import gpu_goals
import gpu_graphs
import gpu_resumes
import gpu_settings
import gpu_steps
from gpu_findings import Findings, Wrong, needs_a_gpu
from gpu_processes import ROOT, last_line, log, run_command, run_program, side_by_side
from gpu_runs import SMALL_TEXT


def main() -> int:
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder of what is trained")
    parser.add_argument("--kind", default="", help="of what a part does in several processes")
    parser.add_argument("--role", default="", help="what of it this process does")
    arguments = parser.parse_args()
    if arguments.role == "compile":
        return gpu_steps.compile_one(arguments.kind, arguments.device, arguments.runs)
    if arguments.role:
        return gpu_resumes.train_role(arguments.role, arguments.device, arguments.runs)
    work = arguments.runs / arguments.part
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    part: Callable[[str, Path], int] = PARTS[arguments.part]
    return part(arguments.device, work)


def devices(device: str, work: Path) -> int:
    """Print what `doctor` says of the machine, and which device `auto` takes."""
    code, text = run_program("doctor", limit_s=30)
    print(text)
    wanted = ("gpus", "torch ", "cuda:", "auto")
    for line in text.splitlines():
        if line.strip().startswith(wanted):
            print(f"* {line.strip()}")
    if code:
        print(f"= doctor ended with {code}")
        return 1
    chosen = next((line for line in text.splitlines() if line.strip().startswith("auto")), "")
    print(f"= {' '.join(chosen.split())}")
    return 0 if device in chosen else 1


def first(device: str, work: Path) -> int:
    """The real commands on digits-mlp: train, evaluate, resume on the CPU and back."""
    findings = Findings()
    runs = ["--runs-dir", str(work)]
    steps, more = (300, 340) if device == "cuda" else (40, 60)

    def say(name: str, *arguments: str) -> None:
        with findings.about(name) as figures:
            code, text = run_program(*arguments, limit_s=40)
            log(name, text)
            if code:
                raise Wrong(f"exit status {code}: {last_line(text)}")
            if measured := [line for line in text.splitlines() if "loss" in line]:
                figures.append(measured[-1].strip()[:90])

    train = ("train", "digits-mlp", "--no-ui", "--name", "digits", *runs, "--device", device)
    say("train", *train, f"training.max_steps={steps}", "schedule=constant")
    if not findings.wrong:
        resume = ("resume", "digits", "--no-ui", *runs, "--device")
        say(f"evaluate on {device}", "evaluate", "digits", *runs, "--device", device)
        say("resume on the cpu", *resume, "cpu", f"training.max_steps={more}")
        say(f"resume on {device}", *resume, device, f"training.max_steps={more + 20}")
        say("evaluate on the cpu", "evaluate", "digits", *runs, "--device", "cpu")
    return findings.end()


def tests(device: str, work: Path) -> int:
    """The tests that are marked `gpu`."""
    if device == "cpu":
        return needs_a_gpu()
    marked = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "mark.gpu" in path.read_text()
    ]
    # Whatever other plugins are installed there may warn, and a warning is an error here.
    plugins = ("-p", "pytest_timeout", "-p", "no:cacheprovider")
    options = ("-m", "gpu", "-q", "--tb=short", *plugins)
    command = [sys.executable, "-m", "pytest", *options, f"--basetemp={work / 'tmp'}", *marked]
    code, text = run_command(
        command, limit_s=75, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    print(text)
    for line in text.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(f"* {line[:220]}")
    print(f"= {last_line(text).strip('= ')}")
    return 1 if code else 0


DRAWN = {"digits-png-cnn": "digits_png.py", "emoji-resnet": "emoji.py"}
"""The programs beside the presets that make the pictures of some."""


def _drawn(findings: Findings, work: Path) -> dict[str, Path]:
    """Make the pictures of the presets that have some; says which cannot be made here."""
    made = {}
    for name, program in DRAWN.items():
        folder = work / "pictures" / name
        maker = str(ROOT / "presets" / "data" / program)
        code, text = run_command([sys.executable, maker, str(folder)], limit_s=30)
        if code:
            findings.tell(f"{name}: left out, as its pictures cannot be made: {last_line(text)}")
        else:
            made[name] = folder
    return made


def presets(device: str, work: Path) -> int:
    """Every experiment preset for a few hundred steps, through the real command."""
    names = sorted(path.stem for path in (ROOT / "presets" / "experiments").glob("*.yaml"))
    steps = 300 if device == "cuda" else 15
    findings = Findings()
    drawn = _drawn(findings, work)
    names = [name for name in names if name in drawn or name not in DRAWN]

    def train(name: str) -> tuple[int, str]:
        values = [f"training.max_steps={steps}"]
        if name in drawn:
            values.append(f"dataset.path={drawn[name]}")
        if device == "cpu" and name in ("stdlib-gpt", "stdlib-lstm"):
            values.append(SMALL_TEXT)
        runs = ("--runs-dir", str(work), "--name", name)
        return run_program("train", name, "--no-ui", "--device", device, *runs, *values, limit_s=70)

    for name, (code, text) in side_by_side(train, names):
        log(name, text)
        with findings.about(name) as figures:
            found = [line for line in text.splitlines() if line.startswith(("test:", "finished"))]
            if code or len(found) < 2:
                raise Wrong(f"exit status {code}: {last_line(text)}")
            status = next(work.glob(f"{name}-*/status.json"))
            where = json.loads(status.read_text())["device"]
            if not where.startswith(device):
                raise Wrong(f"it ran on {where}")
            figures += [line.split(":")[0] if "after" in line else line for line in found]
    return findings.end(f"{steps} steps each")


PARTS: dict[str, Callable[[str, Path], int]] = {
    "devices": devices,
    "first": first,
    "tests": tests,
    "presets": presets,
    "resume": gpu_resumes.resume,
    "pause": gpu_resumes.pause,
    "crossing": gpu_resumes.crossing,
    "options": gpu_settings.options,
    "precisions": gpu_settings.precisions,
    "steps": gpu_steps.steps,
    "graphs": gpu_graphs.graphs,
    "saves": gpu_graphs.saves,
    "goals": gpu_goals.goals,
    "compile": gpu_settings.compile_,
}

if __name__ == "__main__":
    sys.exit(main())
