"""`tui-trainer evaluate`: a run's weights on a split, beside the baselines.

Layer: headless. The work is done by training, imported when it is needed.
"""

from __future__ import annotations

from tui_trainer.config.sections.metrics import metrics_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.workbench import evaluate_run
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_error, print_json, print_line
from tui_trainer.text.errors import ExitCode


def print_evaluation(
    run: RunDirectory, split: str, which: str, device: str, *, as_json: bool = False
) -> int:
    """Evaluate and print; the best checkpoint unless another is named."""
    found = evaluate_run(run, split, which, device)
    for note in found.notes:
        print_error(f"tui-trainer: {clean(note)}")
    if as_json:
        print_json({"run": run.path.name, **found.to_dict()})
        return ExitCode.OK
    print_line(f"{run.path.name}, step {found.step:,}, {split}: {metrics_text(found.metrics)}")
    for name, metrics in found.baseline.items():
        print_line(f"  baseline {name.replace('_', ' ')}: {metrics_text(metrics)}")
    return ExitCode.OK
