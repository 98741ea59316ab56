"""Help: the keys that work on the screen beneath, and what its parts are.

Layer: ui. Made from the bindings that are active when it opens, so that it shows a user's keymap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_trainer.config.keys import ACTIONS

TITLES = {
    "compose": "Compose",
    "run": "Run",
    "plot": "Plots",
    "ending": "At the end",
    "app": "Everywhere",
}


class HelpScreen(ModalScreen[None]):
    """The keys by place; any of escape, ?, F1 and q closes it."""

    BINDINGS: ClassVar = [Binding("escape,q,question_mark,f1", "close", "Close")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    HelpScreen Static { width: 100%; height: auto; }
    """

    def __init__(self, active: Mapping[str, ActiveBinding], about: str = "") -> None:
        super().__init__()
        self._lines = help_lines(active, about)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield Static(Content("\n").join(self._lines))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        self.dismiss(None)


def help_lines(active: Mapping[str, ActiveBinding], about: str) -> list[Content]:
    """What is known of the focused part, then each action with its keys, by place."""
    keys: dict[str, list[str]] = {}
    for key, found in active.items():
        if found.binding.id:
            keys.setdefault(found.binding.id, []).append(shown_key(key))
    lines = [Content(about), Content("")] if about else []
    for place, title in TITLES.items():
        rows = [action for action in ACTIONS if action.place == place and action.id in keys]
        if rows:
            lines.append(Content.styled(title, "bold"))
            lines += [
                Content.assemble((f"  {' '.join(keys[row.id]):<12} ", "bold $accent"), row.text)
                for row in rows
            ]
            lines.append(Content(""))
    return lines[:-1]


def shown_key(key: str) -> str:
    """A key as people write it: `^s`, `?`, `F1`."""
    names = {"question_mark": "?", "slash": "/", "escape": "esc", "enter": "↵"}
    name = key.removeprefix("ctrl+")
    name = names.get(name, name)
    if len(name) > 1 and name[0] == "f" and name[1:].isdigit():
        name = name.upper()
    return f"^{name}" if key.startswith("ctrl+") else name
