"""Help: every key of the screen beneath is there, wherever the focus is."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.widget import Widget

from tui_trainer.config.keys import ACTIONS, actions_of
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.help import help_lines
from tui_trainer.ui.shared.lines import hanging

PLACES = sorted({action.place for action in ACTIONS})


@pytest.mark.parametrize("place", PLACES)
def test_the_keys_of_every_place_are_told(place: str) -> None:
    active = {
        binding.key: ActiveBinding(Widget(), binding, enabled=True)
        for found in bindings_of(place)
        if isinstance(found, Binding)
        for binding in Binding.make_bindings([found])
    }
    text = "\n".join(line.plain for _, line in help_lines(active, "", {}))
    for action in actions_of(place):
        assert action.text in text


def test_the_keys_of_a_dialog_are_told_by_what_they_do() -> None:
    active = {
        key: ActiveBinding(Widget(), Binding(key, "answer", text, show=text != "Up"), enabled=True)
        for key, text in (("s", "Save and stop"), ("escape", "Keep training"), ("up", "Up"))
    }
    told = {text.plain: head.plain.strip() for head, text in help_lines(active, "About it", {})}
    assert (told["Save and stop"], told["Keep training"]) == ("s", "esc")
    assert "Up" not in told
    assert "About it" in told


@pytest.mark.parametrize(
    "keys", [["s"], ["s", "f9", "f10", "ctrl+t", "ctrl+y", "f12"], ["値", "s"]]
)
def test_what_keys_do_stands_in_one_column(keys: list[str]) -> None:
    lines = help_lines({}, "", {"run.stop": keys, "run.pause": ["p"], "app.help": ["f1"]})
    heads = {cell_len(head.plain) for head, text in lines if head.plain}
    assert len(heads) == 1


def test_what_needs_a_second_row_goes_on_below_its_beginning() -> None:
    rows = hanging(Content("  d            "), Content("Leave the run, 値 and free the shell"), 36)
    assert [row.plain.rstrip() for row in rows] == [
        "  d            Leave the run, 値 and",
        "               free the shell",
    ]
    assert max(cell_len(row.plain) for row in rows) <= 36
