"""`register_problem`: adds a problem of a plugin, which is like another one but for some methods.

Layer: config, without torch. `problems.own_problem` makes the object that does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import create_model

from tui_trainer.config.plugin_loader import PROBLEM_CLASSES
from tui_trainer.config.problem_specs import PROBLEMS, base_of, check_problem
from tui_trainer.config.sections.metrics import METRICS, Direction, MetricSpec
from tui_trainer.config.sections.problems import PROBLEM_TYPES
from tui_trainer.config.sections.section import Spec
from tui_trainer.config.signature_settings import settings_of_class
from tui_trainer.config.user_calls import check_call, check_not_live
from tui_trainer.config.user_code import place_of

METHODS: dict[str, tuple[str, ...]] = {
    "check": ("self", "targets", "inputs", "info"),
    "head": ("self", "target", "info"),
    "totals": ("self", "info", "device", "extras"),
    "decode": ("self", "outputs", "info"),
    "combine": ("self", "outputs"),
}
"""The methods that a problem may have of its own, and what they are called with."""


def register_problem(
    name: str,
    made: type,
    *,
    like: str,
    description: str,
    losses: Sequence[str],
    better: Mapping[str, Direction],
) -> None:
    """Add a problem to those that an experiment can name.

    Raises:
        TypeError, ValueError: the class cannot be used, or a name is taken or unknown.
    """
    check_problem(like)
    if like == "none":
        raise ValueError(
            f"the problem {name!r} has like='none', which predicts nothing; write a recipe instead"
        )
    own = _methods_of(name, made)
    if better and "totals" not in own:
        raise ValueError(
            f"better= of the problem {name!r} is for metrics that its own totals computes; add "
            "that method, or leave out better="
        )
    spec = PROBLEMS[like]
    place = place_of(made)
    section = _section(name, made, like)
    for metric, direction in better.items():
        _check_direction(name, metric, direction)
    PROBLEM_TYPES.add(Spec(name, description, section, origin=place))
    for metric, direction in better.items():
        text = f"of the problem {name}"
        METRICS.setdefault(metric, MetricSpec(metric, text, direction == "higher", origin=place))
    own_metrics = ("loss", *(metric for metric in better if metric != "loss"))
    metrics = own_metrics if better else spec.metrics
    PROBLEMS[name] = replace(
        spec,
        name=name,
        description=description or spec.description,
        losses=tuple(losses) or spec.losses,
        metrics=metrics,
        more_metrics=tuple(metric for metric in spec.more_metrics if metric not in metrics),
        like=like,
        base=base_of(like),
        own_methods=own | spec.own_methods,
    )
    PROBLEM_CLASSES[name] = made


def _methods_of(name: str, made: type) -> frozenset[str]:
    """Return the names of the methods that a class has, which can be called as they will be."""
    if not isinstance(made, type):
        raise TypeError(
            f"the problem {name!r} is not a class; its methods are {', '.join(METHODS)}"
        )
    check_call(f"the problem {name!r}", made, (), "; settings are attributes: levels: int = 5")
    own = frozenset(method for method in METHODS if hasattr(made, method))
    if not own:
        raise ValueError(
            f"the problem {name!r} has none of the methods {', '.join(METHODS)}; write one"
        )
    for method in own:
        named = ("with_result",) if method == "totals" else ()
        subject = f"{method} of the problem {name!r}"
        check_call(subject, getattr(made, method), METHODS[method], named=named)
    return own


def _section(name: str, made: type, like: str) -> Any:
    """Return the section of a problem: the settings of the one it is like, and its attributes."""
    parent = PROBLEM_TYPES.find(like)
    assert parent is not None, "every problem has a section"
    own = settings_of_class(made).model_fields.keys() - {"type"}
    if taken := own & parent.params.model_fields.keys():
        raise ValueError(
            f"the setting {min(taken)!r} of the problem {name!r} is also one of {like}; give it "
            "another name"
        )
    section = settings_of_class(made, parent.params)
    check_not_live(f"the problem {name!r}", section)
    fields: dict[str, Any] = {"type": (Literal[name], ...)}
    return create_model("Settings", __base__=section, __doc__=section.__doc__, **fields)


def _check_direction(problem: str, metric: str, direction: Direction) -> None:
    if direction not in ("higher", "lower"):
        raise ValueError(f"better={direction!r} of {metric!r}: use 'higher' or 'lower'")
    known = METRICS.get(metric)
    if known is not None and known.higher_is_better != (direction == "higher"):
        where = known.origin or "built in"
        raise ValueError(
            f"the metric {metric!r} of the problem {problem!r} is {where}, where "
            f"{'higher' if known.higher_is_better else 'lower'} is better; give it another name"
        )
