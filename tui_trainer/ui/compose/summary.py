"""`Summary`: shapes, parameters, steps, samples, memory and device of the composed experiment.

Layer: ui. Its `survey` measures them; until it has a result, the previous one is shown dimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted
from tui_trainer.ui.compose.facts import (
    device_text,
    groups,
    samples,
    shapes,
    sizes,
    table,
    warnings,
)
from tui_trainer.ui.compose.survey import PreviewLoader
from tui_trainer.ui.shared.bindings import KeyTable
from tui_trainer.ui.shared.services import Services

if TYPE_CHECKING:
    from tui_trainer.machine.devices import DeviceState
    from tui_trainer.sessions.preview import Preview

FEWEST_TABLE_ROWS = 4
MOST_LAYERS = 2000


class Summary(Widget):
    """A few lines, and a table of the layers if there is room."""

    DEFAULT_CSS = """
    Summary { width: 1fr; height: 1fr; padding: 0 1; }
    """

    class Measured(Message):
        """Posted when the newest settings have been measured, or measuring them has failed."""

    @dataclass
    class DeviceSeen(Message):
        """Posted with the state of the device that would be used; None if it is not known."""

        device: DeviceState | None

    def __init__(self, services: Services, *, id: str | None = None) -> None:
        super().__init__(id=id)
        keys = KeyTable(services.preferences.keymap).shown("compose.details")
        self._key = keys.replace(", ", " or ")
        self.survey = PreviewLoader(
            self,
            services,
            changed=self.refresh,
            found=lambda: self.post_message(self.Measured()),
            seen=lambda device: self.post_message(self.DeviceSeen(device)),
        )

    def on_unmount(self) -> None:
        self.survey.rest()

    def render(self) -> Content:
        return Content("\n").join(self.lines(self.size.width, self.size.height))

    def lines(self, width: int, height: int) -> list[Content]:
        """Return the lines for a space of that size, the most important first.

        The last row says what is in progress, so that nothing moves when that is done. The row
        above says where to read groups of parameters and notes for which there is no room.
        """
        state = self._state()
        rows = max(0, height - 1) if state is not None else height
        found = self._failed(width)
        shown = None if self.survey.failure else self.survey.preview
        style = "dim" if self.survey.is_stale else ""
        if shown is not None:
            found += [Content.styled(line, style) for line in sizes(shown, width)]
            found += [Content.styled(f"! {text}", "$text-warning") for text in warnings(shown)]
            found.append(Content.styled(shapes(shown), style))
        found += [Content.styled(line, "$foreground-muted") for line in self._device_lines()]
        if shown is not None:
            found += [Content.styled(line, style) for line in groups(shown)]
            found += [Content.styled(line, style) for line in samples(shown, width)]
            found += [Content.styled(clean(text), "$foreground-muted") for text in shown.notes]
            if height - len(found) - 1 >= FEWEST_TABLE_ROWS:
                layers = table(shown, height - len(found) - 1)
                found += [Content(""), *(Content.styled(row, style) for row in layers)]
        if shown is not None and rows and (more := self._more(shown, found[rows - 1 :])):
            found[rows - 1] = more
        found = found[:rows]
        if state is not None:
            found += [Content("")] * (rows - len(found)) + [state]
        return [line.truncate(width, ellipsis=True) for line in found[:height]]

    def _more(self, shown: Preview, hidden: Sequence[Content]) -> Content | None:
        """Return where to read groups and notes in lines without room; None if there are none."""
        texts = {line.plain for line in hidden}
        in_groups = sum(line in texts for line in groups(shown))
        notes = sum(clean(note) in texts for note in shown.notes)
        if len(hidden) < 2 or not in_groups + notes:
            return None
        counts = [counted(in_groups, "group of parameters", "groups of parameters")] * bool(
            in_groups
        )
        counts += [counted(notes, "note")] * bool(notes)
        return Content(f"{', '.join(counts)}: {self._key} for all")

    def texts(self) -> list[tuple[str, list[Content]]]:
        """Return everything in full, in titled parts."""
        parts: list[tuple[str, list[Content]]] = []
        if self.survey.failure:
            parts.append(("preview", [Content.styled(self.survey.failure, "$text-error")]))
        elif (preview := self.survey.preview) is not None:
            rows = [*sizes(preview, 100), *samples(preview, 100), shapes(preview)]
            rows += groups(preview)
            rows += table(preview, MOST_LAYERS)
            rows += [clean(note) for note in (*preview.notes, preview.warning) if note]
            parts.append(("preview", [Content(row) for row in rows]))
        if self.survey.devices:
            parts.append(
                ("devices", [Content(device_text(device)) for device in self.survey.devices])
            )
        return parts

    def _state(self) -> Content | None:
        if self.survey.wanted is None:
            text = "some settings need attention" + (
                "; the preview above is out of date" if self.survey.preview else ""
            )
            return Content.styled(text, "$text-warning")
        if not self.survey.is_stale:
            return None
        text = f"{self.survey.stage} ..." if self.survey.stage else "measuring ..."
        return Content.styled(text, "$text-warning")

    def _failed(self, width: int) -> list[Content]:
        if not self.survey.failure:
            return []
        style = "dim" if self.survey.is_stale else "$text-error"
        shown = Content.styled(f"! {self.survey.failure}", style).wrap(max(1, width))
        return [*shown, Content.styled("A run would fail with this error.", "$foreground-muted")]

    def _device_lines(self) -> list[str]:
        if self.survey.device_failure:
            return [f"devices: {self.survey.device_failure}"]
        device = self.survey.device
        if device is None:
            return [f"no device {self.survey.device_wanted} here"] if self.survey.devices else []
        return [device_text(device)]
