"""Proves a plugin: the experiment to prove it by, and what is checked of it.

Layer: sessions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.own_types import TAKEN, OwnType, only_type
from tui_trainer.config.presets import PresetLibrary, compose
from tui_trainer.config.yaml.reader import Document
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.training.exactness import Proof


def experiment_for(
    types: Sequence[OwnType],
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
    chosen = {one.section for one in overrides if one.field in ("", "type")}
    only = {kind: only_type(types, kind) for kind in TAKEN if kind not in chosen}
    own = {kind: {"type": type_name} for kind, type_name in only.items() if type_name}
    if "dataset" not in own and not any(one.section == "dataset" for one in overrides):
        return None
    values: dict[str, Any] = {
        "model": {"type": "mlp"},
        "optimizer": {"type": "adamw"},
        "training": {"epochs": 1, "batch_size": 8},
        **own,
    }
    if metrics := [one.name for one in types if one.kind == "metric"]:
        values["training"]["metrics"] = metrics
    document = Document("plugin", values, {})
    return compose(library, "./plugin", document, Path("plugin"), overrides)


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
