"""`lines_of`: the lines of a proposal, which say what was found, what it means, and what decides.

Layer: sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

if TYPE_CHECKING:
    from tui_trainer.data.base.dataset import Dataset, DataSummary
    from tui_trainer.data.recognition import Recognised


@dataclass(frozen=True, slots=True)
class ProposalLine:
    """A line of a proposal: `split    68 / 12 / 20 % ...   [dataset.split_seed]`."""

    subject: str
    text: str
    setting: str
    """The setting that decides otherwise."""


def lines_of(
    path: str, recognised: Recognised, dataset: Dataset, experiment: Experiment
) -> tuple[ProposalLine, ...]:
    """Return the lines of a proposal, of which the first is about the file."""
    summary = dataset.summary
    head = ProposalLine(clean(path, 200), summary.contents if summary else "data of a plugin", "")
    lines = [head]
    if summary is not None:
        noun = {"pixels": "rows", "huggingface": "data"}.get(recognised.type)
        if noun and "type" in recognised.reasons:
            lines.append(ProposalLine(noun, recognised.reasons["type"], "dataset.type"))
        lines.append(_target_line(recognised, summary, dataset, experiment))
        filling, filled_by = _filling(recognised, summary, dataset, experiment)
        lines.append(ProposalLine("inputs", summary.inputs + filling, filled_by))
        lines += [ProposalLine(*line) for line in _picture_lines(dataset, experiment)]
        split = "; ".join(filter(None, (summary.split, dataset.split_summary)))
        if other := experiment.dataset.split_from:
            # These data are not split yet: the shares are those of another run.
            split = f"as in the run {clean(Path(other).name, 80)}; {dataset.split_summary}"
        by = "dataset.split_from" if other else "dataset.split_by"
        lines.append(ProposalLine("split", split, by))
    lines.append(ProposalLine("model", model_text(experiment, dataset), "--save FILE.yaml"))
    return tuple(lines)


def _filling(
    recognised: Recognised, summary: DataSummary, dataset: Dataset, experiment: Experiment
) -> tuple[str, str]:
    """Return what is said behind the inputs, as how gaps are filled, and the setting for it."""
    for key in ("samples", "size"):
        if key in recognised.reasons:
            return f"; {recognised.reasons[key]}", f"dataset.{key}"
    if getattr(experiment.dataset, "missing", "") != "mean" or "empty" not in summary.contents:
        return "", ""
    signature = dataset.signature
    ways = ["read as a text without words"] if signature.kind == "tokens" else []
    if signature.kind != "tokens" or signature.numbers:
        ways.append("filled with the training mean")
    return f"; missing ones {' or '.join(ways)}", "dataset.missing"


def _target_line(
    recognised: Recognised, summary: DataSummary, dataset: Dataset, experiment: Experiment
) -> ProposalLine:
    problem = dataset.problem.replace("_", " ")
    target = getattr(experiment.dataset, "target", None)
    if target is None:
        return ProposalLine("target", f"{summary.target}: {problem}", "dataset.type")
    names = clean(target if isinstance(target, str) else ", ".join(target), 80)
    reason = recognised.reasons.get("target", "")
    said = f"{reason}; {summary.target}" if reason else summary.target
    return ProposalLine("target", f"{names} ({said}): {problem}", "--target")


def _picture_lines(dataset: Dataset, experiment: Experiment) -> list[tuple[str, str, str]]:
    """Return the subject, the text and the setting of each line; none for other data."""
    data = experiment.dataset
    if not isinstance(data, PicturesSection):
        return []
    lines = []
    if data.crop_padding:
        text = f"moved by up to {counted(data.crop_padding, 'pixel')} at random"
        if data.flip_horizontal or data.flip_vertical:
            text += ", and mirrored"
        else:
            text += "; not mirrored, which could change what they mean"
        lines.append(("augment", text, "dataset.crop_padding"))
    if dataset.left_out is not None:
        workers = experiment.loader.num_workers
        by = counted(workers, "process", "processes") if workers else "the training process itself"
        text = f"while training, by {by}"
        if data.decode != "training":
            text += ", because the decoded pictures are too large to keep"
        lines.append(("reading", text, "loader.num_workers"))
    return lines


def model_text(experiment: Experiment, dataset: Dataset) -> str:
    """Return the model, the optimizer and the end of the training in a few words."""
    model = experiment.model
    sizes = getattr(model, "layers", None)
    shape = " " + "-".join(map(str, sizes)) if isinstance(sizes, tuple) else ""
    both = " of the text and the numbers" if dataset.signature.numbers else ""
    parts = [
        f"{model.type}{shape}{both}",
        f"{experiment.optimizer.type} {experiment.optimizer.lr:g}",
    ]
    if experiment.early_stopping.patience is not None:
        parts.append(f"early stopping on val/{experiment.checkpoint.monitor}")
    training = experiment.training
    limits = {"epochs": training.epochs, "steps": training.max_steps}
    parts += [
        f"at most {limit:,} {unit if limit != 1 else unit.removesuffix('s')}"
        for unit, limit in limits.items()
        if limit is not None
    ]
    return ", ".join(parts)
