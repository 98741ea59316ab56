"""`with_settings`: the settings of a problem, checked against the data they are for.

Layer: problems.
"""

from __future__ import annotations

from dataclasses import replace

from tui_trainer.config.sections.problems import NoProblemSection, ProblemSection
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import ConfigError, Problem


def with_settings(info: DatasetInfo, section: ProblemSection) -> DatasetInfo:
    """Return the description of some data with the settings of their problem.

    Raises:
        ConfigError: a setting does not fit the data; names it.
    """
    if isinstance(section, NoProblemSection):
        signature = replace(info.signature, outputs=section.size, places="one", causal=False)
        return replace(info, problem="none", signature=signature)
    if section.type not in ("auto", info.problem):
        message = f"is {section.type}, and these data are for {info.problem}; leave it out"
        raise ConfigError([Problem(message, "problem.type")])
    if names := getattr(section, "outputs", ()):
        info = _with_names(info, names)
    if (ignored := getattr(section, "ignore", None)) is not None:
        info = replace(info, ignore=ignored)
    positive, threshold = getattr(section, "positive", None), getattr(section, "threshold", 0.5)
    has_two = info.base == "classification" and len(info.classes) == 2
    if positive is not None:
        _require(has_two, info, "problem.positive", "two classes")
        info = replace(info, positive=_place_of(positive, info.classes))
    if threshold != 0.5:
        is_used = has_two or info.base == "multilabel"
        _require(is_used, info, "problem.threshold", "labels or two classes")
        if has_two and info.positive is None:
            # Of the second class, as `pos_weight` of binary_cross_entropy.
            info = replace(info, positive=1)
        info = replace(info, threshold=threshold)
    return info


def _require(fits: bool, info: DatasetInfo, key: str, what: str) -> None:
    if not fits:
        count = f" of {len(info.classes):,} classes" if info.classes else ""
        message = f"is for {what}, and these data are a {info.problem}{count}"
        raise ConfigError([Problem(message, key)])


def _place_of(name: str, classes: tuple[str, ...]) -> int:
    if name in classes:
        return classes.index(name)
    shown = ", ".join(clean(repr(text), 80) for text in classes)
    message = f"no class {clean(repr(name), 80)}{suggest(name, classes)}; available: {shown}"
    raise ConfigError([Problem(message, "problem.positive")])


def _with_names(info: DatasetInfo, names: tuple[str, ...]) -> DatasetInfo:
    if info.target_names:
        message = "these data have names of their own: " + clean(", ".join(info.target_names), 200)
        raise ConfigError([Problem(message, "problem.outputs")])
    if len(names) != info.signature.outputs or len({*names}) != len(names):
        message = f"{len(names)} names for {info.signature.outputs} numbers; each needs its own"
        raise ConfigError([Problem(message, "problem.outputs")])
    return replace(info, target_names=names)
