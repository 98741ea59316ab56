"""`MetricsPanel`: shows the numbers of a run; pure functions turn what is known into rows.

Layer: ui. Every value has a fixed width, so that nothing moves when it gains or loses a digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.metrics import metric_label, metric_text
from tui_trainer.config.sections.recipes import SUPERVISED
from tui_trainer.machine.usage import Usage
from tui_trainer.runs.events import CheckpointSaved, Event, RunStarted, SaveFailed
from tui_trainer.runs.history import History
from tui_trainer.runs.step_numbers import Group
from tui_trainer.runs.view import Model, RunView
from tui_trainer.text.cells import cut_end, padded
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted, duration, measured, size_text
from tui_trainer.ui.run.device_trail import SPAN, DeviceTrail


@dataclass(slots=True)
class SavedProgress:
    """The last saved step, and how much training would be lost now.

    `age_s` is in seconds of training, which is what would be lost; pauses are not counted. It is
    None where the curves of the run do not tell it.
    """

    step: int | None = None
    failed: bool = False
    age_s: float | None = None

    def begin(self, view: RunView) -> None:
        """Note the checkpoint that a run resumed from, which no event reports."""
        if self.step is None:
            self.step = view.saved.step

    def add(self, event: Event) -> None:
        """Update it with an event."""
        match event:
            case RunStarted():
                # A resumed run starts at its checkpoint.
                self.step = event.step or None
            case CheckpointSaved():
                self.step, self.failed = event.step, False
            case SaveFailed():
                self.failed = True
            case _:
                pass

    def measure(self, view: RunView, history: History) -> None:
        """Read the age off the curves, which know the past of runs of other processes too."""
        since = self.step or 0
        is_known = min(history.newest, view.step) > since
        taken_s = history.x_of(since, "time") if since else 0.0
        self.age_s = history.x_of(view.step, "time") - taken_s if is_known else None

    def behind(self, step: int) -> str:
        """Return what a stop at this step would lose: `23 steps, 3.5 s`."""
        steps = counted(self.steps_beyond(step), "step")
        return steps if self.age_s is None else f"{steps}, {duration(self.age_s)}"

    def has_all(self, view: RunView) -> bool:
        """Return whether every step is saved; unknown, so False, while the run trains."""
        rests = view.ended or view.state == "paused"
        return rests and self.step == view.step and not self.failed

    def steps_beyond(self, step: int) -> int:
        """Steps taken since the newest checkpoint, or since the start."""
        return max(step - (self.step or 0), 0)


def steady(value: float | None) -> str:
    """Return a measured number in eight cells."""
    return measured(value).ljust(8)


def metric(name: str, value: float | None) -> str:
    """Return a metric in eight cells."""
    return metric_text(name, value).ljust(8)


def size(size_bytes: float) -> str:
    """Return a size in six cells: `512 MB`, `2.1 GB`, `80 GB`."""
    return size_text(size_bytes).rjust(6)


def monitored(experiment: Experiment | None) -> str:
    """Return the name of the metric that decides which step is best."""
    return experiment.checkpoint.monitor if experiment is not None else "loss"


def patience(view: RunView, experiment: Experiment | None) -> str:
    """Return `patience 1/5`, or an empty string if early stopping is off."""
    limit = experiment.early_stopping.patience if experiment is not None else None
    return f"patience {view.scores.stale}/{limit}" if limit is not None else ""


def safe_text(safety: SavedProgress, view: RunView) -> str:
    """Return how much is saved: `saved 138, 23 steps ago`."""
    behind = counted(safety.steps_beyond(view.step), "step")
    if safety.failed:
        return f"NOT SAVED for {behind}"
    if safety.step is None:
        return "no checkpoint yet"
    return f"saved {safety.step:,}, {'up to date' if safety.has_all(view) else f'{behind} ago'}"


def load_text(percent: float | None, of: str = "") -> str:
    """Return a load, `34 % of a core`, or a dash while it is unknown."""
    return "-" if percent is None else f"{percent:.0f} %{of}"


def device_text(view: RunView, usage: Usage | None) -> str:
    """Return `cuda:0 34 % 2.1 GB`; for a run on the CPU, load and memory of its process."""
    device = clean(view.model.device, 20) or "-"
    if usage is None:
        return device
    if usage.gpu is not None and not view.model.device.startswith("cpu"):
        load = load_text(usage.gpu.load_percent).rjust(5)
        own = usage.gpu.own_bytes
        return f"{device} {load} {size(usage.gpu.used_bytes if own is None else own)}"
    return f"{device} {load_text(usage.process_percent).rjust(5)} {size(usage.process_bytes)}"


def two_lines(
    view: RunView,
    usage: Usage | None,
    experiment: Experiment | None,
    safety: SavedProgress,
    width: int,
) -> list[str]:
    """Return the most important numbers in two lines, as many as fit."""
    first, *rest = _briefly(view, "learning")
    speed, *more = _briefly(view, "speed")
    learning = [first, *_validated(view, experiment), *rest]
    # As wide as it can become in this run, so that the text after it does not move.
    digits = len(f"{view.total_steps or view.step:,}")
    working = [
        safe_text(safety, view).ljust(18 + 2 * digits),
        speed,
        patience(view, experiment),
        device_text(view, usage),
        *more,
        f"free memory {size(usage.free_bytes)}" if usage is not None else "",
    ]
    return [_fit(learning, width), _fit(working, width)]


def _validated(view: RunView, experiment: Experiment | None) -> list[str]:
    """Return the newest validation for the narrow panel: the loss, the best, the other metrics.

    A recipe may have no loss to measure: then its first metric stands there.
    """
    if _measures_nothing(view, experiment):
        return []
    validation = view.scores.validation
    leading = "loss" if "loss" in validation else next(iter(validation), "loss")
    label = "" if leading == "loss" else f"{metric_label(leading)} "
    name = monitored(experiment)
    best = f"best {metric(name, (view.scores.best or {}).get(name))}"
    return [
        f"val {label}{metric(leading, validation.get(leading))}",
        f"{best} {_epoch_of(view.scores.best_step, view.steps_per_epoch):<8}",
        *(
            f"{metric_label(key)} {metric(key, value)}"
            for key, value in validation.items()
            if key != leading
        ),
    ]


def _measures_nothing(view: RunView, experiment: Experiment | None) -> bool:
    """Whether this is a run of a recipe that has not measured anything, and may never do."""
    is_own = experiment is not None and experiment.recipe.type != SUPERVISED
    return is_own and not view.scores.validation and view.scores.best is None


def _fit(parts: Iterable[str], width: int) -> str:
    """Join as many parts as fit, two spaces apart; one that does not fit is left out, not cut."""
    line = ""
    for part in filter(None, parts):
        longer = f"{line}  {part}" if line else part
        if len(longer.rstrip()) <= width or not line:
            line = longer
    return line


def _epoch_of(step: int | None, steps_per_epoch: int | None) -> str:
    if step is None:
        return ""
    if not steps_per_epoch:
        return f"step {step:,}"
    return f"epoch {-(-step // steps_per_epoch):,}"


def _briefly(view: RunView, group: Group) -> list[str]:
    """Return the numbers of a group for the narrow panel, each as wide as it can become."""
    pad = str.ljust if group == "learning" else str.rjust
    return [
        number.brief.format(pad(number.text(value), number.width))
        for number, value in view.numbers.of_group(group)
    ]


def _rows(view: RunView, group: Group) -> list[Row]:
    """Return the numbers of a group for the wide panel."""
    width = 8 if group == "learning" else 9
    return [
        (number.label, number.text(value).strip().ljust(width))
        for number, value in view.numbers.of_group(group)
    ]


Row = tuple[str, str]
"""A label and its value; a heading has an empty value."""


def column(
    view: RunView,
    usage: Usage | None,
    experiment: Experiment | None,
    safety: SavedProgress,
    trail: DeviceTrail | None = None,
) -> list[Row]:
    """Return all numbers for the wide panel: groups of labelled rows.

    With `trail`, load and memory over the last minutes are among them.
    """
    name = monitored(experiment)
    counter = patience(view, experiment).removeprefix("patience ")
    first, *rest = _rows(view, "learning")
    model = view.model
    rows: list[Row] = [
        ("learning", ""),
        first,
        *(
            (f"val {metric_label(key)}", metric(key, v))
            for key, v in view.scores.validation.items()
        ),
        *([] if _measures_nothing(view, experiment) else _best_rows(view, name)),
        ("patience", counter or ("-" if experiment is None else "off")),
        *rest,
        ("speed", ""),
        *_rows(view, "speed"),
        ("parameters", "-" if model.parameters is None else f"{model.parameters:,}"),
        *_trained_rows(model),
        ("safety", ""),
        ("checkpoint", "none yet" if safety.step is None else f"step {safety.step:,}"),
        ("  behind by", safety.behind(view.step)),
        *([("  last save", "FAILED")] if safety.failed else []),
    ]
    return rows + _device_rows(view, usage, trail)


def _best_rows(view: RunView, name: str) -> list[Row]:
    best = metric(name, (view.scores.best or {}).get(name))
    return [(f"best {metric_label(name)}", best), ("  at step", _found_at(view))]


def _trained_rows(model: Model) -> list[Row]:
    trained = model.trained_parameters
    return [] if trained in (None, model.parameters) else [("  trained", f"{trained:,}")]


def _found_at(view: RunView) -> str:
    if view.scores.best_step is None:
        return "-"
    step = f"{view.scores.best_step:,}"
    if not view.steps_per_epoch:
        return step
    return f"{step}, {_epoch_of(view.scores.best_step, view.steps_per_epoch)}"


def _device_rows(view: RunView, usage: Usage | None, trail: DeviceTrail | None) -> list[Row]:
    rows: list[Row] = [("device", ""), ("runs on", clean(view.model.device, 20) or "-")]
    if usage is None:
        return rows
    load = [(f"  {SPAN}", trail.load)] if trail is not None else []
    memory = [(f"  {SPAN}", trail.memory)] if trail is not None else []
    if usage.gpu is not None:
        rows += [
            ("GPU", clean(usage.gpu.name, 20)),
            ("GPU load", load_text(usage.gpu.load_percent).ljust(6)),
            *load,
            (
                "GPU memory",
                f"{size(usage.gpu.used_bytes).strip()} of {size(usage.gpu.total_bytes).strip()}",
            ),
        ]
        if usage.gpu.own_bytes is not None:
            # While a run is off-loaded, this is what its CUDA context still holds.
            rows.append(("  by this run", size(usage.gpu.own_bytes).strip().ljust(9)))
        rows += memory
        load = memory = []
    return [
        *rows,
        ("process", load_text(usage.process_percent, " of a core").ljust(16)),
        *load,
        ("memory", size(usage.process_bytes).strip().ljust(9)),
        *memory,
        ("machine", load_text(usage.machine_percent, " busy").ljust(11)),
        ("free memory", size(usage.free_bytes).strip().ljust(9)),
    ]


class MetricsPanel(Static):
    """Shows the numbers in two lines or in a column; repaints only when their text has changed."""

    DEFAULT_CSS = """
    MetricsPanel { height: 2; padding: 0 1; }
    """

    def __init__(self, *, in_column: bool, plain: bool = False, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self._in_column = in_column
        self._trail = DeviceTrail(plain=plain)
        self._known: tuple[RunView, Usage | None, Experiment | None, SavedProgress] | None = None
        self._shown: Sequence[Row] | Sequence[str] = ()

    def look(
        self,
        view: RunView,
        usage: Usage | None,
        experiment: Experiment | None,
        safety: SavedProgress,
    ) -> bool:
        """Show what is known; return whether anything changed."""
        self._known = view, usage, experiment, safety
        if view.step and not view.ended:
            self._trail.add(usage)
        if not self.size:
            return False
        rows: Sequence[Row] | Sequence[str]
        if self._in_column:
            rows = column(view, usage, experiment, safety, self._trail)
            if self._trail.is_empty or len(rows) > self.content_size.height:
                rows = column(view, usage, experiment, safety)
        else:
            rows = two_lines(view, usage, experiment, safety, self.content_size.width)
        if rows == self._shown:
            return False
        self._shown = rows
        self.update(_content(rows, self.content_size.width), layout=False)
        return True

    def on_resize(self) -> None:
        if self._known is not None:
            self.look(*self._known)


LABEL_CELLS = range(13, 18)
"""How wide the labels of a column may be; a wider label is cut, so that values stay in line."""


def _content(rows: Sequence[Row] | Sequence[str], room: int) -> Content:
    longest = max((cell_len(row[0]) for row in rows if not isinstance(row, str)), default=0)
    width = min(max(longest, LABEL_CELLS[0]), LABEL_CELLS[-1])
    return Content("\n").join(
        Content(row) if isinstance(row, str) else _line(row, width, room) for row in rows
    )


def _line(row: Row, width: int, room: int) -> Content:
    """Return a row with a label of that width; a value that is too long loses its second part."""
    label, value = row
    if not value:
        return Content.styled(label, "bold")
    if width + 1 + cell_len(value.rstrip()) > room:
        value = value.partition(", ")[0]
    return Content.assemble(
        (f"{padded(cut_end(label, width), width)} ", "$foreground-muted"), value
    )
