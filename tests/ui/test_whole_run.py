"""A real run in the app, from composing to the test result: the real thread, the real disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from textual.pilot import Pilot

from tests.ui.composing import until
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.loader import Loader
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.app_setup import AppArguments, ComposeRequest, assemble
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.terminal.terminal import Terminal


def opened(
    runs: Path, live: CurrentRun, loader: Loader, *overrides: str, presets: Path | None = None
) -> TrainerApp:
    from tui_trainer.config.overrides import parse_overrides

    library = PresetLibrary([presets or builtin_dir(), builtin_dir()])
    asked = AppArguments(library, runs, Preferences(fps=10.0), ["tui-trainer"])
    begin = ComposeRequest("penguins-mlp", parse_overrides(overrides))
    return TrainerApp(lambda: assemble(asked, begin, Terminal(), live, loader, []), live)


def state(app: TrainerApp) -> str:
    session = app.live.session
    return session.view.state if session is not None else ""


def test_from_compose_over_pause_edit_and_save_to_the_test_result(tmp_path: Path) -> None:
    live, loader = CurrentRun(), Loader()
    app = opened(tmp_path, live, loader, "training.epochs=1000000", "logging.every_seconds=0.01")

    async def script(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: loader.stage == "")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and state(app) == "running")
        await pilot.press("p")
        await until(pilot, lambda: state(app) == "paused")
        paused_at = app.live.session.view.step  # type: ignore[union-attr]
        assert app.live.session.view.saved.step == paused_at  # type: ignore[union-attr]
        await pilot.press("v")
        await pilot.press("p")
        await until(pilot, lambda: state(app) == "running")
        await pilot.press("e")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.live.session.view.saved.step > paused_at)  # type: ignore
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("s")
        await until(pilot, lambda: not live.alive)
        await until(pilot, lambda: state(app) == "stopped")

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await script(pilot)

    asyncio.run(run())
    assert live.session is not None
    live.session.join()
    loader.close()
    (path,) = tmp_path.iterdir()
    events = [json.loads(line) for line in RunDirectory(path).events.read_text().splitlines()]
    applied = [e["command"] for e in events if e["event"] == "command_applied"]
    assert applied == ["pause", "validate", "resume", "save", "stop"]
    assert events[-1]["state"] == "stopped"


def test_a_short_run_ends_with_its_test_beside_the_baselines(tmp_path: Path) -> None:
    live, loader = CurrentRun(), Loader()
    app = opened(tmp_path, live, loader, "training.epochs=20")

    async def run() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: loader.stage == "")
            await pilot.press("f5")
            await until(pilot, lambda: state(app) == "finished")

            def shown() -> str:
                return "\n".join(s.text for s in app.screen._compositor.render_strips())

            await until(pilot, lambda: "majority class" in shown())
            assert "accuracy" in shown()
            await pilot.press("q")

    asyncio.run(run())
    assert live.session is not None
    live.session.join()
    loader.close()
    assert live.exit_code == 0


def test_fault_58_a_preset_that_takes_the_place_of_a_built_in_one_is_said(tmp_path: Path) -> None:
    path = tmp_path / "presets" / "experiments" / "penguins-mlp.yaml"
    path.parent.mkdir(parents=True)
    path.write_text((builtin_dir() / "experiments" / "penguins-mlp.yaml").read_text())
    live, loader = CurrentRun(), Loader()
    folder = tmp_path / "presets"
    app = opened(tmp_path / "runs", live, loader, "training.epochs=1", presets=folder)

    async def run() -> None:
        async with app.run_test(size=(200, 40)) as pilot:
            await until(pilot, lambda: loader.stage == "")

            def shown() -> str:
                return "\n".join(s.text for s in app.screen._compositor.render_strips())

            await until(pilot, lambda: "replaces the built-in experiment preset" in shown())
            await pilot.press("f5")
            await until(pilot, lambda: state(app) == "finished")

    asyncio.run(run())
    assert live.session is not None
    live.session.join()
    loader.close()
    (place,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in RunDirectory(place).events.read_text().splitlines()]
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert f"{path} replaces the built-in experiment preset penguins-mlp" in notices
