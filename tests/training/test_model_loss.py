"""A model that computes its own loss is trained as with a loss outside of it, and cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.plugins import restored
from tests.training.harness import Run, small_experiment, write_images
from tests.training.test_recipe_cuts import noisy_section
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.user_code import add_folder
from tui_trainer.plugins import model
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.exactness import compare_cuts
from tui_trainer.training.trial import try_step

HERE = str(Path(__file__).parent)


class Net(nn.Module):
    """Computes cross entropy, with dropout and a count of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(16, 3), nn.Dropout(0.2)
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, pixels: Tensor, target: Tensor | None = None) -> Any:
        if self.training:
            self.calls = self.calls + 1
        logits = self.drop(self.layer(pixels.flatten(1)))
        if target is None:
            return {"logits": logits}
        return self.answer(logits, nn.functional.cross_entropy(logits, target))

    def answer(self, logits: Tensor, loss: Tensor) -> Any:
        size = logits.square().mean()
        return {"logits": logits, "loss": loss, "size": size, "hidden": logits}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        add_folder(HERE)

        @model("net")
        def net(signature: Any) -> nn.Module:
            return Net()

        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images.csv")


def experiment(data: Path, **sections: Any) -> Experiment:
    chosen = {"model": {"type": "net"}, "loss": {"type": "model"}, **sections}
    return small_experiment(data, **chosen)


def test_it_trains_and_measures_as_with_the_same_loss_outside(tmp_path: Path, data: Path) -> None:
    outside = {"type": "cross_entropy"}
    runs = [Run.new(tmp_path / "inside", experiment(data))]
    runs.append(Run.new(tmp_path / "outside", experiment(data, loss=outside)))
    assert [run.start().state for run in runs] == ["finished", "finished"]
    lines = runs[0].lines()
    sizes = [line.pop("train/size") for line in lines]
    assert all(size > 0 for size in sizes)
    assert lines == runs[1].lines()
    assert any("val/accuracy" in line for line in lines)


@pytest.mark.parametrize("problem", ["auto", "none"])
def test_cut_at_every_step_it_equals_the_whole_run(
    tmp_path: Path, data: Path, problem: str
) -> None:
    chosen = experiment(
        data,
        problem={"type": problem},
        training={"precision": "bf16", "ema_decay": 0.9},
        early_stopping={"patience": None},
    )
    proof = compare_cuts(chosen, 5, tmp_path)
    assert proof.holds, proof.text


def test_what_nothing_is_predicted_from_is_measured_by_its_loss(tmp_path: Path, data: Path) -> None:
    class Encoder(Net):
        def forward(self, pixels: Tensor, target: Tensor | None = None) -> Any:
            flat = pixels.flatten(1)
            return {"loss": (self.layer(flat) @ self.layer.weight - flat).square().mean()}

    @model("encoder")
    def encoder(signature: Any) -> nn.Module:
        return Encoder()

    none = experiment(data, model={"type": "encoder"}, problem={"type": "none"})
    run = Run.new(tmp_path / "run", replace(none, dataset=noisy_section()))
    assert run.start().state == "finished"
    losses = [line["val/loss"] for line in run.lines() if "val/loss" in line]
    assert losses[-1] < losses[0]


class Bare(Net):
    def answer(self, logits: Tensor, loss: Tensor) -> Any:
        return logits


class PerSample(Net):
    def answer(self, logits: Tensor, loss: Tensor) -> Any:
        return {"logits": logits, "loss": logits.sum(1)}


class Detached(Net):
    def answer(self, logits: Tensor, loss: Tensor) -> Any:
        return {"logits": logits, "loss": loss.detach()}


class Needs(Net):
    def forward(self, pixels: Tensor, target: Tensor) -> Any:  # type: ignore[override]
        return super().forward(pixels, target)


class Forgets(Net):
    def forward(self, pixels: Tensor, target: Tensor | None = None) -> Any:
        assert target is not None, "it is there"
        return super().forward(pixels, target)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Bare, r"model wrong returned no 'loss', only logits; with loss=model it returns a dict"),
        (PerSample, r"model wrong returned 10 of float32 as its 'loss'; with loss=model"),
        (Detached, r"the loss model does not depend on any weight that is trained"),
        (Needs, r"forward wants the target.*give the parameter a default, target=None"),
        (Forgets, r"AssertionError: it is there"),
    ],
)
def test_what_is_wrong_is_found_before_the_run_with_the_line(
    tmp_path: Path, data: Path, made: type[nn.Module], text: str
) -> None:
    @model("wrong")
    def wrong(signature: Any) -> nn.Module:
        return made()

    run = Run.new(tmp_path / "run", experiment(data, model={"type": "wrong"}))
    with pytest.raises(BadInput, match=rf"^{__file__}:\d+: .*{text}"):
        try_step(run.task())


def test_a_built_in_model_computes_no_loss(tmp_path: Path, data: Path) -> None:
    chosen = experiment(data, model={"type": "mlp"})
    with pytest.raises(ConfigError, match=r"loss\.type.*built in; use loss=cross_entropy or"):
        Run.new(tmp_path / "run", chosen).task()
