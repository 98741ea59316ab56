"""The app's own guard: what a widget forgets to clean steers no terminal, and moves nothing."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import ControlType, Segment
from rich.style import Style
from rich.text import Text
from textual._compositor import ChopsUpdate, InlineUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tui_trainer.ui.terminal.segments import harmless_cells, harmless_strip, harmless_update

BAD = "\x1b]52;c;eA==\x1b\\\x07\x1b[31m\u202e\x9b\x85"
CONSOLE = Console(file=io.StringIO(), force_terminal=True)
RED = Style(color="red")


def a_strip(text: str = f"a{BAD}b", style: Style = RED) -> Strip:
    return Strip([Segment("before ", style), Segment(text, style), Segment(" after")])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("loss ⣿▁ 98 %", "loss ⣿▁ 98 %"),
        ("数字 👩‍🔬 é\u0301\u00a0", "数字 👩‍🔬 é\u0301\u00a0"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b2J\x07\x00", "2J"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("\ue000\u00ad", "\ufffd\ufffd"),
    ],
)
def test_fault_55_text_in_cells_loses_what_steers_a_terminal(text: str, shown: str) -> None:
    assert harmless_cells(text) == shown


@given(st.text(st.characters(), max_size=50))
def test_fault_55_what_is_laid_out_keeps_its_cells(text: str) -> None:
    shown = harmless_cells(text)
    assert cell_len(shown) == cell_len(text)
    assert not any(char in shown for char in "\x1b\x07\x9b\u202e\n\r\t")


def test_fault_55_a_strip_is_cleaned_and_keeps_its_styles_and_length() -> None:
    strip = a_strip()
    found = harmless_strip(strip)
    assert found.text == "before a]52;c;eA==\\[31mb after"
    assert found.cell_length == strip.cell_length
    assert [segment.style for segment in found] == [segment.style for segment in strip]
    assert harmless_strip(found) is found


def test_fault_55_links_and_control_codes_of_a_strip_do_not_pass() -> None:
    linked = a_strip("here", RED + Style(link=f"https://x/{BAD}"))
    assert "\x1b]8" not in harmless_strip(linked).render(CONSOLE)
    control = Strip([Segment("\x1b[2J", None, [(ControlType.CLEAR,)]), Segment("a")])
    assert "\x1b" not in harmless_strip(control).render(CONSOLE)


@pytest.mark.parametrize(
    "update",
    [
        LayoutUpdate([[a_strip()], [a_strip(), a_strip()]], Region(0, 0, 80, 2)),
        ChopsUpdate([{0: a_strip(), 40: None}], [(0, 0, 80)], [[40, 80]]),
        InlineUpdate([a_strip()]),
    ],
    ids=lambda update: type(update).__name__,
)
def test_fault_55_every_kind_of_update_is_cleaned(
    update: LayoutUpdate | ChopsUpdate | InlineUpdate,
) -> None:
    assert harmless_update(update, CONSOLE) is update
    written = update.render_segments(CONSOLE)
    assert "eA==" in written
    assert not any(
        bad in written for bad in ("\x1b]52", "\x1b[31m\u202e", "\u202e", "\x9b", "\x85")
    )


def test_fault_55_what_textual_does_not_paint_today_is_cleaned_too() -> None:
    assert harmless_update(None, CONSOLE) is None
    found = harmless_update(Text(f"a{BAD}b"), CONSOLE)
    assert found is not None
    text = "".join(segment.text for segment in CONSOLE.render(found))
    assert not any(char in text for char in "\x1b\u202e\x9b")
