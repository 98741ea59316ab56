"""Live edits: which settings can be changed in a running training, and the changed experiment.

Layer: config. An edit never changes config.yaml; the configuration in force at a step is that
file plus the edits up to the step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from tui_trainer.config.experiment import SECTIONS, Experiment, contradictions
from tui_trainer.config.section import extra_of
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput
from tui_trainer.text.wording import worded


def live_keys(experiment: Experiment) -> list[str]:
    """The keys that can be edited while this experiment is training."""
    return [
        f"{section}.{name}"
        for section in SECTIONS
        for name, info in type(getattr(experiment, section)).model_fields.items()
        if extra_of(info).get("live")
    ]


def edited(experiment: Experiment, key: str, value: Any) -> Experiment:
    """The experiment with one live setting changed.

    Raises:
        BadInput: the key is unknown or not live, or the value does not fit; with the reason.
    """
    live = live_keys(experiment)
    if key not in live:
        if key in experiment.all_keys():
            raise BadInput(
                f"{key} cannot be edited while training: it shapes what was trained so far; "
                f"these can: {', '.join(live)}"
            )
        raise BadInput(f"no setting {clean(key, 80)!r}{suggest(key, experiment.all_keys())}")
    changed = with_value(experiment, key, value)
    wrong = contradictions(changed)
    if wrong:
        raise BadInput(f"{key}={clean(repr(value), 60)}: {wrong[0][1]}")
    return changed


def with_value(experiment: Experiment, key: str, value: Any) -> Experiment:
    """The experiment with one setting changed, live or not; only its own form is checked.

    Raises:
        BadInput: the value does not fit; with the reason.
    """
    section, _, name = key.partition(".")
    old = getattr(experiment, section)
    try:
        new = type(old).model_validate({**old.model_dump(mode="json"), name: value})
    except ValidationError as error:
        message = worded(error.errors(include_url=False)[0])
        raise BadInput(f"{key}={clean(repr(value), 60)}: {message}") from error
    return replace(experiment, **{section: new})
