"""`Summary`: what the experiment would be: shapes, parameters, steps, samples, memory, device.

Layer: ui. It asks the workbench itself, through the loader, a moment after the last change; what
it shows meanwhile is the result before, dimmed. While it rests nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from tui_trainer.config.errors import TrainerError
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.text import clean
from tui_trainer.sessions.inventory import DeviceState
from tui_trainer.sessions.workbench import Preview
from tui_trainer.ui.services import Services
from tui_trainer.ui.widgets.facts import (
    device_text,
    pick_device,
    samples,
    shapes,
    sizes,
    table,
    warnings,
)

WAIT_S = 0.3
"""From the last change until a preview is asked for."""
DEVICES_EVERY_S = 5.0
STAGE_EVERY_S = 0.25
FEWEST_TABLE_ROWS = 4
MOST_LAYERS = 2000


class Summary(Widget):
    """A few lines, and a table of the layers where there is room for it."""

    DEFAULT_CSS = """
    Summary { width: 1fr; height: 1fr; padding: 0 1; }
    """

    @dataclass
    class Measured(Message):
        """What is shown now is what the newest settings would be."""

        preview: Preview

    @dataclass
    class DeviceSeen(Message):
        """The device that would be used, as it is now; None where none of that name is known."""

        device: DeviceState | None

    def __init__(self, services: Services, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._services = services
        self._wanted: Experiment | None = None
        self._measured: Experiment | None = None
        self._asked: Experiment | None = None
        self.preview: Preview | None = None
        self.failure = ""
        self.devices: tuple[DeviceState, ...] = ()
        self._device_failure = ""
        self._stage = ""
        self._rests = True
        self._ticking: list[Timer] = []
        self._debounce: Timer | None = None

    # What the screen tells it.

    def measure(self, experiment: Experiment | None) -> None:
        """Find out about an experiment soon; None while the settings are wrong."""
        if experiment == self._wanted and experiment is not None:
            return
        before = self._device_wanted
        self._wanted = experiment
        if self._device_wanted != before:
            self._tell_device()
        self._schedule()
        self.refresh()

    def rest(self) -> None:
        """Ask nothing from now on."""
        self._rests = True
        for timer in self._ticking:
            timer.stop()
        self._ticking.clear()
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None

    def go_on(self) -> None:
        """Ask again, for what was missed too."""
        if not self._rests:
            return
        self._rests = False
        if self.failure:
            # A file that was missing may be there by now.
            self._measured = None
        self._ticking = [
            self.set_interval(DEVICES_EVERY_S, self._ask_devices),
            self.set_interval(STAGE_EVERY_S, self._look_at_stage),
        ]
        self._ask_devices()
        self._schedule()

    def on_unmount(self) -> None:
        self.rest()

    @property
    def device(self) -> DeviceState | None:
        """The device that the experiment would run on, as it was last seen."""
        return pick_device(self.devices, self._device_wanted)

    @property
    def is_stale(self) -> bool:
        """Whether what is shown is not of the newest settings."""
        return self._wanted is None or self._wanted != self._measured

    @property
    def is_due(self) -> bool:
        """Whether it is about to ask."""
        return self._debounce is not None

    # Asking.

    @property
    def _device_wanted(self) -> str:
        known = self._wanted or self._measured
        return known.training.device if known is not None else "auto"

    def _schedule(self) -> None:
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        if not self._rests and self._wanted is not None and self._wanted != self._measured:
            self._debounce = self.set_timer(WAIT_S, self._ask)

    def _ask(self) -> None:
        self._debounce = None
        experiment = self._wanted
        if experiment is None or experiment == self._asked:
            return
        self._asked = experiment
        workbench = self._services.workbench

        def done(result: Preview | TrainerError) -> None:
            self._take(experiment, result)

        self._services.loader.submit("preview", lambda: workbench.preview(experiment), done)
        self._look_at_stage()
        self.refresh()

    def _take(self, experiment: Experiment, result: Preview | TrainerError) -> None:
        if not self.is_attached:
            return
        if self._asked == experiment:
            self._asked = None
        if experiment != self._wanted:
            return
        self._measured = experiment
        if isinstance(result, TrainerError):
            self.failure = clean(str(result), 1000, multiline=True)
        else:
            self.failure, self.preview = "", result
            self.post_message(self.Measured(result))
        self.refresh()

    def _ask_devices(self) -> None:
        workbench = self._services.workbench
        self._services.loader.submit("devices", workbench.devices, self._take_devices)

    def _take_devices(self, result: Sequence[DeviceState] | TrainerError) -> None:
        if not self.is_attached:
            return
        failure = clean(str(result), 300) if isinstance(result, TrainerError) else ""
        devices = self.devices if isinstance(result, TrainerError) else tuple(result)
        if (failure, devices) != (self._device_failure, self.devices):
            self._device_failure, self.devices = failure, devices
            self._tell_device()
            self.refresh()

    def _tell_device(self) -> None:
        self.post_message(self.DeviceSeen(self.device))

    def _look_at_stage(self) -> None:
        stage = clean(self._services.loader.stage, 200)
        if stage != self._stage:
            self._stage = stage
            self.refresh()

    # Drawing.

    def render(self) -> Content:
        return Content("\n").join(self.lines(self.size.width, self.size.height))

    def lines(self, width: int, height: int) -> list[Content]:
        """What is shown in a space of that size, the most important first.

        What it is busy with stands in the last row, so that nothing moves when that is over.
        """
        state = self._state()
        rows = max(0, height - 1) if state is not None else height
        found = self._failed(width)
        shown = None if self.failure else self.preview
        style = "dim" if self.is_stale else ""
        if shown is not None:
            found += [Content.styled(line, style) for line in sizes(shown, width)]
            found += [Content.styled(f"! {text}", "$text-warning") for text in warnings(shown)]
            found.append(Content.styled(shapes(shown), style))
        found += [Content.styled(line, "$foreground-muted") for line in self._device_lines()]
        if shown is not None:
            found += [Content.styled(line, style) for line in samples(shown, width)]
            found += [Content.styled(clean(text), "$foreground-muted") for text in shown.notes]
            if height - len(found) - 1 >= FEWEST_TABLE_ROWS:
                layers = table(shown, height - len(found) - 1)
                found += [Content(""), *(Content.styled(row, style) for row in layers)]
        found = found[:rows]
        if state is not None:
            found += [Content("")] * (rows - len(found)) + [state]
        return [line.truncate(width, ellipsis=True) for line in found[:height]]

    def texts(self) -> list[tuple[str, list[Content]]]:
        """All of it, however long, in parts with a title each."""
        parts: list[tuple[str, list[Content]]] = []
        if self.failure:
            parts.append(("what it would be", [Content.styled(self.failure, "$text-error")]))
        elif (preview := self.preview) is not None:
            rows = [*sizes(preview, 100), *samples(preview, 100), shapes(preview)]
            rows += table(preview, MOST_LAYERS)
            rows += [clean(note) for note in (*preview.notes, preview.warning) if note]
            parts.append(("what it would be", [Content(row) for row in rows]))
        if self.devices:
            parts.append(("devices", [Content(device_text(device)) for device in self.devices]))
        return parts

    def _state(self) -> Content | None:
        if self._wanted is None:
            text = "some settings need attention" + ("; as before them" if self.preview else "")
            return Content.styled(text, "$text-warning")
        if not self.is_stale:
            return None
        text = f"{self._stage} ... go on meanwhile" if self._stage else "measuring ..."
        return Content.styled(text, "$text-warning")

    def _failed(self, width: int) -> list[Content]:
        if not self.failure:
            return []
        style = "dim" if self.is_stale else "$text-error"
        shown = Content.styled(f"! {self.failure}", style).wrap(max(1, width))
        return [*shown, Content.styled("A start would end with this.", "$foreground-muted")]

    def _device_lines(self) -> list[str]:
        if self._device_failure:
            return [f"devices: {self._device_failure}"]
        device = self.device
        if device is None:
            return [f"no device {self._device_wanted} here"] if self.devices else []
        return [device_text(device)]
