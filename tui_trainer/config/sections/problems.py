"""Sections and specs of the problems: what is predicted, where the data leave it open.

Layer: config. `auto` infers the problem from the data, and the first lines of a run say which one
and why. `config.problem_specs` has what each problem is trained and measured with.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.section import Items, Registry, Spec, TypedSection, setting

PROBLEM_TYPES = Registry("problem")


def _as_text(value: Any) -> Any:
    # A class may be called 1, which YAML reads as a number.
    return str(value) if type(value) in (int, float) else value


ClassText = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
"""The name of a class as it stands in the data."""


class ProblemSection(TypedSection):
    """Settings of every problem: none."""


class _ThresholdSection(ProblemSection):
    threshold: float = setting(
        0.5, "probability above which a label, or the positive class, is predicted", gt=0, lt=1
    )


class _TwoClassesSection(_ThresholdSection):
    positive: ClassText | None = setting(
        None, "the one of two classes that precision, recall and f1 describe; empty: their mean"
    )


class AutoProblemSection(_TwoClassesSection):
    """The problem that fits the target: texts are classes, and numbers are predicted as numbers."""

    type: Literal["auto"]


class ClassificationSection(_TwoClassesSection):
    """One class for each sample."""

    type: Literal["classification"]


class MultilabelSection(_ThresholdSection):
    """Any number of labels for each sample."""

    type: Literal["multilabel"]


class RegressionSection(ProblemSection):
    """A number, or several, for each sample."""

    type: Literal["regression"]
    outputs: Items[Annotated[str, Field(min_length=1)]] = setting(
        (), "names of the numbers, for a data set of a plugin; a table has those of its columns"
    )


class _PlacesSection(ProblemSection):
    ignore: int | None = setting(
        None,
        "a number in the targets to leave out, as often 255 in masks; -100 always is",
    )


class TokenClassificationSection(_PlacesSection):
    """A class for each step of a sequence or token of a text."""

    type: Literal["token_classification"]


class SegmentationSection(_PlacesSection):
    """A class for each pixel of an image."""

    type: Literal["segmentation"]


class LanguageModellingSection(ProblemSection):
    """The next token at each position of a text."""

    type: Literal["language_modelling"]


class NoProblemSection(ProblemSection):
    """Nothing is predicted: a recipe learns from the data without a target."""

    type: Literal["none"]
    size: int = setting(1, "numbers that a built-in model gives for a sample", ge=1, le=2**24)


PROBLEM_TYPES.add(Spec("auto", "inferred from the data", AutoProblemSection))
for _name, _section in (
    ("classification", ClassificationSection),
    ("multilabel", MultilabelSection),
    ("regression", RegressionSection),
    ("token_classification", TokenClassificationSection),
    ("segmentation", SegmentationSection),
    ("language_modelling", LanguageModellingSection),
    ("none", NoProblemSection),
):
    PROBLEM_TYPES.add(Spec(_name, PROBLEMS[_name].description, _section))

AUTO = AutoProblemSection(type="auto")
"""The section of an experiment that does not name a problem."""
