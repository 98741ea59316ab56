"""`Obstacle`: why the start of a draft cannot work, and the field to change.

Layer: ui. Pure functions. A draft that is not measured yet has no obstacle: starting it checks
everything again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui_trainer.config.drafts.composition import field_key, item_name
from tui_trainer.config.drafts.draft import Draft
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, TrainerError

_KEY = re.compile(r"[a-z_]+\.[a-z_0-9]+")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The reason, and the key of the field to change or an empty string."""

    text: str
    key: str = ""


def obstacle_of(draft: Draft, refusal: TrainerError | None, runs_problem: str) -> Obstacle | None:
    """Return the first reason why a start cannot work, or None.

    Args:
        draft: what would be started.
        refusal: the error of a preview of this very draft.
        runs_problem: why there can be no run in the folder of the runs, or an empty string.
    """
    if draft.problems or draft.experiment is None:
        return _of_settings(draft)
    if refusal is not None:
        return _of_refusal(refusal, draft)
    return Obstacle(clean(runs_problem, 1000)) if runs_problem else None


def _of_settings(draft: Draft) -> Obstacle:
    problems = draft.problems
    fields = [field.key for group in draft.groups() for field in group.fields]
    key = next((key for key in fields if key in problems), "")
    blamed, text = key, problems.get(key, "")
    if not key:
        blamed, text = next(
            iter(problems.items()), ("experiment", "the settings do not make an experiment")
        )
        key = next((field for field in fields if field.startswith(f"{blamed}.")), "")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Obstacle(f"{clean(blamed, 80)}: {clean(text, 1000)}{more}", key)


def _of_refusal(refusal: TrainerError, draft: Draft) -> Obstacle:
    problems = problems_of(refusal, draft)
    text = clean(str(refusal).splitlines()[0] if str(refusal) else "", 1000)
    return Obstacle(text, next(iter(problems), ""))


def problems_of(refusal: TrainerError, draft: Draft) -> dict[str, str]:
    """Return the messages of an error by the field that each is about; empty if that is unknown."""
    fields = {field.key for group in draft.groups() for field in group.fields}
    if isinstance(refusal, ConfigError):
        found = {field_key(p): item_name(p) + p.message for p in refusal.problems}
        return {key: text for key, text in found.items() if key in fields}
    named = [key for key in _KEY.findall(str(refusal)) if key in fields]
    key = next(iter(named), refusal.key)
    return {key: str(refusal)} if key in fields else {}
