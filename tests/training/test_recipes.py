"""Recipes of plugins: cut anywhere and resumed they equal the whole run, and misuse is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.plugins import restored
from tests.training.harness import Run, at_step, both, cut_at, same, small_experiment, write_images
from tests.training.test_own_code import everything
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import RECIPE_FACTORIES, load_plugins
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.load import load
from tui_trainer.plugins import recipe
from tui_trainer.runs.commands import Save, Set, Stop, Validate
from tui_trainer.sessions.preview import preview
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.prediction import load_predictor
from tui_trainer.training.previews import in_one
from tui_trainer.training.split_file import read_record
from tui_trainer.training.trial import try_step

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TRAINING = {"epochs": 2, "batch_size": 16, "grad_accumulation": 1, "eval_batch_size": 7}
"""48 rows to train on: 3 steps per epoch."""


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        names = ("gan", "diffusion", "contrastive", "distillation")
        load_plugins([EXAMPLES / f"{name}.py" for name in names])
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images.csv")


Make = Callable[[Path, Path], Experiment]


def own(data: Path, **sections: Any) -> Experiment:
    """A run without what the problem `none` has no use for."""
    training = {**TRAINING, **sections.pop("training", {})}
    others: dict[str, Any] = {
        "loss": {"type": "auto"},
        "early_stopping": {"patience": None},
        "training": training,
    }
    return small_experiment(data, **others, **sections)


def gan(data: Path, folder: Path) -> Experiment:
    return own(
        data,
        model={"type": "gan-pair", "width": 8, "latent": 4},
        optimizer={"type": "adam", "lr": 0.01},
        recipe={"type": "gan", "critic_lr": 2.0},
        checkpoint={"monitor": "critic_gap"},
        training={"ema_decay": 0.9, "grad_clip_norm": 0.1, "precision": "bf16"},
    )


def ddpm(data: Path, folder: Path) -> Experiment:
    return own(
        data,
        model={"type": "denoiser", "width": 4},
        recipe={"type": "ddpm", "noise_steps": 5},
        training={"ema_decay": 0.9, "grad_accumulation": 2, "batch_size": 8},
    )


def simclr(data: Path, folder: Path) -> Experiment:
    return own(
        data,
        dataset={"type": "views"},
        problem={"type": "none", "size": 8},
        model={"type": "cnn", "channels": [4], "hidden": 8, "dropout": 0.3},
        recipe={"type": "simclr"},
        training={"batch_size": 100},
    )


def distil(data: Path, folder: Path) -> Experiment:
    teacher = folder / "teacher"
    if not teacher.exists():
        Run.new(teacher, small_experiment(data, training={"epochs": 1})).start()
    return own(data, recipe={"type": "distil", "teacher": str(teacher)})


RECIPES: dict[str, tuple[Make, str, float]] = {
    "gan": (gan, "recipe.critic_lr", 0.5),
    "ddpm": (ddpm, "optimizer.lr", 0.02),
    "simclr": (simclr, "recipe.temperature", 0.3),
    "distil": (distil, "recipe.soft", 0.2),
}


@pytest.mark.parametrize("name", RECIPES)
def test_cut_at_every_step_it_equals_the_whole_run(tmp_path: Path, data: Path, name: str) -> None:
    make, key, value = RECIPES[name]
    chosen = make(data, tmp_path)
    edit = Set(key=key, value=value)
    whole = Run.new(tmp_path / "whole", chosen)
    assert whole.start(at_step(3, edit)).state == "finished"
    last = whole.final()["progress"]["step"]
    assert last == 6
    for first in (1, 2):
        cut = Run.new(tmp_path / f"cut-{first}", chosen)
        assert cut_at(cut, range(first, last, 2), at_step(3, edit)).state == "finished"
        assert cut.lines() == whole.lines()
        assert same(cut.final(), whole.final())


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_of_a_recipe_leaves_no_trace(tmp_path: Path, data: Path, name: str) -> None:
    task = Run.new(tmp_path / "run", RECIPES[name][0](data, tmp_path)).task()
    task.model.eval()
    before = everything(task)
    try_step(task)
    assert same(everything(task), before)


def test_a_checkpoint_is_read_when_the_parts_come_in_another_order(
    tmp_path: Path, data: Path
) -> None:
    chosen = gan(data, tmp_path)
    whole, cut = (Run.new(tmp_path / name, chosen) for name in ("whole", "cut"))
    whole.start()
    cut.start(at_step(3, Stop()))
    made = RECIPE_FACTORIES["gan"].made_by
    turned = type("Turned", (made,), {"parts": ("critic", "generator")})
    RECIPE_FACTORIES["gan"] = replace(RECIPE_FACTORIES["gan"], made_by=turned)
    cut.resume()
    assert same(cut.final()["model"], whole.final()["model"])
    assert same(cut.final()["optimizer"]["state"], whole.final()["optimizer"]["state"])


def test_saving_validating_and_previews_change_nothing(tmp_path: Path, data: Path) -> None:
    quiet, watched = (Run.new(tmp_path / name, gan(data, tmp_path)) for name in "ab")
    quiet.start()
    watched.start(both(at_step(2, Save(), Validate()), at_step(4, Validate())))
    assert quiet.lines() == watched.lines()
    names = sorted(path.name for path in quiet.directory.previews.iterdir())
    assert names == ["step-00000003.png", "step-00000006.png"]
    for name in names:
        pictures = [(run.directory.previews / name).read_bytes() for run in (quiet, watched)]
        assert pictures[0] == pictures[1]


def test_the_numbers_of_a_step_are_recorded(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", gan(data, tmp_path))
    outcome = run.start()
    for line in run.lines():
        assert line["train/loss"] == line["train/critic"] != line["train/generator"]
    best = min(line["val/critic_gap"] for line in run.lines() if "val/critic_gap" in line)
    assert outcome.best is not None
    assert outcome.best["value"] == best
    assert outcome.test is not None
    assert outcome.test.keys() == {"critic_gap"}


def test_each_part_is_updated_by_its_own_loss_alone(tmp_path: Path, data: Path) -> None:
    @recipe("critic-only", problem="none")
    class CriticOnly:
        parts = ("generator", "critic")

        def training_step(self, model: Any, batch: Any, step: Any) -> Any:
            loss = model["critic"](model["generator"](step.randn(8, 4))).mean()
            step.update("critic", loss)
            return {"critic": loss}

        def validation_step(self, model: Any, batch: Any, step: Any) -> Any:
            return {"score": model["critic"](batch["input"]).flatten()}

    chosen = own(
        data, model={"type": "gan-pair", "width": 8, "latent": 4}, recipe={"type": "critic-only"}
    )
    run = Run.new(tmp_path / "run", chosen)
    before = {name: value.clone() for name, value in run.task().model.state_dict().items()}
    outcome = run.start()
    assert outcome.best is None, "no loss is measured, so no step is the best"
    assert outcome.state == "finished"
    after = run.final()["model"]
    for name, value in before.items():
        assert value.equal(after[name]) == name.startswith("generator")


def test_metrics_of_the_problem_are_those_without_the_recipe(tmp_path: Path, data: Path) -> None:
    @recipe("plain")
    class Plain:
        def compute_loss(self, model: Any, batch: Any, step: Any) -> Tensor:
            return nn.functional.cross_entropy(model(batch["input"]), batch["target"])

    by_recipe = Run.new(tmp_path / "a", own(data, recipe={"type": "plain"}))
    built_in = Run.new(tmp_path / "b", own(data))
    assert by_recipe.start().test == pytest.approx(built_in.start().test)
    assert same(by_recipe.final()["model"], built_in.final()["model"])


def _misuse(kind: str) -> None:
    """Register a recipe that is wrong in one way."""

    class Wrong:
        parts: Any = ("generator", "critic")

        def training_step(self, model: Any, batch: Any, step: Any) -> Any:
            if kind == "attribute":
                self.count = 1
            if kind == "part":
                step.update("critc", model["critic"](batch["input"]).mean())
            if kind == "shape":
                return {"loss": model["critic"](batch["input"])}
            if kind == "nothing":
                return {"loss": torch.zeros(())}
            loss = model["critic"](batch["input"]).mean()
            step.update("critic", loss.detach() if kind == "detached" else loss)
            return {"loss": loss}

        def validation_step(self, model: Any, batch: Any, step: Any) -> Any:
            wrong = kind == "validation"
            return {"gap": torch.zeros(3) if wrong else model["critic"](batch["input"]).mean()}

        def preview(self, model: Any, step: Any) -> Any:
            return torch.zeros(3) if kind == "preview" else "nothing to see"

        def predict_step(self, model: Any, batch: Any, step: Any) -> Any:
            return batch["target"] if kind == "prediction" else [0.0] * len(batch["input"])

    if kind == "missing part":
        Wrong.parts = ("generator", "critic", "judge")
    if kind == "unowned":
        Wrong.parts = ("critic",)
    recipe("wrong", problem="none")(Wrong)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("attribute", "'count' of a recipe cannot be set after setup.*register_buffer"),
        ("part", "names 'critc', and its parts are 'generator', 'critic'"),
        ("shape", "training_step of wrong returned 16x1 of float32 as 'loss'; it should be a num"),
        ("nothing", "called no step.update"),
        ("detached", "the loss of 'critic' in wrong does not depend on any weight"),
        ("validation", r"returned 3 of float32 as 'gap'; it should be a number, or one per sample"),
        ("preview", "preview of wrong returned 3 of float32; it should be a text, or pictures"),
        ("prediction", r"test_recipes.py:\d+: KeyError: 'target'"),
        ("missing part", "the model has no part 'judge'.*its children are generator, critic"),
        ("unowned", "generator.0.weight belongs to none of the parts critic"),
    ],
)
def test_misuse_is_refused_before_a_run(tmp_path: Path, data: Path, kind: str, text: str) -> None:
    _misuse(kind)
    chosen = own(data, model={"type": "gan-pair", "width": 4}, recipe={"type": "wrong"})
    with pytest.raises(BadInput, match=text):
        try_step(Run.new(tmp_path / "run", chosen).task())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"training": {"grad_accumulation": 2}}, r"grad_accumulation.*takes whole steps"),
        ({"training": {"precision": "fp16"}}, r"precision.*no loss scaler"),
        ({"training": {"compile": True}}, r"compile.*not the recipe gan"),
        ({"optimizer": {"type": "muon"}}, r"optimizer.type.*parts of a recipe|hidden linear"),
        ({"checkpoint": {"monitor": "accuracy"}}, "accuracy is not a metric of none"),
        (
            {"early_stopping": {"patience": 3}, "checkpoint": {"monitor": "loss"}},
            "early_stopping.patience.*measures critic_gap, and no loss",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, data: Path, changes: dict[str, Any], text: str
) -> None:
    sections: dict[str, Any] = {
        "model": {"type": "gan-pair", "width": 4},
        "optimizer": {"type": "adam"},
        "recipe": {"type": "gan"},
        "checkpoint": {"monitor": "critic_gap"},
        "early_stopping": {"patience": None},
        "loss": {"type": "auto"},
        "training": TRAINING,
    }
    for name, change in changes.items():
        sections[name] = change if "type" in change else {**sections[name], **change}
    with pytest.raises(ConfigError, match=text):
        try_step(Run.new(tmp_path / "run", small_experiment(data, **sections)).task())


def test_data_without_a_target_need_a_recipe(tmp_path: Path, data: Path) -> None:
    with pytest.raises(BadInput, match=r"no target, only a, b; .*recipe=NAME"):
        Run.new(tmp_path / "run", own(data, dataset={"type": "views"})).task()
    none = own(data, dataset={"type": "views"}, problem={"type": "none"})
    with pytest.raises(ConfigError, match="only a recipe can learn from the data"):
        Run.new(tmp_path / "other", none).task()


def test_pictures_of_a_preview_are_put_beside_each_other() -> None:
    pictures = torch.stack([torch.full((3, 2, 4), value) for value in (0.0, 0.5, 2.0)])
    sheet = in_one(pictures)
    assert sheet.shape == (3, 5, 9)
    assert (sheet[:, :2, 5:] == 128).all()
    assert (sheet[:, 3:, :4] == 255).all()


def test_a_recipe_has_one_of_two_methods() -> None:
    with pytest.raises(ValueError, match="the recipe 'empty' has neither"):
        recipe("empty")(type("Empty", (), {}))
    with pytest.raises(ValueError, match=r"recipe 'gan' is registered by .*gan.py"):
        recipe("gan")(type("Again", (), {"compute_loss": lambda *_: None}))


def test_a_recipe_that_cannot_be_made_or_called_is_refused() -> None:
    class Weighted:
        def __init__(self, weight: float) -> None:
            self.weight = weight

        def compute_loss(self, model: Any, batch: Any, step: Any) -> Any: ...

    class Short:
        def compute_loss(self, batch: Any) -> Any: ...

    with pytest.raises(TypeError, match=r"\(\), but takes \(weight\); settings are attributes"):
        recipe("weighted")(Weighted)
    with pytest.raises(TypeError, match=r"compute_loss of 'short' is called with \(self, model, "):
        recipe("short")(Short)


def test_an_error_in_the_constructor_of_a_recipe_is_the_users(tmp_path: Path, data: Path) -> None:
    class Failing:
        def __init__(self) -> None:
            raise KeyError("teacher")

        def compute_loss(self, model: Any, batch: Any, step: Any) -> Any: ...

    recipe("failing", problem="none")(Failing)
    chosen = own(data, model={"type": "gan-pair", "width": 4}, recipe={"type": "failing"})
    with pytest.raises(BadInput, match=r"test_recipes.py:\d+: KeyError: 'teacher'"):
        Run.new(tmp_path / "run", chosen).task()


def test_what_is_predicted_is_up_to_the_recipe(tmp_path: Path, data: Path) -> None:
    @recipe("scorer", problem="none")
    class Scorer:
        wrong: bool = False

        def compute_loss(self, model: Any, batch: Any, step: Any) -> Any:
            return model(batch["input"]).square().mean()

        def predict_step(self, model: Any, batch: Any, step: Any) -> Any:
            if self.wrong:
                return [None] * len(batch["input"])
            return model(batch["input"]).squeeze(1)

    chosen = own(data, recipe={"type": "scorer"}, dataset={"shift_pixels": 0, "rotate_degrees": 0})
    run = Run.new(tmp_path / "run", chosen)
    run.start()
    predictor, _ = load_predictor(run.directory, chosen, torch.device("cpu"), "last")
    found = [one.value for one in predictor.file(str(data)).samples]
    stored = load(chosen.dataset, record=read_record(run.directory.splits))
    assert len(found) == 72
    assert isinstance(stored.test, TensorSplit)
    with torch.inference_mode():
        wanted = predictor.model(stored.test.inputs).squeeze(1).tolist()
    assert [found[row] for row in stored.test.rows.tolist()] == pytest.approx(wanted, rel=1e-5)
    wrong = own(data, recipe={"type": "scorer", "wrong": True})
    broken, _ = load_predictor(run.directory, wrong, torch.device("cpu"), "last")
    with pytest.raises(BadInput, match="predict_step of scorer returned a NoneType; a value is"):
        broken.file(str(data))


def test_an_experiment_with_a_recipe_is_previewed(tmp_path: Path, data: Path) -> None:
    found = preview(gan(data, tmp_path), tmp_path)
    assert found.parameters == found.trained_parameters > 0
    assert found.layers == ()
