"""The form: what is typed reaches the draft, and what the draft says is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.composing import type_text, until
from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.drafts.fields import groups_of
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.sections.models import MODELS
from tui_trainer.config.sections.section import Spec, TypedSection, setting
from tui_trainer.ui.compose.choice import Choice, Menu
from tui_trainer.ui.compose.field import MOST_LINES, FieldRow
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.groups import LOOK_S, UNFOLDING, Fold, Group, Groups

LIBRARY = PresetLibrary([builtin_dir()])


class Host(App[None]):
    """An app of nothing but a form."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.form = Form(draft)
        self.changed: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.form

    def on_form_changed(self, event: Form.Changed) -> None:
        self.changed.append(event.key)

    @property
    def text(self) -> str:
        """The lines on the screen."""
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    def line(self, label: str) -> str:
        """The line of the screen that begins with a label."""
        return next(line for line in self.text.splitlines() if line.strip().startswith(label))


class Hand:
    """A user of the form."""

    def __init__(self, host: Host, pilot: Pilot[None]) -> None:
        self.host, self.pilot = host, pilot
        self.form, self.draft = host.form, host.form.draft

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def go(self, key: str) -> FieldRow:
        """Focus a field."""
        assert self.form.focus_field(key)
        await self.pilot.pause()
        return self.row(key)

    async def click(self, row: FieldRow) -> None:
        """Click into a field, once the rows around it have found their places."""
        still, before = 0, row.editor.region
        while still <= UNFOLDING:
            await self.pilot.pause(LOOK_S)
            still = still + 1 if row.editor.region == before else 0
            before = row.editor.region
        assert await self.pilot.click(row.editor)

    async def type(self, key: str, text: str) -> None:
        """Replace what stands in a field."""
        await self.go(key)
        await self.press("ctrl+u")
        await type_text(self.pilot, text)

    def row(self, key: str) -> FieldRow:
        return next(row for row in self.form.query(FieldRow) if row.field.key == key)

    def shown(self) -> list[str]:
        """The fields that are shown, from top to bottom."""
        return [
            row.field.key
            for row in self.form.query(FieldRow)
            if row.display and all(a.display for a in row.ancestors if isinstance(a, Group))
        ]


def using(
    test: Callable[[Hand], Awaitable[None]],
    draft: Draft | None = None,
    size: tuple[int, int] = (72, 24),
) -> None:
    """Run a test with a hand on a mounted form."""

    async def run() -> None:
        host = Host(draft or Draft(LIBRARY))
        async with host.run_test(size=size) as pilot:
            await pilot.pause()
            await test(Hand(host, pilot))

    asyncio.run(run())


def using_in_turn(*tests: Callable[[Hand], Awaitable[None]]) -> None:
    """Run several tests with a hand on one form, as it takes long to open."""

    async def test(hand: Hand) -> None:
        for one_test in tests:
            await one_test(hand)

    using(test)


def test_what_is_typed_or_pasted_reaches_the_draft_with_its_mark_and_problem() -> None:
    async def typed_or_pasted(hand: Hand) -> None:
        assert "*" not in hand.host.line("lr")
        await hand.type("optimizer.lr", "3e-4")
        assert hand.draft.text("optimizer.lr") == "3e-4"
        assert hand.draft.experiment is not None
        assert hand.draft.experiment.optimizer.lr == 3e-4
        assert set(hand.host.changed) == {"optimizer.lr"}
        assert hand.host.line("lr").split() == ["lr", "3e-4", "*"]
        row = await hand.go("model.channels")
        assert isinstance(row.editor, Input)
        row.editor.value = "8, 16"
        await hand.pilot.pause()
        assert hand.draft.text("model.channels") == "8, 16"
        assert hand.draft.problem("model.channels") == ""

    async def wrong(hand: Hand) -> None:
        await hand.type("early_stopping.patience", "0")
        line = hand.host.line("patience")
        assert line.split("*")[1].strip() == "✗ should be at least 1 (got 0)"
        await hand.press("backspace", "1")
        assert "✗" not in hand.host.text

    using_in_turn(typed_or_pasted, wrong)


def test_what_is_typed_while_the_form_is_shown_again_is_not_lost() -> None:
    async def test(hand: Hand) -> None:
        row = await hand.go("optimizer.lr")
        row.editor.value = "3e-4"
        hand.form.show(hand.draft)
        assert row.editor.value == "3e-4"
        await hand.pilot.pause()
        assert hand.draft.text("optimizer.lr") == "3e-4"

    using(test)


def test_a_form_opens_unchanged_is_searched_and_a_field_of_it_reset() -> None:
    async def opened(hand: Hand) -> None:
        assert hand.host.changed == []
        assert hand.draft.changes == []
        assert {row.size.height for row in hand.form.query(FieldRow)} == {1}

    async def searched(hand: Hand) -> None:
        before = hand.shown()
        hand.form.filter("grad_clip")
        await hand.pilot.pause()
        assert hand.shown() == ["training.grad_clip_norm", "training.grad_clip_value"]
        hand.form.filter("RATE before")
        await hand.pilot.pause()
        assert hand.shown() == ["optimizer.lr"]
        await hand.press("down")
        hand.form.filter("")
        await hand.pilot.pause()
        assert hand.shown() == before

    async def found_behind_a_search(hand: Hand) -> None:
        hand.form.filter("epochs")
        assert not hand.form.focus_field("optimizer.no_such")
        assert hand.form.focus_field("optimizer.weight_decay")
        await hand.pilot.pause()
        assert hand.row("optimizer.weight_decay").editor.has_focus
        assert "optimizer.lr" in hand.shown()

    async def reset(hand: Hand) -> None:
        await hand.type("optimizer.lr", "oops")
        hand.host.changed.clear()
        hand.form.reset_focused()
        await hand.pilot.pause()
        assert hand.row("optimizer.lr").editor.value == "0.003"
        assert hand.draft.changes == []
        assert hand.host.changed == ["optimizer.lr"]
        assert "*" not in hand.host.line("lr")

    using_in_turn(opened, searched, found_behind_a_search, reset)


def told(row: FieldRow) -> str:
    """The problem that a row shows, put together from its lines."""
    first, *below = [line.plain for line in row.render().split("\n")]
    assert row.size.height == 1 + len(below)
    assert all(line.cell_length <= row.size.width for line in row.render().split("\n"))
    return " ".join(line.strip() for line in below) or first[first.find("✗") :].rstrip()


PROBLEMS = {
    "optimizer.lr": ("3e-33o", "✗ should be a number, above 0, at most 10,000 (got '3e-33o')"),
    "training.device": ("gpu", "✗ should be auto, cpu, cuda or cuda:N (got 'gpu')"),
    "model.activation": (
        "geul",
        "✗ should be 'relu', 'gelu', 'silu', 'mish', 'elu', 'selu', 'relu6', 'hardswish', "
        "'softplus', 'tanh', 'sigmoid', 'identity' or 'leaky_relu' (did you mean 'gelu'?) "
        "(got 'geul')",
    ),
    "model.channels": ("32, x", "✗ should be a whole number (got 'x')"),
    "dataset.path": (
        "",
        "✗ a value is needed: CSV file, also .gz or .zst; builtin:NAME for one that ships with the "
        "program",
    ),
    "optimizer.eps": ("7", "✗ should be at most 1 (got 7)"),
}
"""What is typed into a field, and what is said of it: a number, a choice, a list, a path, ..."""


def test_every_problem_is_shown_whole_at_its_field() -> None:
    draft = Draft(LIBRARY)
    for key, (text, _) in PROBLEMS.items():
        draft.set(key, text)

    async def test(hand: Hand) -> None:
        for size in ((60, 20), (80, 24), (200, 50)):
            await hand.pilot.resize_terminal(*size)
            await hand.pilot.pause()
            assert {key: told(hand.row(key)) for key in PROBLEMS} == {
                key: problem for key, (_, problem) in PROBLEMS.items()
            }
            await hand.go("training.device")
            row = hand.row("training.device").region
            assert hand.form.query_one(Groups).region.contains_region(row)

    using(test, draft)


def test_a_field_of_a_plugin_shows_its_problem_whole() -> None:
    class Gauge(TypedSection):
        type: Literal["gauge"]
        level: int = setting(1, "how full it is", ge=1, le=9)

    MODELS.add(Spec("gauge", "a plugin's model", Gauge))
    try:
        draft = Draft(LIBRARY)
        draft.set("model.type", "gauge")
        draft.set("model.level", "high")

        async def test(hand: Hand) -> None:
            problem = "✗ should be a whole number, 1 to 9 (got 'high')"
            assert told(hand.row("model.level")) == problem

        using(test, draft, size=(80, 24))
    finally:
        MODELS._specs.pop("gauge", None)


def test_a_problem_that_is_too_long_says_where_the_rest_is(tmp_path: Path) -> None:
    path = tmp_path / "models" / "odd.yaml"
    path.parent.mkdir()
    path.write_text(f"type: cnn\nactivation: {'x' * 50}\n")
    draft = Draft(PresetLibrary([tmp_path / ("y" * 200), tmp_path, builtin_dir()]))
    draft.choose("model", "odd")

    async def test(hand: Hand) -> None:
        problem = told(hand.row("model.activation"))
        assert hand.row("model.activation").size.height == 1 + MOST_LINES
        assert problem.endswith("… F4 shows the rest")
        assert draft.problem("model.activation").startswith(problem[2:20])

    using(test, draft, size=(30, 24))


def test_rows_move_for_a_problem_only_when_typing_pauses() -> None:
    async def test(hand: Hand) -> None:
        row = await hand.go("optimizer.lr")
        before = [each.region for each in hand.form.query(FieldRow)]

        def show(text: str) -> int:
            hand.draft.set("optimizer.lr", text)
            hand.form.show(hand.draft)
            return row.get_content_height(row.size, row.size, row.size.width)

        assert [show(text) for text in ("3", "3e", "3e-", "3e-4", "3e-4x")] == [1] * 5
        await until(hand.pilot, lambda: row.size.height > 1)
        assert told(row) == "✗ should be a number, above 0, at most 10,000 (got '3e-4x')"
        assert show("3e-4xy") == row.size.height
        assert show("3e-4") == 1
        await hand.pilot.pause()
        assert [each.region for each in hand.form.query(FieldRow)] == before

    using(test, size=(80, 24))


def test_a_folded_field_that_is_wrong_is_shown_until_it_is_left() -> None:
    draft = Draft(LIBRARY)
    draft.set("optimizer.eps", "7")

    async def test(hand: Hand) -> None:
        assert "optimizer.eps" in hand.shown()
        assert "optimizer.betas" not in hand.shown()
        await hand.type("optimizer.eps", "1e-6")
        assert "optimizer.eps" in hand.shown()
        await hand.go("optimizer.lr")
        await hand.type("optimizer.lr", "1")
        assert "optimizer.eps" not in hand.shown()

    using(test, draft)


def test_enter_and_arrows_go_from_field_to_field_and_stop_at_the_ends() -> None:
    async def test(hand: Hand) -> None:
        assert hand.form.focused_key == "training.epochs"
        await hand.press("up")
        assert hand.form.focused_key == "training.epochs"
        await hand.press("enter")
        assert hand.form.focused_key == "training.batch_size"
        await hand.press("down", "down")
        assert hand.form.focused_key == "loss.type"
        await hand.press("up")
        assert hand.form.focused_key == "early_stopping.patience"
        await hand.press("tab")
        assert hand.form.focused_key == "loss.type"
        await hand.press("k")
        assert hand.form.focused_key == "early_stopping.patience"
        await hand.press("k")
        assert hand.form.focused_key == "early_stopping.patience"
        assert hand.draft.text("early_stopping.patience") == "k"
        last = list(hand.form.query(Fold))[-1]
        last.focus()
        await hand.press("down")
        assert hand.host.focused is last
        await hand.press("up")
        assert hand.host.focused is not last

    using(test)


def test_choices_and_switches_are_changed_by_keys_and_mouse() -> None:
    async def arrows_and_space(hand: Hand) -> None:
        await hand.go("model.activation")
        await hand.press("right")
        assert hand.draft.text("model.activation") == "gelu"
        await hand.press("left", "left")
        assert hand.draft.text("model.activation") == "leaky_relu"
        await hand.press("space")
        assert hand.draft.text("model.activation") == "relu"
        assert "relu" in hand.host.line("activation")
        assert "▾" in hand.host.line("activation")

    async def all_choices(hand: Hand) -> None:
        for key in ("escape", "tab"):
            await hand.go("schedule.type")
            await hand.press("enter", "up")
            assert hand.form.query(Menu)
            await hand.press(key)
            assert not hand.form.query(Menu)
            assert hand.draft.changes == []
        await hand.go("schedule.type")
        await hand.press("enter")
        assert "a straight line down to the final factor" in hand.host.text
        await hand.press("k", "k", "enter")
        assert hand.draft.text("schedule.type") == "cosine"
        assert not hand.form.query(Menu)
        assert hand.form.focused_key == "schedule.type"
        assert hand.row("schedule.type").editor.has_focus

    async def clicked_choice(hand: Hand) -> None:
        row = await hand.go("model.norm")
        await hand.click(row)
        await until(hand.pilot, lambda: any(menu.region for menu in hand.form.query(Menu)))
        await hand.pilot.click(hand.form.query_one(Menu), offset=(2, 0))
        await hand.pilot.pause()
        assert hand.draft.text("model.norm") == "none"

    async def switch(hand: Hand) -> None:
        row = await hand.go("training.drop_last")
        assert "[ ] no" in hand.host.line("drop last")
        await hand.press("space")
        assert hand.draft.text("training.drop_last") == "true"
        assert "[x] yes" in hand.host.line("drop last")
        await hand.press("enter")
        assert hand.draft.text("training.drop_last") == "false"
        await hand.click(row)
        await hand.pilot.pause()
        assert hand.draft.text("training.drop_last") == "true"

    using_in_turn(arrows_and_space, all_choices, clicked_choice, switch)


def test_another_type_swaps_the_rows_below_it_and_keeps_the_focus() -> None:
    async def test(hand: Hand) -> None:
        row, lr = await hand.go("schedule.type"), hand.row("optimizer.lr")
        await hand.press("right")
        assert hand.draft.text("schedule.type") == "polynomial"
        optimizer = [key for key in hand.shown() if key.split(".")[0] in ("optimizer", "schedule")]
        assert optimizer == [
            "optimizer.lr",
            "optimizer.weight_decay",
            "schedule.type",
            "schedule.warmup_steps",
            "schedule.power",
            "schedule.final_factor",
        ]
        assert hand.row("schedule.type") is row
        assert hand.row("optimizer.lr") is lr
        assert row.editor.has_focus
        await hand.press("left")
        assert "schedule.peak_at" in hand.shown()
        assert "schedule.warmup_steps" not in hand.shown()

    using(test)


def test_a_draft_changed_underneath_is_shown_and_focus_and_scrolling_stay() -> None:
    async def test(hand: Hand) -> None:
        await hand.go("dataset.rotate_degrees")
        await hand.pilot.wait_for_scheduled_animations()
        fields = hand.form.query_one(Groups)
        scrolled, rows = fields.scroll_y, list(hand.form.query(FieldRow))
        assert scrolled > 0
        hand.draft.set("dataset.val_fraction", "0.25")
        hand.draft.set("optimizer.lr", "0.5")
        hand.form.show(hand.draft)
        await hand.pilot.pause()
        assert hand.host.line("val fraction").split() == ["val", "fraction", "0.25", "*"]
        assert hand.row("optimizer.lr").editor.value == "0.5"
        assert list(hand.form.query(FieldRow)) == rows
        assert fields.scroll_y == scrolled
        assert hand.row("dataset.rotate_degrees").editor.has_focus
        assert hand.host.changed == []

    using(test)


def test_another_draft_can_be_shown_with_the_limit_that_its_preset_sets() -> None:
    async def with_a_limit(hand: Hand) -> None:
        assert "training.max_steps" not in hand.shown()
        hand.form.show(Draft(LIBRARY, "stdlib-gpt"))
        await hand.pilot.pause()
        assert hand.shown()[:3] == ["training.epochs", "training.max_steps", "training.batch_size"]
        assert hand.host.line("max steps").split() == ["max", "steps", "700", "steps"]
        assert "dataset.val_bytes" in hand.shown()
        row = await hand.go("training.max_steps")
        await hand.press("ctrl+u")
        assert row.editor.has_focus
        assert "training.max_steps" in hand.shown(), "it stays while it is typed in"

    async def without(hand: Hand) -> None:
        other = Draft(LIBRARY, "penguins-mlp")
        hand.form.show(other)
        await hand.pilot.pause()
        assert hand.form.draft is other
        assert "dataset.target" in hand.shown()
        assert "model.kernel_size" not in hand.shown()
        await hand.type("training.epochs", "3")
        assert other.text("training.epochs") == "3"
        assert hand.draft.changes == []

    using_in_turn(with_a_limit, without)


def test_rarely_changed_fields_are_folded_and_not_made_until_they_are_opened() -> None:
    async def test(hand: Hand) -> None:
        assert not any(row.field.key == "optimizer.eps" for row in hand.form.query(FieldRow))
        fold = hand.form.query(Group)[1].query_one(Fold)
        assert fold.text == "▸ more (6)"
        fold.focus()
        await hand.press("enter")
        assert fold.text == "▾ less"
        await hand.press("down")
        assert hand.form.focused_key == "optimizer.type"
        await hand.type("optimizer.eps", "1e-6")
        fold.focus()
        await hand.press("space")
        assert fold.text == "▸ more (6, 1 changed *)"
        assert "optimizer.eps" not in hand.shown()

    using(test)


def test_a_fold_says_that_something_in_it_is_wrong() -> None:
    async def test(hand: Hand) -> None:
        folded = sum(field.advanced for field in groups_of({"loss": "auto"})[0].fields)
        assert hand.form.query_one(Fold).text == f"▸ more ({folded}, 1 changed *, ✗ 1 wrong)"

    draft = Draft(LIBRARY)
    draft.set("training.max_steps", "x")
    using(test, draft)


@pytest.mark.parametrize("size", [(60, 20), pytest.param((200, 50), marks=pytest.mark.further)])
def test_what_blames_no_field_is_told_whole_above_the_fields_of_its_group(
    size: tuple[int, int],
) -> None:
    async def test(hand: Hand) -> None:
        before = [row.region for row in hand.form.query(FieldRow)]
        await hand.type("training.epochs", "")
        group = hand.form.query(Group)[0]
        width = group.region.right
        column = [line[:width].strip() for line in hand.host.text.splitlines()]
        assert column[0].startswith("─Training ✗─")
        problem = "✗ training: no limit; set training.epochs, training.max_steps or max_seconds"
        assert " ".join(column[1:]).startswith(problem)
        assert hand.form.focused_key == "training.epochs"
        await hand.type("training.epochs", "3")
        assert "no limit" not in hand.host.text
        assert [row.region for row in hand.form.query(FieldRow)] == before

    using(test, size=size)


def test_what_is_wrong_with_the_file_is_told_at_the_top_and_is_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "[red]x" / "experiments" / "bad.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("model: [cnn\n")

    async def test(hand: Hand) -> None:
        first = "".join(line.strip() for line in hand.host.text.splitlines()[:4])
        assert "✗ experiment: " in first
        assert "[red]x" in first

    using(test, Draft(PresetLibrary([path.parents[1]]), "bad"), size=(200, 24))


def test_the_line_at_the_bottom_explains_the_focused_field() -> None:
    async def test(hand: Hand) -> None:
        await hand.go("optimizer.lr")
        last = hand.host.text.splitlines()[-1]
        assert last.strip() == (
            "optimizer.lr  learning rate, before the schedule's factor  "
            "above 0, at most 10,000, live"
        )
        assert hand.form.focused_key == "optimizer.lr"
        await hand.go("schedule.type")
        assert "up to the base rate and down again" in hand.host.text.splitlines()[-1]

    using(test, size=(100, 24))


def test_there_are_two_columns_where_there_is_room() -> None:
    async def test(hand: Hand) -> None:
        for width, columns in ((73, 1), (74, 2), (50, 1)):
            await hand.pilot.resize_terminal(width, 40)
            await hand.pilot.pause()
            assert len({group.region.x for group in hand.form.query(Group)}) == columns
            for row in hand.form.query(FieldRow):
                assert row.editor.region.right < row.region.right

    using(test)


def test_a_long_path_is_seen_whole_where_there_is_room() -> None:
    path = "/home/someone/measurements/of/last/summer.csv"

    draft = Draft(LIBRARY)
    draft.set("dataset.path", path)

    async def test(hand: Hand) -> None:
        await hand.go("training.seed")
        assert path in hand.host.text
        await hand.type("training.batch_size", "many")
        assert "✗ should be a whole number" in told(hand.row("training.batch_size"))

    using(test, draft, size=(200, 50))


def test_a_form_that_was_resized_looks_like_one_made_at_that_size() -> None:
    fresh: dict[int, str] = {}

    async def see(hand: Hand) -> None:
        fresh[hand.host.size.width] = hand.host.text

    async def test(hand: Hand) -> None:
        await see(hand)
        for width in (200, 50, 80):
            await hand.pilot.resize_terminal(width, 30)
            for _ in range(3):
                await hand.pilot.pause()
            assert hand.host.text == fresh[width]

    for width in (50, 200):
        using(see, size=(width, 30))
    using(test, size=(80, 30))


@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        pytest.param((20, 5), marks=pytest.mark.further),
        pytest.param((500, 200), marks=pytest.mark.soak),
    ],
)
def test_no_size_of_the_terminal_breaks_it(size: tuple[int, int]) -> None:
    async def test(hand: Hand) -> None:
        await hand.press("down", "x", "down", "down", "enter", "escape")
        assert hand.draft.problem("training.batch_size")
        hand.form.filter("e")
        await hand.pilot.pause()

    using(test, size=size)


def test_typing_one_letter_touches_one_row() -> None:
    async def test(hand: Hand) -> None:
        await hand.go("optimizer.lr")
        before = {row.field.key: row.state for row in hand.form.query(FieldRow)}
        widgets = list(hand.form.query("*"))
        await hand.press("ctrl+u", "1")
        after = {row.field.key: row.state for row in hand.form.query(FieldRow)}
        assert {key for key in after if after[key] != before[key]} == {"optimizer.lr"}
        assert list(hand.form.query("*")) == widgets

    using(test)


def test_a_text_that_is_none_of_the_choices_is_shown_as_it_is() -> None:
    draft = Draft(LIBRARY)
    draft.set("model.activation", "geul")

    async def test(hand: Hand) -> None:
        assert "geul" in hand.host.line("activation")
        editor = hand.row("model.activation").editor
        assert isinstance(editor, Choice)
        await hand.go("model.activation")
        assert "'gelu'?" in hand.host.text.splitlines()[-1]
        await hand.press("right")
        assert hand.draft.text("model.activation") == "relu"

    using(test, draft, size=(72, 40))


def test_news_of_a_key_that_comes_after_more_keys_does_not_undo_them() -> None:
    async def test(hand: Hand) -> None:
        editor = hand.row("optimizer.lr").editor
        assert isinstance(editor, Input)
        editor.value = "0.00123456"
        await hand.pilot.pause()
        editor.post_message(Input.Changed(editor, "0.0"))
        await hand.pilot.pause()
        assert editor.value == "0.00123456"
        assert hand.draft.text("optimizer.lr") == "0.00123456"

    using(test)


def test_groups_of_parameters_are_typed_as_a_list_and_checked_at_once() -> None:
    draft = Draft(LIBRARY, "digits-mlp")
    key = "optimizer.groups"

    async def test(hand: Hand) -> None:
        await hand.type(key, "{match: head, lr: 1e-3}, {match: hidden.*}")
        assert hand.draft.experiment is not None
        first, second = hand.draft.experiment.optimizer.groups
        assert (first.match, first.lr, second.match) == ("head", 1e-3, "hidden.*")
        assert "'optimizer.groups=[{match: head, lr: 0.001}, " in hand.draft.command()
        await hand.type(key, "[{match: head, lr: -1}]")
        assert hand.draft.problem(key) == "groups.0.lr should be above 0 (got -1)"
        await hand.type(key, "[{mach: head}]")
        assert "groups.0.mach unknown key (did you mean 'match'?)" in hand.draft.problem(key)
        await hand.type(key, "head")
        assert "should be settings, as {match: head, lr: 1e-3}" in hand.draft.problem(key)
        assert "✗" in hand.host.text
        hand.form.reset_focused()
        await hand.pilot.pause()
        assert not hand.draft.is_changed(key)

    using(test, draft, size=(110, 40))
