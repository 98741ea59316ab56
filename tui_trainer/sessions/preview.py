"""`preview`: the facts about the training that an experiment would start: shapes, sizes, steps.

Layer: sessions. The facts are plain data. torch is imported inside the functions, so call them in a
loader thread.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.group_facts import GroupFacts
from tui_trainer.config.user_code import describe_user_error
from tui_trainer.machine.devices import choose_device
from tui_trainer.runs.limits import horizon
from tui_trainer.sessions.new_run import resolve_runs
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.sessions.split_records import split_of_other
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.training.task import Task

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer of a model; `output_shape` is without the batch."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The facts about the training that an experiment would start."""

    device: str
    layers: tuple[LayerShape, ...]
    input_shape: tuple[int, ...]
    parameters: int
    trained_parameters: int
    """Those that are not frozen."""
    samples: tuple[int, int, int]
    """The sizes of the train, validation and test splits."""
    classes: tuple[str, ...]
    steps_per_epoch: int
    total_steps: int | None
    memory_bytes: int
    notes: tuple[str, ...]
    warning: str = ""
    split: str = ""
    """How the samples are split, in a few words."""
    groups: tuple[GroupFacts, ...] = ()
    """The groups of parameters; none if all are trained alike."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def preview(experiment: Experiment, runs_dir: Path, data: SharedData | None = None) -> Preview:
    """Build the task on the CPU and measure it; nothing is trained, and nothing is written.

    `data` keeps the data that it reads, for other questions about the experiment.

    Raises:
        TrainerError: a run would fail with the same error; `key` names the setting if known.
    """
    import torch

    from tui_trainer.data.base.random import preserved_generators
    from tui_trainer.models.summary import count_parameters, count_trained_parameters
    from tui_trainer.training.parameter_groups import summarize_groups
    from tui_trainer.training.ranks import SingleRank
    from tui_trainer.training.task import build
    from tui_trainer.training.trial import has_own_code, try_step

    try:
        device = choose_device(experiment.training.device)
    except BadInput as error:
        error.key = "training.device"
        raise
    with preserved_generators():
        placed = resolve_runs(experiment, runs_dir)
        other = split_of_other(placed)
        read = (data or SharedData()).load
        task = build(placed, SingleRank(), torch.device("cpu"), record=other, read=read)
        if has_own_code(placed):
            try_step(task)
    batch = experiment.training.batch_size
    layers, unlisted = _layers_of(task)
    parameters = count_parameters(task.model)
    trained = count_trained_parameters(task.model)
    dataset = task.dataset
    return Preview(
        device=device.label,
        layers=layers,
        input_shape=dataset.input_shape,
        parameters=parameters,
        trained_parameters=trained,
        samples=(len(dataset.train), len(dataset.val), len(dataset.test)),
        classes=dataset.classes,
        steps_per_epoch=task.steps_per_epoch,
        total_steps=horizon(experiment, task.steps_per_epoch),
        memory_bytes=_memory_bytes(task, layers, parameters + 3 * trained, batch),
        notes=(*dataset.notes, *unlisted),
        warning=device.warning,
        split=dataset.split_summary,
        groups=summarize_groups(experiment.optimizer, task.model),
    )


def _layers_of(task: Task) -> tuple[tuple[LayerShape, ...], tuple[str, ...]]:
    """Return the layers with their shapes, or a note on why they cannot be listed."""
    from tui_trainer.models.summary import summarize

    if not task.forward.is_called:
        # Only its recipe knows how the model is called.
        return (), ()
    try:
        layers = summarize(task.model, task.dataset.info.all_fields, 2)
    except RuntimeError as error:
        # A model of a plugin may need real numbers, and train all the same.
        if not (text := describe_user_error(error)):
            raise
        return (), (f"the layers cannot be listed without data: {text}",)
    shapes = [
        LayerShape(layer.name, layer.kind, tuple(layer.output_shape), layer.parameters)
        for layer in layers
    ]
    return tuple(shapes), ()


def _memory_bytes(task: Any, layers: tuple[LayerShape, ...], numbers: int, batch: int) -> int:
    """Estimate the bytes of data, kept activations, and `numbers`: weights, and for those that are
    trained a gradient and two moments.
    """
    kept = sum(_size(layer.output_shape) for layer in layers)
    data: int = sum(
        split.nbytes for split in (task.dataset.train, task.dataset.val, task.dataset.test)
    )
    return FLOAT_BYTES * (numbers + 2 * batch * kept) + data


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
