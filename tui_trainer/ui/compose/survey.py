"""`PreviewLoader`: measures an experiment a moment after its last change.

Layer: ui. It asks the workbench through the loader, whose answers arrive late and in any order.
Nothing is asked while it is paused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.timer import Timer
from textual.widget import Widget

from tui_trainer.config.experiment import Experiment
from tui_trainer.sessions.loader import Unforeseen
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.compose.facts import pick_device
from tui_trainer.ui.shared.services import Services

if TYPE_CHECKING:
    from tui_trainer.machine.devices import DeviceState
    from tui_trainer.sessions.misfits import Misfits
    from tui_trainer.sessions.preview import Preview

WAIT_S = 0.3
"""Seconds between the last change and the request for a preview."""
DEVICES_EVERY_S = 5.0
STAGE_EVERY_S = 0.25


class PreviewLoader:
    """Asks by the timers of a widget; `changed` is called when there is something new to show."""

    def __init__(
        self,
        pump: Widget,
        services: Services,
        *,
        changed: Callable[[], object],
        found: Callable[[], object],
        seen: Callable[[DeviceState | None], object],
    ) -> None:
        self._pump = pump
        self._services = services
        self._changed = changed
        self._found = found
        self._seen = seen
        self.wanted: Experiment | None = None
        """The experiment to measure; None while the settings are invalid."""
        self._measured: Experiment | None = None
        self._asked: Experiment | None = None
        self.preview: Preview | None = None
        self.failure = ""
        """Why there is no preview of the settings that were measured last."""
        self._refused: tuple[Experiment, TrainerError] | None = None
        self.misfits: Misfits = {}
        """Which presets do not fit the data, as far as that is known."""
        self._tried: Experiment | None = None
        """The experiment for whose data `misfits` holds, or has been asked for."""
        self.runs_problem = ""
        """Why there can be no run in the folder of the runs."""
        self.devices: tuple[DeviceState, ...] = ()
        self.device_failure = ""
        self.stage = ""
        """The preparation that the loader is busy with; empty when it is ready."""
        self._rests = True
        self._ticking: list[Timer] = []
        self._debounce: Timer | None = None

    def measure(self, experiment: Experiment | None) -> None:
        """Measure an experiment soon; None while the settings are invalid."""
        if experiment == self.wanted and experiment is not None:
            return
        before = self.device_wanted
        self.wanted = experiment
        if self.misfits and experiment is not None and not self._is_tried(experiment):
            self.misfits = {}
        if self.device_wanted != before:
            self._tell_device()
        self._schedule()
        self._changed()

    def measure_again(self) -> None:
        """Measure the same settings again: a file that was wrong may be mended by now."""
        self._measured = self._tried = None
        self._schedule()

    @property
    def refusal(self) -> TrainerError | None:
        """The error with which a run of the newest settings would fail, or None."""
        if self._refused is None or self._refused[0] != self.wanted:
            return None
        return self._refused[1]

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
        """Ask again, also for what was missed meanwhile."""
        if not self._rests:
            return
        self._rests = False
        if self.failure:
            # A file that was missing may exist by now.
            self._measured = None
        self._ticking = [
            self._pump.set_interval(DEVICES_EVERY_S, self._look_around),
            self._pump.set_interval(STAGE_EVERY_S, self._look_at_stage),
        ]
        self._look_around()
        self._schedule()

    @property
    def device(self) -> DeviceState | None:
        """The device that the experiment would run on, as it was last seen."""
        return pick_device(self.devices, self.device_wanted)

    @property
    def is_stale(self) -> bool:
        """Whether the shown preview does not belong to the newest settings."""
        return self.wanted is None or self.wanted != self._measured

    @property
    def is_due(self) -> bool:
        """Whether a request is about to be sent."""
        return self._debounce is not None

    @property
    def device_wanted(self) -> str:
        """The device setting: a device, or auto."""
        known = self.wanted or self._measured
        return known.training.device if known is not None else "auto"

    def _schedule(self) -> None:
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        if not self._rests and self.wanted is not None and self.wanted != self._measured:
            self._debounce = self._pump.set_timer(WAIT_S, self._ask)

    def _ask(self) -> None:
        self._debounce = None
        experiment = self.wanted
        if experiment is None or experiment == self._asked:
            return
        self._asked = experiment
        workbench = self._services.workbench

        data = SharedData()

        def done(result: Preview | TrainerError) -> None:
            self._take(experiment, result, data)

        self._services.loader.submit("preview", lambda: workbench.preview(experiment, data), done)
        self._look_at_stage()
        self._changed()

    def _take(
        self, experiment: Experiment, result: Preview | TrainerError, data: SharedData
    ) -> None:
        if not self._pump.is_attached:
            return
        if self._asked == experiment:
            self._asked = None
        if experiment != self.wanted:
            return
        self._measured = experiment
        self._refused = None
        if isinstance(result, TrainerError):
            # An unforeseen one may be the preview's alone.
            if not isinstance(result, Unforeseen):
                self._refused = experiment, result
            self.failure = clean(str(result), 1000, multiline=True)
        else:
            self.failure, self.preview = "", result
        self._try_presets(experiment, data)
        self._found()
        self._changed()

    def _is_tried(self, experiment: Experiment) -> bool:
        """Whether the presets were tried with the data and the model of an experiment."""
        tried = self._tried
        parts = ("dataset", "problem", "model", "loss")
        return tried is not None and all(
            getattr(tried, part) == getattr(experiment, part) for part in parts
        )

    def _try_presets(self, experiment: Experiment, data: SharedData) -> None:
        if self._is_tried(experiment):
            return
        self._tried = experiment
        workbench = self._services.workbench

        def done(result: Misfits | TrainerError) -> None:
            if self._pump.is_attached and self._tried is experiment:
                self.misfits = {} if isinstance(result, TrainerError) else result
                self._found()

        self._services.loader.submit("misfits", lambda: workbench.misfits(experiment, data), done)

    def _look_around(self) -> None:
        """Ask for the devices, and whether the folder of the runs takes a run."""
        workbench = self._services.workbench
        self._services.loader.submit("runs", workbench.why_no_run, self._take_runs_problem)
        self._services.loader.submit("devices", workbench.devices, self._take_devices)

    def _take_runs_problem(self, result: str | TrainerError) -> None:
        problem = str(result)
        if self._pump.is_attached and problem != self.runs_problem:
            self.runs_problem = problem
            self._found()

    def _take_devices(self, result: Sequence[DeviceState] | TrainerError) -> None:
        if not self._pump.is_attached:
            return
        failure = clean(str(result), 300) if isinstance(result, TrainerError) else ""
        devices = self.devices if isinstance(result, TrainerError) else tuple(result)
        if (failure, devices) != (self.device_failure, self.devices):
            self.device_failure, self.devices = failure, devices
            self._tell_device()
            self._changed()

    def _tell_device(self) -> None:
        self._seen(self.device)

    def _look_at_stage(self) -> None:
        stage = clean(self._services.loader.stage, 200)
        if stage != self.stage:
            self.stage = stage
            self._changed()
