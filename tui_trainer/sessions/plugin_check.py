"""`registered` lists the types of a plugin; `proofs` checks an experiment that uses them.

Layer: sessions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import REGISTRIES, Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.plugins import LOADED, OWN_METRICS
from tui_trainer.config.presets import PresetLibrary, compose
from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.config.yaml.reader import Document
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.training.exactness import Proof


@dataclass(frozen=True, slots=True)
class Registered:
    """A type or metric of a plugin."""

    kind: str
    name: str
    origin: str
    """Its file and line."""
    description: str


def registered() -> list[Registered]:
    """Return what the loaded files registered."""
    found = [
        Registered(kind, spec.name, spec.origin, spec.description)
        for kind, registry in REGISTRIES.items()
        for spec in registry
        if spec.origin
    ]
    found += [
        Registered("metric", name, METRICS[name].origin, METRICS[name].description)
        for name in OWN_METRICS
    ]
    files = tuple(f"{path}:" for path in LOADED)
    return [one for one in found if one.origin.startswith(files)]


def experiment_for(
    things: Sequence[Registered],
    name: str,
    library: PresetLibrary,
    overrides: Sequence[Override],
) -> Experiment | None:
    """Return the experiment to prove a plugin by: one that is named, or one made of its types.

    None if there is no data set to make one with.

    Raises:
        ConfigError: the experiment is wrong.
    """
    if name:
        return library.experiment(name, overrides)
    own = own_types(things, overrides)
    if "dataset" not in own and not any(one.section == "dataset" for one in overrides):
        return None
    values: dict[str, Any] = {
        "model": {"type": "mlp"},
        "optimizer": {"type": "adamw"},
        "training": {"epochs": 1, "batch_size": 8},
        **own,
    }
    if metrics := [thing.name for thing in things if thing.kind == "metric"]:
        values["training"]["metrics"] = metrics
    document = Document("plugin", values, {})
    return compose(library, "./plugin", document, Path("plugin"), overrides)


def own_types(
    things: Sequence[Registered], overrides: Sequence[Override]
) -> dict[str, dict[str, str]]:
    """Return the section of each kind of which a plugin has one type, unless it is overridden."""
    chosen = {one.section for one in overrides if one.field in ("", "type")}
    names: dict[str, list[str]] = {}
    for thing in things:
        names.setdefault(thing.kind, []).append(thing.name)
    kinds = ("dataset", "problem", "model", "loss", "optimizer", "schedule", "transform", "recipe")
    return {
        kind: {"type": names[kind][0]}
        for kind in kinds
        if len(names.get(kind, [])) == 1 and kind not in chosen
    }


def proofs(experiment: Experiment, steps: int) -> Iterator[Proof]:
    """Check an experiment, one property after the other; the folder of its runs is removed."""
    import torch

    from tui_trainer.training.exactness import Proof, prove
    from tui_trainer.training.ranks import SingleRank
    from tui_trainer.training.task import build
    from tui_trainer.training.trial import try_step

    training = experiment.training.model_copy(update={"device": "cpu", "threads": 1})
    experiment = replace(experiment, training=training)
    torch.set_num_threads(1)
    try:
        task = build(experiment, SingleRank(), torch.device("cpu"))
        try_step(task)
    except BadInput as error:
        yield Proof("a step", str(error), holds=False)
        return
    yield Proof("a step", "can be taken: forward, loss, backward, metrics", holds=True)
    with tempfile.TemporaryDirectory(prefix="tui-trainer-check-") as folder:
        yield from prove(experiment, steps, Path(folder).resolve())
