"""Problems of plugins: trained, measured, predicted and resumed; misuse is said with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.data.splits import tensors
from tests.plugins import restored
from tests.training.harness import Run, at_step, same, small_experiment
from tests.training.test_prediction import predictor, table
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.plugins import Data, dataset, loss, metric, problem, setting
from tui_trainer.problems.kinds import kind_of
from tui_trainer.runs.commands import Stop
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError
from tui_trainer.training.evaluation import evaluate, evaluate_file
from tui_trainer.training.trial import has_own_code, try_step

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CPU = torch.device("cpu")
SECTIONS: dict[str, Any] = {
    "loss": {"type": "auto"},
    "early_stopping": {"patience": None},
    "training": {"grad_accumulation": 1, "batch_size": 16, "epochs": 3},
}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        yield


def ordinal(folder: Path, **sections: Any) -> Experiment:
    load_plugins([EXAMPLES / "ordinal.py"])
    values = {"dataset": {"type": "stars"}, "checkpoint": {"monitor": "places_off"}}
    return small_experiment(folder, **{**SECTIONS, **values, **sections})


def on_table(folder: Path, **sections: Any) -> Experiment:
    section = {"type": "table", "path": str(table(folder / "t.csv")), "target": "y"}
    return small_experiment(folder, **{**SECTIONS, "dataset": section, **sections})


def test_its_head_loss_metrics_and_decoding_are_its_own(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", ordinal(tmp_path))
    outcome = run.start()
    task = run.task()
    assert has_own_code(task.experiment)
    info = task.dataset.info
    assert (info.problem, info.base, task.dataset.outputs) == ("ordinal", "classification", 4)
    assert task.directions == {"loss": "lower", "accuracy": "higher", "places_off": "lower"}
    loaded = predictor(run)
    test = tensors(task.dataset.test)
    with torch.inference_mode():
        outputs = loaded.model(test.inputs)
    levels = (outputs > 0).sum(1)
    off = (levels - test.targets).abs().double()
    measured = evaluate(run.directory, run.experiment, CPU, "test", "last").metrics
    assert outcome.test is not None
    assert measured.keys() == outcome.test.keys() == task.directions.keys()
    assert measured["places_off"] == pytest.approx(off.mean().item())
    assert measured["accuracy"] == pytest.approx((off == 0).double().mean().item())
    above = (test.targets[:, None] > torch.arange(4)).float()
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(outputs, above)
    assert measured["loss"] == pytest.approx(wanted.item(), rel=1e-5)
    best = min(line["val/places_off"] for line in run.lines() if "val/places_off" in line)
    assert outcome.best is not None
    assert outcome.best["value"] == best
    decoded = kind_of(info).decode(outputs.double(), info)
    assert [one.value for one in decoded] == [info.classes[level] for level in levels.tolist()]


def test_its_run_is_resumed_bit_for_bit_and_its_settings_are_those_of_the_run(
    tmp_path: Path,
) -> None:
    chosen = ordinal(tmp_path, problem={"type": "ordinal", "cautious": True})
    whole, cut = (Run.new(tmp_path / name, chosen) for name in ("whole", "cut"))
    whole.start()
    cut.start(at_step(5, Stop()))
    cut.resume()
    assert cut.lines() == whole.lines()
    assert same(cut.final(), whole.final())
    loaded = predictor(whole)
    assert dict(loaded.outline.settings) == {"cautious": True}
    sure = torch.tensor([[2.0, 2.0, 1.0, -5.0]], dtype=torch.float64)
    values = [
        kind_of(replace(loaded.outline, settings=settings)).decode(sure, loaded.outline)[0].value
        for settings in ((("cautious", True),), (("cautious", False),))
    ]
    assert values == ["3", "4"]


def test_without_its_plugin_a_checkpoint_is_not_read_as_another_problem(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", ordinal(tmp_path))
    run.start()
    with restored():
        del PROBLEMS["ordinal"]
        with pytest.raises(CheckpointUnusable, match="a problem of 'ordinal'"):
            predictor(run)


def test_a_table_is_predicted_by_a_problem_that_only_decodes(tmp_path: Path) -> None:
    @problem("whole", like="regression")
    class Whole:
        """Whole numbers."""

        most: int = setting(30, "the largest of them")

        def decode(self, outputs: Tensor, info: Any) -> Any:
            decoded = super().decode(outputs, info)  # type: ignore[misc]
            return [min(round(one.value), self.most) for one in decoded]

    run = Run.new(
        tmp_path / "run",
        on_table(tmp_path, problem={"type": "whole", "most": 12}, training={"epochs": 20}),
    )
    plain = Run.new(tmp_path / "plain", on_table(tmp_path, training={"epochs": 20}))
    assert run.start().test == plain.start().test, "all but its predictions is that of regression"
    assert same(run.final()["model"], plain.final()["model"])
    (tmp_path / "new.csv").write_text("a,b\n3,u\n3,w\n")
    own, other = (
        [sample.value for sample in predictor(one).file(str(tmp_path / "new.csv")).samples]
        for one in (run, plain)
    )
    assert own == [min(round(value), 12) for value in other if isinstance(value, float)]
    assert own[1] == 12


def test_targets_of_a_table_are_stored_as_its_check_says(tmp_path: Path) -> None:
    @problem("tens", like="regression", better={"right": "higher"})
    class Tens:
        """Predicts the tens of a number."""

        def check(self, targets: Tensor, inputs: Tensor, info: Any) -> Tensor:
            if (targets < 0).any():
                raise ValueError("a number is below zero")
            return torch.div(targets, 10, rounding_mode="floor")

        def totals(self, info: Any, device: Any, extras: Any = (), *, with_result: bool = False):  # type: ignore[no-untyped-def]
            return Right()

    class Right:
        count, right = 0, 0.0

        def update(self, outputs: Tensor, batch: Any, loss: Tensor) -> None:
            self.count += len(outputs)
            self.right += (outputs.round() == batch["target"]).sum().item()

        def compute(self) -> dict[str, float]:
            return {"right": self.right / self.count}

    chosen = on_table(tmp_path, problem={"type": "tens"}, checkpoint={"monitor": "right"})
    run = Run.new(tmp_path / "run", chosen)
    train = tensors(run.task().dataset.train)
    assert set(train.targets.flatten().tolist()) == {0.0, 1.0, 2.0}, "not standardised"
    assert run.start().baseline is None, "its metrics are others than those of the baselines"
    whole = evaluate_file(run.directory, chosen, CPU, str(tmp_path / "t.csv"), "last")
    assert 0 <= whole.metrics["right"] <= 1
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + "1,u,-3\n")
    with pytest.raises(BadInput, match=r"a number is below zero \(check of the problem tens\)"):
        Run.new(tmp_path / "other", chosen).task()


def test_losses_and_metrics_are_those_of_what_it_is_like_in_any_order() -> None:
    def early(outputs: Tensor, target: Tensor) -> Tensor:
        return outputs.mean()

    def late(outputs: Tensor, target: Tensor) -> Tensor:
        return outputs.mean()

    loss("early", problems=("regression",))(early)
    metric("seen", better="lower", problems=("regression",))(early)
    body: dict[str, Any] = {"decode": lambda self, outputs, info: []}
    problem("one", like="regression")(type("One", (), body))
    problem("two", like="one", losses=("late",))(type("Two", (), body))
    loss("late", problems=("two",))(late)
    loss("later", problems=("regression",))(late)
    metric("counted", better="lower", problems=("one",))(late)
    assert PROBLEMS["one"].losses == ("mse", "l1", "huber", "early", "later")
    assert PROBLEMS["two"].losses == ("late", "later")
    assert PROBLEMS["two"].more_metrics == ("seen", "counted")
    assert "counted" not in PROBLEMS["regression"].more_metrics
    assert PROBLEMS["two"].base == "regression"


class _Nothing:
    pass


class _Head:
    def head(self, target: Tensor) -> int:
        return 1


class _Totals:
    def totals(self, info: Any, device: Any, extras: Any) -> None: ...


class _Live:
    level: int = setting(1, "lives", live=True)

    def combine(self, outputs: Tensor) -> None: ...


class _Taken:
    threshold: float = 0.5

    def combine(self, outputs: Tensor) -> None: ...


@pytest.mark.parametrize(
    ("made", "options", "text"),
    [
        (_Nothing, {"like": "regression"}, "has none of the methods check, head"),
        (_Head, {"like": "regresion"}, r"no problem 'regresion' \(did you mean 'regression'\?\)"),
        (_Head, {"like": "none"}, "has like='none', which predicts nothing; write a recipe"),
        (_Head, {"like": "regression"}, r"called with \(self, target, info\), but takes \(self, t"),
        (_Totals, {"like": "regression"}, r"with_result=\.\.\.\), but takes \(self, info, device"),
        (_Live, {"like": "regression"}, "'level' of the problem 'mine' cannot be live"),
        (
            _Taken,
            {"like": "multilabel"},
            "'threshold' of the problem 'mine' is also one of",
        ),
        (
            _Taken,
            {"like": "regression", "better": {"x": "lower"}},
            "is for metrics that its own totals computes",
        ),
    ],
)
def test_a_class_that_cannot_be_one_is_refused_where_it_is_registered(
    made: type, options: dict[str, Any], text: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        problem("mine", **options)(made)
    assert "mine" not in PROBLEMS


def test_its_name_is_taken_once() -> None:
    load_plugins([EXAMPLES / "ordinal.py"])
    body: dict[str, Any] = {"decode": lambda self, outputs, info: []}
    with pytest.raises(ValueError, match=r"problem 'ordinal' is registered by .*ordinal.py:\d+"):
        problem("ordinal", like="regression")(type("Again", (), body))
    with pytest.raises(ValueError, match="problem 'multilabel' is built in"):
        problem("multilabel", like="regression")(type("Again", (), body))


def _wrong(kind: str) -> None:
    """Register a problem that is wrong in one way, once it is used."""

    class Wrong:
        def decode(self, outputs: Tensor, info: Any) -> Any:
            if kind == "error":
                return [info.clases[0] for _ in outputs]
            if kind == "state":
                self.seen = 1
            return [None] * len(outputs) if kind == "value" else [1.0]

    class WithTotals(Wrong):
        def totals(self, info: Any, device: Any, extras: Any = (), *, with_result: bool = False):  # type: ignore[no-untyped-def]
            return Counted()

    class WithCheck(Wrong):
        def check(self, targets: Tensor, inputs: Tensor, info: Any) -> Any:
            return targets[:1]

    class WithHead(Wrong):
        def head(self, target: Tensor, info: Any) -> Any:
            return 0

    class Counted:
        def update(self, outputs: Tensor, batch: Any, loss: Tensor) -> None: ...

        def compute(self) -> Any:
            return {"mae": outputs if kind == "shape" else 1.0}

    outputs = torch.zeros(2)
    made = {"missing": WithTotals, "shape": WithTotals, "check": WithCheck, "head": WithHead}
    problem("wrong", like="regression")(made.get(kind, Wrong))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("error", r"own_problem.py:\d+: AttributeError: .*'clases'.*\(decode of the problem wron"),
        ("state", r"'seen' of a problem cannot be set, because checkpoints would not have it"),
        ("value", r"decode of the problem wrong returned a NoneType; a value is a text, a number"),
        ("count", r"own_problem.py:\d+: decode of the problem wrong returned 1 values for 16 sam"),
        ("missing", r"the problem wrong computes loss, mae, and no rmse; its totals compute all"),
        ("shape", r"the problem wrong computes 2 of float32 as 'mae', not a number"),
        ("check", r"check of the problem wrong returned 1x1 of float32 for \d+ targets"),
        ("head", r"head of the problem wrong returned 0; it should be how many numbers"),
    ],
)
def test_what_it_does_wrong_is_found_before_a_run(tmp_path: Path, kind: str, text: str) -> None:
    _wrong(kind)
    with pytest.raises(BadInput, match=text):
        try_step(Run.new(tmp_path / "run", on_table(tmp_path, problem={"type": "wrong"})).task())


def test_what_data_cannot_have_is_refused(tmp_path: Path) -> None:
    @dataset("misnamed")
    def misnamed() -> Data:
        return Data({"input": torch.randn(40, 2), "target": torch.randn(40)}, problem="ordinl")

    chosen = ordinal(tmp_path, dataset={"type": "misnamed"})
    with pytest.raises(BadInput, match=r"no problem 'ordinl' \(did you mean 'ordinal'\?\)"):
        Run.new(tmp_path / "run", chosen).task()
    other = on_table(tmp_path, problem={"type": "ordinal"}, loss={"type": "mse"})
    with pytest.raises(ConfigError, match="mse is not a loss for ordinal"):
        Run.new(tmp_path / "other", other).task()
