"""`tui-trainer plugin`: what is written passes the check, and the check finds hidden state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins import loaded, restored
from tui_trainer.cli.main import main
from tui_trainer.cli.plugin_templates import KINDS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with restored():
        yield


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of `plugin check` and what it printed."""
    capsys.readouterr()
    code = main(["plugin", "check", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.processes
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_the_check(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", kind, "my-own"]) == 0
    experiment = KINDS[kind].format(name="my-own").replace("'", "").split()
    code, found = checked(capsys, "my_own.py", *experiment, "--steps", "2")
    assert code == 0
    assert [one["name"] for one in found["registered"]] == ["my-own"]
    assert len(found["proofs"]) == 6
    assert main(["plugin", "new", kind, "my-own"]) == 2, "it is not written over"


@pytest.mark.processes
def test_state_that_no_checkpoint_has_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (EXAMPLES / "gan.py").read_text()
    hidden = text.replace(
        "        real = batch[",
        "        self.seen.append(1)\n        real = (1 + 0.01 * len(self.seen)) * batch[",
    ).replace("    critic_lr", "    seen = []\n    critic_lr", 1)
    (tmp_path / "hidden.py").write_text(hidden)
    code, found = checked(capsys, "hidden.py", str(EXAMPLES / "gan.yaml"), "--steps", "3")
    assert code == 1
    (wrong,) = [one for one in found["proofs"] if not one["holds"]]
    assert wrong["name"] == "3 steps, cut and resumed"
    assert wrong["text"].startswith("cut after step 1: step ")


@pytest.mark.processes
def test_random_samples_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "dataset", "points"]) == 0
    text = (tmp_path / "points.py").read_text()
    (tmp_path / "points.py").write_text(
        text.replace("torch.randn(2)", "torch.tensor([random.random(), 1.0])").replace(
            "import torch\n",
            "from random import SystemRandom\n\nimport torch\n\nrandom = SystemRandom()\n",
        )
    )
    code, found = checked(capsys, "points.py", "--steps", "2")
    assert code == 1
    wrong = [one["name"] for one in found["proofs"] if not one["holds"]]
    assert "samples read twice" in wrong


@pytest.mark.further
def test_a_transform_is_told_of_its_generator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shaky.py").write_text(
        "import torch\n\nfrom tui_trainer.plugins import transform\n\n\n"
        '@transform("shaky")\ndef shaky(batch, generator):\n'
        '    return {**batch, "input": batch["input"] + torch.randn(1)}\n'
    )
    code, found = checked(capsys, "shaky.py", "digits-mlp", "transform=shaky", "--steps", "2")
    assert code == 1
    wrong = next(one["text"] for one in found["proofs"] if not one["holds"])
    assert "a transform draws random numbers from its `generator`" in wrong


def test_an_error_and_a_missing_experiment_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.py").write_text(
        "from tui_trainer.plugins import loss\n\n\n"
        '@loss("wrong")\ndef wrong(outputs, batch):\n    return batch["labels"].mean()\n'
    )
    code, found = checked(capsys, "wrong.py", "digits-mlp", "loss=wrong")
    assert code == 1
    assert found["proofs"][0]["text"].startswith(f"{tmp_path / 'wrong.py'}:6: KeyError: 'labels'")
    assert main(["plugin", "check", "wrong.py"]) == 2
    assert "name an experiment to check it with" in capsys.readouterr().err
    assert main(["plugin", "new", "loss", "Wrong!"]) == 2
    assert "is not a name" in capsys.readouterr().err


def test_types_of_plugins_are_listed_and_in_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = str(EXAMPLES / "gan.py")
    assert main(["presets", "list", "--plugin", plugin, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    own = {(row["kind"], row["name"]): row["origin"] for row in rows if "origin" in row}
    assert own.keys() == {("model", "gan-pair"), ("recipe", "gan")}
    assert own["recipe", "gan"].startswith(f"{plugin}:")
    assert main(["presets", "list", "models", "--plugin", plugin]) == 0
    printed = capsys.readouterr().out
    assert "model gan-pair" in printed
    assert "recipe gan" not in printed
    assert main(["presets", "schema", "--plugin", plugin]) == 0
    assert "recipe-gan" in json.loads(capsys.readouterr().out)["$defs"]


SIDES = """
import torch
from tui_trainer.plugins import Data, dataset, loss, metric, model


@dataset("sides")
def sides(count: int = 80):
    points = torch.randn(count, 2)
    return Data({"input": points, "target": (points[:, 0] > 0).long()}, classes=("left", "right"))


@model("lines")
def lines(signature):
    return torch.nn.Linear(*signature.input_shape, signature.outputs)


@loss("plain")
def plain(outputs, target):
    return torch.nn.functional.cross_entropy(outputs, target)


@metric("sure", better="higher", problems=("classification",))
def sure(outputs, target):
    return outputs.softmax(1).amax(1)


@metric("sparse", better="higher", problems=("segmentation",))
def sparse(outputs, target):
    return outputs.mean((1, 2, 3))
"""


def test_a_file_with_one_data_set_needs_no_experiment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sides.py").write_text(SIDES)
    words = ("train", "--plugin", "sides.py", "--no-ui", "--runs-dir", "runs", "--device", "cpu")
    assert main([*words, "training.epochs=2", "dataset.count=60"]) == 0
    (run,) = (tmp_path / "runs").glob("sides-*")
    config = (run / "config.yaml").read_text()
    for text in ("type: sides", "count: 60", "type: lines", "type: plain", "- sure"):
        assert text in config
    assert "sparse" not in config, "it is for another problem"
    capsys.readouterr()
    # A preset of that name is taken first.
    presets = tmp_path / "presets" / "models"
    presets.mkdir(parents=True)
    (presets / "lines.yaml").write_text("type: mlp\nlayers: [8]\n")
    assert main(["train", "digits-mlp", "model=lines", "--plugin", "sides.py", "--dry-run"]) == 0
    preset = presets / "lines.yaml"
    note = f"model=lines is the preset {preset}; model.type=lines means the type of "
    assert f"{note}{tmp_path / 'sides.py'}:12" in capsys.readouterr().err


CLOUDS = """
import torch
from tui_trainer.plugins import Data, dataset, model

@dataset("NAME")
def NAME(count: int = 60):
    label = torch.arange(count) % 2
    return Data({"input": torch.randn(count, 2) + label[:, None], "target": label}, classes="ab")
"""


def test_a_plugin_with_one_data_set_needs_no_experiment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sky", "sea"):
        (tmp_path / f"{name}.py").write_text(CLOUDS.replace("NAME", name))
    (tmp_path / "none.py").write_text("from tui_trainer.plugins import dataset\n")

    def dry(*words: str) -> tuple[int, str, str]:
        with loaded():
            code = main(["train", *words, "--dry-run", "--log-format", "json"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, err = dry("dataset.count=80", "--plugin", "sky.py", "epochs=2")
    config = json.loads(out)["config"]
    assert code == 0
    assert (config["name"], config["dataset"]["count"]) == ("sky", 80)
    assert (config["model"]["type"], config["training"]["epochs"]) == ("mlp", 2)
    assert config["early_stopping"]["patience"]
    assert "sky (sky.py): 80 samples: classification" in err
    both = ("--plugin", "sky.py", "--plugin", "sea.py")
    code, _, err = dry(*both)
    assert code == 2
    assert "there are several data sets: sky, sea; name one: dataset=sky" in err
    code, out, _ = dry("dataset=sea", *both)
    assert json.loads(out)["config"]["dataset"]["type"] == "sea"
    code, _, err = dry("--plugin", "none.py")
    assert code == 2
    assert "there is no data set in it; name an experiment" in err
    code, _, err = dry("dataset=digits", "--plugin", "sky.py")
    assert code == 2
    assert "digits is not a data set of a plugin; name an experiment" in err


def test_a_clash_of_names_says_both_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(CLOUDS.replace("NAME", "twins"))
    (tmp_path / "c.py").write_text(CLOUDS.replace("NAME", "table"))
    with loaded():
        assert main(["presets", "list", "--plugin", "a.py", "--plugin", "b.py"]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}/b.py:5: " in err
    assert f"dataset 'twins' is registered by {tmp_path}/a.py:5, too; give this one another" in err
    with loaded():
        assert main(["presets", "list", "--plugin", "c.py"]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}/c.py:5: " in err
    assert "dataset 'table' is built in" in err


SHAPES = """
import torch
from tui_trainer.plugins import Data, dataset, recipe, schedule


class Points(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        return None if LOST and index % 12 == 5 else {"input": torch.randn(2)}


@dataset("points")
def points():
    return Data(Points())


@recipe("small", problem="none")
class Small:
    LR_FACTORS = None

    def compute_loss(self, model, batch, step):
        return model(batch["input"]).square().mean()


@schedule("slower")
def slower(step, total):
    return 1 - step / total
"""


def test_a_recipe_of_the_file_says_what_its_data_are_read_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "points.py"

    def dry(text: str) -> tuple[int, str, str]:
        file.write_text(text)
        with loaded():
            words = ("--plugin", "points.py", "--dry-run", "--log-format", "json")
            code = main(["train", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    right = SHAPES.replace("LOST", "False")
    code, out, err = dry(right)
    assert code == 0, err
    config = json.loads(out)["config"]
    assert (config["recipe"]["type"], config["schedule"]["type"]) == ("small", "slower")
    code, _, err = dry(SHAPES.replace("LOST", "True"))
    assert code == 2
    place, _, said = err.partition(": sample ")
    assert place.endswith(f"{file}:10")
    # It is in the first batch, but the first one of no split.
    assert said.startswith("5 of the data set cannot be read: TypeError: a sample is a pair (inpu")
    code, _, err = dry(right.replace("torch.randn(2)", "torch.full((2,), torch.inf)"))
    assert code == 2
    assert "in input there are values that are not finite" in err
    code, _, err = dry(right.replace("LR_FACTORS = None", "rate: int = 0.5"))
    assert code == 2
    assert (
        "the default of the setting 'rate' of the recipe 'small' is 0.5; it should be a wh" in err
    )
    code, _, err = dry(right.replace("Data(Points())", "Data([])"))
    assert code == 2
    assert f"{file}:14: dataset points: there are no samples; dataset.path is not set" in err
    code, _, err = dry(right.replace("LR_FACTORS = None", "lr_factors = dict"))
    assert code == 2
    assert "lr_factors of small is for the parts that a training_step updates" in err


ENCODER = """
import torch
from torch import nn
from tui_trainer.plugins import Data, dataset, model


@dataset("points")
def points():
    return Data({"input": torch.randn(60, 3)})


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(3, 1), nn.Linear(1, 3)

    def forward(self, points):
        code = self.down(points)
        code = code + torch.randn_like(code) if SEEN else code
        return {"loss": (self.up(code) - points).square().mean(), "size": code.abs().mean()}


@model("encoder")
def encoder(signature):
    return Encoder()
"""


@pytest.mark.processes
def test_a_model_with_its_own_loss_is_proposed_and_draws_in_training_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "encoder.py"
    words = ("encoder.py", "problem=none", "loss=model", "--steps", "3")
    file.write_text(ENCODER.replace("SEEN", "True"))
    with loaded():
        code, found = checked(capsys, *words)
    assert code == 1
    (wrong,) = [one for one in found["proofs"] if not one["holds"]]
    assert wrong["name"] == "validation"
    assert "draw random numbers only in training" in wrong["text"]
    file.write_text(ENCODER.replace("SEEN", "self.training"))
    with loaded():
        code, found = checked(capsys, *words)
    assert code == 0, found
    chosen = ("--plugin", "encoder.py", "problem=none", "--dry-run", "--log-format", "json")
    assert main(["train", *chosen]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert config["loss"]["type"] == "model"


LISTED = """
import torch
from tui_trainer.plugins import Data, dataset


@dataset("listed")
def listed(late: bool = False):
    samples = [(torch.randn(2), i % 2) for i in range(40)]
    samples[17] = (torch.randn(3), 1)
    train, held = samples[:30], samples[30:]
    return Data(train if late else samples[17:], held, held, classes=("a", "b"))
"""


@pytest.mark.parametrize(("late", "code"), [("false", 2), ("true", 1)])
def test_a_wrong_sample_of_a_list_is_named_with_the_line_of_its_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], late: str, code: int
) -> None:
    (tmp_path / "listed.py").write_text(LISTED)
    words = ("--plugin", "listed.py", f"dataset.late={late}", "training.batch_size=4")
    assert main(["train", *words, "model=linear", "--no-ui"]) == code
    err = capsys.readouterr().err
    number = {2: "0", 1: "17"}[code]
    assert f"{tmp_path / 'listed.py'}:6: sample {number} of the data set" in err
