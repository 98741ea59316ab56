"""Help: the keys that work on the screen below, and what its parts are for.

Layer: ui. It lists the bindings that are active when it opens; keys of parts of the screen that do
not have the focus come from the keymap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from tui_trainer.config.keys import ACTIONS, PLACES
from tui_trainer.text.cells import padded
from tui_trainer.ui.shared.bindings import shown_key
from tui_trainer.ui.shared.lines import Hanging, Line

Keys = Mapping[str, Sequence[str]]
"""Keys by action."""
FEWEST_KEY_CELLS, MOST_KEY_CELLS = 12, 30
"""The key column is as wide as its longest entry; one beyond the maximum sticks out."""


class HelpScreen(ModalScreen[None]):
    """Shows the keys by place; escape, ?, F1 and q close it."""

    BINDINGS: ClassVar = [Binding("escape,q,question_mark", "close", "Close")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    """

    def __init__(self, active: Mapping[str, ActiveBinding], about: str, parts: Keys) -> None:
        super().__init__()
        self._lines = help_lines(active, about, parts)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield Hanging(self._lines)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        self.dismiss(None)


def help_lines(active: Mapping[str, ActiveBinding], about: str, parts: Keys) -> list[Line]:
    """Return what the screen is for, then each action with its keys, by place.

    `parts` are the keys of actions that need the focus elsewhere; active keys come before them.
    """
    keys: dict[str, list[str]] = {}
    for key, found in active.items():
        if found.binding.id:
            keys.setdefault(found.binding.id, []).append(key)
    empty = Content("")
    lines = [(empty, Content(about)), (empty, empty)] if about else []
    by_title = [("Here", _rows_here(active))]
    by_title += [(title, _rows(place, keys, parts)) for place, title in PLACES.items()]
    width = max((cell_len(row) for _, rows in by_title for row in rows.values()), default=0)
    width = min(max(width, FEWEST_KEY_CELLS), MOST_KEY_CELLS)
    for title, rows in by_title:
        if rows:
            lines.append((empty, Content.styled(title, "bold")))
            lines += [
                (
                    Content.styled(f"  {padded(shown, width)} ", "bold $accent"),
                    Content(text),
                )
                for text, shown in rows.items()
            ]
            lines.append((empty, empty))
    return lines[:-1]


def _rows_here(active: Mapping[str, ActiveBinding]) -> dict[str, str]:
    """Return the keys of a dialog, which are not in the table of actions."""
    rows: dict[str, list[str]] = {}
    for key, found in active.items():
        if found.binding.show and found.binding.description and not found.binding.id:
            rows.setdefault(found.binding.description, []).append(shown_key(key))
    return {text: " ".join(shown) for text, shown in rows.items()}


def _rows(place: str, active: Keys, parts: Keys) -> dict[str, str]:
    """Return the keys of a place's actions, by what the action does."""
    rows: dict[str, list[str]] = {}
    for action in ACTIONS:
        keys = active.get(action.id) or parts.get(action.id, ())
        if action.place == place and keys:
            rows.setdefault(action.text, []).extend(map(shown_key, keys))
    return {text: " ".join(shown) for text, shown in rows.items()}
