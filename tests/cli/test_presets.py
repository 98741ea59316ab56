"""`tui-trainer presets`: list, show, validate, copy, schema, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tui_trainer.cli.main import main
from tui_trainer.config.experiment import resolve
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.schema import json_schema
from tui_trainer.config.sections.optimizers import OPTIMIZERS
from tui_trainer.config.tree import Tree
from tui_trainer.config.yaml.reader import parse_document

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No presets but those of a test and the shipped ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TUI_TRAINER_PRESETS", raising=False)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def presets(capsys: Capture, *words: str) -> str:
    """Return the output of a command that must succeed."""
    assert main(["presets", *words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def refused(capsys: Capture, *words: str) -> str:
    """The message of a command that has to be refused."""
    assert main(["presets", *words]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return printed.err


def test_list_names_every_preset_by_kind(capsys: Capture) -> None:
    lines = presets(capsys, "list").splitlines()
    kinds = [line for line in lines if not line.startswith(" ")]
    assert kinds == ["experiments", "datasets", "models", "optimizers"]
    names = [line.split()[0] for line in lines if line.startswith(" ")]
    library = PresetLibrary([builtin_dir()])
    assert names == [preset.name for kind in kinds for preset in library.list(kind[:-1])]


@pytest.mark.parametrize("kind", ["model", "models"])
def test_list_of_one_kind_describes_each(capsys: Capture, kind: str) -> None:
    lines = presets(capsys, "list", kind).splitlines()
    assert lines[0] == "models"
    described = dict(line.split(maxsplit=1) for line in lines[1:])
    assert list(described) == [p.name for p in PresetLibrary([builtin_dir()]).list("model")]
    assert described["linear"] == "logistic or linear regression"


def test_list_as_json_has_the_paths(capsys: Capture) -> None:
    rows = json.loads(presets(capsys, "list", "optimizer", "--json"))
    assert [row["name"] for row in rows] == sorted(OPTIMIZERS.names)
    for row in rows:
        assert row["kind"] == "optimizer"
        assert Path(row["path"]) == builtin_dir() / "optimizers" / f"{row['name']}.yaml"


def test_list_refuses_an_unknown_kind(capsys: Capture) -> None:
    assert "no kind 'modl' (did you mean 'model'?)" in refused(capsys, "list", "modl")


def test_list_goes_on_at_a_preset_that_cannot_be_read(capsys: Capture, tmp_path: Path) -> None:
    written(tmp_path / "p/models/aaa.yaml", "description: [\n")
    written(tmp_path / "p/models/bbb.yaml", 'description: "x\\e[2J"\ntype: linear\n')
    out = presets(capsys, "list", "models", "--preset-dir", str(tmp_path / "p"))
    lines = out.splitlines()
    assert lines[1].startswith("  aaa")
    assert "cannot be read" in lines[1]
    assert lines[2].split(maxsplit=1) == ["bbb", r"x\x1b[2J"]
    assert len(lines) == 3 + len(PresetLibrary([builtin_dir()]).list("model"))


def test_fault_37_a_file_name_that_steers_the_terminal_is_not_printed(
    capsys: Capture, tmp_path: Path
) -> None:
    written(tmp_path / "presets/models/\x1b[2J.yaml", "type: linear\n")
    assert main(["presets", "list"]) == 0
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "\\x1b[2J.yaml: rename it" in printed.err


def test_files_that_no_name_can_mean_are_told_of_with_the_fix(
    capsys: Capture, tmp_path: Path
) -> None:
    odd = written(tmp_path / "models" / "größe.yaml", "type: mlp\n")
    other = written(tmp_path / "experiments" / "mine.yml", "dataset: digits\n")
    names = "preset names have letters, digits, . _ - and do not begin with . or -"
    assert main(["presets", "list", "--preset-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().err.splitlines()
    assert printed == [
        f"{other}: rename it: preset files end in .yaml",
        f"{odd}: rename it: {names}",
    ]
    assert main(["presets", "validate", "--preset-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == printed
    answer = refused(capsys, "show", "models/größe", "--preset-dir", str(tmp_path))
    assert answer.startswith("tui-trainer: no model preset 'größe'; größe.yaml is there: rename it")


def test_presets_of_the_current_directory_are_listed(capsys: Capture, tmp_path: Path) -> None:
    written(tmp_path / "presets/models/mine.yaml", "description: my own\ntype: linear\n")
    assert "  mine             my own\n" in presets(capsys, "list")


@pytest.mark.parametrize("name", ["digits-mlp", "experiment/digits-mlp", "experiments/digits-mlp"])
def test_show_prints_an_experiment_resolved(capsys: Capture, name: str) -> None:
    shown = parse_document(presets(capsys, "show", name), "shown").data
    expected = PresetLibrary([builtin_dir()]).experiment("digits-mlp")
    assert resolve(Tree(shown), "x") == expected
    assert yaml.safe_load(yaml.safe_dump(shown)) == expected.to_dict()


def test_show_prints_another_preset_as_it_stands(capsys: Capture) -> None:
    for name in ("optimizer/sgd", "optimizers/sgd"):
        shown = presets(capsys, "show", name)
        assert shown == (builtin_dir() / "optimizers/sgd.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits-mpl", "did you mean 'digits-mlp'?"),
        ("model/mpl", "did you mean 'mlp'?"),
        ("model/../../x", "no model preset '../../x'"),
        ("model//etc/passwd", "no model preset '/etc/passwd'"),
        ("model/" + "x" * 300, "no model preset"),
        ("model/CON", "no model preset 'CON'"),
        ("model/", "no model preset ''"),
        ("../x", "no such file"),
        ("a\0b", "no experiment preset"),
    ],
)
def test_fault_36_show_refuses_a_bad_name(capsys: Capture, name: str, words: str) -> None:
    message = refused(capsys, "show", name)
    assert words in message
    assert all(line.isprintable() for line in message.splitlines())


def test_validate_finds_every_shipped_preset_right(capsys: Capture) -> None:
    lines = presets(capsys, "validate").splitlines()
    files = [str(path) for path in builtin_dir().rglob("*.yaml")]
    assert sorted(lines) == sorted(f"{path}: valid" for path in files)


def test_fault_34_validate_tells_every_problem_of_every_file(
    capsys: Capture, tmp_path: Path
) -> None:
    one = written(tmp_path / "one.yaml", "dataset: digit\nmodel: mlp\n")
    two = written(tmp_path / "two.yaml", "a: 1\na: 2\n\tb: 3\n")
    assert main(["presets", "validate", str(one), "digits-mlp", str(two)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "digits-mlp: valid\n"
    starts = (
        f"{one}:1:1: dataset: no dataset preset 'digit' (did you mean 'digits'?)",
        f"{one}:1: optimizer: missing",
        f"{two}:2:1: a: duplicate key, first in line 1",
        f"{two}:3:1: a tab",
    )
    for start in starts:
        assert start in printed.err
    assert "Traceback" not in printed.err


def test_fault_34_validate_without_names_checks_the_parts_too(
    capsys: Capture, tmp_path: Path
) -> None:
    path = written(tmp_path / "presets/optimizers/bad.yaml", "type: sgd\nlr: -1\n")
    assert main(["presets", "validate"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{path}:2:1: optimizer.lr: ")
    assert f"{builtin_dir()}/models/mlp.yaml: valid\n" in printed.out


def test_fault_35_validate_runs_nothing(capsys: Capture, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    order = f"!!python/object/apply:os.system ['touch {marker}']"
    path = written(tmp_path / "e.yaml", f"model: {order}\n")
    assert f"{path}:1:8: model: the tag" in refused(capsys, "validate", str(path))
    assert not marker.exists()


def test_copy_goes_to_presets_of_the_current_directory(capsys: Capture, tmp_path: Path) -> None:
    assert presets(capsys, "copy", "model/mlp") == "presets/models/mlp.yaml\n"
    copied = tmp_path / "presets/models/mlp.yaml"
    assert copied.read_bytes() == (builtin_dir() / "models/mlp.yaml").read_bytes()


def test_a_copied_experiment_is_an_experiment(capsys: Capture, tmp_path: Path) -> None:
    assert presets(capsys, "copy", "digits-mlp", "mine.yaml") == "mine.yaml\n"
    assert presets(capsys, "copy", "digits-mlp", "folder") == "folder/digits-mlp.yaml\n"
    assert presets(capsys, "validate", "./mine.yaml") == "./mine.yaml: valid\n"
    assert (tmp_path / "folder/digits-mlp.yaml").is_file()


def test_copy_never_replaces_a_file(capsys: Capture, tmp_path: Path) -> None:
    path = written(tmp_path / "mine.yaml", "mine")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "absent")
    for target in ("mine.yaml", "link.yaml"):
        assert "exists already" in refused(capsys, "copy", "digits-mlp", target)
    assert path.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("name", ["model/../x", "model//etc/x", "../x", "model/CON", "nothing"])
def test_fault_36_copy_of_a_bad_name_writes_nothing(
    capsys: Capture, tmp_path: Path, name: str
) -> None:
    written(tmp_path / "x.yaml", "type: linear\n")
    assert " preset '" in refused(capsys, "copy", name)
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_copy_into_what_is_no_folder_is_refused(capsys: Capture, tmp_path: Path) -> None:
    written(tmp_path / "file", "")
    assert "tui-trainer: file/" in refused(capsys, "copy", "digits-mlp", "file/x.yaml")


def test_schema_is_printed_as_json(capsys: Capture) -> None:
    assert json.loads(presets(capsys, "schema")) == json_schema()


def test_fault_58_what_takes_the_place_of_a_built_in_preset_is_said_on_stderr(
    capsys: Capture, tmp_path: Path
) -> None:
    path = written(tmp_path / "presets/models/mlp.yaml", "type: mlp\nlayers: [3]\n")
    said = f"{path} replaces the built-in model preset mlp\n"
    for words in (
        *(["list"], ["list", "models"], ["validate"], ["show", "models/mlp"]),
        *(["validate", "digits-mlp"], ["show", "digits-mlp"], ["copy", "models/mlp", "mine"]),
    ):
        assert main(["presets", *words]) == 0
        assert capsys.readouterr().err == said
    rows = json.loads((main(["presets", "list", "--json"]), capsys.readouterr().out)[1])
    assert [row["path"] for row in rows if row["replaces_builtin"]] == [str(path)]
    # Another kind has nothing to do with it, and who names the folder knows.
    for words in (
        *(["list", "optimizers"], ["show", "digits-cnn"]),
        ["list", "--preset-dir", "presets"],
        ["validate", "digits-mlp", "--preset-dir", str(tmp_path / "presets")],
    ):
        presets(capsys, *words)


def test_fault_58_train_says_which_preset_it_takes(capsys: Capture, tmp_path: Path) -> None:
    text = (builtin_dir() / "experiments/penguins-mlp.yaml").read_text()
    path = written(tmp_path / "presets/experiments/penguins-mlp.yaml", text)
    said = f"tui-trainer: {path} replaces the built-in experiment preset penguins-mlp"
    words = ("train", "penguins-mlp", "--runs-dir", str(tmp_path / "runs"))
    for more in (["--dry-run"], ["--dry-run", "--log-format", "json"]):
        assert main([*words, *more]) == 0
        printed = capsys.readouterr()
        assert printed.err.splitlines() == [said]
        assert "takes the place" not in printed.out
    assert main([*words, "--dry-run", "--preset-dir", "presets"]) == 0
    assert capsys.readouterr().err == ""


def test_a_dry_run_has_a_line_for_each_group_of_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = "optimizer.groups=[{match: head, lr: 1e-3}, {match: hidden.0, freeze_until: 500}]"
    words = ["train", "digits-mlp", groups, "optimizer.groups.0.weight_decay=0", "--dry-run"]
    assert main([*words, "--runs-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("groups: a parameter belongs to the first group that matches it")
    assert [" ".join(line.split()) for line in lines[start + 1 : start + 7]] == [
        "head 2,570 lr 0.001, decay 0",
        "head.weight, head.bias",
        "hidden.0 33,280 lr 0.002, decay 0.05 of 32,768, frozen until step 500",
        "hidden.0.linear.weight, hidden.0.linear.bias",
        "all others 131,328 lr 0.002, decay 0.05 of 131,072",
        "hidden.1.linear.weight, hidden.1.linear.bias",
    ]
    for steps, is_told in ((500, False), (499, True)):
        assert main([*words, f"training.max_steps={steps}", "--runs-dir", str(tmp_path)]) == 0
        told = "hidden.0 is never trained: freeze_until is 500, and the run ends at step 499"
        assert (told in capsys.readouterr().out) is is_told
