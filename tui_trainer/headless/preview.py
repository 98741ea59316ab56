"""`train --dry-run`: the resolved configuration, and what it would train.

Layer: headless.
"""

from __future__ import annotations

from tui_trainer.config.errors import ExitCode
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.text import clean
from tui_trainer.config.writing import to_yaml
from tui_trainer.headless.printer import plain_json
from tui_trainer.sessions.workbench import preview


def print_preview(experiment: Experiment, *, as_json: bool = False) -> int:
    """Print configuration, layers, parameters, steps and memory."""
    found = preview(experiment)
    if as_json:
        print(plain_json({"config": experiment.to_dict(), **found.to_dict()}))
        return ExitCode.OK
    print(to_yaml(experiment.to_dict()))
    train, val, test = found.samples
    print(f"data: {train:,} samples to train on, {val:,} to validate, {test:,} to test")
    for note in found.notes:
        print(f"  {clean(note)}")
    print(f"model: input {_shape(found.input_shape)}")
    for layer in found.layers:
        count = f"{layer.parameters:,}" if layer.parameters else ""
        print(f"  {layer.name:<20} {layer.kind:<14} {_shape(layer.output_shape):<14} {count:>12}")
    print(f"parameters: {found.parameters:,}")
    total = f", {found.total_steps:,} in all" if found.total_steps else ""
    print(f"steps: {found.steps_per_epoch:,} an epoch{total}")
    print(f"memory: about {found.memory_bytes / 2**20:,.1f} MB, beside torch itself")
    print(f"device: {found.device}")
    if found.warning:
        print(f"warning: {found.warning}")
    return ExitCode.OK


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
