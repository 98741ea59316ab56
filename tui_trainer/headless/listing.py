"""`tui-trainer runs`: the runs as a table, or as JSON.

Layer: headless.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tui_trainer.config.errors import ExitCode
from tui_trainer.config.text import clean
from tui_trainer.headless.printer import number, plain_json
from tui_trainer.runs.index import RunSummary, list_runs

PIPE_WIDTH = 400
"""Columns where no terminal limits them: nothing is cut for a program that reads along."""


def print_runs(runs_dir: Path, *, as_json: bool = False) -> int:
    """Print the runs of a folder, live ones at the top."""
    runs = list_runs(runs_dir)
    if as_json:
        print(plain_json([run.to_dict() for run in runs]))
        return ExitCode.OK
    if not runs:
        print(f"no runs in {clean(str(runs_dir))}")
        return ExitCode.OK
    table = Table(box=None, pad_edge=False)
    for title, side in (
        ("name", "left"),
        ("state", "left"),
        ("epoch", "right"),
        ("step", "right"),
        ("val loss", "right"),
        ("accuracy", "right"),
        ("age", "right"),
        ("device", "left"),
    ):
        table.add_column(title, justify="right" if side == "right" else "left", no_wrap=True)
    # A name is what every other command takes: the columns after it give way.
    table.columns[0].min_width = max(len(clean(run.name)) for run in runs)
    now = datetime.now(timezone.utc)
    for run in runs:
        table.add_row(*(Text(cell) for cell in _row(run, now)))
    Console(highlight=False, width=_width()).print(table)
    return ExitCode.OK


def _width() -> int | None:
    """The width of the terminal, which rich finds out, or that of a pipe."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    return None if on_terminal else PIPE_WIDTH


def _row(run: RunSummary, now: datetime) -> list[str]:
    status = run.status
    if status is None:
        return [clean(run.name), run.state, "", "", "", "", "", ""]
    metrics = status.best or status.validation
    accuracy = metrics.get("accuracy")
    return [
        clean(run.name),
        clean(run.state, 20),
        str(status.epoch),
        f"{status.step:,}",
        number(metrics.get("loss")),
        "-" if accuracy is None else f"{accuracy * 100:.1f} %",
        _age(status.updated_at, now),
        clean(status.device.replace(",", "").split(" ")[0], 24),
    ]


def _age(updated_at: str, now: datetime) -> str:
    """How long ago, in the largest unit: 11s, 35m, 2h, 1d."""
    try:
        seconds = (now - datetime.fromisoformat(updated_at)).total_seconds()
    except (ValueError, TypeError):
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"
