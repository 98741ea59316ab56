"""The small plot of a learning-rate schedule."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from tests.plugins import restored
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.plugins import schedule
from tui_trainer.ui.compose.schedule import MOST_STEPS, ScheduleSketch, rates, sketch
from tui_trainer.ui.plots.markers import Markers

COSINE = ("schedule=cosine", "schedule.warmup_steps=40", "optimizer.lr=3e-3")


def experiment(*overrides: str) -> Experiment:
    given = parse_overrides([*COSINE, *overrides])
    return PresetLibrary([builtin_dir()]).experiment("digits-cnn", given)


def lines_of(
    chosen: Experiment | None, steps_per_epoch: int | None, size: tuple[int, int] = (45, 5)
) -> list[str]:
    """Return what the widget shows, alone on a screen of this size."""
    found: list[str] = []

    class Host(App[None]):
        CSS = "ScheduleSketch { height: 1fr; }"

        def compose(self) -> ComposeResult:
            yield ScheduleSketch("braille")

    async def run() -> None:
        app = Host()
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.query_one(ScheduleSketch).show(chosen, steps_per_epoch)
            await pilot.pause()
            found.extend(strip.text for strip in app.screen._compositor.render_strips())

    asyncio.run(run())
    return found


def test_the_rates_are_those_of_the_run() -> None:
    shown = rates(experiment("training.epochs=20"), 23)
    assert shown.steps == 460
    assert len(shown.values) == MOST_STEPS
    assert max(shown.values) == pytest.approx(3e-3, rel=1e-3)
    assert shown.values[-1] == 0
    assert shown.values[0] == pytest.approx(3e-3 / 40)


def test_a_limit_by_steps_is_known_without_the_data() -> None:
    assert rates(experiment("training.epochs=null", "training.max_steps=90"), None).steps == 90


def test_a_run_of_unknown_length_is_drawn_in_shares() -> None:
    assert rates(experiment("training.epochs=20"), None).steps is None
    assert "over the run" in "\n".join(lines_of(experiment("training.epochs=20"), None))


def test_highest_lowest_and_length_stand_beside_it() -> None:
    lines = lines_of(experiment("training.epochs=20"), 23)
    assert lines[0].rstrip().endswith("max 0.003")
    assert "460 steps" in lines[2]
    assert lines[-1].rstrip().endswith("min 0")


def test_a_constant_rate_is_one_line_with_one_value() -> None:
    constant = experiment("schedule=constant", "schedule.warmup_steps=0")
    lines = lines_of(constant, 23)
    assert sum(any("\u2800" < char < "\u2900" for char in line) for line in lines) == 1
    assert "lr 0.003" in lines[0]


def test_epochs_are_counted_with_the_steps_that_they_have_or_drawn_in_shares() -> None:
    stairs = experiment(
        "schedule=step",
        "schedule.every=5",
        "schedule.gamma=0.5",
        "schedule.warmup_steps=0",
        "training.epochs=20",
    )
    for steps_per_epoch in (23, None):
        shown = rates(stairs, steps_per_epoch)
        assert sorted(set(shown.values)) == pytest.approx([3e-3 * 0.5**n for n in (3, 2, 1, 0)])
        assert shown.values.count(max(shown.values)) == pytest.approx(MOST_STEPS / 4, abs=1)


def test_nothing_is_drawn_until_the_steps_of_an_epoch_are_known() -> None:
    by_steps = experiment("schedule=step", "training.epochs=null", "training.max_steps=90")
    assert rates(by_steps, None).values == ()
    assert all(line.isspace() for line in lines_of(by_steps, None))
    assert rates(by_steps, 10).values


def test_a_schedule_that_follows_the_validation_says_so() -> None:
    lines = lines_of(experiment("schedule=plateau", "schedule.warmup_steps=0"), 23)
    assert "lr 0.003" in lines[0]
    assert "by validation" in lines[2]


def test_a_run_of_one_step_is_drawn() -> None:
    one = experiment("training.max_steps=1", "schedule.warmup_steps=0")
    assert any(line.strip() for line in lines_of(one, 1))


def test_nothing_is_shown_without_an_experiment() -> None:
    assert all(line.isspace() for line in lines_of(None, None))


def test_every_size_is_survived() -> None:
    for size in ((1, 1), (3, 2), (27, 3), (28, 3), (40, 5)):
        lines = lines_of(experiment(), 23, size)
        assert [len(line) for line in lines] == [size[0]] * size[1]


@pytest.mark.parametrize(
    ("markers", "characters"), [("block", "▀▄█ "), ("ascii", "'.: "), ("braille", None)]
)
def test_it_is_drawn_with_the_chosen_characters(markers: Markers, characters: str | None) -> None:
    rows = sketch([0.0, 1.0, 0.5, 0.25, 0.0], 12, 3, markers)
    assert [len(row) for row in rows] == [12] * 3
    used = {char for row in rows for char in row}
    assert all(
        char in characters if characters else char == " " or char > "\u2800" for char in used
    )


def test_a_line_rises_from_the_lower_left_to_the_upper_right() -> None:
    rows = sketch([float(i) for i in range(50)], 10, 3, "braille")
    assert rows[2][0] != " "
    assert rows[0][9] != " "
    assert rows[0][0] == rows[2][9] == " "
    assert all(any(row[at] != " " for row in rows) for at in range(10))


def test_an_own_schedule_that_fails_says_why_with_its_file() -> None:
    with restored():

        @schedule("broken")
        def broken(step: int, total: int) -> float:
            return [1.0][step]

        given = experiment("schedule.type=broken")
        shown = rates(given, 20)
        assert not shown.values
        assert shown.wrong.startswith("test_schedule.py:")
        drawn = " ".join(" ".join(lines_of(given, 20)).split())
    assert "IndexError: list index out of range" in drawn
