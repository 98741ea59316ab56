"""`PreparedRun`: a run that is locked and ready to train, and the making of its task.

Layer: sessions. Used in the trainer thread, where torch may be imported. `new_run`, `resume` and
`fork` are the ways to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import plugin_facts
from tui_trainer.machine.devices import DeviceChoice, choose_device, default_threads
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import in_force
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.plugin_copies import keep_plugins
from tui_trainer.runs.provenance import collect, write_provenance
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.clean import clean
from tui_trainer.text.format import parameters_text

if TYPE_CHECKING:
    from tui_trainer.data.splits.record import SplitRecord
    from tui_trainer.training.start_point import StartPoint
    from tui_trainer.training.task import ReadData, Task


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is locked and ready; its holder must release the lock."""

    run: RunDirectory
    lock: RunLock
    asked: Experiment
    """The configuration that was asked for; the task's also says how many threads to use."""
    task: Task
    start: StartPoint
    device: DeviceChoice
    warnings: tuple[str, ...] = ()
    nothing_to_do: str = ""
    step: int = 0
    epoch: int = 0

    @property
    def generation(self) -> int:
        return self.start.generation

    @property
    def in_force(self) -> Experiment:
        """The configuration at the first step, with the edits up to it applied."""
        edits = [edit for edit in self.start.edits if edit.apply_at_step <= self.step]
        return in_force(self.asked, edits)


def build_task(
    experiment: Experiment,
    fitted: dict[str, Any] | None = None,
    record: SplitRecord | None = None,
    *,
    startup: Startup,
    read: ReadData | None = None,
) -> tuple[Task, DeviceChoice]:
    """Build the task of an experiment on the device it asks for; `read` reads the data."""
    startup.use_torch()
    import torch

    from tui_trainer.data.load import load
    from tui_trainer.models.summary import count_parameters, count_trained_parameters
    from tui_trainer.training.ranks import SingleRank
    from tui_trainer.training.task import build
    from tui_trainer.training.trial import has_own_code, try_step

    device = choose_device(experiment.training.device)
    startup.tell("device", device.label)
    threads = experiment.training.threads or default_threads()
    training = experiment.training.model_copy(update={"threads": threads})
    placed = replace(experiment, training=training)
    where = torch.device(device.torch_name)
    reading = read or load
    task = build(placed, SingleRank(), where, fitted, startup, record=record, read=reading)
    if has_own_code(experiment):
        startup.enter("try a step")
        try_step(task)
    size = parameters_text(count_parameters(task.model), count_trained_parameters(task.model))
    startup.tell("model", f"{experiment.model.type}, {size}")
    for name, layer in task.model.named_children():
        if count := count_parameters(layer):
            kind = clean(type(layer).__name__)
            startup.tell("layers", f"{clean(name)}: {kind}, {parameters_text(count)}")
    startup.leave()
    return task, device


def warnings_of(device: DeviceChoice, lock: RunLock) -> tuple[str, ...]:
    return tuple(text for text in (device.warning, lock.note) if text)


def record_provenance(
    run: RunDirectory,
    argv: Sequence[str],
    task: Task,
    device: DeviceChoice,
    settings: Mapping[str, Any],
) -> None:
    """Write how the run was made; `settings` are those in its config.yaml, as facts."""
    facts = collect(
        argv,
        device=device.label,
        threads=task.experiment.training.threads or 0,
        extra={
            "data_fingerprint": task.dataset.fingerprint.value,
            "plugins": plugin_facts(),
            **settings,
        },
    )
    write_provenance(run.provenance, facts)
    keep_plugins(run)
