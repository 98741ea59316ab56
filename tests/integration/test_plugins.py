"""Plugins through the real command line: data and models of one's own, and what goes wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.integration.processes import call, lines, started, status
from tests.integration.terminals import opened

pytestmark = pytest.mark.processes

DOCS = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
EXPERIMENT = """
dataset: {type: moons, count: 60}
model: {type: mlp, layers: [8]}
optimizer: {type: adamw, lr: 0.01}
training: {epochs: 4, batch_size: 8}
logging: {every_steps: 1}
"""


def written(folder: Path) -> tuple[str, str, str]:
    """The plugins of the documentation, and an experiment: the files' names."""
    blocks = re.findall(
        r"( *)```python\n([^`]*^ *(?:from|import) .*?)```", DOCS.read_text(), re.DOTALL | re.M
    )
    names = ("moons.py", "walk.py", "scans.py", "layers.py", "overlap.py", "sparse.py", "stars.py")
    for name, (indent, text) in zip(names, blocks, strict=True):
        (folder / name).write_text(re.sub(f"^{indent}", "", text, flags=re.MULTILINE))
    (folder / "moons.yaml").write_text(EXPERIMENT)
    return str(folder / "moons.yaml"), str(folder / "moons.py"), str(folder / "layers.py")


def test_a_data_set_of_a_plugin_is_trained_resumed_and_evaluated(tmp_path: Path) -> None:
    experiment, moons, _ = written(tmp_path)
    words = ("train", experiment, "--plugin", moons, "--no-ui")
    assert call(tmp_path, *words, "--name", "whole").returncode == 0
    # Workers and a cut change nothing.
    cut = (*words, "--name", "cut", "training.max_steps=9", "loader.num_workers=2")
    done = call(tmp_path, *cut)
    assert done.returncode == 0, done.stderr
    whole, part = (next((tmp_path / "runs").glob(f"{name}*")) for name in ("whole", "cut"))
    longer = ("training.max_steps=null",)
    done = call(tmp_path, "resume", part.name, *longer, "--plugin", moons, "--no-ui")
    assert done.returncode == 0, done.stderr
    assert [line["train/loss"] for line in lines(part)] == [
        line["train/loss"] for line in lines(whole)
    ]
    facts = json.loads((part / "provenance.json").read_text())
    assert [one["path"] for one in facts["plugins"]] == [moons]
    assert len(facts["plugins"][0]["sha256"]) == 64
    copy = part / "plugins" / facts["plugins"][0]["copy"]
    assert copy.read_bytes() == Path(moons).read_bytes()
    # A copy is a record: what is in it is never run.
    copy.write_text("raise SystemExit(77)")
    assert call(tmp_path, "evaluate", part.name, "--plugin", moons).returncode == 0
    assert call(tmp_path, "evaluate", part.name).returncode == 2
    done = call(tmp_path, "evaluate", part.name, "--plugin", moons, "--json")
    assert json.loads(done.stdout)["accuracy"] == status(part)["test"]["accuracy"]


def test_the_files_of_the_documentation_are_read_by_workers(tmp_path: Path) -> None:
    experiment, *_ = written(tmp_path)
    for number in range(40):
        folder = tmp_path / "arrays" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = np.full(2, number % 2, np.float32)
        np.save(folder / f"{number // 4}-{number}.npy", values)
    words = ("train", experiment, "dataset.type=scans", f"dataset.path={tmp_path / 'arrays'}")
    settings = ("loader.num_workers=1", "--plugin", str(tmp_path / "scans.py"), "--no-ui")
    done = call(tmp_path, *words, *settings)
    assert done.returncode == 0, done.stderr
    assert "target class 0 'a'; classification: Data has 2 classes" in done.stdout
    assert "accuracy 100.00 %" in done.stdout


def test_the_stream_of_the_documentation_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    written(tmp_path)
    walk = str(tmp_path / "walk.py")
    (tmp_path / "walk.yaml").write_text(EXPERIMENT.replace("moons, count: 60", "walk"))
    words = ("train", str(tmp_path / "walk.yaml"), "--plugin", walk, "--no-ui")
    assert call(tmp_path, *words, "--name", "whole").returncode == 0
    done = call(tmp_path, *words, "--name", "cut", "training.max_steps=17")
    assert done.returncode == 0, done.stderr
    whole, part = (next((tmp_path / "runs").glob(f"{name}*")) for name in ("whole", "cut"))
    done = call(
        tmp_path, "resume", part.name, "training.max_steps=null", "--plugin", walk, "--no-ui"
    )
    assert done.returncode == 0, done.stderr
    assert [line["train/loss"] for line in lines(part)] == [
        line["train/loss"] for line in lines(whole)
    ]


def test_a_resume_without_the_plugin_names_it(tmp_path: Path) -> None:
    experiment, moons, _ = written(tmp_path)
    words = ("train", experiment, "--plugin", moons, "--no-ui", "training.max_steps=2")
    assert call(tmp_path, *words).returncode == 0
    done = call(tmp_path, "resume", "last", "--no-ui")
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith(f"needs its own code: add --plugin {moons}")


def test_fault_50_a_changed_plugin_and_changed_data_are_told_apart(tmp_path: Path) -> None:
    experiment, moons, _ = written(tmp_path)
    words = ("--plugin", moons, "--no-ui")
    assert call(tmp_path, "train", experiment, *words, "training.max_steps=2").returncode == 0
    source = Path(moons).read_text()
    plugin = "the plugin moons.py changed since the checkpoint was written: "

    Path(moons).write_text(source.replace("0.5 - y", "0.4 - y") + "# the end\n")
    done = call(tmp_path, "resume", "last", "training.max_steps=3", *words)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("moons*")
    (copy,) = (one for one in (run / "plugins").iterdir() if one.read_text() == source)
    same = f"(as it was: --plugin {copy}); the data are the same by their version and size"
    lines = f"{plugin}2 lines added, 1 removed {same}"
    assert f"bitwise only if the changed lines do not take part in the training: {lines}" in (
        " ".join(done.stdout.split())
    )
    assert "data changed" not in done.stdout
    # The copy is the same file: nothing changed but what the resume before it did.
    done = call(
        tmp_path, "resume", "last", "training.max_steps=4", "--plugin", str(copy), "--no-ui"
    )
    assert done.returncode == 0, done.stderr
    assert f"{plugin}1 line added, 2 removed (as it was: --plugin " in " ".join(done.stdout.split())
    assert len([*(run / "plugins").iterdir()]) == 2

    more = source.replace("Moons(params.count,", "Moons(params.count + 20,")
    Path(moons).write_text(more)
    done = call(tmp_path, "evaluate", "last", "--plugin", moons)
    assert done.returncode == 0, done.stderr
    differs = "the run itself may have measured other values: "
    data, code = (line for line in done.stderr.splitlines() if differs in line)
    assert "the data changed since the checkpoint was written: " in data
    assert " then, " in data
    assert f"{plugin}1 line added, 1 removed" in code


def test_a_model_of_a_plugin_is_trained(tmp_path: Path) -> None:
    _, _, layers = written(tmp_path)
    words = ("model=two-layers", "model.width=9", "training.epochs=null", "training.max_steps=3")
    done = call(tmp_path, "train", "digits-mlp", *words, "--plugin", layers, "--no-ui")
    assert done.returncode == 0, done.stderr
    own = ("model=sparse-digits", "loss=model", "training.max_steps=3", "--name", "sparse")
    sparse = str(tmp_path / "sparse.py")
    done = call(tmp_path, "train", "digits-mlp", *own, "--plugin", sparse, "--no-ui")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("sparse*")
    assert {"train/loss", "train/fit", "train/sparse"} <= lines(run)[0].keys()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1\nboom(\n", "bad.py:2: SyntaxError: '(' was never closed"),
        ("x = 1\n\nraise OSError('no \\x1b[1m data')\n", "bad.py:3: OSError: no "),
        (
            "from tui_trainer.plugins import dataset\n\n\n@dataset('pixels')\n"
            "def pixels(params): ...\n",
            "ValueError: dataset 'pixels' is built in; give this one another name",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_told_in_a_line(
    tmp_path: Path, source: str, text: str
) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    done = call(tmp_path, "train", "digits-mlp", "--plugin", str(bad), "--no-ui")
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr


def test_nothing_but_the_command_line_loads_a_plugin(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(marker)!r}, 'w')\n")
    (tmp_path / "x.yaml").write_text(f"plugin: {evil}\n" + EXPERIMENT)
    assert call(tmp_path, "train", str(tmp_path / "x.yaml"), "--no-ui").returncode == 2
    assert not marker.exists()


def test_a_checkpoint_of_another_model_names_the_plugin_that_changed(tmp_path: Path) -> None:
    _, _, layers = written(tmp_path)
    words = ("--plugin", layers, "--no-ui", "training.max_steps=1")
    assert call(tmp_path, "train", "penguins-mlp", "model=two-layers", *words).returncode == 0
    source = Path(layers).read_text()
    Path(layers).write_text(source.replace("nn.ReLU()", "nn.LayerNorm(params.width)"))
    done = call(tmp_path, "evaluate", "last", "--plugin", layers)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "another model: 2.weight: missing in the checkpoint, (64,) in the model" in line
    assert line.endswith(
        "; the plugin layers.py changed since the checkpoint was written: 1 line added, 1 removed; "
        "use the code that the run was trained with, or train a new run"
    )


def test_fault_20_a_sample_that_raises_ends_the_run_saved_and_named(tmp_path: Path) -> None:
    experiment, moons, _ = written(tmp_path)
    source = Path(moons).read_text()
    raises = "        if index == 7 and self.read():\n            raise OSError('truncated')\n"
    head, tail = source.split("        label, angle", 1)
    head = head.replace(
        "    def __len__",
        f"    def read(self):\n        return "
        f"__import__('os').path.exists({str(tmp_path / 'bad')!r})\n\n"
        "    def path(self, index):\n        return f'{index}.png'\n\n    def __len__",
    )
    Path(moons).write_text(f"{head}{raises}        label, angle{tail}")
    words = ("training.epochs=null", "training.max_steps=100000", "dataset.stratify=false")
    with started(
        tmp_path, "train", experiment, "--plugin", moons, "--no-ui", "loader.num_workers=1", *words
    ) as process:
        process.until_step(5)
        (tmp_path / "bad").touch()
        assert process.wait() == 1
        (line,) = process.errors.splitlines()
        run = process.run
    assert "OSError: truncated; sample 7 of the data set (7.png) cannot be read" in line
    assert line.startswith(f"tui-trainer: {moons}:")
    saved = status(run)["saved_step"]
    assert (
        f"step {saved} is saved; tui-trainer resume {run.name} --plugin {moons} continues" in line
    )
    (tmp_path / "bad").unlink()
    last = f"training.max_steps={saved + 3}"
    done = call(tmp_path, "resume", "last", last, "--plugin", moons, "--no-ui")
    assert done.returncode == 0, done.stderr
    assert [one["step"] for one in lines(run)] == list(range(1, saved + 4))


NUMBERS = """
import torch
from tui_trainer.plugins import Data, DatasetParams, dataset, setting

class Params(DatasetParams):
    kind: str = setting("int", "of the targets")
    spoilt: int = setting(-1, "which sample has another shape")

class Sums(torch.utils.data.Dataset):
    def __init__(self, params):
        self.params = params

    def __len__(self):
        return 40

    def __getitem__(self, index):
        point = torch.arange(4.0) + index % 5
        total = index % 5
        if index == self.params.spoilt:
            point = torch.zeros(5)
        return point, (total if self.params.kind == "int" else float(total))

@dataset("sums", description="sums", params=Params)
def sums(params):
    return Data(Sums(params), problem="regression")
"""


def test_ints_to_predict_are_trained_on_as_floats_are(tmp_path: Path) -> None:
    plugin = tmp_path / "sums.py"
    plugin.write_text(NUMBERS)
    (tmp_path / "sums.yaml").write_text(EXPERIMENT.replace("moons, count: 60", "sums"))
    words = ("train", str(tmp_path / "sums.yaml"), "--plugin", str(plugin), "--no-ui")
    for kind in ("int", "float"):
        done = call(tmp_path, *words, "--name", kind, f"dataset.kind={kind}")
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    ints, floats = (next((tmp_path / "runs").glob(f"{kind}*")) for kind in ("int", "float"))
    assert [line["train/loss"] for line in lines(ints)] == [
        line["train/loss"] for line in lines(floats)
    ]
    # A row of another length is no sequence to be padded.
    done = call(tmp_path, *words, "dataset.spoilt=3")
    assert done.returncode in (1, 2)
    assert "sample 3 of the data set: the input is 5 of float32" in done.stderr
    assert "this is a bug" not in done.stderr


def test_a_plugin_is_trained_in_the_app(tmp_path: Path) -> None:
    experiment, moons, _ = written(tmp_path)
    words = ("train", experiment, "--plugin", moons, "loader.num_workers=1")
    with opened(tmp_path, *words, size=(100, 30)) as terminal:
        terminal.until_text(f"○ {Path(experiment).stem}-", "reading presets")
        terminal.until_text("finished")
        terminal.press("q")
        assert terminal.wait() == 0


def test_the_problem_of_the_documentation_predicts_whole_stars(tmp_path: Path) -> None:
    written(tmp_path)
    rows = [f"{n % 7},{n % 5},{n % 3 + 1}" for n in range(60)]
    (tmp_path / "dishes.csv").write_text("salt,heat,stars\n" + "\n".join(rows) + "\n")
    (tmp_path / "new.csv").write_text("salt,heat\n90,-80\n-90,80\n0,0\n")
    plugin = ("--plugin", str(tmp_path / "stars.py"))
    words = ("dataset.target=stars", "problem=stars", "problem.most=2", "training.epochs=5")
    done = call(tmp_path, "train", str(tmp_path / "dishes.csv"), *words, *plugin, "--no-ui")
    assert done.returncode == 0, done.stderr
    done = call(tmp_path, "predict", "last", str(tmp_path / "new.csv"), "--json", *plugin)
    values = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert len(values) == 3
    # Whole numbers are written as such.
    assert {*map(repr, values)} <= {"0", "1", "2"}
    done = call(tmp_path, "predict", "last", str(tmp_path / "new.csv"))
    assert done.returncode == 2
    assert f"needs its own code: add --plugin {tmp_path / 'stars.py'}" in done.stderr


def test_a_loss_and_a_metric_are_trained_with(tmp_path: Path) -> None:
    written(tmp_path)
    examples = Path(__file__).resolve().parents[2] / "examples"
    plugins = (
        "--plugin",
        str(examples / "segmentation.py"),
        "--plugin",
        str(tmp_path / "overlap.py"),
    )
    words = ("train", str(examples / "segmentation.yaml"), *plugins, "--no-ui", "--name", "own")
    settings = ("loss=tversky", "loss.alpha=0.2", "checkpoint.monitor=foreground")
    done = call(tmp_path, *words, *settings, "training.max_steps=30")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("own*")
    assert 0 < status(run)["test"]["foreground"] <= 1
    assert "foreground" in status(run)["best"]
    # Without its code a run names what it needs.
    done = call(tmp_path, "evaluate", run.name, "--plugin", str(examples / "segmentation.py"))
    assert done.returncode == 2
    assert f"needs its own code: add --plugin {tmp_path / 'overlap.py'}" in done.stderr
