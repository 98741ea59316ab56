"""Drafts of what there is already: the words of a command line, the experiment of a run.

Layer: config. A draft is typed into as a person would, so that what it then says, shows and
resolves to follows from the same code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_trainer.config.draft import CHOSEN_KINDS, Draft
from tui_trainer.config.entries import argument_text, entry_text
from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.presets import DEFAULT_EXPERIMENT, PresetLibrary
from tui_trainer.config.section import Section
from tui_trainer.text.errors import TrainerError


def draft_with(
    library: PresetLibrary,
    experiment: str = DEFAULT_EXPERIMENT,
    overrides: Sequence[Override] = (),
) -> Draft:
    """A draft of a preset with overrides.

    They are taken over in the order in which `compose` would: sections, types, fields.
    """
    draft = Draft(library, experiment)
    for override in overrides:
        if not override.field:
            _set_section(draft, override.section, override.value)
    for override in overrides:
        if override.field == "type":
            draft.set(override.key, _written(override.value))
    for override in overrides:
        if override.field not in ("", "type"):
            _set_field(draft, override.section, override.field, override.value)
    return draft


def draft_of(library: PresetLibrary, experiment: Experiment, source: Path | None = None) -> Draft:
    """A draft that resolves to a run's experiment.

    It starts from the preset of that name; where there is none, or one that was broken since, from
    `source`, a file as a run's config.yaml, or else from the default preset. Name and description
    are the start's.
    """
    base = experiment.name
    if not _resolves(library, base):
        base = os.path.abspath(source) if source is not None else DEFAULT_EXPERIMENT
    draft = Draft(library, base)
    for section in SECTIONS:
        _adopt(draft, section, getattr(experiment, section))
    return draft


def _resolves(library: PresetLibrary, name: str) -> bool:
    try:
        library.experiment(library.find("experiment", name).name)
    except TrainerError:
        return False
    return True


def _set_section(draft: Draft, section: str, value: Any) -> None:
    """A preset's name, a type, or a mapping with either and fields beside it."""
    if not isinstance(value, str) or section not in REGISTRIES:
        draft.set_section(section, argument_text(value))
    elif section in CHOSEN_KINDS and (
        draft.library.has(section, value) or not REGISTRIES[section].find(value)
    ):
        draft.choose(section, value)
    else:
        draft.set(f"{section}.type", value)


def _set_field(draft: Draft, section: str, name: str, value: Any) -> None:
    key = f"{section}.{name}"
    field = draft.field(key)
    draft.set(key, _written(value) if field is None else entry_text(value, field))


def _adopt(draft: Draft, section: str, wanted: Section) -> None:
    """Make a section resolve to `wanted`, by a preset that gives it or field by field."""
    fields = type(wanted).model_fields
    if all(draft.preset_value(f"{section}.{name}") == getattr(wanted, name) for name in fields):
        return
    for preset in draft.library.list(section) if section in CHOSEN_KINDS else []:
        trial = Draft(draft.library, draft.base)
        trial.choose(section, preset.name)
        if trial.experiment is not None and getattr(trial.experiment, section) == wanted:
            draft.choose(section, preset.name)
            return
    if section in REGISTRIES:
        draft.set(f"{section}.type", str(getattr(wanted, "type", "")))
    for name in fields:
        value = getattr(wanted, name)
        if name != "type" and draft.preset_value(f"{section}.{name}") != value:
            _set_field(draft, section, name, value)


def _written(value: Any) -> str:
    """A value as a text that stands for it even where nothing is known of the field."""
    return "null" if value is None else argument_text(value)
