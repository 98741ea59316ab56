"""The edit dialog: values are checked as they are typed, sent with Enter, shown when in force."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.app import App
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.ui.composing import type_text
from tests.ui.host import Host, drive
from tests.ui.runs import an_ending, an_experiment, some_events
from tui_trainer.config.overrides import live_keys, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.commands import Set
from tui_trainer.runs.events import CommandApplied, Edited
from tui_trainer.text.errors import ConfigError
from tui_trainer.ui.run.edit_dialog import EditDialog, Setting, checked, field_text, typed_changes


def rows(host: Host) -> dict[str, Setting]:
    return {row.key: row for row in host.screen.query(Setting)}


def field(host: Host, key: str) -> Input:
    return rows(host)[key].query_one(Input)


def line_of(host: Host, key: str) -> str:
    return next(line for line in host.text.splitlines() if f" {key} " in line)


async def type_in(host: Host, pilot: Pilot[None], key: str, text: str) -> None:
    """Open the dialog where it is not, and type a value into a field."""
    if not isinstance(host.screen, EditDialog):
        await pilot.press("e")
    field(host, key).focus()
    await pilot.pause()
    await pilot.press("end", "ctrl+u")
    await type_text(pilot, text)


def test_every_live_setting_is_there_with_its_value_and_the_most_used_first() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        experiment = an_experiment()
        assert sorted(rows(host)) == sorted(live_keys(experiment))
        assert list(rows(host))[:2] == ["optimizer.lr", "optimizer.weight_decay"]
        for key in rows(host):
            if key != "optimizer.lr":
                assert field(host, key).value == field_text(experiment.get(key))
        assert field(host, "optimizer.lr").has_focus

    drive(play, *some_events())


def test_keys_that_arrive_together_move_as_far_as_there_are_keys() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        for _ in range(4):
            host.simulate_key("down")
        await pilot.pause()
        await pilot.pause()
        assert field(host, "training.epochs").has_focus

    drive(play, *some_events())


def test_enter_sends_the_value_as_it_was_typed_unless_it_is_in_force() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "training.epochs", "20")
        await pilot.press("enter")
        assert host.session.sent == []
        await pilot.press("escape")
        await type_in(host, pilot, "optimizer.lr", "1e-4")
        await pilot.press("enter")
        (command,) = host.session.sent
        assert isinstance(command, Set)
        assert (command.key, command.value, command.origin) == ("optimizer.lr", 1e-4, "you")
        assert host.log_lines[-1] == "optimizer.lr = 0.0001: requested"
        assert "requested" in line_of(host, "optimizer.lr")
        await pilot.press("escape")
        await type_in(host, pilot, "early_stopping.patience", "")
        await pilot.press("enter")
        _, command = host.session.sent
        assert isinstance(command, Set)
        assert (command.key, command.value) == ("early_stopping.patience", None)

    drive(play, *some_events())


def test_a_setting_of_a_group_says_of_which_parameters_and_is_sent_with_its_number() -> None:
    groups = (
        "optimizer.groups=[{match: [head, '*.bias'], lr: 1e-3, freeze_until: 9}, "
        "{match: '*', freeze: true}]"
    )
    experiment = PresetLibrary([builtin_dir()]).experiment("digits-cnn", parse_overrides([groups]))

    async def play() -> None:
        sent: list[Set] = []
        app: App[None] = App()
        async with app.run_test(size=(80, 40)) as pilot:
            dialog = EditDialog(experiment, sent.append)
            await app.push_screen(dialog)
            rows = {row.key: row for row in dialog.query(Setting)}
            assert not any("groups.1" in key for key in rows), "an edit would have no effect"
            row = rows["optimizer.groups.0.freeze_until"]
            assert row.query_one(".beside", Static).content == Content("steps of head, *.bias")
            assert row.query_one(Input).value == "9"
            rows["optimizer.groups.0.lr"].query_one(Input).focus()
            await pilot.press("end", "ctrl+u", *"1e-4", "enter")
        assert [(one.key, one.value) for one in sent] == [("optimizer.groups.0.lr", 1e-4)]

    asyncio.run(play())


NO_VALUES = (
    ("optimizer.lr", "1e-x", "should be a number"),
    ("optimizer.lr", "-1", "should be above 0"),
    ("optimizer.lr", "", "should be a number"),
    ("early_stopping.patience", "2.5", "should be a whole number"),
    ("training.grad_clip_norm", "[", ""),
)


def test_what_cannot_be_a_value_is_said_at_once_and_not_sent() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        for key, text, reason in NO_VALUES:
            await type_in(host, pilot, key, text)
            assert rows(host)[key].has_class("-wrong")
            assert reason in line_of(host, key)
            await pilot.press("enter")
            assert host.session.sent == []
            await pilot.press("escape")

    drive(play, *some_events())


def test_the_last_limit_cannot_be_taken_away() -> None:
    value, wrong = checked(an_experiment(), "training.epochs", "")
    assert value is None
    assert wrong.startswith("no limit")


def test_an_edit_in_force_is_shown_as_old_and_new() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "training.epochs", "30")
        await pilot.press("enter")
        await host.happen(pilot, Edited(300, "training.epochs", 20, 30, "you", 690))
        assert "20 -> 30" in line_of(host, "training.epochs")
        assert host.log_lines[-1] == "training.epochs 20 -> 30 by you, from step 301"
        assert "epoch 14/30 · step 300/690" in host.text.splitlines()[0]

    drive(play, *some_events())


def test_an_edit_from_elsewhere_does_not_touch_what_is_being_typed() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "training.epochs", "25")
        await host.happen(pilot, Edited(300, "training.epochs", 20, 40, "ctl", 920))
        assert field(host, "training.epochs").value == "25"
        await host.happen(pilot, Edited(300, "early_stopping.patience", 5, 7, "ctl", 920))
        assert field(host, "early_stopping.patience").value == "7"

    drive(play, *some_events())


async def lower_the_epochs(host: Host, pilot: Pilot[None]) -> Set:
    """Ask for fewer epochs than are done, and let the run refuse them; the command sent first."""
    await type_in(host, pilot, "training.epochs", "5")
    await pilot.press("enter")
    (command,) = host.session.sent
    assert isinstance(command, Set)
    reason = "13 epochs are done: this ends the run now"
    await host.happen(pilot, CommandApplied(300, command.id, "set", "you", reason, can_force=True))
    await pilot.pause()
    return command


def test_a_value_that_would_end_the_run_is_sent_again_after_a_yes() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        first = await lower_the_epochs(host, pilot)
        assert "13 epochs are done: this ends the run now" in host.text
        assert "esc keep training" in host.text
        await pilot.press("y")
        await pilot.pause()
        again = host.session.sent[-1]
        assert isinstance(again, Set)
        assert (again.key, again.value, again.force) == ("training.epochs", 5, True)
        assert again.id != first.id
        assert not first.force

    drive(play, *some_events())


def test_enter_by_habit_does_not_end_the_run_whose_end_closes_the_question() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await lower_the_epochs(host, pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(host.screen, EditDialog)
        assert len(host.session.sent) == 1
        assert "13 epochs are done" in line_of(host, "training.epochs")
        assert field(host, "training.epochs").value == "5"
        await host.happen(pilot, an_ending())
        await pilot.pause()
        assert host.screen_stack[-1] is host.running

    drive(play, *some_events())


def test_a_refusal_stands_beside_its_field() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "training.epochs", "30")
        await pilot.press("enter")
        refusal = CommandApplied(300, host.session.sent[0].id, "set", "you", "not [b]now[/b]")
        await host.happen(pilot, refusal)
        assert "not [b]now[/b]" in line_of(host, "training.epochs")
        assert rows(host)["training.epochs"].has_class("-wrong")
        assert not rows(host)["training.max_steps"].has_class("-wrong")

    drive(play, *some_events())


def test_ctrl_r_puts_back_what_is_in_force() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "training.epochs", "9")
        assert "↵ change   ^r reset   esc close" in host.text
        assert "↵ changes it" in line_of(host, "training.epochs")
        await pilot.press("ctrl+r")
        assert field(host, "training.epochs").value == "20"
        await pilot.press("ctrl+u", "7")
        assert field(host, "training.epochs").value == "7"

    drive(play, *some_events())


def test_arrows_go_through_the_settings_and_escape_closes() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("e", "down", "down", "up")
        assert field(host, "optimizer.weight_decay").has_focus
        await pilot.press("up", "up", "up")
        assert field(host, "optimizer.lr").has_focus
        await pilot.press("escape")
        assert host.screen is host.running

    drive(play, *some_events())


def test_the_dialog_goes_away_when_the_run_ends() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await host.happen(pilot, an_ending())
        await pilot.pause()
        assert host.screen is host.running

    drive(play, *some_events(460))


def test_a_paste_brings_nothing_unseen_into_a_setting() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await type_in(host, pilot, "optimizer.lr", "")
        host.post_message(events.Paste("1e-\u200b4\x1b\u202e"))
        await pilot.pause()
        assert field(host, "optimizer.lr").value == "1e-4"

    drive(play, *some_events())


def test_changes_typed_for_a_resume_may_have_short_names() -> None:
    experiment = an_experiment()
    changes = typed_changes(experiment, "lr=0.5 training.epochs=9")
    assert [change.key for change in changes] == ["optimizer.lr", "training.epochs"]
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.lr'"):
        typed_changes(experiment, "learning_rate=0.5")
