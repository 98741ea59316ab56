"""`with_problem`: the description of some data for the problem of a plugin, with its settings.

Layer: problems.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.problems import PROBLEM_TYPES, ProblemSection
from tui_trainer.config.sections.section import values_of
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, Problem


def with_problem(
    info: DatasetInfo, problem: str, section: ProblemSection, target: Tensor | None
) -> DatasetInfo:
    """Return the description of some data with a problem, and the head that a model needs for it.

    Args:
        section: the settings of that problem, or of `auto`.
        target: that of the first sample; None if there is none of its own, as in a text.

    Raises:
        ConfigError: the problem is of a plugin and has a setting without a default.
        BadInput: its code fails.
    """
    info = replace(info, problem=problem, settings=_settings_of(problem, section))
    if target is None:
        return info
    head = kind_of(info).head(target, info)
    return replace(info, signature=replace(info.signature, outputs=head))


def _settings_of(problem: str, section: ProblemSection) -> tuple[tuple[str, Any], ...]:
    """Return the settings that the class of a problem has; none if that is built in."""
    if not PROBLEMS[problem].like:
        return ()
    spec, base = PROBLEM_TYPES.find(problem), PROBLEM_TYPES.find(PROBLEMS[problem].base)
    assert spec is not None, "every problem has a section"
    assert base is not None, "every problem has a section"
    if section.type != problem:
        try:
            section = spec.params.model_validate({"type": problem})  # type: ignore[assignment]
        except ValidationError as error:
            missing = ", ".join(str(one["loc"][0]) for one in error.errors())
            message = f"{problem} needs {clean(missing, 200)}; name it: problem={problem}"
            raise ConfigError([Problem(message, "problem.type")]) from error
    own = values_of(section)
    return tuple(
        (name, value) for name, value in own.items() if name not in base.params.model_fields
    )
