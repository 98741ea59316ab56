"""`Choice`: picks one of a few words on one line; a lighter `Select`, and a switch for booleans.

Layer: ui. It may show a text that is not among its choices, because a draft keeps what a file
says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events, on
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_trainer.text.cells import cut_end, padded
from tui_trainer.text.clean import clean
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.lines import hanging

SWITCH = ("false", "true")
MENU_CELLS = 70
_SCROLLBAR = 2


class Menu(OptionList):
    """The list of choices, drawn over what is below; it closes when it loses the focus."""

    BINDINGS = bindings_of("menu")

    DEFAULT_CSS = """
    Menu {
        overlay: screen;
        constrain: inside inside;
        width: auto;
        min-width: 100%;
        max-width: 70;
        scrollbar-size-vertical: 1;
        height: auto;
        max-height: 12;
        padding: 0;
        border: none;
        background: $panel;
        color: $foreground;
    }
    """

    @dataclass
    class Closed(Message):
        """Posted when the menu is left without a choice."""

    def action_close(self) -> None:
        """Close the menu without choosing."""
        self.post_message(self.Closed())

    def on_blur(self) -> None:
        """Close the menu; another widget has the focus now."""
        self.post_message(self.Closed())


class Choice(Widget, can_focus=True):
    """Shows `cosine ▾`; arrows and space step through the choices, enter shows them all."""

    BINDINGS = bindings_of("choice")

    DEFAULT_CSS = """
    Choice {
        height: 1;
        background: $surface;
        color: $foreground;
        pointer: pointer;
    }
    Choice:focus {
        background: $input-cursor-background 30%;
        text-style: bold;
    }
    Choice:ansi { background: ansi_default; }
    Choice:ansi:focus { text-style: reverse; }
    """

    value: reactive[str] = reactive("", init=False)

    @dataclass
    class Changed(Message):
        """Posted when the user has picked another choice."""

        choice: Choice
        value: str

        @property
        def control(self) -> Choice:
            """The widget that sent it."""
            return self.choice

    def __init__(
        self,
        value: str,
        choices: Sequence[str],
        texts: Sequence[str] = (),
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.choices = tuple(choices)
        self._texts = tuple(texts) or ("",) * len(self.choices)
        self._menu: Menu | None = None
        self.misfits: Mapping[str, str] = {}
        """Reasons by choice why it does not fit the data; it can be chosen all the same."""
        self.set_reactive(Choice.value, value)

    @property
    def is_switch(self) -> bool:
        """Whether the choices are true and false."""
        return self.choices == SWITCH

    def render(self) -> Content:
        """Return the value, and a sign that there are other choices."""
        if self.is_switch and self.value in SWITCH:
            return Content("[x] yes" if self.value == "true" else "[ ] no")
        room = max(self.size.width - 2, 0)
        shown = clean(self.value, 200) or "none"
        return Content(f"{padded(cut_end(shown, room), room)} ▾"[: self.size.width])

    def action_next(self) -> None:
        """Pick the next choice; the first one after the last."""
        self._step(1)

    def action_previous(self) -> None:
        """Pick the previous choice; the last one before the first."""
        self._step(-1)

    def _step(self, step: int) -> None:
        if self.value in self.choices:
            index = (self.choices.index(self.value) + step) % len(self.choices)
        else:
            index = 0 if step > 0 else len(self.choices) - 1
        self._take(self.choices[index])

    def _take(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))

    def action_open(self) -> None:
        """Show all choices; a switch is toggled instead."""
        if self.is_switch:
            self._step(1)
        elif self._menu is None:
            self._menu = self._make_menu()
            self.mount(self._menu)
            self._menu.focus()

    def _make_menu(self) -> Menu:
        shown = [clean(choice, 60) for choice in self.choices]
        width = max(map(cell_len, shown), default=0)
        room = min(MENU_CELLS, self.app.size.width) - _SCROLLBAR
        lines = [
            Option(self._line(choice, padded(name, width), text, room))
            for choice, name, text in zip(self.choices, shown, self._texts, strict=True)
        ]
        menu = Menu(*lines, compact=True)
        if self.value in self.choices:
            menu.highlighted = self.choices.index(self.value)
        return menu

    def _line(self, choice: str, name: str, text: str, room: int) -> Content:
        """Return a choice and what is said of it, wrapped beside the choice."""
        misfit = self.misfits.get(choice)
        if misfit:
            rows = hanging(Content(f"✗{name}  "), Content(clean(misfit, 80)), room)
            return Content("\n").join(rows).stylize("dim")
        told = Content.styled(clean(text, 120), "$foreground 60%")
        return Content("\n").join(hanging(Content(f" {name}  "), told, room))

    @on(Menu.OptionSelected)
    def _menu_chosen(self, event: Menu.OptionSelected) -> None:
        event.stop()
        self._close(keep_focus=True)
        self._take(self.choices[event.option_index])

    @on(Menu.OptionHighlighted)
    def _menu_moved(self, event: Menu.OptionHighlighted) -> None:
        event.stop()

    @on(Menu.Closed)
    def _menu_left(self, event: Menu.Closed) -> None:
        event.stop()
        menu = self._menu
        self._close(keep_focus=menu is not None and menu.has_focus)

    def _close(self, *, keep_focus: bool) -> None:
        menu, self._menu = self._menu, None
        if menu is None:
            return
        if keep_focus:
            self.focus()
        menu.remove()

    def on_click(self, event: events.Click) -> None:
        """Show all choices, close them, or toggle the switch."""
        event.stop()
        if self._menu is None:
            self.action_open()
        else:
            self._close(keep_focus=True)
