"""Which keys there is room to say, and where they stand."""

from __future__ import annotations

import pytest

from tui_trainer.config.keys import ACTIONS
from tui_trainer.ui.shared.bindings import KeyHint, KeyRow

KEYS = (
    KeyHint("enter", "Open", "Open it"),
    KeyHint("s", "Save", "Save it", rank=1),
    KeyHint("d", "Details", "All of it", rank=3),
    KeyHint("o", "Order", "Another order", rank=3),
    KeyHint("f1", "Help", "The keys"),
)
LABELS = ["Open", "Save", "Details", "Order", "Help"]


def labels(width: int) -> list[str]:
    return [key.label for key in KeyRow.fitting(KEYS, width).keys]


def test_keys_come_closer_before_one_is_left_out() -> None:
    close = sum(key.width for key in KEYS)
    roomy = close + len(KEYS)
    assert not KeyRow.fitting(KEYS, roomy).is_close
    assert KeyRow.fitting(KEYS, roomy - 1).is_close
    assert labels(roomy - 1) == labels(close) == LABELS


def test_the_highest_rank_is_left_out_first_and_rank_0_never() -> None:
    close = sum(key.width for key in KEYS)
    assert labels(close - 1) == ["Open", "Save", "Order", "Help"]
    assert labels(close - KEYS[2].width - 1) == ["Open", "Save", "Help"]
    assert labels(5) == ["Open", "Help"]


@pytest.mark.parametrize("width", [30, 80])
def test_a_key_is_found_at_each_cell_of_its_text_and_nothing_before_or_behind(width: int) -> None:
    row = KeyRow.fitting(KEYS, width)
    for start, key in row.places():
        assert {row.at(x) for x in range(start, start + key.width - 1)} == {key}
    assert row.at(0) is None
    assert row.at(start + key.width) is None


def test_an_empty_row_has_no_key_anywhere() -> None:
    assert KeyRow.fitting((), 80).at(1) is None


def test_help_and_quitting_are_never_left_out() -> None:
    ranks = {action.id: action.rank for action in ACTIONS}
    assert ranks["app.help"] == ranks["app.quit"] == ranks["app.quit_typing"] == 0
