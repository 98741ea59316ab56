"""What the list of runs takes in the app: to open, to answer a key, to filter by a setting.

Makes run directories as experiments write them, lists them at 120x40 without a terminal, and prints
when the lines are there, how long keys take until they are painted, and how long a filter on
settings takes that were never read and that were.

    python benchmarks/runs_list.py [--runs 1000] [--old 0]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.config_file import facts_of_settings, settings_of
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.provenance import collect
from tui_trainer.sessions.loader import Loader
from tui_trainer.sessions.session import Session
from tui_trainer.ui.app_setup import Bench
from tui_trainer.ui.process import SWITCH_S
from tui_trainer.ui.runs.screen import RunsScreen
from tui_trainer.ui.shared.services import Services

EXPERIMENTS = ("digits-cnn", "digits-mlp", "penguins-mlp", "vowels-gru", "stdlib-gpt")
STATES = ("finished", "stopped", "finished", "failed", "running")
NEWEST_S = 1_790_000_000


def make_runs(folder: Path, count: int, old: int) -> None:
    """Runs of several experiments; every fifth looks as if it had crashed.

    The first `old` are without settings in provenance.json, as an older program left them.
    """
    library = PresetLibrary([builtin_dir()])
    plain = [library.experiment(name).to_dict() for name in EXPERIMENTS]
    facts = collect(["tui-trainer", "train"], device="cpu", threads=2)
    for number in range(count):
        values = plain[number % len(plain)]
        name = f"{values['name']}-1122-{number:04}"
        run = RunDirectory(folder / name)
        make_skeleton(run)
        lr = 10.0 ** -(1 + number % 7 / 2)
        run.config.write_text(to_yaml({**values, "optimizer": {**values["optimizer"], "lr": lr}}))
        os.utime(run.config, (NEWEST_S - number,) * 2)
        if number >= old:
            run.provenance.write_text(json.dumps({**facts, **facts_of_settings(run)}, indent=1))
        status = {
            **{"name": name, "state": STATES[number % len(STATES)], "host": socket.gethostname()},
            **{"step": number, "total_steps": 1000, "epoch": number % 40, "device": "cuda:0"},
            **{"best": {"loss": 1 / (number + 1), "accuracy": 0.9}, "elapsed_s": 10.0 * number},
        }
        run.status.write_text(json.dumps(status))


class Listing(App[None]):
    """The list alone."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services

    def list(self) -> RunsScreen:
        listing = RunsScreen(self._services)
        self.push_screen(listing)
        return listing


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)


async def painted(app: App[None]) -> None:
    done = asyncio.Event()
    app.screen.call_after_refresh(done.set)
    await done.wait()


async def key_ms(app: App[None], key: str, seen: Callable[[], bool]) -> float:
    """From a key to the screen that shows what it did."""
    begin_s = time.perf_counter()
    app.simulate_key(key)
    await until(seen)
    await painted(app)
    return (time.perf_counter() - begin_s) * 1e3


async def typed(app: App[None], listing: RunsScreen, text: str) -> tuple[list[float], float]:
    """Return the seconds that each key takes, and those until the list is filtered."""
    bar = listing.query_one(Input)
    times = [await key_ms(app, "slash", lambda: bar.has_focus)]
    begin_s = time.perf_counter()
    for number, char in enumerate(text, 1):
        shown = text[:number]
        times.append(await key_ms(app, char, lambda shown=shown: bar.value == shown))  # type: ignore[misc]
    await until(lambda: not listing.is_reading)
    await painted(app)
    return times, (time.perf_counter() - begin_s) * 1e3


def said(times: list[float]) -> str:
    times = sorted(times)
    return f"median {times[len(times) // 2]:.0f} ms, longest {times[-1]:.0f} ms"


def cpu_of_reading(folder: Path) -> str:
    """Return the processor time of reading, which other processes do not lengthen."""
    begin_s = time.thread_time()
    runs = list_runs(folder)
    listed_s = time.thread_time()
    for run in runs:
        settings_of(RunDirectory(run.path))
    settings_s = time.thread_time()
    list_ms, settings_ms = (listed_s - begin_s) * 1e3, (settings_s - listed_s) * 1e3
    return f"CPU time: the list {list_ms:.0f} ms, all settings {settings_ms:.0f} ms"


async def measure(app: Listing, pilot: Pilot[None]) -> None:
    await pilot.pause()
    begin_s = time.perf_counter()
    listing = app.list()
    await until(lambda: bool(listing.query(OptionList)))
    options = listing.query_one(OptionList)
    await until(lambda: options.option_count > 0)
    await painted(app)
    opened_ms = (time.perf_counter() - begin_s) * 1e3
    print(f"{options.option_count:,} runs are there after {opened_ms:.0f} ms")
    downs = [
        await key_ms(app, "down", lambda at=at: options.highlighted == at)  # type: ignore[misc]
        for at in range(1, 30)
    ]
    print(f"down: {said(downs)}")
    for when in ("settings not read yet", "settings read"):
        times, all_ms = await typed(app, listing, "lr<0.01")
        shown = options.option_count
        print(f"lr<0.01, {when}: keys {said(times)}; {shown} runs {all_ms:.0f} ms after the first")
        back_ms = await key_ms(app, "escape", lambda shown=shown: options.option_count > shown)  # type: ignore[misc]
        print(f"escape, all again: {back_ms:.0f} ms")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--old", type=int, default=0, help="how many an older program made")
    arguments = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), arguments.runs, arguments.old)
        print(cpu_of_reading(Path(folder)))

        def none(*_: object) -> Session:
            raise AssertionError

        services = Services(
            PresetLibrary([builtin_dir()]),
            Bench(Path(folder), ()),
            Loader(),
            none,
            none,
            runs_dir=Path(folder),
        )
        app = Listing(services)
        async with app.run_test(size=(120, 40)) as pilot:
            await measure(app, pilot)


if __name__ == "__main__":
    asyncio.run(main())
