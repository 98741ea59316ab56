"""The run screen: what it shows, what its keys send, and when it is silent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.ui.composing import until
from tests.ui.fakes import FakeServices
from tests.ui.host import Host, drive
from tests.ui.runs import a_pause, an_ending, some_events
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Validate
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.metrics_panel import MetricsPanel
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.shared.key_line import KeyLine

SIZES = [(1, 1), (5, 2), (20, 5), (40, 12), (60, 20), (80, 24), (120, 40), (200, 50), (500, 200)]


def sent(host: Host) -> list[type[Command]]:
    return [type(command) for command in host.session.sent]


def test_one_glance_tells_state_progress_numbers_and_events() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        lines = host.text.splitlines()
        assert "● digits-cnn-1122-2315 · running" in lines[0]
        assert "epoch 14/20 · step 300/460 · ETA 3.2 s" in lines[0]
        assert "65 %" in lines[1]
        for part in ("train 0.", "val 0.", "best 0.", "saved 299, 1 step ago", "cuda:0  34 %"):
            assert part in host.text
        assert "epoch 13: val loss" in host.text
        assert "checkpoints saved, last at step 299" in host.text

    drive(play, *some_events())


@pytest.mark.parametrize(
    "size",
    [
        *[(1, 1), (20, 5)],
        pytest.param((60, 20), marks=pytest.mark.further),
        pytest.param((500, 200), marks=pytest.mark.soak),
    ],
)
def test_every_size_of_the_terminal_is_borne(size: tuple[int, int]) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert len(host.text.splitlines()) == size[1]
        for key in ("s", "escape", "e", "escape", "l", "l"):
            await pilot.press(key)
        await host.happen(pilot, an_ending())
        await pilot.press("escape", "escape", "r", "escape")

    drive(play, *some_events(), size=size)


def without_dots(text: str) -> str:
    """The text with every pattern of dots made the same.

    Of a line drawn in one piece and in several, a dot may round to the other side.
    """
    return re.sub("[\u2801-\u28ff]", "\u28ff", text)


def test_resizing_without_end_leaves_the_screen_as_that_of_the_last_size() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        before = without_dots(host.text)
        for width, height in [*SIZES[:-1], (1, 1), (60, 20), (120, 40), (80, 24)]:
            await pilot.resize_terminal(width, height)
        for _ in range(100):
            if without_dots(host.text) == before:
                break
            await pilot.pause(0.05)
        assert without_dots(host.text) == before

    drive(play, *some_events())


def test_a_large_terminal_shows_the_numbers_beside_the_plots() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        column, lines = host.running.query_one("#column"), host.running.query_one("#lines")
        assert (column.display, lines.display) == (True, False)
        assert "learning rate" in host.text
        await pilot.resize_terminal(80, 24)
        # On a busy machine the layout follows later than the resize.
        await until(pilot, lambda: (column.display, lines.display) == (False, True))
        await until(pilot, lambda: "train 0." in host.text)

    drive(play, *some_events(), size=(120, 40))


def test_a_long_name_of_a_metric_does_not_push_its_value_out_of_line() -> None:
    async def play(app: Host, pilot: Pilot[None]) -> None:
        found = {"loss": 0.5, "balanced_accuracy": 0.875, "perplexity": 5.166}
        await app.happen(pilot, ValidationEnded(299, 13, 6.0, found, 0.05, True, 0))
        assert "val balanced acc… 87.50 %" in app.text
        assert "val perplexity    5.166" in app.text
        assert "learning rate     " in app.text

    drive(play, *some_events(), size=(120, 40))


def test_a_small_terminal_keeps_state_plots_and_numbers() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert host.running.query_one(Plots).size.height >= 5
        assert "running" in host.text.splitlines()[0]
        assert "train 0." in host.text

    drive(play, *some_events(), size=(60, 20))


@pytest.mark.parametrize(
    ("key", "command", "said"),
    [
        ("p", Pause, "pause: requested"),
        ("P", Pause, "pause, freeing the device's memory: requested"),
        ("ctrl+s", Save, "checkpoint: requested"),
        ("v", Validate, "validate: requested"),
    ],
)
def test_a_key_sends_its_command_and_is_answered_at_once(
    key: str, command: type[Command], said: str
) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        assert sent(host) == [command]
        assert host.session.sent[0].origin == "you"
        assert host.log_lines[-1] == said
        assert said in host.text

    host = drive(play, *some_events())
    first = host.session.sent[0]
    assert not isinstance(first, Pause) or first.offload == (key == "P")


def test_on_the_cpu_there_is_no_gpu_memory_to_give_back() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        offered = [active.binding.id for active in host.screen.active_bindings.values()]
        assert "run.pause" in offered
        assert "run.offload" not in offered
        await pilot.press("P")
        await pilot.pause()
        assert sent(host) == []
        assert any("this run is on the CPU" in text for text in host.told)

    on_the_cpu = RunStarted(0, 1, "digits-1", "cpu", 20778, 1221, 20, 800, 0)
    drive(play, on_the_cpu, StateChanged(0, "running"))


def test_p_pauses_tells_what_is_saved_and_goes_on() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        def heading() -> str:
            return host.text.splitlines()[0]

        await pilot.press("p")
        assert "· pausing" in heading()
        await host.happen(pilot, *a_pause(300, "; gave back 512 MB of GPU memory"))
        # As much of the name gives way as it takes to read what is saved and what to do.
        assert "‖ digits-cnn-1122-2315 · paused, saved at step 300; p resumes" in heading()
        assert heading().rstrip().endswith("epoch 14/20")
        assert "gave back 512 MB of GPU memory" in host.text
        await pilot.press("p")
        assert sent(host) == [Pause, Resume]
        assert "resuming" in heading()
        await host.happen(pilot, StateChanged(300, "running"))
        assert "● digits-cnn-1122-2315 · running" in heading()

    drive(play, *some_events())


def test_p_twice_takes_the_pause_back_before_it_has_begun() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("p", "p", "p")
        assert sent(host) == [Pause, Resume, Pause]

    drive(play, *some_events())


def test_a_refusal_is_a_notification_and_a_warning_in_the_log() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        refusal = CommandApplied(300, "id", "validate", "you", "a validation is under way [b]")
        await host.happen(pilot, refusal)
        assert host.told == ["validate refused: a validation is under way [b]"]
        entry = host.running.query_one(Log).entries[-1]
        assert (entry.level, entry.text) == (
            "warning",
            "validate refused: a validation is under way [b]",
        )

    drive(play, *some_events())


def test_another_ones_refusal_is_in_the_log_only() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, CommandApplied(300, "id", "pause", "ctl", "no"))
        assert host.told == []
        assert host.log_lines[-1] == "pause refused: no"

    drive(play, *some_events())


def test_an_edit_stands_in_the_log_with_old_and_new_value() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, Edited(300, "early_stopping.patience", 5, None, "you", None))
        assert host.log_lines[-1] == "early_stopping.patience 5 -> none by you, from step 301"

    drive(play, *some_events())


def test_what_went_wrong_is_marked_by_a_word() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert host.log_lines[0].startswith("warning: ")
        await host.happen(pilot, NonFinite(300, 14, "the loss is NaN", (3, 4)))
        assert host.log_lines[-1] == "error: step 300: the loss is NaN; the batch had rows 3, 4"
        assert host.running.query_one(Log).entries[-1].level == "error"

    drive(play, *some_events())


def test_what_the_program_printed_is_said_in_the_log_after_what_had_happened() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        # The screen has not looked since.
        host.session.push(Notice(300, "before it"))
        host.running.say("one\n\x1b[31mtwo\x1b[0m\t[bold]three[/]", "warning")
        await pilot.pause()
        assert host.log_lines[-3:] == ["before it", "one", "\\x1b[31mtwo\\x1b[0m    [bold]three[/]"]
        assert "[bold]three[/]" in host.text

    drive(play, *some_events())


EVIL = "\x1b]0;evil\x07[red]名前[/red] \u202eback\u202c \r\n\x9b2J"


def test_what_is_printed_before_the_screen_is_there_is_in_its_log() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        screen = RunScreen(host.session, FakeServices(Path("presets")))
        screen.say("said early")
        await host.push_screen(screen)
        await pilot.pause()
        assert "said early" in host.text

    drive(play)


def test_foreign_text_is_harmless_wherever_it_is_shown() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        start = RunStarted(0, 1, EVIL, EVIL, 1, 1, 1, 10, 1, (EVIL,))
        await host.happen(pilot, start, StateChanged(1, "paused", EVIL), Notice(1, EVIL, "error"))
        seen = [host.text]
        await pilot.press("s")
        seen.append(host.text)
        await pilot.press("escape", "l")
        seen.append(host.text)
        await pilot.press("l")
        evil_end = RunEnded(1, "failed", EVIL, 1, EVIL, 1.0, 1, None, {EVIL: 1.0}, {EVIL: {}})
        await host.happen(pilot, evil_end)
        seen.append(host.text)
        for text in seen:
            assert not set("\x1b\x07\x9b\r\u202e") & set(text)
            assert "[red]" in text
            assert len(text.splitlines()) == 24

    drive(play)


def test_the_end_shows_the_results_and_the_plots_stay_reachable() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        ending, plots = host.running.query_one(Ending), host.running.query_one(Plots)
        assert "✓ digits-cnn-1122-2315 · finished" in host.text.splitlines()[0]
        assert (ending.display, ending.has_focus, plots.display) == (True, True, False)
        await pilot.press("tab")
        assert (ending.display, plots.display, plots.has_focus) == (False, True, True)
        await pilot.press("escape")
        assert (ending.display, ending.has_focus) == (True, True)

    drive(play, *some_events(460))


def fills_the_screen(host: Host) -> bool:
    return host.running.maximized is host.running.query_one(Plots)


USUAL_SIZES = [
    (80, 24),
    *(pytest.param(size, marks=pytest.mark.further) for size in ((60, 20), (120, 40))),
]


@pytest.mark.parametrize("size", USUAL_SIZES)
def test_keys_of_the_plots_leave_what_is_in_front_of_them_alone(size: tuple[int, int]) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("l", "f")
        assert not fills_the_screen(host)
        await pilot.press("l")
        await host.happen(pilot, an_ending())
        await pilot.press("f")
        assert not fills_the_screen(host)
        await pilot.press("tab", "f")
        assert fills_the_screen(host)

    drive(play, *some_events(460), size=size)


def test_a_plot_on_the_whole_screen_makes_way_for_the_log_and_the_results() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("f", "l")
        assert not fills_the_screen(host)
        await pilot.press("l", "f")
        assert fills_the_screen(host)
        await host.happen(pilot, an_ending())
        assert not fills_the_screen(host)
        assert host.running.query_one(Ending).has_focus

    drive(play, *some_events(460))


def test_keys_pressed_again_and_again_after_the_end_are_told_off_once() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.press("p", "p", "s", "v", "p", "ctrl+s")
        assert host.told == ["the run has ended: finished"]

    drive(play, *some_events(460))


@pytest.mark.parametrize("size", USUAL_SIZES)
def test_a_plot_on_the_whole_screen_leaves_the_heading(size: tuple[int, int]) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await pilot.pause()
        lines = host.text.splitlines()
        assert "digits-cnn-1122-2315 · running" in lines[0]
        assert "Pause" in lines[-1]
        assert host.running.query_one(Plots).size.height == size[1] - 2
        await host.happen(pilot, StateChanged(300, "stopping"))
        assert "stopping" in host.text.splitlines()[0]
        await pilot.press("f")
        await pilot.pause()
        assert host.running.query_one(Plots).size.height < size[1] - 2

    drive(play, *some_events(), size=size)


def test_after_the_end_keys_of_a_live_run_say_that_it_has_ended() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        for key in ("p", "P", "s", "v", "e", "ctrl+s"):
            await pilot.press(key)
            assert host.told == ["the run has ended: finished"], key
            assert host.session.sent == [], key
            assert host.screen is host.running, key
            host.clear_notifications()

    drive(play, *some_events(460))


def test_after_the_end_the_screen_looks_no_more() -> None:
    looks: list[int] = []

    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        original = host.session.refresh
        host.session.refresh = lambda: looks.append(1) or original()  # type: ignore[func-returns-value,method-assign]
        await pilot.pause(0.3)
        # One may have been due when the run ended.
        assert len(looks) <= 1

    drive(play, *some_events(460), fps=30)


def test_the_screen_looks_by_itself_while_the_run_lives() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.session.push(StateChanged(300, "stopping"))
        for _ in range(1000):
            await pilot.pause(0.02)
            if "stopping" in host.text.splitlines()[0]:
                return
        pytest.fail("the screen did not look")

    drive(play, *some_events(), fps=30)


@pytest.mark.parametrize(
    ("key", "answers", "seen"),
    [
        ("p", tuple(a_pause(300)), "paused, saved at step 300"),
        ("ctrl+s", (CheckpointSaved(300, "f.pt", 14_200, 0.1, False),), "at step 300 (14 kB)"),
        ("v", (ValidationEnded(300, 14, 6.0, {"loss": 1.5}, 0.1, False, 0, True),), "val loss 1.5"),
    ],
)
def test_an_answer_to_a_key_is_seen_long_before_the_next_look(
    key: str, answers: tuple[Event, ...], seen: str
) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        (command,) = host.session.sent
        name = type(command).__name__.lower()
        host.session.push(CommandApplied(300, command.id, name, "you"), *answers)
        for _ in range(200):
            await pilot.pause(0.02)
            if seen in host.text:
                return
        pytest.fail("the answer is not seen")

    # By itself the screen would look in ten seconds.
    drive(play, *some_events(), fps=0.1)


def test_without_a_question_nothing_is_looked_at_before_its_time() -> None:
    looks: list[int] = []

    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        (command,) = host.session.sent
        await host.happen(pilot, CommandApplied(300, command.id, "validate", "you"))
        await pilot.pause(0.3)
        asked = host.session.events
        host.session.events = lambda cursor: looks.append(cursor) or asked(cursor)  # type: ignore[func-returns-value,method-assign]
        host.session.push(StateChanged(301, "stopping"))
        await pilot.pause(0.5)
        assert looks == []

    drive(play, *some_events(), fps=0.1)


def test_steps_taken_while_a_key_is_not_answered_cost_no_look() -> None:
    looks: list[int] = []

    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("v")
        refresh = host.session.refresh
        host.session.refresh = lambda: looks.append(1) or refresh()  # type: ignore[func-returns-value,method-assign]
        host.session.push(StepsTaken(301, 14, 6.1, (0.1,), (0.1,), (0.1,), 1.0, 0.0))
        await pilot.pause(0.5)
        assert looks == []

    drive(play, *some_events(), fps=0.1)


def test_the_screen_looks_behind_a_dialog_too() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        host.session.push(StepsTaken(333, 15, 7.0, (1.0,), (1.0,), (1.0,), 1.0, 0.0))
        for _ in range(1000):
            await pilot.pause(0.02)
            if "step 333/460" in host.running._compositor.render_strips()[0].text:
                return
        pytest.fail("the screen did not look")

    drive(play, *some_events(), fps=30)


def test_a_look_at_nothing_new_paints_nothing() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot)
        painted: list[object] = []
        display = host._display

        def count(screen: object, renderable: object) -> None:
            painted.append(renderable)
            display(screen, renderable)  # type: ignore[arg-type]

        host._display = count  # type: ignore[method-assign]
        for _ in range(5):
            await host.happen(pilot)
        assert painted == []
        await host.happen(pilot, StepsTaken(301, 14, 6.1, (0.1,), (0.1,), (0.1,), 1.0, 0.0))
        assert painted != []

    drive(play, *some_events(), size=(120, 40))


def test_new_numbers_lay_nothing_out_anew() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, StepsTaken(301, 14, 6.1, (0.1,), (0.1,), (0.1,), 1.0, 0.0))
        layouts: list[object] = []
        reflow = host.running._refresh_layout
        host.running._refresh_layout = lambda *a, **k: layouts.append(a) or reflow(*a, **k)  # type: ignore[func-returns-value,method-assign]
        more = StepsTaken(302, 14, 6.2, (0.1,), (0.1,), (0.1,), 1.0, 0.0)
        await host.happen(pilot, more, Notice(302, "and a line in the log"))
        assert layouts == []

    drive(play, *some_events())


def test_a_run_that_failed_before_its_start_is_handed_back() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(
            pilot, RunEnded(0, "failed", "no such file", 0, None, 0.0, 2, has_begun=False)
        )
        (message,) = host.got
        assert isinstance(message, RunScreen.NeverStarted)
        assert message.reason == "no such file"

    drive(play)


def test_the_footer_has_the_keys_that_apply() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        def footer() -> str:
            return host.text.splitlines()[-1]

        assert host.running.query_one(KeyLine).display
        for word in ("Pause", "Stop...", "Save", "Validate", "Edit"):
            assert word in footer()
        await host.happen(pilot, an_ending())
        await pilot.pause()
        for word in ("Train on", "Again", "Compose", "Plots"):
            assert word in footer()
        assert "Validate" not in footer()

    drive(play, *some_events(460))


def test_keys_of_the_plots_work_when_the_log_has_the_focus() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        plots = host.running.query_one(Plots)
        plots.look(host.session.history)
        before = host.text
        host.running.query_one(Log).focus()
        await pilot.press("x")
        await pilot.pause()
        assert host.text != before
        assert "x epoch" in host.text

    drive(play, *some_events())


def test_two_lines_or_a_column_are_not_painted_where_they_are_not_seen() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        hidden = [numbers for numbers in host.running.query(MetricsPanel) if not numbers.display]
        assert [numbers.id for numbers in hidden] == ["column"]

    drive(play, *some_events())


def test_the_oldest_entry_in_sight_is_seen_from_its_beginning() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.running.say("the first " + "and " * 20)
        host.running.say("the second")
        host.running.say("the third")
        await pilot.pause()
        rows = [line.rstrip() for line in host.text.splitlines()]
        at = next(row for row, line in enumerate(rows) if "── log" in line)
        assert [row[10:19] for row in rows[at + 1 : at + 4]] == [
            "the first",
            "the secon",
            "the third",
        ]
        assert rows[at + 1].endswith("…")

    drive(play, *some_events(), size=(60, 20))


def test_signs_are_named_once_on_the_screen() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert host.text.count("★ best") == 1
        assert host.text.count("▲ edit") == 1
        await pilot.resize_terminal(80, 24)
        await pilot.press("2")
        await pilot.pause()
        assert host.text.count("★ best") == 1, "also where another plot is shown alone"

    drive(play, *some_events(), size=(200, 50))
