"""Presets: where they are looked for, what their names may be, and what they can never do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import (
    DEFAULT_EXPERIMENT,
    KINDS,
    PresetLibrary,
    builtin_dir,
    experiment_path,
    search_dirs,
)
from tui_trainer.text.errors import BadInput, ConfigError, TrainerError

SHIPPED = [
    (kind, preset.name) for kind in KINDS for preset in PresetLibrary([builtin_dir()]).list(kind)
]
MODELS = sorted(path.stem for path in (builtin_dir() / "models").iterdir())


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def library(*folders: Path) -> PresetLibrary:
    return PresetLibrary([*folders, builtin_dir()])


def refusal(presets: PresetLibrary, reference: str, *words: str) -> str:
    """What an experiment is refused with."""
    with pytest.raises(TrainerError) as caught:
        presets.experiment(reference, parse_overrides(words))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_presets_are_shipped_for_every_kind() -> None:
    assert {kind for kind, _ in SHIPPED} == set(KINDS)
    assert ("experiment", DEFAULT_EXPERIMENT) in SHIPPED


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_every_shipped_preset_resolves(kind: str, name: str) -> None:
    presets = PresetLibrary([builtin_dir()])
    if kind == "experiment":
        resolved = presets.experiment(name)
        assert resolved.name == name
        assert resolved.description
    else:
        presets.section(presets.find(kind, name))
        chosen = presets.experiment(DEFAULT_EXPERIMENT, parse_overrides([f"{kind}={name}"]))
        assert chosen.get(f"{kind}.type")


def test_every_file_that_ships_is_found_as_a_preset() -> None:
    folder = builtin_dir()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    # Scripts, and what they have written.
    files = {name for name in files if not name.startswith("data/")}
    assert files == {f"{kind}s/{name}.yaml" for kind, name in SHIPPED}


def test_folders_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    env = {"TUI_TRAINER_PRESETS": f"{tmp_path / 'e1'}{os.pathsep}{os.pathsep}e2"}
    found = search_dirs([Path("given"), Path("~/mine"), Path("given")], env)
    assert found[:5] == [
        *(tmp_path / "given", tmp_path / "home" / "mine"),
        *(tmp_path / "e1", tmp_path / "e2", tmp_path / "presets"),
    ]
    assert found[5].parts[-2:] == ("tui-trainer", "presets")
    assert found[6:] == [builtin_dir()]
    assert search_dirs([], {}) == found[4:]


def test_the_home_of_nobody_is_an_ordinary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search_dirs([Path("~no-such-user/p")], {})[0] == tmp_path / "~no-such-user" / "p"


def test_the_first_folder_that_has_a_preset_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    written(first, "models/mlp.yaml", "type: mlp\nlayers: [1]\n")
    written(second, "models/mlp.yaml", "type: mlp\nlayers: [2]\n")
    written(second, "models/two.yaml", "type: linear\n")
    presets = library(first, second)
    assert presets.find("model", "mlp").folder == first
    assert presets.find("model", "two").folder == second
    assert presets.find("model", "cnn").folder == builtin_dir()
    assert [p.name for p in presets.list("model")] == sorted([*MODELS, "two"])
    assert {p.name: p.folder for p in presets.list("model")}["mlp"] == first
    assert presets.experiment("digits-mlp", parse_overrides(["model=mlp"])).get("model.layers") == (
        1,
    )


def test_a_file_is_found_by_its_name_unless_another_comes_before_it(tmp_path: Path) -> None:
    first = written(tmp_path / "first", "models/mine.yaml", "type: mlp\n")
    behind = written(tmp_path / "second", "models/mine.yaml", "type: mlp\n")
    elsewhere = written(tmp_path / "third", "models/other.yaml", "type: mlp\n")
    presets = library(tmp_path / "first", tmp_path / "second")
    assert presets.finds("model", first)
    assert not presets.finds("model", behind)
    assert not presets.finds("model", elsewhere)


def test_what_is_no_preset_is_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "folder.yaml").mkdir(parents=True)
    os.mkfifo(folder / "pipe.yaml")
    for name in ("a b.yaml", "-x.yaml", "\x1b[2J.yaml", "con.yaml", ".yaml", "x.txt", "good.yaml"):
        written(folder, name, "type: linear\n")
    (folder / "gone.yaml").symlink_to(tmp_path / "absent")
    presets = PresetLibrary([tmp_path])
    assert [preset.name for preset in presets.list("model")] == ["good"]
    assert not presets.has("model", "folder")
    assert not presets.has("model", "pipe")
    assert not presets.has("model", "gone")


@pytest.mark.parametrize(
    "folder", ["/absent", "/" + "x" * 5000, "/dev/null", "/a\0b", "/etc/passwd/x"]
)
def test_a_folder_that_cannot_be_read_is_passed_over(folder: str) -> None:
    presets = library(Path(folder))
    assert presets.find("model", "mlp").folder == builtin_dir()
    assert [preset.name for preset in presets.list("model")] == MODELS


def test_fault_34_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadInput) as caught:
        library().find("model", "mpl")
    assert str(caught.value) == (
        f"no model preset 'mpl' (did you mean 'mlp'?); available: {', '.join(MODELS)}"
    )
    with pytest.raises(BadInput, match="there are none"):
        PresetLibrary([]).find("model", "mlp")


NAMES = ["../x", "../../models/x", "/etc/x", "a/b", "x\0", "x" * 300, "CON", "nul", "-x", ".x", ""]
NAMES += ["..", ".", "a\\b", "x.", "a b", "x\n", "~", "*", "x.yaml\0"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_fault_36_a_preset_name_never_leads_out_of_the_folders(
    tmp_path: Path, kind: str, name: str
) -> None:
    inside = tmp_path / "presets"
    written(inside, f"{kind}s/a/b.yaml", "type: linear\n")
    written(inside, "x.yaml", "type: linear\n")
    written(tmp_path, "models/x.yaml", "type: linear\n")
    for made in ("-x", "CON", "nul", ".x", "", "x.", "a b"):
        written(inside, f"{kind}s/{made}.yaml", "type: linear\n")
    presets = PresetLibrary([inside])
    assert not presets.has(kind, name)
    with pytest.raises(BadInput, match=f"no {kind} preset") as caught:
        presets.find(kind, name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "CON", "-x", "x" * 300, r"x\0"])
def test_fault_36_a_preset_named_in_a_file_never_leads_out(tmp_path: Path, name: str) -> None:
    written(tmp_path, "x.yaml", "type: linear\n")
    path = written(tmp_path, "experiments/e.yaml", f'dataset: digits\nmodel: "{name}"\n')
    message = refusal(library(tmp_path), str(path))
    assert f"{path}:2:" in message


@pytest.mark.parametrize("reference", ["CON", "-x", "x" * 300, "a\0b", "", ".", "~"])
def test_fault_36_an_experiment_of_a_bad_name_is_refused(reference: str) -> None:
    assert "no experiment preset" in refusal(library(), reference)


@pytest.mark.parametrize(
    "reference",
    ["../x", "/etc/x", "a/b", "./" + "x" * 300, "~no-such-user/x", "x.yaml", "x.yml", "/a\0b"],
)
def test_fault_36_an_experiment_of_a_bad_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(library(), reference)
    assert message.endswith("no such file")
    assert message.isprintable()


def test_an_experiment_is_a_name_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    here = written(tmp_path, "e.yaml", "x: 1\n")
    presets = library()
    assert experiment_path(presets, "digits-mlp") == builtin_dir() / "experiments/digits-mlp.yaml"
    for reference in ("e.yaml", "./e.yaml", "~/e.yaml", str(here)):
        assert experiment_path(presets, reference).resolve() == here.resolve()


EVIL = [
    "!!python/object/apply:os.system ['touch {marker}']",
    "{{type: !!python/object/apply:os.system ['touch {marker}']}}",
    "{{type: sgd, _target_: os.system, _args_: ['touch {marker}']}}",
    "{{_target_: os.system, command: 'touch {marker}'}}",
    "{{type: os.system, command: 'touch {marker}'}}",
    "{{type: ../../x}}",
    "{{type: '{folder}/evil.py'}}",
    "{{type: evil}}",
    "{{type: sgd, trust_remote_code: true}}",
    "{{type: sgd, <<: {{lr: 1}}}}",
    "{{preset: ../../x}}",
    "os.system",
    "evil",
    "'$(touch {marker})'",
    "'${{oc.env:HOME}}'",
]


@pytest.mark.parametrize("section", ["dataset", "model", "optimizer", "schedule", "loss"])
@pytest.mark.parametrize("evil", EVIL)
def test_fault_35_a_malicious_preset_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: str, section: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    written(tmp_path, "evil.py", f"open({str(marker)!r}, 'w').close()\n")
    text = evil.format(marker=marker, folder=tmp_path)
    parts = {"dataset": "digits", "model": "mlp", "optimizer": "sgd", "training": "{epochs: 1}"}
    lines = [f"{key}: {value}\n" for key, value in {**parts, section: text}.items()]
    path = written(tmp_path, "experiments/e.yaml", "".join(lines))
    assert f"{path}:" in refusal(library(tmp_path), "e")
    with pytest.raises(TrainerError):
        library().experiment("digits-mlp", parse_overrides([f"{section}={text}"]))
    assert not marker.exists()


def test_fault_35_a_malicious_part_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    order = f"type: sgd\nlr: !!python/object/apply:os.system ['touch {marker}']\n"
    path = written(tmp_path, "optimizers/evil.yaml", order)
    presets = library(tmp_path)
    message = refusal(presets, "digits-mlp", "optimizer=evil")
    assert message.startswith(f"{path}:2:5: optimizer.lr: the tag !!python/object/apply:os.system")
    with pytest.raises(ConfigError, match="tag"):
        presets.section(presets.find("optimizer", "evil"))
    assert not marker.exists()


def test_fault_34_problems_of_several_files_and_overrides_are_told_at_once(tmp_path: Path) -> None:
    broken = written(tmp_path, "models/broken.yaml", "type: mlp\nlayers: [1]\nlayers: [2]\n")
    wrong = written(tmp_path, "optimizers/wrong.yaml", "type: sgd\n\nlr: -1\nmomentun: 0\n")
    path = written(
        tmp_path,
        "experiments/e.yaml",
        "dataset: digit\nmodel: broken\noptimizer: {preset: wrong, weight_decay: x}\n"
        "training:\n  epochs: 0\n",
    )
    lines = refusal(library(tmp_path), "e", "schedule.type=cosin", "training.seed=-1").splitlines()
    starts = [
        f"{path}:1:1: dataset: no dataset preset 'digit' (did you mean 'digits'?)",
        f"{broken}:3:1: model.layers: duplicate key, first in line 2",
        f"{wrong}:3:1: optimizer.lr: ",
        f"{wrong}:4:1: optimizer.momentun: unknown key (did you mean 'momentum'?)",
        f"{path}:3:28: optimizer.weight_decay: ",
        "command line: schedule.type: no schedule type 'cosin' (did you mean 'cosine'?)",
        f"{path}:5:3: training.epochs: ",
        "command line: training.seed: ",
    ]
    missing = [start for start in starts if not any(line.startswith(start) for line in lines)]
    assert missing == []
    assert len(lines) == len(starts)


def test_a_preset_changed_in_an_experiment_keeps_its_other_settings(tmp_path: Path) -> None:
    written(tmp_path, "optimizers/o.yaml", "description: d\ntype: sgd\nlr: 0.5\nmomentum: 0.5\n")
    text = "dataset: digits\nmodel: mlp\noptimizer: {preset: o, lr: 0.25}\ntraining: {epochs: 1}\n"
    written(tmp_path, "experiments/e.yaml", text)
    found = library(tmp_path).experiment("e")
    assert (found.get("optimizer.lr"), found.get("optimizer.momentum")) == (0.25, 0.5)
    assert (found.schedule.type, found.loss.type) == ("constant", "auto")


def test_a_type_may_stand_where_there_is_no_preset_of_that_name(tmp_path: Path) -> None:
    parts = "model: linear\noptimizer: sgd\ntraining: {epochs: 1}\n"
    path = written(tmp_path, "e.yaml", f"dataset: {{type: pixels, path: x.csv}}\n{parts}")
    found = PresetLibrary([]).experiment(str(path))
    assert (found.model.type, found.optimizer.type, found.optimizer.lr) == ("linear", "sgd", 0.01)


def test_a_broken_preset_that_is_replaced_on_the_command_line_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, "optimizers/broken.yaml", "[")
    text = "dataset: digits\nmodel: mlp\noptimizer: broken\ntraining: {epochs: 1}\n"
    path = written(tmp_path, "e.yaml", text)
    presets = library(tmp_path)
    assert "broken.yaml:1" in refusal(presets, str(path))
    chosen = presets.experiment(str(path), parse_overrides(["optimizer=adam"]))
    assert chosen.optimizer.type == "adam"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("model", "type: mlp\nlayer: [1]\n", "p.yaml:2:1: model.layer: unknown key"),
        ("model", "layers: [1]\n", "model: missing; name a preset or a type"),
        ("optimizer", "type: sgd\nlr: x\n", "p.yaml:2:1: optimizer.lr: "),
        ("dataset", "type: table\npath: x.csv\n", "dataset.target: missing"),
        ("dataset", "preset: digits\n", "dataset: missing"),
    ],
)
def test_fault_34_a_part_is_checked_by_itself(
    tmp_path: Path, kind: str, text: str, words: str
) -> None:
    written(tmp_path, f"{kind}s/p.yaml", text)
    presets = PresetLibrary([tmp_path])
    with pytest.raises(ConfigError) as caught:
        presets.section(presets.find(kind, "p"))
    assert words in str(caught.value)


def test_a_schedule_of_no_type_is_constant_with_what_is_said_of_it(tmp_path: Path) -> None:
    text = "dataset: digits\nmodel: mlp\noptimizer: adam\nschedule: {warmup_steps: 7}\n"
    path = written(tmp_path, "e.yaml", f"{text}training: {{epochs: 1}}\n")
    experiment = library(builtin_dir()).experiment(str(path))
    assert (experiment.schedule.type, experiment.get("schedule.warmup_steps")) == ("constant", 7)


def taken(path: Path, kind: str, name: str) -> str:
    return f"{path} replaces the built-in {kind} preset {name}"


def test_fault_58_a_preset_that_takes_the_place_of_a_built_in_one_is_told(tmp_path: Path) -> None:
    text = (builtin_dir() / "experiments" / "digits-mlp.yaml").read_text()
    experiment = written(tmp_path, "experiments/digits-mlp.yaml", text)
    model = written(tmp_path, "models/mlp.yaml", "type: mlp\n")
    written(tmp_path, "models/other.yaml", "type: mlp\n")
    presets = library(tmp_path)
    said = [taken(experiment, "experiment", "digits-mlp"), taken(model, "model", "mlp")]
    for overrides, notes in (
        ([], said),
        (["training.epochs=1", "model.layers=[2]"], said),
        (["model=other"], said[:1]),
        (["model=linear"], said[:1]),
    ):
        found = presets.experiment("digits-mlp", parse_overrides(overrides))
        assert list(found.notes) == notes
        assert "notes" not in found.to_dict()
    # By its path the experiment was meant, and its parts go by names still.
    assert presets.experiment(str(experiment)).notes == (said[1],)
    assert presets.experiment("penguins-mlp", parse_overrides(["model=mlp"])).notes == (said[1],)
    assert {p.name for p in presets.list("model") if p.replaces} == {"mlp"}


def test_presets_that_were_meant_are_not_told_of(tmp_path: Path) -> None:
    written(tmp_path, "models/mlp.yaml", "type: mlp\n")
    named = PresetLibrary([tmp_path, builtin_dir()], [tmp_path])
    behind = PresetLibrary([builtin_dir(), tmp_path])
    for presets in (named, behind, PresetLibrary([builtin_dir()])):
        assert presets.experiment("digits-mlp").notes == ()
        assert not any(p.replaces for kind in KINDS for p in presets.list(kind))


def test_the_folder_of_the_current_directory_is_meant_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "presets/models/mlp.yaml", "type: mlp\n")
    given = [Path("presets")]
    assert not PresetLibrary(search_dirs(given, {}), given).find("model", "mlp").replaces
    assert PresetLibrary(search_dirs([], {})).find("model", "mlp").replaces


def test_a_path_that_steers_the_terminal_is_told_of_without_doing_so(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2J"
    written(folder, "models/mlp.yaml", "type: mlp\n")
    (note,) = library(folder).experiment("digits-mlp").notes
    assert "\x1b" not in note
    assert "\\x1b[2J/models/mlp.yaml replaces" in note
