"""Draws the pictures of the documentation: real runs in the real app, at three sizes.

python docs/pictures.py [FOLDER]     (default: docs/pictures)

Each picture is an SVG of what the terminal shows. Runs are of the presets that ship; nothing in a
picture is made up, but their times differ from machine to machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from textual.app import App
from textual.pilot import Pilot

from tui_trainer.config.overrides import Override
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.sessions.loader import Loader
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.app_setup import AppArguments, AttachRequest, ComposeRequest, assemble
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stop_dialog import StopDialog
from tui_trainer.ui.terminal.terminal import Terminal

SIZES = ((80, 24), (120, 40), (200, 50))
PATIENCE_S = 600.0
LOOK_S = 0.2


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not true():
        if loop.time() > end:
            raise TimeoutError("it did not become true in time")
        await asyncio.sleep(LOOK_S)


def save(app: App[int], folder: Path, name: str, size: tuple[int, int]) -> None:
    """Write what the app shows now, without the folders of this machine."""
    path = folder / f"{name}-{size[0]}x{size[1]}.svg"
    shown = app.export_screenshot(title="tui-trainer")
    for place in (builtin_dir().parent, Path.cwd()):
        shown = without_folder(shown, f"{place}{os.sep}")
    path.write_text(shown, encoding="utf-8")
    print(path)


def without_folder(picture: str, folder: str) -> str:
    """Return a picture with names of files from below a folder, and as many spaces after each."""
    # As wide as it was, because the picture has the width of each text.
    return re.sub(
        rf"{re.escape(folder)}([^<&]*)",
        lambda match: match[1] + "&#160;" * len(folder),
        picture,
    )


async def draw(folder: Path, runs: Path, size: tuple[int, int]) -> None:
    """All the pictures of a size."""
    await draw_attached(folder, runs, size)
    await draw_composed(folder, runs, size)
    await draw_running(folder, runs, size)


async def draw_composed(folder: Path, runs: Path, size: tuple[int, int]) -> None:
    """From composing to the end of a run, and a second run that is compared with it."""
    async with opened(runs, ComposeRequest("digits-cnn"), size) as (pilot, app, _):
        await until(lambda: "steps per epoch" in text_of(app))
        await pilot.pause(2.0)
        save(app, folder, "compose", size)
        await pilot.press("f5")
        await until(lambda: step_of(app) >= 250)
        await pilot.press("p")
        await until(lambda: state_of(app) == "paused")
        await pilot.press("e")
        await pilot.pause(0.5)
        save(app, folder, "edit", size)
        await pilot.press(*"0.002", "enter", "escape")
        await pilot.press("p")
        await until(lambda: not app.live.alive)
        await until(lambda: "Train on" in text_of(app))
        await pilot.pause(1.0)
        save(app, folder, "end", size)
        await pilot.press("c")
        await pilot.pause(1.0)
        await pilot.press("slash", *"lr", "enter", "ctrl+u", *"3e-4", "escape", "f5")
        await until(lambda: app.live.alive and step_of(app) >= 400)
        await pilot.press("f2")
        await until(lambda: text_of(app).count("digits-cnn-") >= 2)
        await pilot.press("space")
        await until(lambda: "▌digits-cnn-" in text_of(app) or "▌ digits-cnn-" in text_of(app))
        await pilot.press("down", "space")
        await until(lambda: "optimizer.lr" in text_of(app))
        await pilot.pause(1.0)
        save(app, folder, "runs", size)
        await until(lambda: not app.live.alive)


async def draw_running(folder: Path, runs: Path, size: tuple[int, int]) -> None:
    """A run of a minute and a half, with a pause, an edit and a checkpoint, near its end."""
    begin = ComposeRequest("stdlib-gpt", [Override("training", "validate_every_steps", 50)])
    async with opened(runs, begin, size) as (pilot, app, loader):
        await until(lambda: loader.stage == "")
        await pilot.press("f5")
        await until(lambda: step_of(app) >= 250)
        await pilot.press("ctrl+s")
        await until(lambda: step_of(app) >= 350)
        await pilot.press("p")
        await until(lambda: state_of(app) == "paused")
        await pilot.press("e")
        await pilot.pause(0.5)
        await pilot.press(*"0.002", "enter", "escape")
        await pilot.press("p")
        await until(lambda: step_of(app) >= 610)
        save(app, folder, "run", size)
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, StopDialog))
        await pilot.pause(0.5)
        save(app, folder, "stop", size)
        await pilot.press("k")
        await until(lambda: not app.live.alive)


async def draw_attached(folder: Path, runs: Path, size: tuple[int, int]) -> None:
    """A run of another process, watched from here."""
    name = f"watched-{size[0]}"
    words = ["train", "digits-cnn", "training.epochs=200", "checkpoint.every_seconds=5"]
    words += ["--no-ui", "--name", name, "--runs-dir", str(runs)]
    trainer = subprocess.Popen(
        [sys.executable, "-m", "tui_trainer", *words],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": sys.path[0]},
    )
    try:
        await until(lambda: any(runs.glob(f"{name}*/status.json")))
        path = next(runs.glob(f"{name}*"))
        async with opened(runs, AttachRequest(path), size) as (pilot, app, _):
            await until(lambda: watched_step(app) >= 1500)
            await pilot.pause(1.0)
            save(app, folder, "attached", size)
    finally:
        trainer.terminate()
        trainer.wait()


@contextlib.asynccontextmanager
async def opened(
    runs: Path, begin: ComposeRequest | AttachRequest, size: tuple[int, int]
) -> AsyncIterator[tuple[Pilot[int], TrainerApp, Loader]]:
    """The app as the command line would open it; what trains in it is waited for at the end."""
    asked = AppArguments(PresetLibrary([builtin_dir()]), runs, Preferences(), ["tui-trainer"])
    live, loader = CurrentRun(), Loader()
    app = TrainerApp(lambda: assemble(asked, begin, Terminal(), live, loader, []), live)
    async with app.run_test(size=size) as pilot:
        yield pilot, app, loader
        app.exit()
    loader.close()
    if live.session is not None:
        live.session.join()


def watched_step(app: TrainerApp) -> int:
    """The step that another process has reached."""
    screen = app.screen
    return screen.session.view.step if isinstance(screen, RunScreen) else 0


def text_of(app: TrainerApp) -> str:
    """Return the text on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


def step_of(app: TrainerApp) -> int:
    """The step that the app has seen."""
    session = app.live.session
    return session.view.step if session is not None else 0


def state_of(app: TrainerApp) -> str:
    """The state that the app has seen."""
    session = app.live.session
    return session.view.state if session is not None else ""


def main() -> None:
    """Draw into the folder that was named."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as place:
            # So that a run is shown as it is to who stands beside it.
            os.chdir(place)
            asyncio.run(draw(folder, Path("runs"), size))
            os.chdir(folder)


if __name__ == "__main__":
    main()
