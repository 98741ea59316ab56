"""`KeyLine`: the keys that matter now, in the last line of a screen.

Layer: ui. Textual's footer cuts off what does not fit, which is the help; this one first says it
closer together, and then leaves out what was named as dispensable.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from tui_trainer.ui.bindings import shown_key


class KeyLine(Footer):
    """The keys of the screen, of the part that has the focus, and of the app, in this order.

    `dispensable` are ids of actions; the first ones are left out first.
    """

    DEFAULT_CSS = """
    KeyLine.-compact { padding-left: 1; }
    """

    def __init__(self, dispensable: Sequence[str] = ()) -> None:
        super().__init__(show_command_palette=False)
        self._dispensable = dispensable
        self._width = 0

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        self._width = self.app.size.width
        shown = self._shown()
        self.compact = self._length(shown, compact=False) > self._width
        for id in self._dispensable:
            if self._length(shown, compact=self.compact) <= self._width:
                break
            shown = [active for active in shown if active.binding.id != id]
        for active in shown:
            binding = active.binding
            yield FooterKey(
                binding.key,
                shown_key(binding.key),
                binding.description,
                binding.action,
                disabled=not active.enabled,
                tooltip=active.tooltip or "",
            ).data_bind(compact=Footer.compact)

    async def on_resize(self, event: events.Resize) -> None:
        if self._bindings_ready and self.app.size.width != self._width:
            await self.recompose()

    def _shown(self) -> list[ActiveBinding]:
        """One binding for each action that is to be shown."""
        by_action: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                by_action.setdefault(active.binding.action, active)
        ranks = {self.screen: 0, self.app: 2}
        return sorted(by_action.values(), key=lambda active: ranks.get(active.node, 1))

    def _length(self, shown: Sequence[ActiveBinding], *, compact: bool) -> int:
        """The cells that these keys take."""
        space, left = (2, 1) if compact else (3, 0)
        return left + sum(
            cell_len(shown_key(active.binding.key) + active.binding.description) + space
            for active in shown
        )
