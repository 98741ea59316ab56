"""`KINDS`: the problems by name.

Layer: problems.
"""

from __future__ import annotations

from tui_trainer.problems.classification import Classification
from tui_trainer.problems.language_modelling import LanguageModelling
from tui_trainer.problems.multilabel import Multilabel
from tui_trainer.problems.no_problem import NoProblem
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
"""The problems by name; as many as config/problems.py has specs."""
