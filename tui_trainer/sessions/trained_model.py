"""The uses of a run's weights: they are measured, and predict new samples or text.

Layer: sessions. torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import DATA_PLACE, Override, overrides_of, with_value
from tui_trainer.machine.devices import choose_device
from tui_trainer.runs.config_file import NeedsPlugin, read_config
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.training.evaluation import Evaluation
    from tui_trainer.training.prediction import Predictor


def evaluate_run(
    run: RunDirectory,
    split: str,
    which: str,
    device: str,
    overrides: Sequence[Override] = (),
    *,
    only_baselines: bool = False,
    file: str = "",
) -> Evaluation:
    """Measure a checkpoint of a run; an empty `which` means the best one, or else the last.

    `overrides` may say where the data are now, and nothing else. With `only_baselines`, all
    baselines are computed instead, whatever they cost. A labelled `file` takes the place of the
    split.
    """
    import torch

    from tui_trainer.training.evaluation import evaluate, evaluate_file

    experiment = _read_config(run, overrides)
    training = experiment.training.model_copy(update={"device": device})
    chosen = choose_device(device)
    placed = replace(experiment, training=training)
    which = which or best_or_last(run)
    on = torch.device(chosen.torch_name)
    if file:
        return evaluate_file(run, placed, on, file, which, only_baselines=only_baselines)
    return evaluate(run, placed, on, split, which, only_baselines=only_baselines)


def open_predictor(
    run: RunDirectory, which: str, device: str, overrides: Sequence[Override] = ()
) -> tuple[Predictor, list[str]]:
    """Load a run's checkpoint to predict new samples; returns notes too, the rest as before.

    Only a checkpoint of an older version needs the data.
    """
    import torch

    from tui_trainer.training.prediction import load_predictor, why_no_files_of

    which = which or best_or_last(run)
    try:
        experiment = _read_config(run, overrides)
    except NeedsPlugin as error:
        # Nobody should look for a plugin that cannot help.
        if why := why_no_files_of(run, which):
            raise BadInput(why) from error
        raise
    chosen = torch.device(choose_device(device).torch_name)
    return load_predictor(run, experiment, chosen, which)


def _read_config(run: RunDirectory, overrides: Sequence[Override]) -> Experiment:
    experiment = read_config(run)
    for override in overrides_of(experiment, overrides):
        if override.key != DATA_PLACE:
            raise BadInput(
                f"{clean(override.key, 80)} cannot be set here, because the weights depend on it; "
                f"only {DATA_PLACE} can"
            )
        experiment = with_value(experiment, override.key, override.value)
    return experiment


@dataclass(frozen=True, slots=True)
class Generation:
    """The prompt and the options for generating text with a language model."""

    count: int
    """The number of tokens to generate."""
    prompt: str = ""
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0


def generate_text(
    run: RunDirectory,
    how: Generation,
    which: str,
    device: str,
    overrides: Sequence[Override] = (),
) -> tuple[str, list[str]]:
    """Generate text with a run's language model, with notes; BadInput if it is no such model."""
    predictor, notes = open_predictor(run, which, device, overrides)
    return predictor.generated(how.prompt, how.count, how.temperature, how.top_k, how.seed), notes


def best_or_last(run: RunDirectory) -> str:
    """Return the checkpoint that is measured unless another one is named."""
    manifests = read_manifests(run.checkpoints)
    return "best" if manifests and manifests[-1].best_step is not None else "last"
