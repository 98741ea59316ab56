"""The examples that each command's help ends with.

Layer: cli. A test parses each of them, and looks for the presets that they name.
"""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "tui-trainer train digits-cnn",
        "tui-trainer train my-table.csv --target price",
        "tui-trainer attach last",
    ),
    "compose": (
        "tui-trainer compose digits-cnn",
        "tui-trainer compose my-table.csv --target price",
    ),
    "train": (
        "tui-trainer train digits-cnn",
        "tui-trainer train digits-mlp lr=3e-4 model.layers=[128,64] epochs=100",
        "tui-trainer train my-table.csv --target price --save price.yaml",
    ),
    "resume": (
        "tui-trainer resume last",
        "tui-trainer resume last epochs=80 --from best",
    ),
    "fork": (
        "tui-trainer fork last lr=1e-4 --from best",
        "tui-trainer fork digits-cnn --name smaller-steps --no-ui",
    ),
    "attach": (
        "tui-trainer attach",
        "tui-trainer attach last --no-ui",
    ),
    "logs": (
        "tui-trainer logs last --follow",
        "tui-trainer logs digits-cnn --lines 20",
        "tui-trainer logs last --level important --grep 'val.*best'",
    ),
    "runs": (
        "tui-trainer runs --state live",
        "tui-trainer runs --filter 'model=cnn lr<0.01' --sort best",
        "tui-trainer runs --json",
    ),
    "ctl": (
        "tui-trainer ctl last pause",
        "tui-trainer ctl last set lr=1e-4",
        "tui-trainer ctl last stop --discard",
    ),
    "evaluate": (
        "tui-trainer evaluate last",
        "tui-trainer evaluate last --split val --from last --json",
        "tui-trainer evaluate last --data labelled.csv",
    ),
    "predict": (
        "tui-trainer predict last new.csv",
        "tui-trainer predict last new.csv --out predictions.csv",
        "tui-trainer predict last --generate 400 --prompt 'def main'",
    ),
    "data": (
        "tui-trainer data inspect my-table.csv",
        "tui-trainer data inspect my-texts",
    ),
    "data inspect": (
        "tui-trainer data inspect my-table.csv",
        "tui-trainer data inspect my-table.csv --target price separator=semicolon --json",
    ),
    "presets": (
        "tui-trainer presets list",
        "tui-trainer presets show digits-cnn",
    ),
    "presets list": (
        "tui-trainer presets list",
        "tui-trainer presets list model --json",
    ),
    "presets show": (
        "tui-trainer presets show digits-cnn",
        "tui-trainer presets show optimizer/adamw",
    ),
    "presets validate": (
        "tui-trainer presets validate",
        "tui-trainer presets validate my-experiment.yaml",
    ),
    "presets copy": (
        "tui-trainer presets copy digits-cnn my-experiment.yaml",
        "tui-trainer presets copy model/resnet",
    ),
    "presets schema": (
        "tui-trainer presets schema",
        "tui-trainer presets schema > experiment.schema.json",
    ),
    "config": (
        "tui-trainer config",
        "tui-trainer config --init",
    ),
    "completion": (
        "tui-trainer completion bash > ~/.local/share/bash-completion/completions/tui-trainer",
        "tui-trainer completion fish > ~/.config/fish/completions/tui-trainer.fish",
    ),
    "doctor": (
        "tui-trainer doctor",
        "tui-trainer doctor --json",
    ),
    "plugin": (
        "tui-trainer plugin new recipe denoise",
        "tui-trainer plugin check denoise.py digits-mlp recipe=denoise",
    ),
    "plugin check": (
        "tui-trainer plugin check scans.py",
        "tui-trainer plugin check overlap.py scans.yaml loss=tversky",
    ),
    "plugin new": (
        "tui-trainer plugin new dataset scans",
        "tui-trainer plugin new loss tversky",
    ),
    "cache": (
        "tui-trainer cache list",
        "tui-trainer cache clear",
    ),
    "cache list": (
        "tui-trainer cache list",
        "tui-trainer cache list --json",
    ),
    "cache clear": (
        "tui-trainer cache clear",
        "tui-trainer cache clear --debug",
    ),
}
"""By the words of the command; empty for the program itself."""


def examples_of(command: str) -> str:
    """Return the last lines of a command's help; empty if there are no examples."""
    lines = EXAMPLES.get(command, ())
    return "\n".join(["examples:", *(f"  {line}" for line in lines)]) if lines else ""
