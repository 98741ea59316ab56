"""`kind_of`: the problem of some data; `KINDS`: the built-in ones by name.

Layer: problems.
"""

from __future__ import annotations

from typing import Any

from tui_trainer.config.plugin_loader import PROBLEM_CLASSES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.problems.classification import Classification
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.language_model import LanguageModelling
from tui_trainer.problems.multilabel import Multilabel
from tui_trainer.problems.no_problem import NoProblem
from tui_trainer.problems.own_problem import OwnKind
from tui_trainer.problems.problem import ProblemKind
from tui_trainer.problems.regression import Regression
from tui_trainer.problems.segmentation import Segmentation
from tui_trainer.problems.token_classification import TokenClassification

KINDS: dict[str, ProblemKind] = {
    kind.name: kind
    for kind in (
        Classification(),
        Multilabel(),
        Regression(),
        TokenClassification(),
        Segmentation(),
        LanguageModelling(),
        NoProblem(),
    )
}
"""The built-in problems by name; as many as config/problem_specs.py has specs."""

_OWN: dict[tuple[type, Any], OwnKind] = {}
"""Those of plugins, by their class and settings: a kind is asked for with every sample."""


def kind_of(info: DatasetInfo) -> ProblemKind:
    """Return the problem of some data.

    Raises:
        BadInput: it is of a plugin, whose code fails.
    """
    kind = KINDS.get(info.problem)
    if kind is not None:
        return kind
    key = (PROBLEM_CLASSES[info.problem], info.settings)
    if key not in _OWN:
        base = _class_of(PROBLEMS[info.problem].like)
        _OWN[key] = OwnKind(info.problem, base, dict(info.settings))
    return _OWN[key]


def _class_of(name: str) -> type:
    """Return the class of a problem, that of a plugin with what it is like behind it."""
    if name in KINDS:
        return type(KINDS[name])
    own = PROBLEM_CLASSES[name]
    return type(own.__name__, (own, _class_of(PROBLEMS[name].like)), {})
