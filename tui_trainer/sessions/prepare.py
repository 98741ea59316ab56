"""Prepares a run: from what the user asked for to a task and a directory, ready for `train`.

Layer: sessions. Called in the trainer thread, where torch may be imported. Whatever can be refused
is refused before a directory is made or touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.config.plugin_loader import plugin_facts
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.machine.devices import DeviceChoice, choose_device, default_threads
from tui_trainer.runs.config_file import flat
from tui_trainer.runs.directory import RunDirectory, check_writable, create_run
from tui_trainer.runs.edits import in_force
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.lookup import find_run
from tui_trainer.runs.plugin_copies import keep_plugins
from tui_trainer.runs.provenance import (
    collect,
    settings_facts,
    write_provenance,
)
from tui_trainer.sessions.split_records import record_split, split_of_other
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
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


def prepare_new(
    experiment: Experiment,
    runs_dir: Path,
    name: str,
    argv: Sequence[str],
    startup: Startup | None = None,
    *,
    now: datetime | None = None,
) -> PreparedRun:
    """Make the directory of a new run and build its task; if that fails, nothing is left of it.

    The directory comes first, so that the start can be watched from elsewhere too.
    """
    startup = startup or Startup()
    check_writable(runs_dir)
    experiment = resolve_runs(experiment, runs_dir)
    other = split_of_other(experiment)
    run = create_run(runs_dir, name or experiment.name, now)
    try:
        startup.claim(run)
        startup.name(run, experiment)
        # Before others are shown the run: killed from here on, it can be resumed.
        settings = experiment.to_dict()
        config = to_yaml(settings).encode()
        write_atomically(run.config, config)
        lock = RunLock.acquire(run.lock)
        startup.claim(run, lock)
        task, device = build_task(experiment, record=other, startup=startup)
        record_split(run, task)
        # Those of the file, which takes long to read.
        record_provenance(run, argv, task, device, settings_facts(flat(settings), config))
    except BaseException:
        startup.undo()
        raise
    from tui_trainer.training.start_point import FromScratch

    return PreparedRun(
        run, lock, experiment, task, FromScratch(), device, warnings_of(device, lock)
    )


def resolve_runs(experiment: Experiment, runs_dir: Path) -> Experiment:
    """Replace names of runs in `training.init_from` and `dataset.split_from` by directories.

    Raises:
        BadInput: one is neither a path nor a run there.
    """
    for key in ("training.init_from", "dataset.split_from"):
        given = experiment.get(key)
        if not given or Path(given).exists():
            continue
        try:
            run = find_run(Path(given).name, runs_dir)
        except BadInput as error:
            raise BadInput(f"{key}: no file {clean(given, 200)}, and {error}") from error
        experiment = with_value(experiment, key, str(run.path))
    return experiment


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
    """Write how the run was made; `settings` are the facts that `settings_facts` returns."""
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
