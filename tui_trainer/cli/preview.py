"""`train --dry-run`: prints the resolved configuration and what it would train.

Layer: cli. The data is loaded and the model is built; only the training is left out.
"""

from __future__ import annotations

from pathlib import Path

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.sessions.preview import Preview, preview
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_block, print_json, print_line
from tui_trainer.text.errors import ExitCode
from tui_trainer.text.format import parameters_text, size_text

_MOST_NAMES = 6
"""So many parameters of a group are named."""


def print_preview(experiment: Experiment, runs_dir: Path, *, as_json: bool = False) -> int:
    """Print the configuration, layers, parameters, steps and memory."""
    measured = preview(experiment, runs_dir)
    if as_json:
        print_json({"config": experiment.to_dict(), **measured.to_dict()})
        return ExitCode.OK
    print_block(to_yaml(experiment.to_dict()))
    train, val, test = measured.samples
    print_line(f"data: {train:,} samples to train on, {val:,} to validate, {test:,} to test")
    if measured.split:
        print_line(f"  {measured.split}")
    for note in measured.notes:
        print_line(f"  {clean(note)}")
    print_line(f"model: input {_shape(measured.input_shape)}")
    for layer in measured.layers:
        count = f"{layer.parameters:,}" if layer.parameters else ""
        shape = _shape(layer.output_shape)
        print_line(f"  {layer.name:<20} {layer.kind:<14} {shape:<14} {count:>12}")
    print_line(f"size: {parameters_text(measured.parameters, measured.trained_parameters)}")
    _print_groups(measured)
    total = f", {measured.total_steps:,} in total" if measured.total_steps else ""
    print_line(f"steps: {measured.steps_per_epoch:,} per epoch{total}")
    print_line(f"memory: about {size_text(measured.memory_bytes)}, not counting torch itself")
    print_line(f"device: {measured.device}")
    if measured.warning:
        print_line(f"warning: {measured.warning}")
    return ExitCode.OK


def _print_groups(measured: Preview) -> None:
    """Print a line for each group of parameters, and the names of those that it matches."""
    if not measured.groups:
        return
    print_line("groups: a parameter belongs to the first group that matches it")
    for group in measured.groups:
        who = clean(group.match, 60) or "all others"
        print_line(f"  {who:<20} {group.parameters:>12,}  {group.text}")
        names = ", ".join(map(clean, group.names[:_MOST_NAMES]))
        more = len(group.names) - _MOST_NAMES
        print_line(f"    {names}{f' and {more:,} more' if more > 0 else ''}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
