"""`propose`: an experiment for a file or folder of a person's own, and what it is made of.

Layer: sessions. The data are read, so call it where torch may be imported. A proposal names types,
not presets, so that a preset of the user's with the same name does not change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import Override, with_full_keys
from tui_trainer.config.presets import PresetLibrary, compose
from tui_trainer.config.sections.datasets import DATASETS, DelimitedSection
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.config.setting_names import all_settings
from tui_trainer.config.yaml.reader import Document, parse_value
from tui_trainer.sessions.proposal_lines import ProposalLine, lines_of
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.clean import clean, slug
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.data.base.dataset import Dataset
    from tui_trainer.data.recognition import Recognised
    from tui_trainer.problems.signature import Signature

PLACEHOLDER: dict[str, Any] = {
    "model": {"type": "mlp"},
    "optimizer": {"type": "adamw"},
    "training": {"epochs": 1},
}
"""Stands for what is chosen once the data are known."""
_IMBALANCED = 0.8
"""From this share of the largest class on, accuracy says little."""
_MOST_LOGITS = 1 << 27
"""A language model gives so many numbers per batch, or less: half a gigabyte."""
_SMALL_PICTURE = 64
"""The longest side of a picture for which a plain CNN is chosen."""
_WORKERS = 2
"""Processes that decode pictures while training; more of them are for more cores."""
_BATCHES = ((1_000, 16), (5_000, 32), (20_000, 64), (100_000, 256), (1_000_000, 1024))
"""Batch sizes for up to so many samples; beyond them, the last."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An experiment for data, with the facts that it was chosen by."""

    path: str
    document: Document
    """The experiment without what the user has set."""
    experiment: Experiment
    lines: tuple[ProposalLine, ...]
    notes: tuple[str, ...]
    """Notes from reading the data, cleaned."""

    def lines_shown(self, *, with_notes: bool = False) -> list[str]:
        """Return the lines to show, the file first, with the settings in a column.

        A run repeats the notes when it starts.
        """
        head, *rest = self.lines
        shown = [f"{head.subject}: {head.text}"]
        width = min(max((len(line.text) for line in rest), default=0), 90)
        for line in rest:
            setting = f"[{line.setting}]" if line.setting else ""
            shown.append(f"  {line.subject:<7} {line.text:<{width}}  {setting}".rstrip())
        return shown + [f"  note    {note}" for note in self.notes if with_notes]

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {
            "path": self.path,
            "lines": [
                {"subject": line.subject, "text": line.text, "setting": line.setting}
                for line in self.lines
            ],
            "notes": list(self.notes),
        }


def propose(
    path: str,
    library: PresetLibrary,
    overrides: Sequence[Override] = (),
    data: SharedData | None = None,
) -> Proposal:
    """Read the data at a path and propose an experiment.

    Args:
        path: a file or folder, or a built-in file.
        library: of the presets that overrides may name.
        overrides: the settings that the user has chosen, which are not guessed.
        data: keeps the data that were read.

    Raises:
        BadInput: the data cannot be read, or an experiment on them cannot be proposed; the message
            names the file and what to do.
        ConfigError: a setting of the user's is wrong.
    """
    from tui_trainer.data.sources.target_column import check_target

    chosen = _dataset_overrides(overrides)
    recognised, section = _dataset_section(path, library, chosen)
    about_data = [*chosen, *(one for one in overrides if one.section == "problem")]
    first = _composed(library, path, {"dataset": section, **PLACEHOLDER}, about_data)
    guessed: DelimitedSection | None = None
    if "target" in recognised.reasons and isinstance(first.dataset, DelimitedSection):
        guessed = first.dataset
    try:
        dataset = (data or SharedData()).load(first.dataset, problem=first.problem)
    except BadInput:
        if guessed is not None:
            check_target(guessed)
        raise
    if guessed is not None and 2 * len(dataset.classes) > len(dataset.train):
        check_target(guessed)
    settings = {"dataset": section, **settings_for(dataset, first)}
    document = _document(path, settings)
    experiment = _composed(library, path, settings, overrides)
    return Proposal(
        path,
        document,
        experiment,
        lines_of(path, recognised, dataset, experiment),
        (*dataset.notes, *_forecast_note(dataset), *_target_note(dataset, guessed)),
    )


def target_named(text: str) -> list[Override]:
    """Return the overrides for a target as it is typed: a column, or several in brackets.

    Raises:
        BadInput: the brackets cannot be read.
    """
    if not text:
        return []
    return [Override("dataset", "target", parse_value(text) if text.startswith("[") else text)]


def _target_note(dataset: Dataset, guessed: DelimitedSection | None) -> list[str]:
    """Return a note on a class in the first column, if the last one was taken and has numbers."""
    from tui_trainer.data.sources.target_column import hint_on_first_column

    if guessed is None or dataset.problem != "regression":
        return []
    hint = hint_on_first_column(guessed)
    return [hint] if hint else []


def _forecast_note(dataset: Dataset) -> list[str]:
    """Return a note on how to forecast, if the numbers of a table have dates."""
    kinds = {
        name: settings.get("kind")
        for name, settings in dataset.preprocessing.get("inputs", {}).items()
        if isinstance(settings, dict)
    }
    dates = [name for name, kind in kinds.items() if kind == "date"]
    others = [name for name, kind in kinds.items() if kind not in ("number", "date")]
    if dataset.problem != "regression" or not dates or len(others) > 1:
        return []
    series = "".join(f" dataset.series={clean(name, 80)}" for name in others)
    shown = clean(dates[0], 80)
    settings = f"dataset.type=forecast dataset.time={shown}{series}"
    return [f"{settings} predicts the next values from past ones"]


def with_data(
    path: str, library: PresetLibrary, document: Document, overrides: Sequence[Override] = ()
) -> tuple[Document, tuple[str, ...]]:
    """Return the document of an experiment with other data, and the reasons for their settings."""
    recognised, section = _dataset_section(path, library, _dataset_overrides(overrides))
    places = {key: place for key, place in document.places.items() if key[:1] != ("dataset",)}
    others = {key: value for key, value in document.data.items() if key not in ("dataset", "name")}
    data = {**others, "dataset": section, "name": name_of(path)}
    reasons = tuple(
        f"dataset.{key}={clean(str(section[key]), 80)}: {reason}"
        for key, reason in recognised.reasons.items()
    )
    return Document(document.source, data, places), reasons


def _dataset_overrides(overrides: Sequence[Override]) -> list[Override]:
    """Return the overrides of the data set, with full keys; BadInput if they name other data."""
    found, _ = with_full_keys(overrides, all_settings())
    chosen = [override for override in found if override.section == "dataset"]
    for override in chosen:
        if override.field in ("", "path"):
            raise BadInput(
                f"{override.key} and PATH both name the data to train on; leave out either"
            )
    return chosen


def _dataset_section(
    path: str, library: PresetLibrary, chosen: Sequence[Override]
) -> tuple[Recognised, dict[str, Any]]:
    """Return what is recognised of the data, and the settings of the data set."""
    from tui_trainer.data.recognition import Recognised, recognise
    from tui_trainer.data.sources.target_column import find_target
    from tui_trainer.data.sources.text_table import find_only_text

    stated = {override.field: override.value for override in chosen}
    recognised = recognise(path, stated)
    section = dict(recognised.settings)
    # The section is checked, and completed by what the user has set, before the file is opened.
    spec = DATASETS.find(recognised.type)
    if spec is None or not issubclass(spec.params, DelimitedSection):
        return recognised, section
    kind = spec.params
    needed = {"target": "?"} if "target" in kind.model_fields else {}
    named = {**section, **needed}
    known = _composed(library, path, {"dataset": named, **PLACEHOLDER}, chosen).dataset
    reasons = dict(recognised.reasons)
    if needed and "target" not in stated and isinstance(known, DelimitedSection):
        if not stated.keys() & {"type", "drop"} and (text := find_only_text(known)):
            section = {"type": "text", "path": section["path"], "column": text}
            section["sequence_length"] = 128
            return Recognised(section, {"type": "its only column is text"}), section
        section["target"], reasons["target"] = find_target(known)
    if "missing" in kind.model_fields:
        section["missing"] = "mean"
    return Recognised(section, reasons), section


def _document(path: str, settings: Mapping[str, Any]) -> Document:
    data = {"name": name_of(path), "description": f"made from {clean(path, 120)}", **settings}
    return Document(clean(path, 200), data, {})


def _composed(
    library: PresetLibrary,
    path: str,
    settings: Mapping[str, Any],
    overrides: Sequence[Override],
) -> Experiment:
    return compose(library, "./data", _document(path, settings), Path(path), overrides)


def name_of(path: str) -> str:
    """Return the name of an experiment on a file or folder, without the endings of the file."""
    name = path.rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return slug(name.partition(".")[0] or name) or "data"


def settings_for(dataset: Dataset, experiment: Experiment) -> dict[str, Any]:
    """Return model, optimizer, training and early stopping for data that were read."""
    count = len(dataset.train)
    batch_size = next((size for most, size in _BATCHES if count <= most), _BATCHES[-1][1])
    if dataset.problem == "language_modelling":
        return _language_settings(dataset)
    training: dict[str, Any] = {"epochs": 200, "batch_size": batch_size}
    patience = 20
    optimizer = {"type": "adamw", "lr": 3e-3, "weight_decay": 0.05}
    match dataset.signature.kind:
        case "sequence":
            model = {"type": "rnn", "cell": "gru", "hidden": 64, "bidirectional": True}
            training |= {"epochs": 100, "grad_clip_norm": 1.0}
        case "tokens":
            model = {"type": "cnn1d", "channels": [128, 128], "kernel_size": 7, "dropout": 0.5}
            training |= {"epochs": 30, "batch_size": min(batch_size, 64)}
            optimizer["lr"] = 2e-3
            # A text and the numbers beside it may each say little before they are put together.
            patience = 10 if dataset.signature.numbers else 5
        case "image":
            model = _image_model(dataset.signature)
            if isinstance(experiment.dataset, PicturesSection):
                optimizer["lr"] = 1e-3
            training |= {"epochs": 60}
            patience = 10
        case _:
            layers = [64, 32] if count <= 20_000 else [256, 128]
            model = {"type": "mlp", "layers": layers, "dropout": 0.1}
    if _are_mostly_padding(dataset):
        training["group_by_length"] = True
    if metrics := _metrics_for(dataset):
        training["metrics"] = metrics
    settings = {"model": model, "optimizer": optimizer, "training": training}
    if dataset.left_out is not None:
        settings["loader"] = {"num_workers": _WORKERS}
    if len(dataset.val):
        return {**settings, "early_stopping": {"patience": patience}}
    # Nothing says when to stop, so the steps are fewer.
    return {**settings, "training": {**training, "epochs": training["epochs"] // 4}}


def _language_settings(dataset: Dataset) -> dict[str, Any]:
    """Return the settings for a text that is predicted token by token."""
    positions, vocabulary = dataset.input_shape[0], dataset.signature.vocabulary
    most = max(1, _MOST_LOGITS // (positions * vocabulary))
    batch_size = min(32, 1 << (most.bit_length() - 1))
    # Validation reads four times as many rows at once otherwise.
    fewer = {} if 4 * batch_size <= most else {"eval_batch_size": batch_size}
    return {
        "model": {"type": "transformer", "width": 128, "layers": 2, "heads": 4},
        "optimizer": {"type": "adamw", "lr": 3e-3, "weight_decay": 0.1},
        "schedule": {"type": "one_cycle"},
        "training": {
            "max_steps": 2000,
            "batch_size": batch_size,
            **fewer,
            "grad_clip_norm": 1.0,
            "validate_every_steps": 250,
        },
    }


def _image_model(signature: Signature) -> dict[str, Any]:
    """Return a plain CNN for small pictures, and residual blocks down to a small size for others;
    a U-Net for a class for each pixel.
    """
    if signature.places == "pixel":
        return {"type": "unet"}
    side = max(signature.input_shape[1:])
    if side <= _SMALL_PICTURE:
        return {"type": "cnn"}
    # The last stage sees 14 to 16 pixels.
    stages = 4 if side <= 2 * _SMALL_PICTURE else 5
    return {"type": "resnet", "stages": stages, "depth": 2 * stages + 2}


def _are_mostly_padding(dataset: Dataset) -> bool:
    """Whether sequences are so different in length that most of a batch would be padding."""
    lengths = getattr(dataset.train, "lengths", None)
    return lengths is not None and 2 * lengths.sum().item() < len(lengths) * lengths.max().item()


def _metrics_for(dataset: Dataset) -> list[str]:
    """Return the metrics that tell more than the accuracy of the classes in these shares."""
    counts = dataset.class_counts
    if dataset.problem != "classification" or not sum(counts):
        return []
    if max(counts) / sum(counts) >= _IMBALANCED:
        return ["balanced_accuracy", "f1", "auroc"]
    return []
