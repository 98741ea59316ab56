"""Specs of the problems: what can be predicted, with which losses, and measured by which metrics.

Layer: config, without torch. The objects that do the work are in `problems`; a test keeps the two
sets of names equal. Plugins add problems that are like another one but for some methods.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from tui_trainer.text.clean import suggest

ProblemName = str
"""A name in `PROBLEMS`."""
Places = Literal["one", "step", "pixel"]
"""The places of a sample that get a prediction: the whole of it, each step, or each pixel."""


@dataclass(frozen=True, slots=True)
class ProblemSpec:
    """A kind of prediction."""

    name: ProblemName
    description: str
    losses: tuple[str, ...]
    """The losses that it can be trained with; the first one is what `loss=auto` means."""
    metrics: tuple[str, ...]
    """The metrics that are always computed, in the order in which they are shown."""
    more_metrics: tuple[str, ...] = ()
    """Metrics that are computed on request, by `training.metrics` or `checkpoint.monitor`."""
    places: Places = "one"
    least_classes: int = 0
    """The fewest classes that `Data(classes=...)` names for it; 0 if it has none."""
    like: ProblemName = ""
    """For one of a plugin: the problem that it has the rest from."""
    base: ProblemName = ""
    """For one of a plugin: the built-in problem at the end of these."""
    own_methods: frozenset[str] = frozenset()
    """The methods of `problems.problem.ProblemKind` that are a plugin's."""

    @property
    def stores_targets(self) -> bool:
        """Whether a plugin says how targets are stored, or for which outputs."""
        return bool(self.own_methods & {"check", "head"})

    @property
    def is_measured_as_its_base(self) -> bool:
        """Whether metrics of other predictions, as those of baselines, compare with its own."""
        return not self.stores_targets and "totals" not in self.own_methods


def base_of(problem: str) -> str:
    """Return the built-in problem whose rules hold for a problem, which is mostly itself."""
    spec = PROBLEMS.get(problem)
    return spec.base if spec is not None and spec.base else problem


def add_loss(name: str, problems: Iterable[str]) -> None:
    """Let some problems be trained with one more loss; none stands for all of them."""
    for problem in _named(problems):
        spec = PROBLEMS[problem]
        if name not in spec.losses:
            PROBLEMS[problem] = replace(spec, losses=(*spec.losses, name))


def add_metric(name: str, problems: Iterable[str]) -> None:
    """Let some problems compute one more metric on request; none stands for all of them."""
    for problem in _named(problems):
        spec = PROBLEMS[problem]
        if name not in (*spec.metrics, *spec.more_metrics):
            PROBLEMS[problem] = replace(spec, more_metrics=(*spec.more_metrics, name))


def _named(problems: Iterable[str]) -> tuple[str, ...]:
    """Return the names of problems and of those like them, all if there are none.

    Raises:
        ValueError: there is none of a name.
    """
    names = list(problems) or list(PROBLEMS)
    for name in names:
        check_problem(name)
    # Those like another one stand behind it.
    for name, spec in PROBLEMS.items():
        if spec.like in names and name not in names:
            names.append(name)
    return tuple(names)


def check_problem(name: str) -> None:
    """Raise ValueError unless there is a problem of this name."""
    if name not in PROBLEMS:
        hint = suggest(name, PROBLEMS)
        raise ValueError(f"no problem {name!r}{hint}; available: {', '.join(PROBLEMS)}")


PROBLEMS: dict[str, ProblemSpec] = {
    spec.name: spec
    for spec in (
        ProblemSpec(
            "classification",
            "one class for each sample",
            losses=("cross_entropy", "focal", "binary_cross_entropy"),
            metrics=("loss", "accuracy"),
            more_metrics=(
                *("top3_accuracy", "top5_accuracy", "balanced_accuracy"),
                *("f1", "precision", "recall", "auroc"),
            ),
            least_classes=2,
        ),
        ProblemSpec(
            "multilabel",
            "any number of labels for each sample",
            losses=("binary_cross_entropy", "focal"),
            metrics=("loss", "f1", "exact_match"),
            more_metrics=("macro_f1", "precision", "recall", "auroc", "average_precision"),
            least_classes=1,
        ),
        ProblemSpec(
            "regression",
            "a number, or several, for each sample",
            losses=("mse", "l1", "huber"),
            metrics=("loss", "mae", "rmse", "r2"),
        ),
        ProblemSpec(
            "token_classification",
            "a class for each step of a sequence, or for each token of a text",
            losses=("cross_entropy", "focal"),
            metrics=("loss", "accuracy"),
            more_metrics=("f1", "precision", "recall"),
            places="step",
            least_classes=2,
        ),
        ProblemSpec(
            "segmentation",
            "a class for each pixel of an image",
            losses=("cross_entropy", "focal", "dice"),
            metrics=("loss", "accuracy", "mean_iou"),
            more_metrics=("dice",),
            places="pixel",
            least_classes=2,
        ),
        ProblemSpec(
            "language_modelling",
            "the next token at each position of a text",
            losses=("cross_entropy", "focal"),
            metrics=("loss", "accuracy", "perplexity", "bits_per_byte"),
            places="step",
        ),
        ProblemSpec(
            "none",
            "nothing: a recipe learns from the data without a target",
            losses=(),
            metrics=("loss",),
        ),
    )
}
