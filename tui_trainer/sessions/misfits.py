"""`find_misfits`: which presets and losses cannot be used with the data of an experiment, and why.

Layer: sessions. torch is imported inside the functions, so call them in a loader thread. A reason
is the error with which a run would fail, from the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import MODEL_FACTORIES
from tui_trainer.config.presets import PresetLibrary
from tui_trainer.config.sections.losses import LOSSES
from tui_trainer.config.sections.section import Section
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.errors import BadInput, ConfigError

Misfits = Mapping[str, Mapping[str, str]]
"""Reasons by kind and name: `model` and `optimizer` by preset, `loss` by type."""


def find_misfits(
    experiment: Experiment, folders: tuple[Path, ...], data: SharedData | None = None
) -> Misfits:
    """Try the presets of these folders on the data, and the optimizers on the model.

    Nothing is known of data that cannot be read, or of optimizers for a model that does not fit.
    Models of plugins are not tried: building them runs foreign code.
    """
    import torch

    from tui_trainer.data.base.random import preserved_generators
    from tui_trainer.models.build import MODELS, build_model
    from tui_trainer.training.losses import build_criterion
    from tui_trainer.training.optimizers import build_optimizer

    # Not that of the app, which is used in another thread.
    library = PresetLibrary(folders)
    try:
        dataset = (data or SharedData()).load(experiment.dataset, problem=experiment.problem)
    except BadInput:
        return {}

    def try_model(section: Any) -> None:
        if section.type in MODELS:
            # Shapes without numbers: a large model takes neither time nor memory.
            with torch.device("meta"):
                build_model(section, dataset.signature)

    def try_loss(section: Any) -> None:
        own = experiment.model.type if experiment.model.type in MODEL_FACTORIES else ""
        build_criterion(section, dataset, torch.device("cpu"), own)

    with preserved_generators():
        misfits = {
            "model": _reasons(_sections(library, "model"), try_model),
            "loss": _reasons(_losses(experiment), try_loss),
        }
        try:
            model = build_model(experiment.model, dataset.signature)
        except BadInput:
            return misfits
        optimizers = _sections(library, "optimizer")
        misfits["optimizer"] = _reasons(optimizers, lambda section: build_optimizer(section, model))
    return misfits


def _losses(experiment: Experiment) -> dict[str, Section]:
    """Return the sections of the losses by type, without those that need a setting."""
    sections: dict[str, Section] = {}
    for spec in LOSSES:
        needed = {name for name, info in spec.params.model_fields.items() if info.is_required()}
        if experiment.loss.type == spec.name:
            sections[spec.name] = experiment.loss
        elif needed <= {"type"}:
            sections[spec.name] = spec.params(type=spec.name)
    return sections


def _sections(library: PresetLibrary, kind: str) -> dict[str, Section]:
    """Return the sections of the presets of a kind by name, without broken ones."""
    sections = {}
    for preset in library.list(kind):
        try:
            sections[preset.name] = library.section(preset)
        except BadInput:
            continue
    return sections


def _reasons(
    sections: Mapping[str, Section], try_section: Callable[[Any], object]
) -> dict[str, str]:
    """Return the messages of those sections that are refused."""
    reasons = {}
    for name, section in sections.items():
        try:
            try_section(section)
        except ConfigError as error:
            reasons[name] = "; ".join(problem.message for problem in error.problems)
        except BadInput as error:
            reasons[name] = str(error)
    return reasons
