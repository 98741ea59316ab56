"""`propose_for_plugin`: an experiment of what a plugin registers, for `train --plugin FILE` alone.

Layer: sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_trainer.config.overrides import Override
from tui_trainer.config.presets import PresetLibrary, compose
from tui_trainer.config.problems import PROBLEMS
from tui_trainer.config.yaml.reader import Document
from tui_trainer.sessions.misfits import SharedData
from tui_trainer.sessions.plugin_check import Registered, own_types, registered
from tui_trainer.sessions.proposal import PLACEHOLDER, settings_for
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


def propose_for_plugin(library: PresetLibrary, overrides: Sequence[Override]) -> Document:
    """Return the document of an experiment on the one data set of the loaded files.

    A type is taken if it is the only one of its kind; the other settings fit the data, which are
    read. The metrics are all that these data have.

    Raises:
        BadInput: the files have no data set or several, or the data cannot be read.
        ConfigError: a setting of the user's is wrong.
    """
    things = registered()
    _check_data(things, overrides)
    own = own_types(things, overrides)
    settings: dict[str, Any] = {**PLACEHOLDER, **own}
    about_data = [one for one in overrides if one.section in ("dataset", "problem", "recipe")]
    first = compose(library, "./plugin", _document(settings), Path("plugin"), about_data)
    dataset = SharedData().load(first.dataset, problem=first.asked_problem)
    settings = {**settings_for(dataset, first), **own}
    if "recipe" in own:
        # It may measure no loss, by which a training could stop.
        settings.pop("early_stopping", None)
    more = PROBLEMS[dataset.problem].more_metrics
    metrics = [one.name for one in things if one.kind == "metric" and one.name in more]
    if metrics:
        listed = settings["training"].get("metrics", [])
        settings["training"] = {**settings["training"], "metrics": [*listed, *metrics]}
    return _document(settings)


def _document(settings: dict[str, Any]) -> Document:
    return Document("plugin", settings, {})


def _check_data(things: Sequence[Registered], overrides: Sequence[Override]) -> None:
    data = [thing.name for thing in things if thing.kind == "dataset"]
    is_named = any(one.section == "dataset" and one.field in ("", "type") for one in overrides)
    if len(data) == 1 or is_named:
        return
    if not data:
        raise BadInput(
            "train: expected EXPERIMENT or DATA, because the plugins have no data set of their own"
        )
    shown = clean(", ".join(data), 200)
    raise BadInput(f"the plugins have several data sets; name one: dataset=NAME, of {shown}")
