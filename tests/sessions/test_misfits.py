"""Which presets do not fit the data of an experiment, and that the reasons are those of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.plugins import loaded
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.sessions.misfits import find_misfits
from tui_trainer.sessions.preview import preview
from tui_trainer.sessions.shared_data import SharedData
from tui_trainer.text.errors import ConfigError

LIBRARY = PresetLibrary([builtin_dir()])
MODELS = {preset.name for preset in LIBRARY.list("model")}


@pytest.mark.parametrize(
    ("base", "fitting"),
    [
        ("digits-mlp", {"cnn", "linear", "mlp", "resnet"}),
        ("penguins-mlp", {"linear", "mlp"}),
        ("vowels-gru", {"cnn1d", "lstm", "rnn", "transformer"}),
        ("stdlib-lstm", {"gpt", "lstm", "transformer"}),
    ],
)
def test_models_that_do_not_fit_have_the_reason_of_a_run(
    base: str, fitting: set[str], tmp_path: Path
) -> None:
    misfits = find_misfits(LIBRARY.experiment(base), LIBRARY.folders)["model"]
    assert MODELS - set(misfits) == fitting
    for name, reason in misfits.items():
        asked = LIBRARY.experiment(base, parse_overrides([f"model={name}"]))
        with pytest.raises(ConfigError) as caught:
            preview(asked, tmp_path)
        assert "; ".join(problem.message for problem in caught.value.problems) == reason
        suggested = re.findall(r"\w+", reason.partition("; use ")[2])
        assert set(suggested) <= fitting | {"or"}


def test_losses_that_do_not_fit_have_a_reason() -> None:
    of_classes = find_misfits(LIBRARY.experiment("penguins-mlp"), LIBRARY.folders)["loss"]
    others = {"binary_cross_entropy", "dice", "mse", "l1", "huber", "model"}
    assert set(of_classes) == others
    assert of_classes["mse"].startswith("mse is not a loss for classification, which predicts")
    of_numbers = find_misfits(LIBRARY.experiment("auto-mpg-mlp"), LIBRARY.folders)["loss"]
    others = {"cross_entropy", "binary_cross_entropy", "focal", "dice", "model"}
    assert set(of_numbers) == others


def test_a_loss_that_needs_a_setting_is_not_tried(tmp_path: Path) -> None:
    file = tmp_path / "hinge.py"
    file.write_text(
        "from tui_trainer.plugins import loss\n"
        '@loss("hinge", problems=("segmentation",))\n'
        "def hinge(outputs, target, margin: float):\n"
        "    return outputs.mean() - margin\n"
    )
    with loaded(file):
        losses = find_misfits(LIBRARY.experiment("penguins-mlp"), LIBRARY.folders)["loss"]
    assert "mse" in losses
    assert "hinge" not in losses


def test_an_optimizer_for_matrices_does_not_fit_a_model_without_hidden_ones() -> None:
    asked = LIBRARY.experiment("penguins-mlp", parse_overrides(["model=linear"]))
    misfits = find_misfits(asked, LIBRARY.folders)["optimizer"]
    assert set(misfits) == {"muon"}
    assert find_misfits(LIBRARY.experiment("penguins-mlp"), LIBRARY.folders)["optimizer"] == {}


def test_optimizers_are_not_tried_on_a_model_that_does_not_fit() -> None:
    asked = LIBRARY.experiment("penguins-mlp", parse_overrides(["model=cnn"]))
    assert "optimizer" not in find_misfits(asked, LIBRARY.folders)


def test_data_are_read_once_for_all_questions_about_an_experiment(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n" + "".join(f"{row},{row % 2}\n" for row in range(40)))
    words = [f"dataset.path={file}", "dataset.target=b"]
    asked = LIBRARY.experiment("penguins-mlp", parse_overrides([*words, "model=cnn"]))
    shared = SharedData()
    with pytest.raises(ConfigError, match="cnn takes images"):
        preview(asked, tmp_path, shared)
    file.unlink()
    assert "cnn" in find_misfits(asked, LIBRARY.folders, shared)["model"]
    # Nothing is known of data that cannot be read.
    assert find_misfits(asked, LIBRARY.folders) == {}


def test_a_broken_preset_is_left_out_and_random_numbers_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.yaml").write_text("type: [")
    (tmp_path / "models" / "deep.yaml").write_text("type: cnn\nchannels: [8, 8, 8, 8, 8]\n")
    before = torch.get_rng_state()
    misfits = find_misfits(LIBRARY.experiment("digits-cnn"), (tmp_path, *LIBRARY.folders))["model"]
    assert torch.equal(torch.get_rng_state(), before)
    assert "broken" not in misfits
    assert misfits["deep"] == "5 blocks, but images of 8x8 can be halved 3 times; use at most 3"
