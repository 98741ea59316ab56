"""`propose_own`: an experiment for a data set of a plugin, made with the other types of its file.

Layer: sessions. The data are read by the user's code, so call it where torch may be imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.overrides import Override
from tui_trainer.config.own_types import only_type, types_of_files
from tui_trainer.config.plugin_loader import LOADED
from tui_trainer.config.presets import PresetLibrary, compose
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.sections.losses import MODEL_LOSS
from tui_trainer.config.user_code import file_of
from tui_trainer.config.yaml.reader import Document
from tui_trainer.sessions.proposal import PLACEHOLDER, Proposal, settings_for
from tui_trainer.sessions.proposal_lines import ProposalLine, model_text
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

if TYPE_CHECKING:
    from tui_trainer.config.experiment import Experiment
    from tui_trainer.data.base.dataset import Dataset

_OWN_LR = 1e-3
"""The learning rate for a model that nothing is known of."""
_RECIPE_EPOCHS = 20
"""A recipe may measure nothing by which it could be stopped early."""


def reference_of(name: str) -> str:
    """Return the reference of the experiment that is made for a data set of a plugin."""
    spec = DATASETS.find(name)
    return f"{name} ({file_of(spec.origin)})" if spec is not None and spec.origin else name


def words_for(name: str) -> list[str]:
    """Return the words that name this experiment on a command line, beside `--plugin FILE`."""
    own = [one.name for one in types_of_files() if one.kind == "dataset"]
    return [] if own == [name] else [f"dataset.type={name}"]


def propose_own(
    library: PresetLibrary, overrides: Sequence[Override] = (), data: SharedData | None = None
) -> Proposal:
    """Read the data set of the loaded plugins and propose an experiment.

    Args:
        library: of the presets that overrides may name.
        overrides: the settings that the user has chosen; `dataset.type` names one of several data
            sets.
        data: keeps the data that were read.

    Raises:
        BadInput: there is no data set, or there are several, or it cannot be read.
        ConfigError: a setting is wrong.
    """
    name = _dataset_of(library, overrides)
    others = [one for one in overrides if one.key not in ("dataset", "dataset.type")]
    # A recipe says what the data are read for, as those without a target.
    about_data = [one for one in others if one.section in ("dataset", "problem", "recipe", "")]
    section: dict[str, Any] = {"dataset": {"type": name}}
    if problem := only_type(types_of_files(), "problem", _file_of(name)):
        section["problem"] = {"type": problem}
    beside = dict(section)
    if recipe := only_type(types_of_files(), "recipe", _file_of(name)):
        beside["recipe"] = {"type": recipe}
    first = _composed(library, name, {**beside, **PLACEHOLDER}, about_data)
    dataset = (data or SharedData()).load(first.dataset, problem=first.asked_problem)
    settings = {**section, **settings_for(dataset, first)}
    settings = _with_own_types(settings, name, dataset)
    experiment = _composed(library, name, settings, others)
    document = _document(name, settings)
    return Proposal(name, document, experiment, _lines(name, dataset, experiment), dataset.notes)


def _dataset_of(library: PresetLibrary, overrides: Sequence[Override]) -> str:
    """Return the data set that is named, or the only one of the plugins."""
    own = [one.name for one in types_of_files() if one.kind == "dataset"]
    asked = [one.value for one in overrides if one.key in ("dataset", "dataset.type")]
    spec = DATASETS.find(asked[-1]) if asked else None
    if spec is not None and spec.origin:
        return spec.name
    if asked:
        shown = clean(str(asked[-1]), 60)
        raise BadInput(
            f"{shown} is not a data set of a plugin; name an experiment before the settings"
        )
    if len(own) == 1:
        return own[0]
    files = ", ".join(clean(path, 200) for path in LOADED)
    if own:
        raise BadInput(
            f"{files}: there are several data sets: {', '.join(own)}; name one: dataset={own[0]}"
        )
    raise BadInput(
        f"{files}: there is no data set in it; name an experiment, as in: tui-trainer train "
        "digits-mlp --plugin FILE"
    )


def _with_own_types(settings: dict[str, Any], name: str, dataset: Dataset) -> dict[str, Any]:
    """Return the settings with the types and metrics of the user's.

    A type is taken if there is one of its kind: in the file of the data set, or else in all files.
    """
    types, file = types_of_files(), _file_of(name)
    problem = PROBLEMS[dataset.problem]
    settings = {**settings, "training": dict(settings["training"])}
    if model := only_type(types, "model", file):
        settings["model"] = {"type": model}
        settings["optimizer"] = {"type": "adamw", "lr": _OWN_LR}
    if optimizer := only_type(types, "optimizer", file):
        settings["optimizer"] = {"type": optimizer}
    for kind in ("schedule", "transform"):
        if type_name := only_type(types, kind, file):
            settings[kind] = {"type": type_name}
    if recipe := only_type(types, "recipe", file):
        settings["recipe"] = {"type": recipe}
        settings.pop("early_stopping", None)
        settings["training"]["epochs"] = _RECIPE_EPOCHS
        return settings
    if dataset.problem == "none" and model:
        # Without a recipe, nothing but the model can say what is learned.
        settings["loss"] = {"type": MODEL_LOSS}
    elif (loss := only_type(types, "loss", file)) in problem.losses:
        settings["loss"] = {"type": loss}
    metrics = [one.name for one in types if one.kind == "metric"]
    if own := [metric for metric in metrics if metric in problem.more_metrics]:
        settings["training"]["metrics"] = [*settings["training"].get("metrics", []), *own]
    return settings


def _file_of(name: str) -> str:
    """Return the file that registers a data set."""
    spec = DATASETS.find(name)
    return spec.origin.rpartition(":")[0] if spec is not None else ""


def _document(name: str, settings: dict[str, Any]) -> Document:
    reference = reference_of(name)
    data = {"name": name, "description": f"made from {clean(reference, 120)}", **settings}
    return Document(clean(reference, 200), data, {})


def _composed(
    library: PresetLibrary, name: str, settings: dict[str, Any], overrides: Sequence[Override]
) -> Experiment:
    return compose(library, "./plugin", _document(name, settings), Path("plugin"), overrides)


def _lines(name: str, dataset: Dataset, experiment: Experiment) -> tuple[ProposalLine, ...]:
    samples = counted(len(dataset.train) + len(dataset.val) + len(dataset.test), "sample")
    problem = dataset.problem.replace("_", " ")
    lines = [ProposalLine(clean(reference_of(name), 200), f"{samples}: {problem}", "")]
    if dataset.split_summary:
        lines.append(
            ProposalLine(
                "split", dataset.split_summary.removeprefix("split "), "dataset.split_seed"
            )
        )
    kinds = ("schedule", "transform", "loss", "recipe")
    own = [f"{kind} {getattr(experiment, kind).type}" for kind in kinds]
    usual = ("schedule constant", "transform none", "loss auto", "recipe supervised")
    chosen = [text for text in own if text not in usual]
    text = ", ".join([model_text(experiment, dataset), *chosen])
    return (*lines, ProposalLine("model", text, "--save FILE.yaml"))
