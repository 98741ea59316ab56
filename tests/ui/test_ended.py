"""The end's panel: results beside baselines, the confusion, and what can be done next."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.runs.views import a_view
from tests.ui.composing import type_text, until
from tests.ui.host import Host, drive
from tests.ui.runs import an_ending, an_experiment, some_events
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override, edited
from tui_trainer.config.sections.metrics import Direction
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.directory import create_run
from tui_trainer.runs.events import CheckpointSaved, RunEnded, SaveFailed, StepsTaken
from tui_trainer.runs.provenance import write_provenance
from tui_trainer.runs.view import RunView, Scores
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.resume_dialog import ResumeDialog, limit_of, so_far
from tui_trainer.ui.run.test_results import aligned, confusion_lines, fitted, results_table, verdict
from tui_trainer.ui.shared.bindings import live_keys


def a_failure(reason: str = "the loss is NaN at step 310; lower optimizer.lr") -> RunEnded:
    return RunEnded(310, "failed", reason, 14, "/runs/r", 6.2, 1)


def a_stop() -> RunEnded:
    return RunEnded(300, "stopped", "stopped by you, saved", 14, "/runs/r", 6.0, 0)


def a_regression() -> RunEnded:
    return replace(
        an_ending(),
        best={"metric": "rmse", "value": 2.1, "step": 414, "epoch": 18, "metrics": {"rmse": 2.1}},
        test={"loss": 0.11, "mae": 1.8, "rmse": 2.2, "r2": 0.91},
        baseline={
            "mean": {"mae": 6.0, "rmse": 7.5, "r2": -0.01},
            "linear_regression": {"mae": 2.4, "rmse": 3.1, "r2": 0.82},
        },
        confusion=None,
        classes=(),
    )


@pytest.mark.parametrize(
    ("name", "value", "others", "expected"),
    [
        ("accuracy", 0.9, [0.1, 0.8], "better than all"),
        ("accuracy", 0.7, [0.1, 0.8], "WORSE than one"),
        ("accuracy", 0.8, [0.1, 0.8], "equal to the best"),
        ("rmse", 1.0, [2.0, 3.0], "better than all"),
        ("rmse", 2.5, [2.0, 3.0], "WORSE than one"),
        ("loss", 1.0, [], ""),
    ],
)
def test_a_metric_is_judged_in_its_own_direction(
    name: str, value: float, others: list[float], expected: str
) -> None:
    assert verdict(name, value, others) == expected
    # A metric that this program does not know: the run says which way is better.
    direction: Direction = "higher" if name in ("accuracy", "r2") else "lower"
    assert verdict("own", value, others, direction) == expected


def test_the_table_has_a_column_for_each_baseline() -> None:
    ending = an_ending()
    header, loss, accuracy = results_table(ending.test or {}, ending.baseline or {})
    assert header == ["test split", "this run", "majority class", "nearest neighbour", ""]
    assert loss == ["loss", "0.07120", "-", "-", ""]
    assert accuracy == ["accuracy", "98.61 %", "10.28 %", "98.89 %", "WORSE than one"]


def test_columns_of_wide_characters_stand_below_each_other() -> None:
    lines = aligned([["metric", "値", ""], ["名前", "1.0", "x"]])
    assert [
        cell_len(line[: line.rindex(end) + 1]) for line, end in zip(lines, "値0", strict=True)
    ] == [11, 11]


def test_a_table_that_is_too_wide_breaks_the_names_of_baselines_and_nothing_else() -> None:
    baselines = {"nearest_neighbour": {"bits_per_byte": 2.0}, "gzip": {"bits_per_byte": 1.0}}
    rows = results_table({"bits_per_byte": 1.0}, baselines)
    assert fitted(rows, 80) == (
        ["test split     this run  nearest neighbour   gzip"],
        ["bits per byte     1.000              2.000  1.000  equal to the best"],
    )
    for width in (66, 10):
        assert fitted(rows, width) == (
            [
                "                           nearest",
                "test split     this run  neighbour   gzip",
            ],
            ["bits per byte     1.000      2.000  1.000  equal to the best"],
        )


def test_the_verdict_is_whole_beside_the_numbers() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.pause()
        assert "WORSE than one " in host.text
        await pilot.resize_terminal(150, 30)
        await pilot.pause()
        assert "majority class  nearest neighbour" in host.text

    drive(play, *some_events(460), size=(110, 30))


def test_the_confusion_has_counts_and_errors_that_need_no_colour() -> None:
    lines = [line.plain for line in confusion_lines(((35, 2), (0, 7)), ("cat", "dog"))]
    assert "[2]" in lines[2]
    assert "35" in lines[2]
    assert "[35]" not in lines[2]
    assert "·" in lines[3]
    assert lines[2].startswith("cat")


def test_labels_of_the_confusion_are_cleaned_and_cut() -> None:
    lines = [line.plain for line in confusion_lines(((1, 0), (0, 1)), ("\x1b[2J", "x" * 500))]
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines[1:])) < 60


def test_classes_that_begin_alike_are_told_apart_by_numbers() -> None:
    names = [f"class of iris number {n}" for n in range(12)]
    table = [[9 if true == guess else 0 for guess in range(12)] for true in range(12)]
    _, heads, *rows = [line.plain for line in confusion_lines(table, names)]
    assert heads.split() == [str(n) for n in range(12)]
    assert [row.split()[0] for row in rows] == heads.split()
    assert rows[11].split("  ")[0].endswith("mber 11")
    assert len({row[:19] for row in rows}) == 12


def test_classes_that_differ_soon_are_above_their_columns() -> None:
    _, heads, first, _ = [
        line.plain for line in confusion_lines(((1, 0), (0, 1)), ("Adelie", "Chinstrap"))
    ]
    assert heads.split() == ["Adelie", "Chins…"]
    assert first.startswith("Adelie ")


def test_of_very_many_classes_the_confusions_are_listed() -> None:
    count = 100
    table = [[5 if true == guess else 0 for guess in range(count)] for true in range(count)]
    table[7][9] = 4
    lines = [line.plain for line in confusion_lines(table, [f"c{n}" for n in range(count)])]
    assert "4 of 504 wrong" in lines[0]
    assert "c7 taken for c9" in lines[1]
    assert len(lines) == 2


def test_what_can_be_done_next_is_never_broken_within() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        saved = CheckpointSaved(48_814, "f.pt", 1000, 0.1, False)
        await host.happen(pilot, saved, replace(a_stop(), step=48_814))
        for width in (80, 60, 52, 80):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            await pilot.pause()
            for words in ("r resume at step 48,814", "c compose from here", "q leave"):
                assert words in host.text

    drive(play, *some_events(300), size=(120, 24))


def test_the_end_of_a_classification() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        for part in (
            "finished after epoch 20, step 460, 9.2 s",
            "all 20 epochs are done",
            "val loss 0.05410 at step 414 (epoch 18)",
            "checkpoint of step 460",
            "/runs/digits-cnn-1122-2315",
            "98.61 %",
            "10.28 %",
            "WORSE than one",
            "r train on",
            "[2]",
        ):
            assert part in host.text

    drive(play, *some_events(460), size=(100, 40))


def test_on_a_large_terminal_the_curves_stand_below_the_results() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.pause()
        ending, plots = host.running.query_one(Ending), host.running.query_one(Plots)
        assert "98.61 %" in host.text
        assert "── train" in host.text
        assert ending.region.bottom <= plots.region.y
        assert plots.region.height > 12
        assert host.focused is ending
        assert "r Train on" in host.text.splitlines()[-1]

    drive(play, *some_events(460), size=(200, 50))


@pytest.mark.parametrize("size", [(80, 24), pytest.param((200, 50), marks=pytest.mark.further)])
def test_a_run_that_has_ended_already_opens_with_its_results(size: tuple[int, int]) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        for _ in range(3):
            await pilot.pause()
        assert "98.61 %" in host.text
        assert host.focused is host.running.query_one(Ending)

    drive(play, *some_events(460), an_ending(), size=size)


def test_curves_that_are_clicked_below_the_results_come_to_the_front() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.pause()
        await pilot.click(Plots, offset=(40, 8))
        await pilot.pause()
        assert "98.61 %" not in host.text
        await pilot.press("y")
        assert "y log" in host.text
        assert "step 4" in host.text
        # The first one ends the crosshair, which the click has set.
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert host.focused is host.running.query_one(Ending)
        assert "98.61 %" in host.text

    drive(play, *some_events(460), size=(200, 50))


def test_a_large_confusion_takes_the_room_of_the_curves() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        classes = tuple(f"class {number}" for number in range(35))
        counts = tuple(tuple(int(one == other) for other in range(35)) for one in range(35))
        await host.happen(pilot, replace(an_ending(), confusion=counts, classes=classes))
        await pilot.pause()
        assert "── train" not in host.text
        await pilot.press("end")
        await pilot.pause()
        assert "34 class 34" in host.text
        await pilot.press("l")
        await pilot.pause()
        assert host.running.query_one(Log).region.height > 40

    drive(play, *some_events(460), size=(200, 50))


def test_the_end_of_a_regression_has_no_confusion() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, a_regression())
        assert host.text.count("better than all") == 3
        assert "linear regression" in host.text
        assert "Confusion" not in host.text

    drive(play, *some_events(460), size=(100, 40))


def test_a_failure_says_why_and_what_is_saved() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        more = StepsTaken(310, 14, 6.2, (1.0,), (1.0,), (1.0,), 1.0, 0.0)
        reason = "the loss is NaN " + "and more " * 60 + "the very end"
        await host.happen(pilot, more, SaveFailed(310, "disk full"), a_failure(reason))
        assert "✗ digits-cnn-1122-2315 · failed" in host.text.splitlines()[0]
        assert "the very end" in host.text
        shown = " ".join(host.text.split())
        assert "checkpoint of step 299; the 11 steps after it are lost" in shown
        assert "disk full" in shown
        assert "resume at step 299" in shown

    drive(play, *some_events(), size=(80, 50))


@pytest.mark.parametrize(("step", "words"), [(299, ""), (300, "; it is not saved")])
def test_a_best_among_the_steps_that_are_lost_is_not_saved(step: int, words: str) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        best = {"metric": "loss", "value": 0.1, "step": step, "epoch": 14, "metrics": {}}
        reason = "stopped by you, not saved, as asked"
        await host.happen(pilot, replace(a_stop(), reason=reason, best=best))
        assert f"at step {step} (epoch 14){words}" in host.text
        assert ("it is not saved" in host.text) is bool(words)

    drive(play, *some_events(300), size=(80, 30))


def test_without_a_checkpoint_a_run_is_started_again_from_the_beginning() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, a_failure())
        assert "no checkpoint: resuming starts it again from the beginning" in host.text
        assert "r start it again from the beginning" in host.text
        assert "r Restart" in host.text.splitlines()[-1]
        await pilot.press("r")
        await pilot.pause()
        assert "There is no checkpoint: the run starts from the beginning." in host.text
        assert "limit now 20, none begun" in host.text
        # One epoch is fewer than it had trained, and no limit that is reached.
        await type_text(pilot, "training.epochs=1")
        await pilot.press("enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == (Override("training", "epochs", 1),)

    drive(play, *some_events(10))


def test_a_run_whose_configuration_is_unknown_says_why_it_starts_nothing(tmp_path: Path) -> None:
    run = create_run(tmp_path, "odd")
    run.config.write_text(to_yaml({**an_experiment().to_dict(), "model": {"type": "of-a-plugin"}}))
    write_provenance(run.provenance, {"plugins": [{"path": "gan.py", "sha256": "0"}]})

    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.session._tracked.experiment = None
        await host.happen(pilot, replace(an_ending(), run_dir=str(run.path)))
        await until(pilot, lambda: "nothing can be started from here" in host.text)
        assert "needs its own code: add --plugin gan.py" in " ".join(host.text.split())
        assert "esc plots   q leave" in host.text
        assert "train on" not in host.text
        await pilot.press("r", "a", "c")
        await pilot.pause()
        assert host.got == []
        (told,) = host.told
        assert told.endswith("needs its own code: add --plugin gan.py")

    drive(play, *some_events(460))


@pytest.mark.parametrize(("key", "kind"), [("a", Ending.Again), ("c", Ending.Compose)])
def test_the_experiment_in_force_is_run_again_or_composed_from(
    key: str, kind: type[Ending.Again | Ending.Compose]
) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.press(key)
        (message,) = host.got
        assert isinstance(message, kind)
        assert message.experiment.get("optimizer.lr") == 2e-3

    drive(play, *some_events(460))


def test_resuming_asks_how_long_and_proposes_half_as_much_again() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.press("r")
        assert isinstance(host.screen, ResumeDialog)
        assert host.screen.query_one(Input).value == "30"
        await pilot.press("enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.run_dir == "/runs/digits-cnn-1122-2315"
        assert message.overrides == (Override("training", "epochs", 30),)

    drive(play, *some_events(460))


def test_a_number_that_would_end_the_run_at_once_is_refused() -> None:
    done = "20 epochs are done: this would end the run at once"

    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        for typed, wrong in (("20", done), ("5", done), ("x", "should be a whole number")):
            await pilot.press("r", "end", "ctrl+u", *typed)
            await pilot.pause()
            assert wrong in host.text
            await pilot.press("enter")
            assert isinstance(host.screen, ResumeDialog)
            await pilot.press("escape")
            assert host.got == []

    drive(play, *some_events(460))


def test_a_run_that_failed_can_go_on_with_what_made_it_fail_changed() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        reason = "loss is nan at step 470; lower optimizer.lr"
        await host.happen(pilot, replace(an_ending(), state="failed", reason=reason))
        await pilot.press("r", *"optimizer.lr=1e-4", "enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == (Override("optimizer", "lr", 1e-4),)

    drive(play, *some_events(460))


def test_a_run_whose_test_was_skipped_may_also_be_tested_only() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, replace(an_ending(), test=None, is_test_cut=True))
        assert "r train on, or only test it" in host.text
        await pilot.press("r")
        await pilot.pause()
        assert "With the same limit (20), the run is only tested." in host.text
        await pilot.press("end", "ctrl+u", *"19", "enter")
        assert "20 epochs are done: this would end the run at once" in host.text
        await pilot.press("end", "ctrl+u", *"20", "enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == ()

    drive(play, *some_events(460))


NO_CHANGES = (
    ("optimizer.lr=fast", "should be a number"),
    ("optimizer.lrr=1", "did you mean 'optimizer.lr'?"),
    ("training.seed=1", "cannot be edited while training"),
    ("faster", "faster"),
)


def test_a_change_that_cannot_be_made_is_told_and_resumes_nothing() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        for typed, wrong in NO_CHANGES:
            await pilot.press("r", "tab", *typed)
            await pilot.pause()
            assert wrong in host.text
            await pilot.press("enter")
            assert isinstance(host.screen, ResumeDialog)
            await pilot.press("escape")
            assert host.got == []

    drive(play, *some_events(460))


@pytest.mark.parametrize(
    ("typed", "epochs"), [("1.5e2", 150), pytest.param("40", 40, marks=pytest.mark.further)]
)
def test_a_whole_number_may_be_typed_as_a_power_of_ten(typed: str, epochs: int) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.press("r", "end", "ctrl+u", *typed, "enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == (Override("training", "epochs", epochs),)
        assert type(message.overrides[0].value) is int

    drive(play, *some_events(460))


def test_the_limit_is_told_beside_what_of_it_is_used_up() -> None:
    experiment = edited(an_experiment(), "training.max_steps", 6000)
    view = RunView(step=2281, epoch=14, elapsed_s=61.25, scores=Scores(stale=1))
    assert so_far("training.max_steps", experiment, view) == "limit now 6,000, 2,281 done"
    assert so_far("training.epochs", experiment, view) == "limit now 20, epoch 14 reached"
    assert so_far("early_stopping.patience", experiment, view) == "limit now 5, 1 in a row"
    timed = edited(experiment, "training.max_seconds", 90.5)
    assert so_far("training.max_seconds", timed, view) == "limit now 90.5, 61.2 s done"


def test_a_stopped_run_goes_on_to_its_end_without_an_override() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, a_stop())
        await pilot.press("r")
        await pilot.press("enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == ()

    drive(play, *some_events())


def test_the_limit_asked_for_is_the_one_that_ended_the_run() -> None:
    experiment = an_experiment()
    view = RunView(steps_per_epoch=23, elapsed_s=9.0)
    assert limit_of(experiment, view) == "training.epochs"
    assert limit_of(edited(experiment, "training.max_steps", 100), view) == "training.max_steps"
    assert limit_of(edited(experiment, "training.max_steps", 9999), view) == "training.epochs"
    assert limit_of(edited(experiment, "training.max_seconds", 9.0), view) == "training.max_seconds"
    assert limit_of(edited(experiment, "training.max_seconds", 99.0), view) == "training.epochs"
    patient = edited(experiment, "early_stopping.patience", 3)
    assert limit_of(patient, RunView(scores=Scores(stale=3))) == "early_stopping.patience"
    assert limit_of(patient, RunView(scores=Scores(stale=2))) == "training.epochs"


def test_a_large_confusion_can_be_scrolled_to_its_last_row() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending(classes=30))
        assert "class 29" not in host.text
        await pilot.press("end")
        await pilot.pause()
        assert "class 29" in host.text
        assert host.running.query_one(Ending).max_scroll_x > 0

    drive(play, *some_events(460))


def proposed(experiment: Experiment, view: RunView) -> tuple[str, str, str]:
    """The setting that the dialog asks for, the limit it proposes, and the changes beside it."""
    found: list[str] = []

    class Asking(App[None]):
        async def on_mount(self) -> None:
            await self.push_screen(ResumeDialog(experiment, view))

    async def run() -> None:
        app = Asking()
        async with app.run_test() as pilot:
            await pilot.pause()
            found.append(str(app.screen.query(Static).first().content).partition(":")[0])
            found.extend(app.screen.query_one(f"#{id}", Input).value for id in ("limit", "changes"))
            assert not [line for line in app.screen.query(".wrong") if line.display]

    asyncio.run(run())
    return found[0], found[1], found[2]


@pytest.mark.parametrize(
    ("limits", "values", "proposal"),
    [
        ({}, {"step": 460}, ("training.epochs", "30", "")),
        ({"training.max_steps": 281}, {"step": 281}, ("training.max_steps", "450", "")),
        (
            {"training.max_seconds": 60.0},
            {"step": 100, "elapsed_s": 60.02},
            ("training.max_seconds", "90", ""),
        ),
        ({}, {"step": 300, "stale": 5}, ("early_stopping.patience", "8", "")),
        (
            {"early_stopping.threshold": 0.1},
            {"step": 300, "best": {"loss": 0.09}},
            ("early_stopping.threshold", "", ""),
        ),
        # Two limits are reached at once: raising one of them would not be enough.
        (
            {},
            {"step": 460, "stale": 6},
            ("early_stopping.patience", "9", "training.epochs=30"),
        ),
    ],
)
def test_the_proposal_goes_on_beyond_every_limit_that_is_reached(
    limits: dict[str, float], values: dict[str, Any], proposal: tuple[str, str, str]
) -> None:
    experiment = an_experiment()
    for key, value in limits.items():
        experiment = edited(experiment, key, value)
    view = a_view(state="finished", steps_per_epoch=23, saved_step=values["step"], **values)
    assert proposed(experiment, view) == proposal


def test_a_screen_that_is_gone_before_its_results_get_the_focus_is_left_alone() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        # As in a screen that another one replaces before the next frame.
        await host.running.query_one(Ending).remove()
        host.running._parts._set_focus()
        assert live_keys(host.running)
        assert host.running.is_running

    drive(play, *some_events(460))


def test_a_change_that_ends_the_run_at_once_is_refused_at_its_own_field() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await pilot.press("r", "tab")
        await type_text(pilot, "training.max_steps=460")
        (line,) = [it for it in host.screen.query(".wrong") if it.display]
        assert line.id == "wrong-changes"
        assert "460 steps are done: this would end the run at once" in host.text
        await pilot.press("enter")
        assert isinstance(host.screen, ResumeDialog)

    drive(play, *some_events(460))


def test_a_stopped_run_is_not_given_a_limit_that_it_has_reached() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, a_stop())
        await pilot.press("r", "end", "ctrl+u", *"5")
        await pilot.pause()
        assert "13 epochs are done: this would end the run at once" in host.text
        await pilot.press("enter")
        assert isinstance(host.screen, ResumeDialog)
        await pilot.press("end", "ctrl+u", *"14", "enter")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert message.overrides == (Override("training", "epochs", 14),)

    drive(play, *some_events())
