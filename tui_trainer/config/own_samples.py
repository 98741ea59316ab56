"""`Data`: the return value of a dataset function of a plugin.

Layer: config, without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from tui_trainer.config.problem_specs import ProblemName


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The return value of a dataset function.

    A sample is a pair (input, target) of tensors, arrays or numbers, or a dict of them, in which
    `target` is what is predicted. A target is an int, the class, for classification, a float for
    regression, and an int for each token or pixel for the problems that predict each of them.
    """

    train: Any
    """A sequence with `__len__` and `__getitem__`, and optionally `path(index)` for messages; a
    sequence of items, such as files, which `read` makes samples of; an iterable, which needs
    `samples_per_epoch` unless it has a length, and `val` and `test` that are sequences; or columns,
    all samples in memory: a dict of arrays, or a torch `TensorDataset`.
    """
    val: Any = None
    test: Any = None
    """Without `val` and `test`, `train` is split by dataset.split_seed and the fractions."""
    read: Callable[[Any], Any] | None = None
    """Makes the sample of an item when it is needed: `lambda file: image(file)`. It returns an
    array, or a dict of them by name."""
    target: Callable[[Any], Any] | None = None
    """Returns the target of an item: a number, an array, the name of its class, or a list of its
    labels. Names become `classes`, in order, if there are none."""
    group: Callable[[Any], Any] | None = None
    """Names the group of an item; the items of a group are in one split together."""
    problem: ProblemName = "auto"
    """`auto`: classification if there are classes, and otherwise by the first target."""
    classes: Sequence[str] = ()
    collate: Callable[[list[Any]], Any] | None = None
    """Makes a batch of a list of samples, which may then be anything; returns a pair or a dict of
    tensors with the samples in dimension 0. Without it, samples are padded and stacked."""
    padding: Mapping[str, float] = field(default_factory=dict)
    """What a padded field is filled with, where that is not 0: `{"words": 1}`."""
    vocabulary: int = 0
    """For tokens: the size of the vocabulary; all tokens are smaller."""
    input_shape: tuple[int, ...] = ()
    """The largest input shape, if the first sample does not have it."""
    samples_per_epoch: int = 0
    """How many samples of an iterable make an epoch; 0 means its length."""
    version: str = ""
    """A text to change when the data changes, so that a resume can report it."""
    task: InitVar[str] = ""

    def __post_init__(self, task: str) -> None:
        if task:
            raise TypeError(f"Data has no argument task any more; write problem={task!r}")
