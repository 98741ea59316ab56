"""Draws the pictures of the documentation: real runs in the real app, at two sizes.

python docs/pictures.py [FOLDER]     (default: docs/pictures)

Each picture is an SVG of what the terminal shows. Runs are of the presets that ship; nothing in a
picture is made up, but their times differ from machine to machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from textual.app import App

from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.sessions.loader import Loader
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.assembly import Asked, Composing, assemble
from tui_trainer.ui.running import Live
from tui_trainer.ui.terminal import Terminal

SIZES = ((80, 24), (120, 40))
PATIENCE_S = 180.0
LOOK_S = 0.2


async def until(pilot: object, true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not true():
        if loop.time() > end:
            raise TimeoutError("it did not become true in time")
        await asyncio.sleep(LOOK_S)


def save(app: App[int], folder: Path, name: str, size: tuple[int, int]) -> None:
    """Write what the app shows now."""
    path = folder / f"{name}-{size[0]}x{size[1]}.svg"
    path.write_text(app.export_screenshot(title="tui-trainer"), encoding="utf-8")
    print(path)


async def draw(folder: Path, runs: Path, size: tuple[int, int]) -> None:
    """All the pictures of a size."""
    library = PresetLibrary([builtin_dir()])
    asked = Asked(library, runs, Preferences(), ["tui-trainer"])
    live, loader = Live(), Loader()
    begin = Composing("digits-cnn")
    app = TrainerApp(lambda: assemble(asked, begin, Terminal(), live, loader, []), live)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: loader.stage == "")
        await pilot.pause(2.0)
        save(app, folder, "compose", size)
        await pilot.press("f5")
        await until(pilot, lambda: step_of(app) >= 250)
        await pilot.press("p")
        await until(pilot, lambda: state_of(app) == "paused")
        await pilot.press("e")
        await pilot.pause(0.5)
        save(app, folder, "edit", size)
        await pilot.press(*"0.002", "enter", "escape")
        await pilot.press("p")
        await until(pilot, lambda: step_of(app) >= 500)
        save(app, folder, "run", size)
        await pilot.press("s")
        await pilot.pause(0.3)
        save(app, folder, "stop", size)
        await pilot.press("escape")
        await until(pilot, lambda: not live.alive)
        await pilot.pause(1.5)
        save(app, folder, "end", size)
        await pilot.press("q")
    loader.close()
    if live.session is not None:
        live.session.join()


def step_of(app: TrainerApp) -> int:
    """The step that the app has seen."""
    session = app.live.session
    return session.latest.step if session is not None else 0


def state_of(app: TrainerApp) -> str:
    """The state that the app has seen."""
    session = app.live.session
    return session.latest.state if session is not None else ""


def main() -> None:
    """Draw into the folder that was named."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as place:
        # So that a run is shown as it is to who stands beside it.
        os.chdir(place)
        for size in SIZES:
            asyncio.run(draw(folder, Path("runs"), size))


if __name__ == "__main__":
    main()
