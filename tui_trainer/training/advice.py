"""Advice in messages about a training: only settings that exist, and that would change something.

Layer: training. Pure functions of the experiment, the data and the model.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.config.yaml.scalars import to_flow
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.sources.column_kinds import kinds_setting
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError
from tui_trainer.text.format import any_of
from tui_trainer.training.preparation import blocks_of


def less_memory(experiment: Experiment, model: nn.Module, *, stateful: bool) -> str:
    """Return what a training with these settings could do to need less memory.

    A run keeps these settings at every resume, so the advice is for a new one.
    """
    training, ways = experiment.training, []
    if training.batch_size > 1:
        ways.append(
            "a smaller training.batch_size (with training.grad_accumulation for the same step)"
        )
    if blocks_of(model) and not stateful and not training.gradient_checkpointing:
        ways.append("training.gradient_checkpointing=true")
    if training.precision in ("fp32", "tf32"):
        ways.append("training.precision=bf16")
    return f"start a new run with {any_of([*ways, 'a smaller model'])}"


def against_divergence(experiment: Experiment) -> str:
    """Return what may keep the numbers finite."""
    training = experiment.training
    if training.grad_clip_norm is not None:
        return f"lower optimizer.lr or training.grad_clip_norm (now {training.grad_clip_norm:g})"
    if training.grad_clip_value is not None:
        return f"lower optimizer.lr or training.grad_clip_value (now {training.grad_clip_value:g})"
    return "lower optimizer.lr or set training.grad_clip_norm"


def against_batches_of_one(experiment: Experiment) -> str:
    """Return how to avoid a batch of one sample, which batch norm cannot take."""
    training = experiment.training
    if training.batch_size == 1:
        ways = ["choose a larger one"]
    else:
        # Without the last batch, which is the one of one sample, none is left over.
        ways = ["choose another", "set training.drop_last=true"]
    if "norm" in type(experiment.model).model_fields:
        ways.append("set another model.norm")
    return any_of(ways)


def with_text_read(error: ConfigError, experiment: Experiment, dataset: Dataset) -> ConfigError:
    """Return the error of a model that does not fit, with what made the data a text if that is a
    column of a table.
    """
    if not isinstance(experiment.dataset, TableSection) or dataset.signature.kind != "tokens":
        return error
    inputs = dataset.preprocessing["inputs"]
    texts = [name for name, fitted in inputs.items() if fitted["kind"] == "text"]
    words = kinds_setting(dict.fromkeys(texts, "words"))
    shown = ", ".join(f"'{clean(name, 80)}'" for name in texts)
    way = f"; {shown} is read as a text: {words} reads it as counts of its words"
    if len(inputs) == 1:
        columns = clean(to_flow(texts), 80)
        way = (
            f"; the only input is the column {shown}, read as a text: "
            f"dataset.categorical={columns} reads it as a category, {words} as counts of its words"
        )
    return ConfigError(
        [replace(problem, message=problem.message + way) for problem in error.problems]
    )
