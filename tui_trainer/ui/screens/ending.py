"""`Ending`: how a run ended, what it is worth beside the baselines, and what can be done next.

Layer: ui, a part of the run screen. A number alone says little: each stands beside what no
training would have given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui_trainer.config.metrics import METRICS
from tui_trainer.config.text import clean
from tui_trainer.headless.printer import duration
from tui_trainer.runs.events import RunEnded
from tui_trainer.sessions.session import Latest
from tui_trainer.ui.bindings import bindings_of
from tui_trainer.ui.widgets.heading import cut_end
from tui_trainer.ui.widgets.numbers import Safety, metric

MOST_CLASSES = 40
"""With more of them the most frequent confusions are listed instead of a table."""
MOST_CONFUSIONS = 20
_WIDEST_LABEL = 12


def verdict(name: str, value: float, baselines: Sequence[float]) -> str:
    """Whether a metric is better than what no training gives."""
    if not baselines:
        return ""
    higher = name in METRICS and METRICS[name].higher_is_better
    if value == (best := max(baselines) if higher else min(baselines)):
        return "equal to the best"
    return "better than all" if (value > best) == higher else "WORSE than one"


def results_table(
    test: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]
) -> list[list[str]]:
    """Rows of cells: the header, then each metric with this run's value and the baselines'."""
    names = list(baselines)
    rows = [["test split", "this run", *(clean(name).replace("_", " ") for name in names), ""]]
    for key, value in test.items():
        others = [baselines[name][key] for name in names if key in baselines[name]]
        cells = [metric(key, baselines[name].get(key)).strip() for name in names]
        label, own = clean(key, 20), metric(key, value).strip()
        rows.append([label, own, *cells, verdict(key, value, others)])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first and the last column to the left, the others to the right."""
    widths = [max(map(cell_len, column)) for column in zip_longest(*rows, fillvalue="")]
    lines = []
    for row in rows:
        cells = [
            _padded(cell, width, right=0 < index < len(widths) - 1)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def confusion_lines(table: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Content]:
    """Counts by true class (rows) and predicted class (columns); errors stand in brackets."""
    names = [clean(name, 40) for name in classes]
    names += [str(index) for index in range(len(names), len(table))]
    if len(table) > MOST_CLASSES:
        return _confusions(table, names)
    short = [cut_end(name, _WIDEST_LABEL) for name in names]
    left = max([*map(cell_len, short), 4])
    digits = max(len(str(count)) for row in table for count in row)
    width = max(digits + 2, min(max(map(cell_len, short)), 6))
    heads = " ".join(_padded(cut_end(name, width), width, right=True) for name in names)
    lines = [
        Content("Confusion: rows are the true class, columns the predicted one, [n] is wrong"),
        Content.styled(f"{' ' * left}  {heads}", "$foreground-muted"),
    ]
    for index, row in enumerate(table):
        cells = [_count(count, width, wrong=index != at) for at, count in enumerate(row)]
        label = Content.styled(_padded(short[index], left), "$foreground-muted")
        lines.append(Content.assemble(label, "  ", Content(" ").join(cells)))
    return lines


def _count(count: int, width: int, *, wrong: bool) -> Content:
    if not count:
        return Content.styled("· ".rjust(width), "$foreground-muted")
    if wrong:
        return Content.styled(f"[{count}]".rjust(width), "bold $text-error")
    return Content(f"{count} ".rjust(width))


def _confusions(table: Sequence[Sequence[int]], names: Sequence[str]) -> list[Content]:
    """The pairs that were confused most often."""
    pairs = [
        (count, true, guess)
        for true, row in enumerate(table)
        for guess, count in enumerate(row)
        if count and guess != true
    ]
    pairs.sort(key=lambda pair: -pair[0])
    wrong, total = sum(pair[0] for pair in pairs), sum(map(sum, table))
    lines = [Content(f"Confusion: {wrong:,} of {total:,} wrong; the most frequent of them:")]
    for count, true, guess in pairs[:MOST_CONFUSIONS]:
        lines.append(Content(f"  {count:>6,}  {names[true]} taken for {names[guess]}"))
    return lines


def _padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * max(width - cell_len(text), 0)
    return space + text if right else text + space


def story(ending: RunEnded, latest: Latest, safety: Safety) -> list[Content]:
    """State and reason, the best, what is saved, the directory."""
    style = {"failed": "bold $text-error", "finished": "bold $text-success"}
    state = Content.styled(ending.state, style.get(ending.state, "bold"))
    steps = f"epoch {ending.epoch:,}, step {ending.step:,}, {duration(ending.elapsed_s)}"
    lines = [
        Content.assemble(state, f" after {steps}"),
        Content(clean(ending.reason, 2000, multiline=True)),
        Content(""),
    ]
    if ending.best is not None:
        name = str(ending.best["metric"])
        found = f"step {ending.best['step']:,} (epoch {ending.best['epoch']:,})"
        value = metric(name, ending.best["value"]).strip()
        lines.append(_fact("best", f"val {clean(name, 20)} {value} at {found}"))
    lines.append(_fact("saved", _saved(ending, latest, safety)))
    if ending.run_dir:
        lines.append(_fact("run", clean(ending.run_dir, 1000)))
    return lines


def _results(ending: RunEnded) -> list[Content]:
    if not ending.test:
        return []
    header, *lines = aligned(results_table(ending.test, ending.baseline or {}))
    shown = [Content.styled(header, "$foreground-muted")]
    for line in lines:
        words, style = ("WORSE", "bold $text-warning") if "WORSE" in line else ("better", "bold")
        at = line.rfind(words)
        shown.append(Content(line).stylize(style, at) if at >= 0 else Content(line))
    return shown


def _saved(ending: RunEnded, latest: Latest, safety: Safety) -> str:
    if safety.step is None:
        return "no checkpoint: there is nothing to go on from"
    behind = safety.steps_beyond(ending.step)
    lost = f"; the {behind:,} steps after it are lost" if behind else ""
    failure = f"; the last save FAILED: {clean(latest.save_failure)}" if safety.failed else ""
    return f"checkpoint of step {safety.step:,}{lost}{failure}"


def _fact(label: str, text: str) -> Content:
    return Content.assemble((f"{label:<7}", "$foreground-muted"), text)


def next_steps(ending: RunEnded, safety: Safety) -> Content:
    """What can be done now, by its keys."""
    if safety.step is None:
        resume = []
    elif ending.state == "finished":
        resume = [("r", "train on")]
    else:
        resume = [("r", f"resume at step {safety.step:,}")]
    keys = [
        *resume,
        ("a", "run again"),
        ("c", "compose from here"),
        ("esc", "plots"),
        ("q", "leave"),
    ]
    return Content("   ").join(
        Content.assemble((f"{key} ", "bold $text-accent"), text) for key, text in keys
    )


class Ending(VerticalScroll, can_focus=True):
    """The panel that takes the place of the plots when the run has ended."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("ending")]
    DEFAULT_CSS = """
    Ending { padding: 0 1; }
    Ending Static { width: 100%; height: auto; }
    Ending #results, Ending #next, Ending #confusion { margin-top: 1; }
    /* Tables are scrolled, not wrapped. */
    Ending { overflow-x: auto; }
    Ending #results, Ending #confusion { width: auto; }
    """

    class Resume(Message):
        """More of this run is wanted."""

    class Again(Message):
        """The same experiment is wanted as a new run."""

    class Compose(Message):
        """The experiment is to be changed."""

    class Plots(Message):
        """The plots are to be seen."""

    def compose(self) -> ComposeResult:
        for part in ("story", "results", "next", "confusion"):
            yield Static("", markup=False, id=part)

    def tell(self, ending: RunEnded, latest: Latest, safety: Safety) -> None:
        """Show how the run ended."""
        table = ending.confusion or ()
        matrix = confusion_lines(table, ending.classes) if table else []
        for part, lines in (
            ("story", story(ending, latest, safety)),
            ("results", _results(ending)),
            ("confusion", matrix),
            ("next", [next_steps(ending, safety)]),
        ):
            static = self.query_one(f"#{part}", Static)
            static.update(Content("\n").join(lines))
            static.display = bool(lines)

    def action_resume(self) -> None:
        self.post_message(self.Resume())

    def action_again(self) -> None:
        self.post_message(self.Again())

    def action_compose_from(self) -> None:
        self.post_message(self.Compose())

    def action_plots(self) -> None:
        self.post_message(self.Plots())
