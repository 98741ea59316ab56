"""`tui-trainer runs`: prints the runs as a table or as JSON.

Layer: cli.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from tui_trainer.cli import argument_values
from tui_trainer.runs.config_file import settings_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.filters import parse_filter, select
from tui_trainer.runs.index import (
    COLUMNS,
    GAP,
    LEFT,
    ORDERS,
    STATES,
    RunSummary,
    Signs,
    cells_of,
    list_runs,
    sort_runs,
)
from tui_trainer.runs.states import sign_of
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.console import output_stream, print_json, print_line
from tui_trainer.text.errors import BadInput, ExitCode

GROUPS: dict[str, Callable[[RunSummary], bool]] = {
    "live": lambda run: run.is_live,
    "ended": lambda run: not run.is_live,
}


def runs(arguments: argparse.Namespace) -> int:
    """Print the runs that the arguments select."""
    return print_runs(
        argument_values.runs_dir(arguments),
        states=arguments.state,
        order=arguments.sort,
        conditions=arguments.filter,
        as_json=arguments.json,
    )


def print_runs(
    runs_dir: Path,
    *,
    states: str = "",
    order: str = "",
    conditions: str = "",
    as_json: bool = False,
) -> int:
    """Print the runs of a folder, filtered and sorted; without `order`, live runs come first.

    Raises:
        BadInput: there is no such state or order, or a condition cannot be parsed.
    """
    wanted = _wanted(states)
    _check_order(order)
    terms = parse_filter(conditions)
    runs = [run for run in list_runs(runs_dir) if wanted(run)]
    runs = select(runs, terms, lambda run: settings_of(RunDirectory(run.path)))
    if order:
        runs = sort_runs(runs, order)
    if as_json:
        print_json([run.to_dict() for run in runs])
        return ExitCode.OK
    if not runs:
        which = f" that are {clean(states, 80)}" if states else ""
        which += f" with {clean(conditions, 80)}" if conditions else ""
        print_line(f"no runs{which} in {clean(str(runs_dir))}")
        return ExitCode.OK
    _print_table(runs)
    return ExitCode.OK


def _print_table(runs: Sequence[RunSummary]) -> None:
    """Print the runs below their titles; on a terminal, states have a sign and a colour."""
    now, width, out = datetime.now(timezone.utc), _width(), output_stream()
    signs: Signs = "none"
    if width is not None:
        is_rich = all(out.can_write(sign_of(state).sign) for state in STATES)
        signs = "all" if is_rich else "ascii"
    rows = [cells_of(run, now, signs=signs) for run in runs]
    titles, *lines = _table(rows, width)
    out.line(titles)
    for run, row, line in zip(runs, rows, lines, strict=True):
        # A name has no blanks in it, so the first match is the state.
        before, state, after = line.partition(row[1] if signs != "none" else "\0")
        out.coloured([(before, ""), (state, sign_of(run.state).role), (after, "")])


def _wanted(states: str) -> Callable[[RunSummary], bool]:
    """Return a test of whether a run is in one of these states; without any, all runs pass.

    Raises:
        BadInput: there is no such state.
    """
    words = [word.strip() for word in states.split(",") if word.strip()]
    for word in words:
        if word not in STATES and word not in GROUPS and word != "lost":
            known = (*STATES, *GROUPS)
            hint = suggest(word, known)
            raise BadInput(f"no state {clean(word, 40)!r}{hint}; available: {', '.join(known)}")
    names = {"lost?" if word == "lost" else word for word in words}
    groups = [GROUPS[word] for word in words if word in GROUPS]
    return lambda run: not words or run.state in names or any(group(run) for group in groups)


def _check_order(word: str) -> None:
    """Raise BadInput if there is no such order; an empty one is allowed."""
    if word and word not in ORDERS:
        hint = suggest(word, ORDERS)
        shown = clean(word, 40)
        raise BadInput(f"--sort: no column {shown!r}{hint}; available: {', '.join(ORDERS)}")


def _width() -> int | None:
    """Return the width of the terminal, or None when stdout is not one and nothing is cut."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if on_terminal else None


def _table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the rows below their titles; each line is cut at the width of the terminal.

    The name comes first and so is cut last, because every other command needs it.
    """
    rows = [COLUMNS, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(size) if title in LEFT else cell.rjust(size)
            for cell, size, title in zip(row, widths, COLUMNS, strict=True)
        ]
        lines.append(GAP.join(cells)[:width].rstrip())
    return lines
