"""Texts cut and padded by the cells they take."""

from __future__ import annotations

import unicodedata

import pytest
from rich.cells import cell_len

from tui_trainer.text.cells import cut_end, cut_middle, padded

SIGNS = {
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "thumb": "\U0001f44d\U0001f3fd",
    "heart": "\u2764\ufe0f",
    "flag": "\U0001f1e9\U0001f1ea",
    "accent": "e\u0301",
    "kanji": "数",
}


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("width", range(16))
def test_a_cut_keeps_whole_signs_and_its_room(sign: str, width: int) -> None:
    for cut in (cut_end(sign * 20, width), cut_middle(sign * 20, width)):
        assert width - 2 <= cell_len(cut) <= width
        assert cut.replace(sign, "") in ("…", "")


def test_a_letter_keeps_its_own_accent_at_the_end_of_a_cut() -> None:
    name = unicodedata.normalize("NFD", "une longue soirée d'été")
    assert cut_middle(name, 9) == unicodedata.normalize("NFD", "une …'été")


def test_what_fits_is_not_cut() -> None:
    assert cut_end(SIGNS["family"], 2) == SIGNS["family"]
    assert cut_middle("digits-cnn", 10) == "digits-cnn"
    assert cut_middle("digits-cnn", 9) == "digi…-cnn"


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_padding_counts_cells(sign: str) -> None:
    assert cell_len(padded(sign, 6)) == 6
    assert padded(sign, 6, right=True).endswith(f" {sign}")
    assert padded("too long", 3) == "too long"
