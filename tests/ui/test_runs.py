"""The list of runs: filter, open, go on, compare, delete."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.containers import VerticalScroll
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from tests.runs.test_index import make_run
from tests.ui.fakes import FakeServices, FakeSession
from tests.ui.runs import an_experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.preferences import THEMES
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.states import ColourRole
from tui_trainer.text.format import measured
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.plots.plot import Plot
from tui_trainer.ui.runs.compared import Compared, short_labels
from tui_trainer.ui.runs.fork_dialog import ForkDialog
from tui_trainer.ui.runs.run_list import Page, mark_line, run_lines
from tui_trainer.ui.runs.screen import RunsScreen
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.confirm import Confirm
from tui_trainer.ui.shared.lines import colour_of
from tui_trainer.ui.shared.search_bar import SearchBar

RUNS = (
    ("digits-cnn-1", "cnn", "finished"),
    ("digits-cnn-2", "cnn", "stopped"),
    ("digits-mlp-1", "mlp", "crashed"),
)


class Listing(App[None]):
    """Shows the list beneath the keys of the whole app, and remembers what it asks for."""

    BINDINGS = TrainerApp.BINDINGS

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.animation_level = "none"
        services = FakeServices(folder, FakeSession())
        services.runs_dir = folder
        self.listing = RunsScreen(services)
        self.got: list[Message] = []

    def on_mount(self) -> None:
        self.push_screen(self.listing)

    def on_runs_screen_open(self, message: RunsScreen.Open) -> None:
        self.got.append(message)

    def on_runs_screen_resume(self, message: RunsScreen.Resume) -> None:
        self.got.append(message)

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    @property
    def told(self) -> str:
        return " / ".join(notification.message for notification in self._notifications)

    async def settle(self, pilot: Pilot[None]) -> None:
        """Wait until what was asked for is read and shown."""
        await pilot.pause()
        await self.workers.wait_for_complete(
            [worker for worker in self.workers if worker.group == "read"]
        )
        await pilot.pause()

    async def type(self, pilot: Pilot[None], *keys: str) -> None:
        await pilot.press(*keys)
        await self.settle(pilot)


Play = Callable[[Listing, Pilot[None]], Awaitable[None]]


def drive(
    folder: Path, play: Play, size: tuple[int, int] = (80, 24), host: type[Listing] = Listing
) -> Listing:
    app = host(folder)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await app.settle(pilot)
            await play(app, pilot)

    asyncio.run(run())
    return app


def some_runs(folder: Path) -> None:
    """Three that have ended, each with settings and a curve."""
    for number, (name, kind, state) in enumerate(RUNS):
        lr = 10.0 ** -(number + 1)
        status = {"best": {"loss": lr, "accuracy": 0.9}, "step": 40, "total_steps": 80}
        word = "running" if state == "crashed" else state
        run = make_run(folder, name, number, state=word, **status)
        stat = run.config.stat()
        run.config.write_text(f"model: {{type: {kind}}}\noptimizer: {{type: adamw, lr: {lr}}}\n")
        os.utime(run.config, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        lines = [{"step": step, "train/loss": 2.0 / step} for step in range(1, 41)]
        run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_every_run_has_a_line_and_the_cursor_is_on_the_first(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        assert "3 runs, 0 live" in app.text
        rows = app.text.splitlines()
        assert [row.split()[:3] for row in rows[2:5]] == [
            ["digits-cnn-1", "✓", "finished"],
            ["digits-cnn-2", "■", "stopped"],
            ["digits-mlp-1", "✗", "crashed"],
        ]
        await app.type(pilot, "enter")

    app = drive(tmp_path, play)
    assert app.got == [RunsScreen.Open(tmp_path / "digits-cnn-1")]


def test_an_empty_folder_says_what_makes_a_run(tmp_path: Path) -> None:
    async def play(app: Listing, pilot: Pilot[None]) -> None:
        assert "no runs here yet" in app.text
        assert "0 runs, 0 live" in app.text
        await app.type(pilot, "enter", "space", "r", "x")

    assert drive(tmp_path / "none", play, (100, 24)).got == []


def test_a_filter_shows_some_and_escape_all_again(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "/", *"model=cnn lr<0.05")
        assert "1 of 3 runs" in app.text
        assert "digits-cnn-2" in app.text
        assert "digits-mlp-1" not in app.text
        await app.type(pilot, "enter", "enter")
        await app.type(pilot, "escape")
        assert "digits-mlp-1" in app.text

    app = drive(tmp_path, play)
    assert app.got == [RunsScreen.Open(tmp_path / "digits-cnn-2")]


def test_a_filter_that_comes_when_the_reading_is_just_over_is_not_missed(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        listing, loop, typed = app.listing, asyncio.get_running_loop(), threading.Event()
        read = listing._pages.read

        def read_and_type(*wanted: Any) -> Page | None:
            page = read(*wanted)
            if not typed.is_set():
                typed.set()
                message = SearchBar.Searched("model=cnn lr<0.05")
                loop.call_soon_threadsafe(listing.on_search_bar_searched, message)
            return page

        listing._pages.read = read_and_type  # type: ignore[assignment,method-assign]
        listing.look()
        await app.settle(pilot)
        assert "1 of 3 runs" in app.text

    drive(tmp_path, play)


@pytest.mark.parametrize("width", [60, 72, 80, 120])
def test_the_last_line_says_no_key_that_is_typed_into_the_filter(
    tmp_path: Path, width: int
) -> None:
    some_runs(tmp_path)

    class WithKeys(Listing, inherit_bindings=False):
        BINDINGS = bindings_of("app")

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        assert all(said in app.text.splitlines()[-1] for said in ("/ Filter", "? Help", "q Quit"))
        await app.type(pilot, "slash")
        assert app.text.splitlines()[-1].split("  ")[:3] == [" F3 Filter", "esc Back", "F1 Help"]

    drive(tmp_path, play, (width, 24), host=WithKeys)


@pytest.mark.parametrize(
    ("typed", "said"),
    [("lr<", "a value is missing"), ("lrr<1", "did you mean"), ("state=runing", "did you mean")],
)
def test_what_is_wrong_with_a_filter_stands_beside_it(
    tmp_path: Path, typed: str, said: str
) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "/", *typed)
        assert said in app.text
        assert "digits-mlp-1" in app.text

    drive(tmp_path, play, (160, 24))


def test_two_selected_runs_are_compared(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space")
        assert not app.listing.query_one(Compared).display
        await app.type(pilot, "space", "space")
        assert "compare: 3 selected" in app.text
        assert "train loss" in app.text
        for key in ("optimizer.lr", "model.type", "val.loss"):
            assert key in app.text
        assert "optimizer.type" not in app.text
        await app.type(pilot, "space")  # the cursor stays at the last run
        assert "compare: 2 selected" in app.text
        await app.type(pilot, "u")
        assert "compare" not in app.text

    drive(tmp_path, play, (120, 40))


def test_without_colours_compared_lines_are_letters_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space", "space", "space")
        await app.settle(pilot)
        samples = str(app.listing.query_one(Compared).query_one(Static).render()).splitlines()[0]
        assert [set(sample) for sample in samples.split()] == [set("*1"), set("o2"), set("#3")]

    drive(tmp_path, play, (120, 40))


def test_the_compared_curves_are_read_with_a_crosshair(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space", "space")
        table = app.listing.query_one(Compared).query_one(Static)
        width = table.size.width
        await app.type(pilot, "c", "h")
        first = str(table.render()).splitlines()[0].split()
        step = int(first[1])
        assert first[0] == "step"
        assert [first[2], first[4]] == ["─1─", "─2─"]
        assert f"step {step}" in app.text.splitlines()[-2]
        assert first[3] == first[5] == measured(2.0 / step)
        assert table.size.width == width
        await app.type(pilot, "escape")
        assert "step " not in str(table.render()).splitlines()[0]
        assert app.screen is app.listing

    drive(tmp_path, play, (120, 40))


def test_a_curve_has_no_value_at_a_step_that_its_run_has_not_reached(tmp_path: Path) -> None:
    some_runs(tmp_path)
    metrics = tmp_path / "digits-cnn-2" / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:20]))

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space", "space")
        await app.type(pilot, "c")
        table = app.listing.query_one(Compared).query_one(Static)
        values = str(table.render()).splitlines()[0].split()
        assert values == ["step", "40", "─1─", measured(2.0 / 40), "─2─", "-"]

    drive(tmp_path, play, (120, 40))


def test_80_columns_hold_the_values_of_both_runs_that_are_compared(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space", "space")
        table = app.listing.query_one(Compared).query_one(VerticalScroll)
        assert table.virtual_size.width <= table.size.width
        assert table.size.width <= 60

    drive(tmp_path, play, (80, 24))


def test_60_columns_have_the_curves_above_what_differs(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "space", "space")
        await app.settle(pilot)
        compared = app.listing.query_one(Compared)
        plot, table = compared.query_one(Plot), compared.query_one(VerticalScroll)
        assert plot.size.width >= 58
        assert plot.region.bottom <= table.region.y
        assert min(plot.size.height, table.size.height) >= 3
        assert "train loss  ─1─ " in app.text
        assert "optimizer.lr" in app.text
        assert "digits-cnn-1" in app.text.splitlines()[2]
        await pilot.resize_terminal(80, 24)
        await app.settle(pilot)
        assert plot.region.right <= table.region.x

    drive(tmp_path, play, (60, 20))


def test_a_run_that_was_interrupted_goes_on_and_a_finished_one_does_not(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        keys = app.text.splitlines()[-1]
        assert "r Resume" in keys
        assert "f Fork..." in keys
        assert "q Quit" in keys
        await app.type(pilot, "r")
        assert "it is finished" in app.told
        await app.type(pilot, "j", "r", "j", "r", "k", "k")

    app = drive(tmp_path, play)
    assert app.got == [
        RunsScreen.Resume(tmp_path / "digits-cnn-2"),
        RunsScreen.Resume(tmp_path / "digits-mlp-1"),
    ]


@pytest.mark.parametrize("answer", ["y", "escape", "enter"])
def test_deleting_asks_and_only_y_deletes(tmp_path: Path, answer: str) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        while not isinstance(app.screen, Confirm):
            await asyncio.sleep(0.01)
        await pilot.pause()
        assert "Delete digits-cnn-1?" in app.text
        await pilot.press(answer)
        await app.workers.wait_for_complete()
        await app.settle(pilot)
        assert ("digits-cnn-1" in app.text.splitlines()[2]) == (answer != "y")

    drive(tmp_path, play)
    assert (tmp_path / "digits-cnn-1").exists() == (answer != "y")
    assert (tmp_path / "digits-cnn-2").exists()


def test_a_live_run_is_first_and_is_not_deleted(tmp_path: Path) -> None:
    some_runs(tmp_path)
    run = make_run(tmp_path, "old", 500, state="running")
    lock = RunLock.acquire(run.lock)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        assert app.text.splitlines()[2].split()[:3] == ["old", "●", "running"]
        await app.type(pilot, "x")
        assert "cannot be deleted" in app.told
        assert not isinstance(app.screen, Confirm)
        await app.type(pilot, "r")
        assert "press enter to open it" in app.told

    drive(tmp_path, play)
    lock.release()
    assert run.config.exists()


def test_the_cursor_stays_on_its_run_when_others_come(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "down")
        make_run(tmp_path, "newest", -100)
        app.listing.look()
        await app.settle(pilot)
        assert "newest" in app.text
        assert app.listing.query_one(OptionList).highlighted == 2
        await app.type(pilot, "enter")

    app = drive(tmp_path, play)
    assert app.got == [RunsScreen.Open(tmp_path / "digits-cnn-2")]


def test_nothing_is_read_while_another_screen_is_in_front(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        listed = app.listing.query_one(OptionList)
        await app.push_screen(Screen())
        make_run(tmp_path, "newest", -100)
        app.listing.look()
        await app.settle(pilot)
        assert listed.option_count == 3
        app.pop_screen()
        await app.settle(pilot)
        assert listed.option_count == 4

    drive(tmp_path, play)


def test_orders_go_round(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        seen = []
        for _ in range(9):
            await app.type(pilot, "o")
            words = app.text.splitlines()[0].split()
            seen.append(words[-1] if "by" in words else "")
            if seen[-1] == "best":
                assert app.text.splitlines()[2].split()[0] == "digits-mlp-1"
        assert "best" in seen
        assert "" in seen

    drive(tmp_path, play, (100, 24))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_lines_fit_and_keep_name_state_and_age(tmp_path: Path, width: int) -> None:
    make_run(tmp_path, "a-run-with-a-very-long-name-that-says-everything-of-it-1123-1130", 0)
    make_run(tmp_path, "short", 1, device="NVIDIA H100 80GB HBM3, 0")
    runs = list_runs(tmp_path)
    titles, lines = run_lines(runs, width, datetime.now(timezone.utc), plain=False)
    assert max(map(len, [titles, *lines])) <= width
    assert {"name", "state", "age"} <= set(titles.split())
    assert [line[:2] for line in [titles, *lines]] == ["  "] * 3
    assert lines[0].split()[0].endswith("-1130")


def test_selected_runs_have_a_mark_until_it_is_taken_back(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        def marks() -> str:
            return "".join(row[1] for row in app.text.splitlines()[2:5])

        assert marks() == "   "
        await app.type(pilot, "j", "space")
        assert marks() == " ▌ "
        await app.type(pilot, "k", "space", "u")
        assert marks() == "   "

    drive(tmp_path, play)


def test_the_state_in_a_line_has_the_colour_of_its_kind(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        strip = app.screen._compositor.render_strips()[2]
        assert "✓ finished" in strip.text
        styles = {s.text.strip(): s.style.color for s in strip if s.style is not None}
        assert styles["✓ finished"] != styles["digits-cnn-1"]

    drive(tmp_path, play)


@pytest.mark.parametrize("theme", THEMES)
def test_no_two_kinds_of_states_have_one_colour(theme: str) -> None:
    colours = App[None]().available_themes[theme].to_color_system().generate()
    roles: tuple[ColourRole, ...] = ("accent", "success", "warning", "error")
    used = [colours[colour_of(role).removeprefix("$")] for role in roles]
    assert len(set(used)) == len(roles), used


def test_a_plain_terminal_gets_a_mark_that_it_can_write() -> None:
    assert mark_line("  digits", True, plain=True) == "* digits"
    assert mark_line("  digits", False, plain=True) == "  digits"


def test_labels_leave_out_what_all_begin_with() -> None:
    assert short_labels(["digits-cnn-1123-1141", "digits-cnn-1123-1141-2"]) == [
        "1123-1141",
        "1123-1141-2",
    ]
    assert short_labels(["a", "b"]) == ["a", "b"]
    assert len(set(short_labels(["run-1", "run-10", "run-100"]))) == 3


def a_dialog(steps: tuple[int, ...] = (100, 200)) -> ForkDialog:
    return ForkDialog("digits-cnn-1", an_experiment(), steps)


@pytest.mark.parametrize(
    ("which", "changes", "said"),
    [
        ("150", "", "no checkpoint '150'"),
        ("last", "optimizer.lr=abc", "optimizer.lr"),
        ("best", "model.dropout=0.1", "cannot be edited"),
        ("last", "lr", "KEY=VALUE"),
    ],
)
def test_what_is_wrong_with_a_fork_is_said_and_keeps_it_from_beginning(
    tmp_path: Path, which: str, changes: str, said: str
) -> None:
    async def play(app: Listing, pilot: Pilot[None]) -> None:
        dialog = a_dialog()
        app.push_screen(dialog)
        await pilot.pause()
        dialog.query_one("#from", Input).value = which
        dialog.query_one("#changes", Input).value = changes
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is dialog
        assert said in app.text

    drive(tmp_path, play, (120, 30))


def test_a_fork_has_its_checkpoint_and_its_changes(tmp_path: Path) -> None:
    answers: list[object] = []

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        app.push_screen(a_dialog(), answers.append)
        await pilot.pause()
        await pilot.press(*"optimizer.lr=0.5", "shift+tab", "end", "ctrl+u", *"200", "enter")
        await pilot.pause()
        app.push_screen(a_dialog(), answers.append)
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()

    drive(tmp_path, play)
    assert answers == [("200", (Override("optimizer", "lr", 0.5),)), None]


def test_a_run_without_a_checkpoint_cannot_be_forked(tmp_path: Path) -> None:
    run = make_run(tmp_path, "empty", 0)
    experiment = PresetLibrary([builtin_dir()]).experiment("penguins-mlp")
    run.config.write_text(to_yaml(experiment.to_dict()))

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await app.workers.wait_for_complete()
        await app.settle(pilot)
        assert "no checkpoint to fork from" in app.told

    assert drive(tmp_path, play).got == []


def test_enter_leaves_the_filter_also_while_nothing_fits(tmp_path: Path) -> None:
    some_runs(tmp_path)

    async def play(app: Listing, pilot: Pilot[None]) -> None:
        await app.type(pilot, "/", *"nothing")
        assert "no run matches" in app.text
        await app.type(pilot, "enter", "f")
        assert isinstance(app.focused, OptionList)
        await app.type(pilot, "escape")
        assert "3 runs, 0 live" in app.text

    drive(tmp_path, play)
