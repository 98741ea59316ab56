"""The app around the screens: which follows which, leaving, help, palette, keymap."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList

from tests.runs.test_index import make_run
from tests.ui.composing import until
from tests.ui.fakes import FakeServices, FakeSession
from tests.ui.runs import an_experiment
from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.keys import ACTIONS
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.preferences import THEMES, Preferences
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.directory import RunDirectory, create_run
from tui_trainer.runs.events import CheckpointSaved, RunEnded, RunStarted, StateChanged, StepsTaken
from tui_trainer.runs.lock import RunLock
from tui_trainer.text.errors import BadInput
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.compose.bars import DraftLine, LaunchBar
from tui_trainer.ui.compose.save_preset import SavePreset
from tui_trainer.ui.compose.screen import ComposeScreen
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.run.edit_dialog import EditDialog
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.resume_dialog import ResumeDialog
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stop_dialog import StopDialog
from tui_trainer.ui.runs.fork_dialog import ForkDialog
from tui_trainer.ui.runs.screen import RunsScreen
from tui_trainer.ui.shared.help import HelpScreen
from tui_trainer.ui.shared.services import Opening

Play = Callable[[TrainerApp, Pilot[int]], Coroutine[Any, Any, None]]


class LiveSession(FakeSession):
    """A session with what the process needs of it."""

    exit_code = 0

    def join(self) -> None:
        return


class ElsewhereSession(FakeSession):
    """A session of a run that another process holds."""

    @property
    def is_elsewhere(self) -> bool:
        return True


def started() -> tuple[RunStarted, StateChanged, StepsTaken]:
    return (
        RunStarted(0, 1, "digits-1", "cpu", 20778, 1221, 20, 800, 0),
        StateChanged(1, "running"),
        StepsTaken(1, 1, 0.1, (2.3,), (0.5,), (0.003,), 1000.0, 0.0),
    )


def ended(state: str = "finished", reason: str = "40 epochs are done") -> RunEnded:
    return RunEnded(800, state, reason, 40, "runs/digits-1", 9.2, 0)  # type: ignore[arg-type]


def unbegun(reason: str) -> RunEnded:
    """The end of a start that has failed."""
    return RunEnded(0, "failed", reason, 0, None, 0.0, 2, has_begun=False)


def play(
    services: FakeServices,
    what: Play,
    size: tuple[int, int] = (80, 24),
    *,
    notifications: bool = False,
) -> TrainerApp:
    """Run the app with a script, which drives it."""
    live = CurrentRun()
    services.trains_here = lambda: live.name
    launch = services.launch

    def launched(experiment: Any, name: str) -> Any:
        live.session = launch(experiment, name)  # type: ignore[assignment]
        return live.session

    services.launch = launched
    app = TrainerApp(lambda: Opening(services, Draft(services.library)), live)

    async def run() -> None:
        async with app.run_test(size=size, notifications=notifications) as pilot:
            await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
            await pilot.pause()
            await what(app, pilot)

    asyncio.run(run())
    return app


async def running(app: TrainerApp, pilot: Pilot[int], session: FakeSession) -> None:
    """Start, and wait until the screen has seen it."""
    await pilot.press("f5")
    session.push(*started())
    await until(pilot, lambda: session.view.state == "running")
    await until(pilot, lambda: isinstance(app.screen, RunScreen))


def test_it_opens_on_compose_and_f5_leads_to_the_run(tmp_path: Path) -> None:
    services = FakeServices(tmp_path, LiveSession())

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        assert isinstance(app.screen, ComposeScreen)
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)

    play(services, what)
    assert [(e.name, name) for e, name in services.launched] == [("digits-cnn", "")]


def test_quitting_with_a_live_run_asks_and_leaves_after_it_was_saved(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await running(app, pilot, session)
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, StopDialog)
        await pilot.press("s")
        await pilot.pause()
        assert [type(command) for command in session.sent] == [Stop]
        assert app.is_running
        session.push(ended("stopped", "stopped by you, saved at step 10"))
        await until(pilot, lambda: app._exit)

    play(FakeServices(tmp_path, session), what)


def test_ctrl_c_asks_about_a_live_run_and_a_second_one_keeps_it(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await running(app, pilot, session)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert isinstance(app.screen, StopDialog)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert session.sent == []

    play(FakeServices(tmp_path, session), what)


async def at_the_end(app: TrainerApp, pilot: Pilot[int], session: FakeSession) -> None:
    await running(app, pilot, session)
    session.push(ended())
    await until(pilot, lambda: app.screen.has_class("-result"))


def test_again_twice_starts_one_run(tmp_path: Path) -> None:
    session = LiveSession(Draft(FakeServices(tmp_path).library).experiment)
    services = FakeServices(tmp_path, session)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await at_the_end(app, pilot, session)
        ending = app.screen.query_one(Ending)
        for act in (ending.action_again, ending.action_again, ending.action_compose_from):
            act()
        await until(pilot, lambda: len(services.launched) > 1)
        await pilot.pause(0.3)
        assert isinstance(app.screen, RunScreen)

    play(services, what)
    assert len(services.launched) == 2


def test_a_run_is_repeated_under_its_name_and_as_it_was_started(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    library = services.library
    asked = library.experiment("digits-cnn", parse_overrides(["optimizer.lr=0.001"]))
    edited = library.experiment("digits-cnn", parse_overrides(["optimizer.lr=0.002"]))
    session = LiveSession(edited)
    services = FakeServices(tmp_path, session)
    services.runs_dir, services.plugins = tmp_path, (Path("mine.py"),)
    run = create_run(tmp_path, "my run")
    run.config.write_text(to_yaml(asked.to_dict()))

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await running(app, pilot, session)
        session.push(replace(ended(), run_dir=str(run.path)))
        await until(pilot, lambda: app.screen.has_class("-result"))
        await pilot.press("a")
        await until(pilot, lambda: len(services.launched) == 2)
        await until(pilot, lambda: app.screen.has_class("-result"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        assert app.screen.query_one(LaunchBar).run_name == "my-run"
        words = f"optimizer.lr=0.002 --preset-dir {tmp_path} --plugin mine.py"
        shown = f"$ tui-trainer train digits-cnn {words} --runs-dir {tmp_path} --name my-run"
        assert str(app.screen.query_one("#command", DraftLine).content) == shown

    play(services, what, size=(200, 50))
    experiment, name = services.launched[1]
    assert (name, experiment.get("optimizer.lr")) == ("my-run", 0.001)


def test_the_next_run_comes_in_the_place_of_help_and_of_the_run_before(tmp_path: Path) -> None:
    session = LiveSession(Draft(FakeServices(tmp_path).library).experiment)
    services = FakeServices(tmp_path, session)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await at_the_end(app, pilot, session)
        app.screen.query_one(Ending).action_again()
        await app.run_action("help")
        await until(pilot, lambda: len(services.launched) == 2)

        def runs() -> list[Any]:
            return [screen for screen in app.screen_stack if isinstance(screen, RunScreen)]

        await until(pilot, lambda: runs() == [app.screen])
        # An app that ends while a screen is put together trips over it.
        await until(pilot, lambda: app.screen.has_class("-result"))

    play(services, what)


def test_a_start_that_fails_under_help_leads_back_all_the_same(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f5", "f1")
        assert isinstance(app.screen, HelpScreen)
        session.push(unbegun("data.csv: no such file"))
        await until(pilot, lambda: not any(isinstance(s, RunScreen) for s in app.screen_stack))
        await until(pilot, lambda: "data.csv: no such file" in everything(app))

    play(FakeServices(tmp_path, session), what)


def test_keys_before_the_first_screen_is_read_do_no_harm(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    read = threading.Event()

    def opening() -> Opening:
        assert read.wait(300)
        return Opening(services, Draft(services.library))

    app = TrainerApp(opening, CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            asyncio.get_running_loop().call_later(0.2, read.set)
            await pilot.press("ctrl+c", "f1", "escape", "ctrl+p", "escape", "x")
            await until(pilot, lambda: isinstance(app.screen, ComposeScreen))

    asyncio.run(run())


def test_an_app_can_end_while_a_screen_is_put_together(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    read = threading.Event()

    def opening() -> Opening:
        assert read.wait(30)
        return Opening(services, Draft(services.library))

    app = TrainerApp(opening, CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)):
            read.set()
            while not isinstance(app.screen, ComposeScreen):
                await asyncio.sleep(0)
            app.exit(0)

    asyncio.run(run())
    assert app.return_value == 0


def test_settings_that_are_wrong_close_the_app_with_the_reason(tmp_path: Path) -> None:
    def opening() -> Opening:
        raise BadInput("config.yaml:1: fps: too many")

    app = TrainerApp(opening, CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.failure is not None)

    asyncio.run(run())
    assert str(app.failure) == "config.yaml:1: fps: too many"


def test_ctrl_c_twice_leaves_from_within_a_field(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("tab", "tab", "tab", "tab", "ctrl+c")
        assert not app._exit
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)

    play(FakeServices(tmp_path), what)


def test_one_ctrl_c_does_not_leave_and_q_does_when_nothing_is_alive(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert not app._exit
        await pilot.press("q")
        await pilot.pause()
        assert app._exit

    play(FakeServices(tmp_path), what)


def test_a_run_that_cannot_start_leads_back_with_the_reason(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f5")
        session.push(unbegun("data.csv: no such file"))
        await until(pilot, lambda: not any(isinstance(s, RunScreen) for s in app.screen_stack))
        await pilot.pause(0.1)
        assert any(isinstance(screen, ComposeScreen) for screen in app.screen_stack)
        shown = "\n".join(str(n.message) for n in app._notifications) + everything(app)
        assert "data.csv: no such file" in shown

    play(FakeServices(tmp_path, session), what)


def test_a_start_that_fails_keeps_the_name_that_was_asked_for(tmp_path: Path) -> None:
    session = LiveSession()
    session.push(unbegun("data.csv: no such file"))
    services = FakeServices(tmp_path, session)
    draft = Draft(services.library)
    app = TrainerApp(lambda: Opening(services, draft, lambda: session, "mine"), CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "no such file" in everything(app))
            composing = next(s for s in app.screen_stack if isinstance(s, ComposeScreen))
            assert composing.query_one(LaunchBar).run_name == "mine"

    asyncio.run(run())


def test_leaving_while_everything_is_read_is_no_error(tmp_path: Path) -> None:
    is_read, is_left = threading.Event(), threading.Event()
    services = FakeServices(tmp_path)

    def opening() -> Opening:
        is_read.set()
        assert is_left.wait(300)
        return Opening(services, Draft(services.library))

    app = TrainerApp(opening, CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, is_read.is_set)
            app.exit()
            while app.is_running:
                await asyncio.sleep(0.01)
            is_left.set()

    asyncio.run(run())
    assert app._exception is None


def everything(app: TrainerApp) -> str:
    """The text of the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def test_help_shows_the_keys_of_the_screen_and_those_of_a_keymap(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    services.preferences = Preferences(keymap={"compose.start": "f9"})

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "F9" in everything(app)
        assert "Start this experiment" in everything(app)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ComposeScreen)
        await pilot.press("f9")
        await pilot.pause()

    play(services, what, (100, 50))
    assert len(services.launched) == 1


def test_f1_tells_of_a_dialog_and_closes_again_with_what_was_typed_kept(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+s", *"a?")
        dialog = app.screen
        assert isinstance(dialog, SavePreset)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "A preset is a small text file" in everything(app)
        assert "Cancel" in everything(app)
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is dialog)
        assert dialog.query_one(Input).value == "a?"

    play(FakeServices(tmp_path), what)


@pytest.mark.parametrize("dialog", [StopDialog, EditDialog, ForkDialog, ResumeDialog, SavePreset])
def test_every_dialog_says_what_it_is_for(dialog: type[Screen[Any]]) -> None:
    assert len(getattr(dialog, "ABOUT", "")) > 40


def test_help_at_60x20_keeps_keys_and_texts_in_their_columns(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f1")
        await pilot.pause()
        rows = everything(app).splitlines()
        at = next(n for n, row in enumerate(rows) if "Copy the command line that" in row)
        assert rows[at].index("Copy") == rows[at + 1].index("same")

    play(FakeServices(tmp_path), what, (60, 20))


def test_help_on_the_list_of_runs_and_at_the_end_tells_the_keys_there(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f2")
        await until(pilot, lambda: "Runs" in type(app.screen).__name__)
        await pilot.press("f1")
        await pilot.pause()
        assert "Select for comparison, or unselect" in everything(app)
        await pilot.press("escape", "escape")
        await pilot.pause()
        session.push(*started(), ended())
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.screen.has_class("-result"))
        await pilot.press("f1")
        await pilot.pause()
        assert "Move the crosshair left" in everything(app)
        assert "See the plots; escape returns" in everything(app)

    play(FakeServices(tmp_path, session), what, (100, 60))


def test_the_palette_offers_every_action_of_the_screen(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await running(app, pilot, session)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Write a checkpoint now" in titles
        assert "Cycle the smoothing" in titles
        assert "Change the theme" in titles
        assert len(set(titles)) == len(titles)
        validate = next(
            c for c in app.get_system_commands(app.screen) if c.title.startswith("Validate")
        )
        await validate.callback()
        await pilot.pause()
        assert [type(command).__name__ for command in session.sent] == ["Validate"]

    play(FakeServices(tmp_path, session), what)


def test_every_key_of_the_compose_screen_is_in_help_and_palette(tmp_path: Path) -> None:
    """Keys without an action are only those that each list and field of Textual has."""

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        known = {action.id for action in ACTIONS}
        offered = {command.title: command.help for command in app.get_system_commands(app.screen)}
        texts = {action.id: action.text for action in ACTIONS}
        for active in app.screen.active_bindings.values():
            if active.binding.id in known - {"app.palette"}:
                assert texts[active.binding.id] in offered
        others = {k for k, a in app.screen.active_bindings.items() if a.binding.id not in known}
        scrolling = {"home", "end", "pageup", "pagedown", "left", "right"}
        assert others <= scrolling | {f"ctrl+page{way}" for way in ("up", "down")} | {
            *("tab", "shift+tab", "super+c")
        }
        assert offered["Quit; asks first if a run is active"] == "q, ^q"
        await pilot.press("f1")
        await pilot.pause()
        text = everything(app)
        assert "q ^q         Quit; asks first if a run is active" in text
        for part in ("Take the preset", "Go to the next field", "Show all choices", "↑ k"):
            assert part in text, part

    play(FakeServices(tmp_path), what, (100, 60))


@pytest.mark.parametrize("covered", [pytest.param(False, marks=pytest.mark.further), True])
def test_ctrl_q_leaves_from_a_field_and_from_a_dialog(tmp_path: Path, covered: bool) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        app.screen.query_one("#run-name").focus()
        await pilot.press("q", *(["ctrl+s"] if covered else []))
        assert app.is_running
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)

    play(FakeServices(tmp_path), what)


@pytest.mark.parametrize("setting", [None, "dracula"])
def test_a_theme_is_kept_unless_the_config_file_sets_one(
    setting: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "app.json"
    settings = Preferences(theme=setting) if setting else Preferences()

    def opened(what: Play) -> TrainerApp:
        services = FakeServices(tmp_path)
        services.preferences = settings
        services.choices = RememberedChoices(path, settings.model_fields_set)
        return play(services, what)

    async def choose(app: TrainerApp, pilot: Pilot[int]) -> None:
        assert app.theme == (setting or "textual-dark")
        app.theme = "nord"
        await pilot.pause()

    async def look(app: TrainerApp, pilot: Pilot[int]) -> None:
        assert app.theme == (setting or "nord")

    app = opened(choose)
    told = [notification.message for notification in app._notifications]
    assert told == (
        ["config.yaml sets the theme: this one lasts until you quit"] if setting else []
    )
    opened(look)


def test_the_theme_of_a_start_is_not_a_choice_and_all_to_choose_from_are_textuals(
    tmp_path: Path,
) -> None:
    services = FakeServices(tmp_path)
    services.choices = RememberedChoices(tmp_path / "app.json")

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.pause()
        assert set(THEMES) <= set(app.available_themes)

    play(services, what)
    assert not (tmp_path / "app.json").exists()


def test_a_damaged_file_of_choices_is_told_of_when_the_app_opens(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text("{")
    services = FakeServices(tmp_path)
    services.choices = RememberedChoices(path)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        (told,) = [notification.message for notification in app._notifications]
        assert told.startswith(f"{path}: damaged")

    play(services, what)


def test_the_list_of_runs_opens_runs_and_comes_back(tmp_path: Path) -> None:
    finished = make_run(tmp_path, "one", 0)
    watched: list[Path] = []
    services = FakeServices(tmp_path, LiveSession())
    services.runs_dir = tmp_path
    session = ElsewhereSession()
    session.push(*started())

    def attach(path: Path) -> FakeSession:
        watched.append(path)
        return session

    services.attach = attach

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        listing = app.screen
        await until(pilot, lambda: listing.query_one(OptionList).option_count == 1)
        for key in ("f2", "d"):
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await pilot.press(key)
            await until(pilot, lambda: app.screen is listing)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))

    play(services, what)
    assert watched == [finished.path] * 2


def test_fault_53_a_run_that_must_not_be_opened_is_told_over_the_list(tmp_path: Path) -> None:
    make_run(tmp_path, "one", 0)
    services = FakeServices(tmp_path, LiveSession())
    services.runs_dir = tmp_path

    def attach(path: Path) -> FakeSession:
        raise BadInput(f"{path}/events.jsonl is a named pipe, not a file")

    services.attach = attach

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        listing = app.screen
        await until(pilot, lambda: listing.query_one(OptionList).option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: "events.jsonl is a named pipe" in told(app))
        assert app.screen is listing

    play(services, what)


def test_a_run_that_cannot_go_on_leads_back_to_the_list(tmp_path: Path) -> None:
    make_run(tmp_path, "one", 0, state="stopped")
    session = LiveSession()
    services = FakeServices(tmp_path, session)
    services.runs_dir = tmp_path
    session.push(unbegun("its checkpoint is damaged"))

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        listing = app.screen
        await until(pilot, lambda: listing.query_one(OptionList).option_count == 1)
        await pilot.press("r")
        await until(pilot, lambda: len(services.resumed) == 1)
        await until(pilot, lambda: app.screen is listing)
        told = [notification.message for notification in app._notifications]
        assert any("its checkpoint is damaged" in text for text in told)

    play(services, what)


def at_the_results(services: FakeServices, what: Play) -> None:
    """Run a script on the results of a run that was trained here and can be resumed."""
    session = services.session

    async def begin(app: TrainerApp, pilot: Pilot[int]) -> None:
        await running(app, pilot, session)
        session.push(CheckpointSaved(800, "step-00000800.pt", 620_000, 0.01, True), ended())
        await until(pilot, lambda: app.screen.has_class("-result"))
        await what(app, pilot)

    play(services, begin)


def resumed_by(services: FakeServices, session: FakeSession) -> None:
    """Let the services resume a run as this session."""

    def resume(path: Path, overrides: object) -> FakeSession:
        services.resumed.append((path, tuple(overrides)))  # type: ignore[arg-type]
        return session

    services.resume = resume


def test_results_stay_when_the_run_cannot_be_trained_on_and_say_why(tmp_path: Path) -> None:
    services = FakeServices(tmp_path, LiveSession(an_experiment()))
    failing = LiveSession()
    resumed_by(services, failing)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        results = app.screen
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog))
        await pilot.press("enter")
        await until(pilot, lambda: len(services.resumed) == 1)
        failing.push(unbegun("digits.csv: no such file"))
        await until(pilot, lambda: app.screen is results)
        await pilot.pause()
        text = "\n".join(strip.text for strip in results._compositor.render_strips())
        assert "it did not start: digits.csv: no such file" in text
        assert "finished after epoch 40" in text
        # Another choice can be made.
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog))

    at_the_results(services, what)


def test_results_give_way_to_the_run_that_goes_on_from_them(tmp_path: Path) -> None:
    services = FakeServices(tmp_path, LiveSession(an_experiment()))
    again = LiveSession(an_experiment())
    resumed_by(services, again)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        results = app.screen
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog))
        await pilot.press("enter")
        await until(pilot, lambda: len(services.resumed) == 1)
        assert results in app.screen_stack
        again.push(*started())
        await until(pilot, lambda: results not in app.screen_stack)
        await until(pilot, lambda: not results.is_attached)
        assert [type(screen) for screen in app.screen_stack[1:]] == [ComposeScreen, RunScreen]
        assert app.screen.session is again  # type: ignore[attr-defined]
        again.push(RunEnded(900, "failed", "out of memory", 45, "runs/digits-1", 9.9, 1))
        await until(pilot, lambda: app.screen.has_class("-result"))

    at_the_results(services, what)


def test_runs_that_go_on_one_after_the_other_from_the_list_leave_no_screens(tmp_path: Path) -> None:
    make_run(tmp_path, "one", 0, state="stopped")
    services = FakeServices(tmp_path, LiveSession())
    services.runs_dir = tmp_path
    sessions: list[LiveSession] = []

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        def resume(path: Path, overrides: object) -> LiveSession:
            sessions.append(LiveSession())
            sessions[-1].push(*started())
            app.live.session = sessions[-1]
            return sessions[-1]

        services.resume = resume
        for _ in range(4):
            await pilot.press("f2")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
            if sessions:
                sessions[-1].push(ended())
                await until(pilot, lambda: not app.live.alive)
            await pilot.press("r")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            kinds = [type(screen) for screen in app.screen_stack]
            assert kinds[-3:] == [ComposeScreen, RunsScreen, RunScreen]
            assert len(kinds) == 4
        assert len(sessions) == 4
        await pilot.press("f2", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    play(services, what)


class Shown:
    """The app over a folder of runs, with one run that trains in it."""

    def __init__(self, folder: Path) -> None:
        experiment = Draft(FakeServices(folder).library).experiment
        self.own = LiveSession(experiment)
        self.other = ElsewhereSession(experiment)
        self.own.view.run_dir = str(folder / "digits-1")
        self.other.push(RunStarted(0, 1, "other", "cpu", 20778, 1221, 20, 800, 0))
        self.services = FakeServices(folder, self.own)
        self.services.runs_dir = folder
        self.services.attach = self._attach
        self.services.fork = self._fork
        self.watched: list[Path] = []
        self.forked: list[Path] = []
        make_run(folder, "digits-1", 0, state="running")
        self.lock = RunLock.acquire(folder / "digits-1" / "lock")
        make_run(folder, "other", 500, state="stopped")

    def _attach(self, path: Path) -> FakeSession:
        self.watched.append(path)
        return self.other

    def _fork(self, path: Path, which: str, overrides: object) -> FakeSession:
        self.forked.append(path)
        return self.own

    async def listed(self, app: TrainerApp, pilot: Pilot[int]) -> RunsScreen:
        """Start the run, and list all over it."""
        await running(app, pilot, self.own)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        listing = app.screen
        assert isinstance(listing, RunsScreen)
        await until(pilot, lambda: listing.query_one(OptionList).option_count == 2)
        return listing


def told(app: TrainerApp) -> str:
    return " / ".join(notification.message for notification in app._notifications)


def test_runs_are_listed_over_a_run_that_trains_here_and_it_is_come_back_to(tmp_path: Path) -> None:
    shown = Shown(tmp_path)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await shown.listed(app, pilot)
        own = next(it for it in app.screen_stack if isinstance(it, RunScreen))
        assert "digits-1" in everything(app).splitlines()[2]
        assert "running" in everything(app).splitlines()[2]
        await pilot.press("escape")
        assert app.screen is own
        for key in ("d", "f2"):
            await pilot.press("f2")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 2)
            await pilot.press("j", "enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            assert app.screen is not own
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await pilot.press("k", "enter")
            await until(pilot, lambda: app.screen is own)

    app = play(shown.services, what)
    shown.lock.release()
    assert shown.watched == [tmp_path / "other"] * 2
    assert shown.own.sent == shown.other.sent == []
    assert app.live.session is shown.own


def test_beside_a_run_that_trains_here_no_other_begins_here(tmp_path: Path) -> None:
    shown = Shown(tmp_path)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        listing = await shown.listed(app, pilot)
        await pilot.press("j", "r")
        other = RunDirectory(tmp_path / "other")
        await until(pilot, lambda: other.command("resume", "--detach") in told(app))
        assert app.screen is listing
        await pilot.press("f")
        fork = other.command("fork", "--detach")
        await until(pilot, lambda: fork in told(app))
        app.post_message(RunsScreen.Fork(tmp_path / "other", "last", ()))
        await until(pilot, lambda: told(app).count(fork) == 2)
        await pilot.press("k", "x")
        await until(pilot, lambda: "cannot be deleted" in told(app))
        assert app.screen is listing

    play(shown.services, what)
    shown.lock.release()
    assert (shown.services.resumed, shown.forked) == ([], [])
    assert (tmp_path / "digits-1" / "config.yaml").exists()


def test_the_end_of_a_watched_run_begins_nothing_beside_the_own_one(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.other.push(
        CheckpointSaved(800, "step-800.pt", 1, 0.1, True),
        RunEnded(800, "stopped", "asked", 40, str(tmp_path / "other"), 9.2, 0),
    )

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        listing = await shown.listed(app, pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.screen.has_class("-result"))
        for key in ("r", "a", "c"):
            await pilot.press(key)
        folders = f"--preset-dir {tmp_path} --runs-dir {tmp_path}"
        commands = (
            RunDirectory(tmp_path / "other").command("resume", "--detach"),
            f"tui-trainer train digits-cnn {folders} --name other --detach",
            f"tui-trainer compose digits-cnn {folders}",
        )
        await until(pilot, lambda: all(command in told(app) for command in commands))
        shown.own.push(ended())
        await until(pilot, lambda: not app.live.alive)
        await pilot.press("a")
        await until(pilot, lambda: len(shown.services.launched) == 2)
        assert listing in app.screen_stack

    play(shown.services, what)
    shown.lock.release()


def test_the_end_of_the_own_run_is_told_over_the_list(tmp_path: Path) -> None:
    shown = Shown(tmp_path)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        listing = await shown.listed(app, pilot)
        shown.own.push(ended())
        await until(pilot, lambda: "digits-1 finished: 40 epochs are done" in told(app))
        assert app.screen is listing
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.has_class("-result"))

    play(shown.services, what)
    shown.lock.release()


@pytest.mark.parametrize("watching", [False, pytest.param(True, marks=pytest.mark.further)])
def test_leaving_from_the_list_asks_about_the_run_that_trains_here(
    tmp_path: Path, watching: bool
) -> None:
    shown = Shown(tmp_path)

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        await shown.listed(app, pilot)
        if watching:
            await pilot.press("j", "enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
        for key in ("ctrl+c", "q"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, StopDialog))
            # The other run, which is looked at too, does not speak into it.
            await pilot.pause(0.3)
            assert "Stop digits-1?" in everything(app)
            if key == "ctrl+c":
                await pilot.press("escape")
        await pilot.press("s")
        await until(pilot, lambda: [type(it) for it in shown.own.sent] == [Stop])
        shown.own.push(ended("stopped", "stopped by you"))
        await until(pilot, lambda: app._exit)

    play(shown.services, what)
    shown.lock.release()
    assert shown.other.sent == []


def test_below_the_list_is_the_run_that_was_watched_until_another_is_opened(tmp_path: Path) -> None:
    make_run(tmp_path, "one", 0)
    services = FakeServices(tmp_path)
    services.runs_dir = tmp_path
    session, other = ElsewhereSession(), ElsewhereSession()
    for watched in (session, other):
        watched.push(*started())
    services.attach = lambda path: other
    draft = Draft(services.library)
    app = TrainerApp(lambda: Opening(services, draft, lambda: session, is_old=True), CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            watching = app.screen
            await pilot.press("f2")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is watching)
            await pilot.press("f2")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            listing = app.screen
            await until(pilot, lambda: listing.query_one(OptionList).option_count == 1)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            assert app.screen.session is other  # type: ignore[attr-defined]
            # Only one run is watched at a time: the other screen would show nothing new.
            assert watching not in app.screen_stack
            await pilot.press("f2")
            await until(pilot, lambda: app.screen is listing)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, ComposeScreen))

    asyncio.run(run())


def test_keys_typed_before_there_is_anything_to_use_them_are_used_then(tmp_path: Path) -> None:
    services = FakeServices(tmp_path, LiveSession())
    is_typed = threading.Event()

    def opening() -> Opening:
        assert is_typed.wait(300)
        return Opening(services, Draft(services.library))

    app = TrainerApp(opening, CurrentRun())

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("down", "enter")
            is_typed.set()
            await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
            composing = app.screen
            assert isinstance(composing, ComposeScreen)
            await until(pilot, lambda: composing.draft.base == "digits-mlp")

    asyncio.run(run())
