"""Help: every key of the screen beneath is there, wherever the focus is."""

from __future__ import annotations

import pytest
from textual.binding import ActiveBinding, Binding
from textual.widget import Widget

from tui_trainer.config.keys import ACTIONS, actions_of
from tui_trainer.ui.bindings import bindings_of
from tui_trainer.ui.screens.help import help_lines

PLACES = sorted({action.place for action in ACTIONS})


@pytest.mark.parametrize("place", PLACES)
def test_the_keys_of_every_place_are_told(place: str) -> None:
    active = {
        binding.key: ActiveBinding(Widget(), binding, enabled=True)
        for found in bindings_of(place)
        if isinstance(found, Binding)
        for binding in Binding.make_bindings([found])
    }
    text = "\n".join(line.plain for line in help_lines(active, "", {}))
    for action in actions_of(place):
        assert action.text in text
