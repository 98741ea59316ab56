"""`training.compile=step`: the numbers of the eager step but for rounding, and exact when cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.harness import Run, at_step, cut_at, same, small_experiment, write_images
from tui_trainer.config.drafts.fields import field_at
from tui_trainer.config.drafts.values import entry_text, read_entry
from tui_trainer.runs.commands import Set
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.compiled_graph import CompiledGraph

CNN = {"type": "cnn", "channels": [4, 4], "dropout": 0.2}

FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (CNN, {}),
    "ema": (CNN, {"ema_decay": 0.9}),
    "bf16": (CNN, {"precision": "bf16", "grad_clip_norm": None, "grad_clip_value": 0.01}),
    "accumulated": (CNN, {"grad_accumulation": 2, "freeze": ["blocks.0"]}),
    "channels_last": (CNN, {"channels_last": True, "arithmetic": "plain"}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def started(folder: Path, data: Path, model: dict[str, Any], **training: Any) -> Run:
    return Run.new(folder, small_experiment(data, model=model, training=training))


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
def test_cut_at_a_step_it_equals_the_whole_run(tmp_path: Path, data: Path, form: str) -> None:
    model, settings = FORMS[form]
    edit = Set(key="optimizer.lr", value=2e-3)
    uncut = started(tmp_path / "uncut", data, model, compile="step", **settings)
    end = uncut.start(at_step(5, edit)).step
    cut = started(tmp_path / "cut", data, model, compile="step", **settings)
    assert cut_at(cut, range(1, end, 2), at_step(5, edit)).step == end
    assert cut.lines() == uncut.lines()
    assert same(cut.final(), uncut.final())
    eager = started(tmp_path / "eager", data, model, **settings)
    eager.start(at_step(5, edit))
    tolerance = 0.1 if "precision" in settings else 1e-4
    for name, weights in eager.final()["model"].items():
        torch.testing.assert_close(uncut.final()["model"][name], weights, atol=tolerance, rtol=0.01)


class Scaled:
    """A method to compile: it changes what is fixed, and returns a number."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def add(self, into: list[Tensor], batch: dict[str, Tensor], numbers: Tensor) -> Tensor:
        for own in into:
            own.add_(batch["input"].sum(dim=0) * self.factor * numbers)
        return batch["input"].sum()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_graph_belongs_to_one_object_and_is_called_directly() -> None:
    rows = torch.arange(24.0).reshape(8, 3)
    for factor in (2.0, 5.0):
        graph = CompiledGraph(Scaled(factor).add)
        flat = torch.zeros(6)
        fixed = ([flat[:3], flat[3:]],)
        wanted = torch.zeros(3)
        with torch.no_grad():
            for part in (rows[:2], rows[2:4], rows[:2], rows[2:4], rows[4:], rows[4:]):
                assert graph(fixed, {"input": part}, torch.ones(1)).equal(part.sum())
                wanted += part.sum(dim=0) * factor
        assert flat.equal(wanted.repeat(2))
        assert len(graph._direct) == 3
        assert None not in graph._direct.values()


class Difference:
    """A method to compile that reads two fields of a batch."""

    def of(self, into: list[Tensor], batch: dict[str, Tensor], _: Tensor) -> Tensor:
        into[0].copy_(batch["input"] - 2 * batch["target"])
        return batch["input"].sum()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_fields_may_be_one_tensor_in_some_batches() -> None:
    graph, into = CompiledGraph(Difference().of), torch.zeros(3)
    fixed = ([into],)
    with torch.no_grad():
        for _ in range(3):
            one, other = torch.randn(2, 3)
            for target in (one, other, one):
                graph(fixed, {"input": one, "target": target}, torch.ones(1))
                assert into.allclose(one - 2 * target)


@pytest.mark.parametrize(
    ("model", "training", "blamed"),
    [
        (CNN, {"precision": "fp16"}, "the loss scaler of fp16"),
        (CNN, {"gradient_checkpointing": True}, "gradient checkpointing"),
    ],
)
def test_it_refuses_what_it_cannot_compile(
    tmp_path: Path, data: Path, model: dict[str, Any], training: dict[str, Any], blamed: str
) -> None:
    with pytest.raises(ConfigError, match=f"training.compile: step: cannot compile {blamed}"):
        started(tmp_path, data, model, compile="step", **training).task()


def test_a_field_offers_all_three_values() -> None:
    field = field_at("training.compile", {})
    assert field is not None
    assert field.choices == ("false", "true", "step")
    assert [read_entry(field, choice) for choice in field.choices] == [False, True, "step"]
    assert [entry_text(value, field) for value in (False, True, "step")] == [*field.choices]
