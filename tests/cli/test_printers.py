"""The lines, the bar and the JSON of a run without the app."""

from __future__ import annotations

import io
import json

from rich.console import Console

from tui_trainer.cli.bar_printer import BarPrinter
from tui_trainer.cli.printers import JsonPrinter, LinePrinter
from tui_trainer.runs.events import (
    FactFound,
    MeasurementAdvanced,
    RunStarted,
    StageStarted,
    StateChanged,
    StepsTaken,
)

FIRST = StepsTaken(1, 1, 0.3, (2.5,), (0.4,), (0.003,), 1234.0, 0.0)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_stage_that_takes_long_has_one_line_and_a_short_one_has_none() -> None:
    out, clock = io.StringIO(), Clock()
    printer = LinePrinter(out, clock=clock)
    printer.show(StageStarted(0, "import torch", at_s=100.0))
    printer.show(FactFound(0, "device", "cpu"))
    for now_s in (100.5, 100.7, 100.9, 110.0):
        clock.now_s = now_s
        printer.look()
    assert out.getvalue().splitlines() == ["importing torch ..."]
    printer.show(StageStarted(0, "read the data", at_s=110.0))
    clock.now_s = 110.7
    printer.look()
    printer.show(StageStarted(0, "first step", at_s=110.7))
    clock.now_s = 120.0
    printer.look()
    assert out.getvalue().splitlines()[1:] == ["taking the first step ..."]
    printer.show(StateChanged(1, "running"))
    clock.now_s = 200.0
    printer.look()
    assert len(out.getvalue().splitlines()) == 2, "it has taken it"


def test_json_has_the_stages_and_facts_of_a_start() -> None:
    out = io.StringIO()
    printer = JsonPrinter(out)
    printer.show(StageStarted(0, "read the data", at_s=1.0))
    printer.show(FactFound(0, "data", "3 samples", at_s=1.5))
    printer.look()
    stage, fact = map(json.loads, out.getvalue().splitlines())
    assert (stage["event"], stage["stage"]) == ("stage_started", "read the data")
    assert (fact["event"], fact["topic"], fact["text"]) == ("fact_found", "data", "3 samples")


def test_the_bar_has_stages_until_there_are_numbers() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, highlight=False)
    printer = BarPrinter(console)
    printer.show(StageStarted(0, "read the data", at_s=1.0))
    printer.look()
    assert "reading the data" in out.getvalue()
    printer.show(RunStarted(0, 0, "r", "cpu", 1, 1, 20, 460, 0))
    printer.look()
    for unknown in ("epoch 0", "step 0", "0 samples/s"):
        assert unknown not in out.getvalue()
    printer.show(FIRST)
    printer.close()
    assert "step 1/460  loss 2.500" in out.getvalue()


def test_the_test_has_a_line_every_two_seconds_of_a_part() -> None:
    out = io.StringIO()
    printer = LinePrinter(out)
    printer.show(StateChanged(460, "testing", "22,432 samples, then 2 baselines"))
    for tenths in range(0, 60):
        printer.show(
            MeasurementAdvanced(
                *(460, "test split", tenths * 100, 22_432, "samples", tenths / 10),
                "then 2 baselines",
            )
        )
    printer.show(MeasurementAdvanced(460, "baseline unigram", 0, 0, "samples", 0.0, ""))
    printer.show(MeasurementAdvanced(460, "baseline gzip", 3, 9, "bytes", 3.0, ""))
    assert out.getvalue().splitlines() == [
        "testing on 22,432 samples, then 2 baselines",
        "testing  test split  2,000/22,432 samples  ETA 20.4 s  then 2 baselines",
        "testing  test split  4,000/22,432 samples  ETA 18.4 s  then 2 baselines",
        "testing  baseline gzip  3/9 bytes  ETA 6.0 s",
    ]
