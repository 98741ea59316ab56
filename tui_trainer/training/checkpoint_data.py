"""`CheckpointData`: the content of a checkpoint, checked before it is used.

Layer: training. The file holds one mapping of tensors and plain data. Parts that were added to the
format later are optional; their defaults say what an older checkpoint means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tui_trainer.data.base.random import GeneratorStates
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.runs.bounds import is_count, is_text
from tui_trainer.runs.manifests import FORMAT
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable
from tui_trainer.training.progress import Progress

Weights = dict[str, Tensor]
"""Parameters and buffers by name, on the host."""


def nothing_to_await() -> None:
    """Return at once: the copies of a snapshot are there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Host copies of all tensors of a training; they share no memory with it."""

    await_copies: Callable[[], None] = nothing_to_await
    """Waits until the tensors have their values; call it before they are read, in any thread."""
    model: Weights
    ema: Weights | None = None
    """The running mean of the weights, if the training keeps one."""
    scaler: dict[str, Any] | None = None
    """The state of the loss scaler, with fp16."""
    optimizer: dict[str, Any]
    """Like torch's state_dict, with the names of the parameters instead of their numbers."""
    rng: GeneratorStates | dict[str, Any]
    """The states of the generators; in a checkpoint that was read, as `to_dict` gives them."""

    @property
    def measured(self) -> Weights:
        """The weights that are validated and tested: the running mean if there is one."""
        return self.ema or self.model


@dataclass(frozen=True, slots=True)
class Origin:
    """The machine and data that a checkpoint was made with.

    If they have not changed, a resume can be bit for bit the same as an uninterrupted run.
    """

    device: str
    """The type of device: cpu or cuda."""
    torch: str
    threads: int
    world: int
    """The number of processes that train together."""
    fingerprint: str
    """The fingerprint of the data; `Fingerprint.is_same` compares it."""
    broken: bool = False
    """Whether the next step failed after it may have drawn random numbers."""
    plugins: dict[str, list[int]] | None = None
    """A checksum of each line of the plugins; None in older checkpoints."""
    samples: list[int] | None = None
    """The sizes of the training, validation and test splits; None in older checkpoints."""
    helpers: str = ""
    """The sum of what a recipe made for itself in its setup, as a teacher."""
    arithmetic: str = "fused"
    """`training.arithmetic`."""
    moves: int = 1
    """`version_of_moves` of the data; 1 in older checkpoints."""
    cuda_graphs: bool = False
    """`training.cuda_graphs`."""

    def differences(self, now: Origin) -> list[str]:
        """Describe each difference of the machine and the process; the data is not compared."""
        differing = [
            f"{name} was {getattr(self, name)}, is {getattr(now, name)}"
            for name in ("device", "torch", "threads", "world", "arithmetic", "cuda_graphs")
            if getattr(self, name) != getattr(now, name)
        ]
        if self.helpers != now.helpers:
            differing.append("what the recipe makes in setup, such as a teacher, has changed")
        if self.moves != now.moves:
            differing.append(
                "this version of tui-trainer rounds shifts and turns of images in another way"
            )
        return differing

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @staticmethod
    def from_dict(saved: Mapping[str, Any]) -> Origin:
        """Read what `to_dict` returned, and ignore fields that a later version added."""
        known = Origin.__dataclass_fields__
        return Origin(**{name: value for name, value in saved.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckpointData:
    """The content of a checkpoint; it shares no memory with the training that made it."""

    state: Snapshot
    carry: tuple[Tensor, ...] | None = None
    """The recurrent state in the middle of an epoch."""
    stream: dict[str, Any] | None = None
    """The position of an iterable dataset."""
    progress: Progress
    best: Weights | None = None
    """The weights of the best validation, unless they are those of `state`."""
    preprocessing: dict[str, Any]
    """The preprocessing fitted to the training split, to be passed to `load` again."""
    dataset: dict[str, Any] | None = None
    """`DatasetInfo.to_dict`; None in older checkpoints, which do not describe their data."""
    left_out: list[list[Any]] | None = None
    """`LeftOut.to_list`, of data that are read while training."""
    origin: Origin
    format: int = FORMAT
    """The format of the file that this was read from."""

    @property
    def best_step(self) -> int | None:
        """The step of the best validation so far."""
        return None if self.progress.best is None else self.progress.best.step

    @property
    def best_weights(self) -> Weights | None:
        """The weights of the best validation so far; None before the first one."""
        if self.best_step is None:
            return None
        return self.state.measured if self.best_step == self.progress.step else self.best

    def outline(self) -> DatasetInfo | None:
        """Return the description of the dataset, or None if the checkpoint has none.

        Raises:
            CheckpointUnusable: the entry is not such a description.
        """
        if self.dataset is None:
            return None
        try:
            return DatasetInfo.from_dict(self.dataset)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointUnusable(f"cannot read how it describes its data: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file: tensors and plain data."""
        state = self.state
        return {
            "format": FORMAT,
            "model": state.model,
            "ema": state.ema,
            "scaler": state.scaler,
            "optimizer": state.optimizer,
            # Here and not in the trainer thread: it takes as long as a step of a small model.
            "rng": state.rng if isinstance(state.rng, dict) else state.rng.to_dict(),
            "carry": None if self.carry is None else list(self.carry),
            "stream": self.stream,
            "progress": self.progress.to_dict(),
            "best": self.best,
            "preprocessing": self.preprocessing,
            "data": self.dataset,
            "left_out": self.left_out,
            "origin": self.origin.to_dict(),
        }

    @staticmethod
    def from_dict(content: object) -> CheckpointData:
        """Read what `to_dict` returned, in this format or an older one.

        Raises:
            CheckpointUnusable: the format is newer, a part is missing, or a part has a form that
                no run saves.
        """
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise CheckpointUnusable("not a checkpoint of tui-trainer")
        if content["format"] > FORMAT:
            raise newer_format(content["format"])
        if missing := [name for name in REQUIRED if name not in content]:
            raise CheckpointUnusable(f"incomplete: {', '.join(missing)} missing")
        if odd := [name for name, fits in _PARTS.items() if not fits(content, content.get(name))]:
            raise CheckpointUnusable(f"not saved by a run: its {', '.join(odd)} cannot be used")
        carry = content.get("carry")
        data = CheckpointData(
            state=Snapshot(
                model=content["model"],
                ema=content.get("ema"),
                scaler=content.get("scaler"),
                optimizer=content["optimizer"],
                rng=content["rng"],
            ),
            carry=None if carry is None else tuple(carry),
            stream=content.get("stream"),
            progress=Progress.from_dict(content["progress"]),
            best=content["best"],
            preprocessing=content["preprocessing"],
            dataset=content.get("data"),
            left_out=content.get("left_out"),
            origin=Origin.from_dict(content["origin"]),
            format=content["format"],
        )
        if data.best_step is not None and data.best_weights is None:
            raise CheckpointUnusable("incomplete: the weights of the best validation are missing")
        return data


def newer_format(number: int) -> CheckpointUnusable:
    """Return the error for a checkpoint that a later version wrote."""
    return CheckpointUnusable(
        f"format {number} is newer than this program reads ({FORMAT}); update tui-trainer"
    )


REQUIRED = ("model", "optimizer", "rng", "progress", "best", "preprocessing", "origin")


def check_fits(model: nn.Module, weights: dict[str, Tensor], most: int = 5) -> None:
    """Check that the names and shapes of saved weights are those of the model.

    Raises:
        CheckpointUnusable: some differ; the message lists the first `most` of them.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    saved = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differences = [
        f"{clean(name, 80)}: {saved.get(name, 'missing')} in the checkpoint, "
        f"{own.get(name, 'missing')} in the model"
        for name in dict.fromkeys([*own, *saved])
        if own.get(name) != saved.get(name)
    ]
    if differences:
        more = f" (and {len(differences) - most} more)" if len(differences) > most else ""
        raise CheckpointUnusable(
            "the checkpoint belongs to another model: " + "; ".join(differences[:most]) + more
        )


def _is_mapping_of(value: object, kind: type) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(item, kind) for name, item in value.items()
    )


def _are_weights(content: Mapping[str, Any], value: object) -> bool:
    """Whether these are weights by name, with the names and shapes of the model's weights."""
    model = content["model"]
    if not _is_mapping_of(value, Tensor) or not _is_mapping_of(model, Tensor):
        return False
    assert isinstance(value, dict)
    return {name: tensor.shape for name, tensor in value.items()} == {
        name: tensor.shape for name, tensor in model.items()
    }


def _is_optimizer(_: Mapping[str, Any], value: object) -> bool:
    return isinstance(value, dict) and _is_mapping_of(value.get("state"), dict)


def _is_origin(_: Mapping[str, Any], value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(is_text(value.get(name)) for name in ("device", "torch", "fingerprint"))
        and all(is_count(value.get(name)) for name in ("threads", "world"))
        and is_count(value.get("moves", 1))
        and all(isinstance(value.get(name, False), bool) for name in ("broken", "cuda_graphs"))
        and is_text(value.get("arithmetic", ""))
        and (value.get("plugins") is None or _is_mapping_of(value["plugins"], list))
        and all(_are_counts(lines) for lines in (value.get("plugins") or {}).values())
        and (value.get("samples") is None or _are_counts(value["samples"], 3))
    )


def _are_counts(value: object, length: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and all(map(is_count, value))
        and (length is None or len(value) == length)
    )


def _are_facts(_: Mapping[str, Any], value: object) -> bool:
    """Whether this is a mapping that holds only plain data."""
    return isinstance(value, dict) and _is_plain(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _is_named(_: Mapping[str, Any], value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _are_left_out(_: Mapping[str, Any], value: object) -> bool:
    """Whether these are rows with the name of the file of each."""
    return isinstance(value, list) and all(
        isinstance(item, list | tuple)
        and len(item) == 2
        and is_count(item[0])
        and isinstance(item[1], str)
        for item in value
    )


def _or_none(fits: Callable[[Mapping[str, Any], object], bool]) -> Any:
    return lambda content, value: value is None or fits(content, value)


def _are_tensors(_: Mapping[str, Any], value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Tensor) for item in value)


_PARTS: dict[str, Callable[[Mapping[str, Any], object], bool]] = {
    "model": _are_weights,
    "ema": _or_none(_are_weights),
    "best": _or_none(_are_weights),
    "optimizer": _is_optimizer,
    "scaler": _or_none(_is_named),
    "rng": _is_named,
    "progress": _are_facts,
    "preprocessing": _are_facts,
    "origin": _is_origin,
    "carry": _or_none(_are_tensors),
    # A user's own dataset may put anything that torch can save into its state.
    "stream": _or_none(_is_named),
    "data": _or_none(_are_facts),
    "left_out": _or_none(_are_left_out),
}
"""A check of each part: a correct checksum does not mean that the file was written by a run."""
