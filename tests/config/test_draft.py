"""A draft: texts that are never lost, one experiment, and the command and file that give it."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_trainer.cli.arguments import parse
from tui_trainer.config.drafts.draft import CHOSEN_KINDS, Change, Draft, draft_of, draft_with
from tui_trainer.config.drafts.export import StartOptions
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import DEFAULT_EXPERIMENT, PresetLibrary, builtin_dir, search_dirs
from tui_trainer.text.errors import BadInput, CannotWrite, TrainerError
from tui_trainer.text.shell import is_plain

OWN = {
    "experiments/inline.yaml": """
        description: sections without presets
        dataset: {type: table, path: data.csv, target: y}
        model: mlp
        optimizer: {type: sgd, lr: 0.1}
        training: {epochs: 3, batch_size: 8}
        early_stopping: {patience: 2}
        """,
    "experiments/broken.yaml": """
        dataset: digits
        model: [cnn
        """,
    "experiments/on-broken.yaml": """
        dataset: digits
        model: broken
        optimizer: wrong
        training: {epochs: 3}
        """,
    "models/broken.yaml": "type: mlp\nlayers: [1\n",
    "models/small.yaml": "description: small\ntype: mlp\nlayers: [8]\n",
    "optimizers/wrong.yaml": "type: sgd\nlr: fast\n",
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with presets of one's own, some of them broken."""
    with tempfile.TemporaryDirectory() as name:
        for place, text in OWN.items():
            path = Path(name) / place
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), "utf-8")
        yield Path(name)


@pytest.fixture(scope="module")
def library(folder: Path) -> PresetLibrary:
    return PresetLibrary([folder, builtin_dir()])


@pytest.fixture
def draft(library: PresetLibrary) -> Draft:
    return Draft(library)


def resolved(draft: Draft) -> Experiment:
    assert draft.experiment is not None, draft.problems
    return draft.experiment


def words_of(command: str) -> list[str]:
    """Split a line as a shell does; `shlex` does not know quotes with escapes."""
    if "$'" not in command:
        return shlex.split(command)
    line = ["bash", "-c", f"printf '%s\\0' {command}"]
    done = subprocess.run(line, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape").split("\0")[:-1]


def parsed(command: str) -> argparse.Namespace:
    """Return the arguments that our command line reads in a line of a shell."""
    program, *words = words_of(command)
    assert program == "tui-trainer"
    return parse(words)


def ran(command: str) -> Experiment:
    """Return the experiment that a command line would run."""
    arguments = parsed(command)
    found = PresetLibrary(search_dirs(arguments.preset_dir))
    return found.experiment(arguments.experiment, parse_overrides(arguments.overrides))


def keys_of(draft: Draft) -> list[str]:
    return [field.key for group in draft.groups() for field in group.fields]


def test_a_new_draft_is_the_preset(library: PresetLibrary, draft: Draft) -> None:
    assert draft.base == draft.preset("experiment") == DEFAULT_EXPERIMENT
    assert resolved(draft) == library.experiment(DEFAULT_EXPERIMENT)
    assert draft.problems == {}
    assert draft.changes == []
    assert [draft.preset(kind) for kind in CHOSEN_KINDS] == ["digits", "cnn", "adamw"]


def test_a_field_says_what_the_preset_gives_until_something_is_typed(draft: Draft) -> None:
    assert draft.text("optimizer.lr") == "0.003"
    draft.set("optimizer.lr", "3e-4")
    assert draft.text("optimizer.lr") == "3e-4"
    assert draft.preset_text("optimizer.lr") == "0.003"
    assert resolved(draft).optimizer.lr == 3e-4
    assert draft.changes == [Change("optimizer.lr", "0.003", "3e-4")]
    draft.reset("optimizer.lr")
    assert draft.text("optimizer.lr") == "0.003"
    assert draft.changes == []


def test_the_same_value_typed_otherwise_is_no_change_but_stays_as_typed(draft: Draft) -> None:
    draft.set("optimizer.lr", "3.0e-3")
    assert draft.text("optimizer.lr") == "3.0e-3"
    assert not draft.is_changed("optimizer.lr")
    assert draft.changes == []


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("optimizer.lr", "3e-33o", "should be a number, above 0, at most 10,000 (got '3e-33o')"),
        ("optimizer.lr", "-1", "should be above 0"),
        ("optimizer.lr", "", "a value is needed: above 0, at most 10,000"),
        ("training.epochs", "2.5", "should be a whole number"),
        ("training.batch_size", "0", "should be at least 1"),
        ("training.drop_last", "yes", "should be true or false"),
        ("training.device", "gpu", "should be auto, cpu, cuda or cuda:N"),
        ("model.channels", "32, x", "should be a whole number"),
        ("model.kernel_size", "4", "should be odd, so that a layer keeps the size (got 4)"),
        ("model.activation", "geul", "did you mean 'gelu'?"),
        ("model.type", "cn", "did you mean 'cnn'?"),
        ("schedule.type", "cosinus", "did you mean 'cosine'?"),
        ("optimizer.ler", "1", "did you mean 'lr'?"),
        ("training.grad_clip_norm", "[1", "not closed"),
    ],
)
def test_a_wrong_text_is_kept_with_one_message_at_its_field(
    draft: Draft, key: str, text: str, message: str
) -> None:
    draft.set(key, text)
    assert draft.text(key) == text
    assert list(draft.problems) == [key]
    assert message in draft.problem(key)
    value = text.rpartition(", ")[2]
    assert value in draft.problem(key) or draft.field(key) is None, "it names the value"
    assert draft.experiment is None


def test_what_is_wrong_between_fields_is_told_too(draft: Draft) -> None:
    draft.set("training.epochs", "")
    assert draft.problem("training").startswith("no limit; set training.epochs")
    assert draft.problem("schedule.type").startswith("one_cycle needs to know")
    draft.set("training.epochs", "5")
    draft.set("training.grad_clip_norm", "1")
    draft.set("training.grad_clip_value", "1")
    assert "not both" in draft.problem("training.grad_clip_value")


def test_all_wrong_fields_are_told_at_once(draft: Draft) -> None:
    draft.set("optimizer.lr", "fast")
    draft.set("model.dropout", "2")
    draft.set("training.seed", "[")
    assert set(draft.problems) == {"optimizer.lr", "model.dropout", "training.seed"}


def test_a_section_that_does_not_exist_is_refused(draft: Draft) -> None:
    for key in ("trainin.epochs", "training", ""):
        with pytest.raises(KeyError):
            draft.set(key, "1")
    with pytest.raises(KeyError):
        draft.choose("schedule", "cosine")


def test_a_preset_drops_the_edits_of_its_section_and_no_others(draft: Draft) -> None:
    draft.set("optimizer.lr", "1e-4")
    draft.set("training.epochs", "7")
    draft.choose("optimizer", "sgd")
    assert draft.text("optimizer.lr") == "0.05"
    assert draft.text("training.epochs") == "7"
    assert draft.preset("optimizer") == "sgd"
    assert [change.key for change in draft.changes] == ["optimizer", "training.epochs"]
    assert draft.changes[0] == Change("optimizer", "adamw", "sgd")
    draft.choose("optimizer", "adamw")
    assert [change.key for change in draft.changes] == ["training.epochs"]


def test_a_preset_without_the_experiments_own_changes_is_a_change(library: PresetLibrary) -> None:
    draft = Draft(library, "digits-mlp")
    assert draft.preset("model") == "mlp"
    assert draft.text("model.layers") == "512, 256"
    draft.choose("model", "mlp")
    assert draft.text("model.layers") == "128, 64"
    assert draft.changes == [Change("model", "mlp with changes", "mlp")]
    draft.reset("model")
    assert draft.text("model.layers") == "512, 256"
    assert draft.changes == []


def test_another_experiment_drops_everything(draft: Draft) -> None:
    draft.set("training.epochs", "7")
    draft.choose("model", "mlp")
    draft.choose("experiment", "penguins-mlp")
    assert draft.base == "penguins-mlp"
    assert draft.changes == []
    assert draft.preset("dataset") == "penguins"


def test_another_type_swaps_the_fields_and_coming_back_brings_them_back(draft: Draft) -> None:
    draft.set("schedule.peak_at", "0.4")
    draft.set("schedule.type", "cosine")
    assert "schedule.peak_at" not in keys_of(draft)
    assert draft.text("schedule.warmup_steps") == "0"
    draft.set("schedule.warmup_steps", "10")
    assert resolved(draft).get("schedule.warmup_steps") == 10
    draft.set("schedule.type", "one_cycle")
    assert draft.text("schedule.peak_at") == "0.4"
    assert [change.key for change in draft.changes] == ["schedule.peak_at"]
    draft.set("schedule.type", "cosine")
    assert draft.text("schedule.warmup_steps") == "10"
    draft.reset("schedule.type")
    assert draft.text("schedule.type") == "one_cycle"
    assert draft.text("schedule.peak_at") == "0.4"


def test_a_mistyped_type_does_not_lose_the_fields(draft: Draft) -> None:
    draft.set("model.channels", "8")
    draft.set("model.type", "cn")
    assert keys_of(draft).count("model.type") == 1
    assert "model.channels" not in keys_of(draft)
    draft.set("model.type", "cnn")
    assert draft.text("model.channels") == "8"


def test_a_type_of_its_own_is_no_preset(draft: Draft) -> None:
    draft.set("model.type", "mlp")
    assert draft.preset("model") == ""
    assert resolved(draft).model.type == "mlp"
    assert "model.type=mlp" in draft.command()


@pytest.mark.parametrize(
    ("text", "value", "argument"),
    [
        ("*.txt", ("*.txt",), """'dataset.patterns=['"'"'*.txt'"'"']'"""),
        ("*.md, !x", ("*.md", "!x"), """'dataset.patterns=['"'"'*.md'"'"', '"'"'!x'"'"']'"""),
    ],
)
def test_a_list_of_texts_takes_what_means_something_else_in_yaml(
    library: PresetLibrary, text: str, value: tuple[str, ...], argument: str
) -> None:
    draft = Draft(library, "stdlib-packages")
    draft.set("dataset.patterns", text)
    assert resolved(draft).get("dataset.patterns") == value
    assert argument in draft.command()
    assert ran(draft.command()) == resolved(draft)


def test_a_path_that_is_typed_is_relative_to_the_current_directory(draft: Draft) -> None:
    draft.set("dataset.path", "some/data.csv")
    assert resolved(draft).dataset.path == str(Path.cwd() / "some/data.csv")


@pytest.mark.parametrize(
    ("kind", "name", "key", "place"),
    [
        ("model", "broken", "model", "broken.yaml:2: "),
        ("optimizer", "wrong", "optimizer.lr", "wrong.yaml:2: "),
        ("model", "nothere", "model", "available: "),
        ("experiment", "broken", "experiment", "broken.yaml:2: "),
        ("experiment", "nothere", "experiment", "available: "),
        ("experiment", "../inline", "experiment", "no such file"),
    ],
)
def test_a_broken_or_missing_preset_is_a_problem_with_file_and_line(
    draft: Draft, kind: str, name: str, key: str, place: str
) -> None:
    draft.choose(kind, name)
    assert list(draft.problems) == [key]
    assert place in draft.problem(key)
    assert draft.experiment is None
    assert all(isinstance(draft.text(each), str) for each in keys_of(draft))


def test_a_broken_preset_is_mended_by_choosing_another(library: PresetLibrary) -> None:
    draft = Draft(library, "on-broken")
    assert {key.partition(".")[0] for key in draft.problems} == {"model", "optimizer"}
    draft.choose("model", "small")
    draft.choose("optimizer", "sgd")
    assert resolved(draft).get("model.layers") == (8,)


def test_a_wrong_value_of_a_preset_is_mended_by_typing_another(draft: Draft) -> None:
    draft.choose("optimizer", "wrong")
    assert draft.text("optimizer.lr") == "fast"
    draft.set("optimizer.lr", "0.1")
    assert resolved(draft).optimizer.lr == 0.1


def test_a_changed_preset_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "models" / "own.yaml"
    path.parent.mkdir()
    path.write_text("type: mlp\nlayers: [1\n")
    draft = Draft(PresetLibrary([tmp_path, builtin_dir()]))
    draft.choose("model", "own")
    assert draft.experiment is None
    path.write_text("type: mlp\nlayers: [16]\n")
    draft.set("training.epochs", "3")
    assert resolved(draft).get("model.layers") == (16,)


def test_overrides_are_taken_over_as_the_command_line_takes_them(library: PresetLibrary) -> None:
    words = ["model.dropout=0.5", "optimizer.lr=1e-2", "model=mlp", "schedule=cosine"]
    words += ["schedule.warmup_steps=9", "loss.type=cross_entropy", "loss.class_weights=[1, 2]"]
    words += ["optimizer={type: sgd, momentum: 0.5}", "training.max_steps=null"]
    draft = draft_with(library, DEFAULT_EXPERIMENT, parse_overrides(words))
    assert resolved(draft) == library.experiment(DEFAULT_EXPERIMENT, parse_overrides(words))
    assert draft.preset("model") == "mlp"
    assert draft.text("model.dropout") == "0.5"


@pytest.mark.parametrize("word", ["training=5", "model=5", "optimizer.ler=", "model=nothere"])
def test_wrong_overrides_are_problems_of_the_draft(library: PresetLibrary, word: str) -> None:
    draft = draft_with(library, DEFAULT_EXPERIMENT, parse_overrides([word]))
    assert draft.experiment is None
    with pytest.raises(TrainerError):
        ran(draft.command())


def test_the_command_is_short_and_as_it_was_typed(library: PresetLibrary) -> None:
    draft = Draft(PresetLibrary(search_dirs()))
    assert draft.command() == "tui-trainer train digits-cnn"
    draft.set("optimizer.lr", "3e-4")
    draft.set("schedule.type", "cosine")
    draft.set("model.channels", "8, 16")
    assert draft.command() == (
        "tui-trainer train digits-cnn 'model.channels=[8, 16]' optimizer.lr=3e-4 schedule=cosine"
    )


def test_the_command_names_folders_of_presets_that_are_not_searched_otherwise(
    folder: Path, library: PresetLibrary
) -> None:
    draft = Draft(library)
    draft.choose("model", "small")
    assert draft.command().endswith(f"model=small --preset-dir {folder}")
    assert ran(draft.command()) == resolved(draft)


def test_the_command_does_not_depend_on_the_variables_of_the_shell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TRAINER_PRESETS", str(folder))
    draft = Draft(PresetLibrary(search_dirs()))
    draft.choose("model", "small")
    monkeypatch.delenv("TUI_TRAINER_PRESETS")
    assert draft.command().endswith(f"model=small --preset-dir {folder}")
    assert ran(draft.command()) == resolved(draft)


def test_a_text_with_invisible_characters_is_written_with_escapes(draft: Draft) -> None:
    draft.choose_experiment("penguins-mlp")
    draft.set("dataset.target", "a\u202eb")
    assert r"""'dataset.target="a\u202eb"'""" in draft.command()
    assert resolved(draft).get("dataset.target") == "a\u202eb"
    assert ran(draft.command()) == resolved(draft)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).filter(is_plain)
"""What the field for the name of a run takes."""
PATHS = st.sampled_from(["runs", "-x", "~/my runs", "it's/$(x)", "größe/データ", 'a"b\\c', "a=b"])


@given(NAMES, st.none() | PATHS, st.lists(PATHS, max_size=2))
def test_the_command_has_the_options_of_what_would_start(
    name: str, runs_dir: str | None, plugins: list[str]
) -> None:
    folder = None if runs_dir is None else Path(runs_dir)
    options = StartOptions(name, folder, tuple(map(Path, plugins)))
    command = Draft(PresetLibrary(search_dirs())).command(options)
    assert is_plain(command)
    arguments = parsed(command)
    given = (arguments.name, arguments.runs_dir, tuple(arguments.plugin))
    assert given == (options.name, options.runs_dir, options.plugins)
    assert (arguments.experiment, arguments.overrides) == (DEFAULT_EXPERIMENT, [])
    assert (arguments.device, arguments.threads, arguments.preset_dir) == (None, None, [])


def test_a_run_is_composed_from_again(library: PresetLibrary) -> None:
    words = ["model=mlp", "optimizer.lr=1e-2", "schedule.type=cosine", "training.epochs=3"]
    past = library.experiment(DEFAULT_EXPERIMENT, parse_overrides(words))
    draft = draft_of(library, past)
    assert draft.base == DEFAULT_EXPERIMENT
    assert resolved(draft) == past
    assert draft.preset("model") == "mlp"
    assert {change.key for change in draft.changes} == {
        "model",
        "optimizer.lr",
        "schedule.type",
        "training.epochs",
    }


def test_a_run_of_a_preset_that_is_gone_starts_from_its_file_or_the_default(
    library: PresetLibrary, tmp_path: Path
) -> None:
    past = replace(library.experiment("penguins-mlp"), name="gone")
    draft = draft_of(library, past)
    assert draft.base == DEFAULT_EXPERIMENT
    start = resolved(draft)
    assert replace(start, name=past.name, description=past.description) == past
    source = tmp_path / "config.yaml"
    source.write_text("dataset: penguins\nmodel: mlp\noptimizer: sgd\ntraining: {epochs: 1}\n")
    draft = draft_of(library, past, source)
    assert draft.base == str(source)
    assert replace(resolved(draft), name=past.name, description=past.description) == past


def test_a_run_of_a_preset_that_was_broken_since_starts_from_the_default(tmp_path: Path) -> None:
    own = tmp_path / "experiments" / "mine.yaml"
    own.parent.mkdir()
    own.write_text("dataset: penguins\nmodel: mlp\noptimizer: sgd\ntraining: {epochs: 7}\n")
    library = PresetLibrary([tmp_path, builtin_dir()])
    past = library.experiment("mine")
    own.write_text("dataset: penguins\nmodel: mpl\noptimizer: sgd\ntraining: {epochs: 7}\n")
    draft = draft_of(library, past)
    assert draft.base == DEFAULT_EXPERIMENT
    assert replace(resolved(draft), name=past.name, description=past.description) == past


def test_a_preset_of_ones_own_names_presets_and_differences(
    library: PresetLibrary, tmp_path: Path
) -> None:
    draft = Draft(library, "digits-mlp")
    draft.choose("optimizer", "sgd")
    draft.set("optimizer.lr", "0.2")
    draft.set("training.epochs", "5")
    path = draft.save("mine", tmp_path)
    assert path == tmp_path / "experiments" / "mine.yaml"
    text = path.read_text("utf-8")
    assert "preset: sgd" in text
    assert "lr: 0.2" in text
    assert "momentum" not in text
    saved = PresetLibrary([tmp_path, *library.folders]).experiment("mine")
    assert saved == replace(resolved(draft), name="mine")
    assert [p.name for p in path.parent.iterdir()] == ["mine.yaml"]


def test_a_file_beside_the_preset_is_found_from_where_it_is_saved(
    library: PresetLibrary, folder: Path, tmp_path: Path
) -> None:
    draft = Draft(library, "inline")
    assert resolved(draft).dataset.path == str((folder / "experiments/data.csv").resolve())
    path = draft.save("mine", tmp_path)
    assert library.experiment(str(path)) == replace(resolved(draft), name="mine")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "-x", "con", "x.", "a\nb"])
def test_an_unsafe_name_is_refused(draft: Draft, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a preset"):
        draft.save(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_preset_is_replaced_only_when_asked_to(draft: Draft, tmp_path: Path) -> None:
    path = draft.save("mine", tmp_path)
    before = path.read_bytes()
    draft.set("training.epochs", "5")
    with pytest.raises(BadInput, match="exists already"):
        draft.save("mine", tmp_path)
    assert path.read_bytes() == before
    draft.save("mine", tmp_path, replace=True)
    assert b"epochs: 5" in path.read_bytes()


def test_a_draft_with_problems_is_not_saved(draft: Draft, tmp_path: Path) -> None:
    draft.set("optimizer.lr", "fast")
    with pytest.raises(BadInput, match=r"optimizer\.lr: should be a number"):
        draft.save("mine", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_leads_elsewhere_is_refused(draft: Draft, tmp_path: Path) -> None:
    elsewhere, own = tmp_path / "elsewhere", tmp_path / "own"
    elsewhere.mkdir()
    own.mkdir()
    (own / "experiments").symlink_to(elsewhere)
    with pytest.raises(BadInput, match="is outside of"):
        draft.save("mine", own)
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_the_way_is_replaced_and_not_followed(draft: Draft, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    (tmp_path / "own" / "experiments").mkdir(parents=True)
    (tmp_path / "own" / "experiments" / "mine.yaml").symlink_to(victim)
    draft.save("mine", tmp_path / "own", replace=True)
    assert victim.read_text() == "safe"


def test_a_place_that_cannot_be_written_is_told(draft: Draft, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="not a directory"):
        draft.save("mine", tmp_path / "file")


def test_a_saved_preset_can_be_read_by_whom_the_umask_lets(draft: Draft, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        path = draft.save("mine", tmp_path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


WORDS = """
    1 0 -1 2.5 3e-4 1e999 true none batch auto cpu cosine mlp table sgd cross_entropy balanced
    [1 5, 'x data.csv ~ null $(x) a=b [0.5,0.9] é
    """
SPACED = ["", "1, 2", "a b", "{a: 1}", " 7 ", "# no", "\u202e", "\n", "\0", "\x85"]
TEXTS = st.sampled_from([*WORDS.split(), *SPACED]) | st.text(max_size=6)
EXPERIMENTS = st.sampled_from(
    ["digits-cnn", "digits-mlp", "penguins-mlp", "inline", "broken", "on-broken", "nothere"]
)
PRESETS = {
    "dataset": ["digits", "penguins", "nothere"],
    "model": ["cnn", "mlp", "linear", "small", "broken", "nothere"],
    "optimizer": ["adam", "adamw", "sgd", "wrong"],
}
STEPS = st.lists(st.sampled_from(["set", "set", "set", "choose", "reset", "start"]), max_size=8)


def check(draft: Draft, library: PresetLibrary, folder: Path) -> None:
    """Assert the properties that every draft has at any time."""
    assert (draft.experiment is None) is bool(draft.problems)
    assert all(draft.problems.values())
    for key in keys_of(draft):
        assert isinstance(draft.text(key), str)
        draft.problem(key)
        assert not (draft.is_changed(key) and draft.text(key) == draft.preset_text(key))
    if draft.experiment is None:
        # No shell hands a NUL over; what is left of the text may be right.
        if "\\000" not in draft.command():
            with pytest.raises(TrainerError):
                ran(draft.command())
        return
    assert is_plain(draft.command())
    assert ran(draft.command()) == draft.experiment
    path = draft.save("saved", folder, replace=True)
    saved = PresetLibrary([folder, *library.folders]).experiment("saved")
    assert saved == replace(draft.experiment, name="saved")
    assert path.is_relative_to(folder)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.data(), EXPERIMENTS, STEPS)
def test_whatever_is_done_a_draft_is_consistent_and_no_text_is_lost(
    library: PresetLibrary,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    base: str,
    steps: list[str],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "saved"
    draft = Draft(library, base)
    typed: dict[str, str] = {}

    def forget(section: str) -> None:
        for key in [key for key in typed if key.startswith(f"{section}.")]:
            del typed[key]

    for step in steps:
        if step == "start":
            draft.choose_experiment(data.draw(EXPERIMENTS))
            typed.clear()
        elif step == "choose":
            kind = data.draw(st.sampled_from(CHOSEN_KINDS))
            draft.choose(kind, data.draw(st.sampled_from(PRESETS[kind])))
            forget(kind)
        else:
            key = data.draw(st.sampled_from(keys_of(draft)))
            section = key.partition(".")[0]
            before = draft.text(key)
            if step == "reset":
                draft.reset(key)
                typed.pop(key, None)
                assert draft.text(key) == draft.preset_text(key)
            else:
                text = data.draw(TEXTS)
                draft.set(key, text)
                typed[key] = text
            if key.endswith(".type") and draft.text(key) != before:
                forget(section)
        assert {key: draft.text(key) for key in typed} == typed
        check(draft, library, folder)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(["digits-cnn", "digits-mlp", "penguins-mlp", "inline"]), STEPS)
def test_composing_from_a_run_gives_its_experiment(
    library: PresetLibrary, data: st.DataObject, base: str, steps: list[str]
) -> None:
    draft = Draft(library, base)
    for _ in steps:
        key = data.draw(st.sampled_from(keys_of(draft)))
        before = draft.text(key)
        draft.set(key, data.draw(TEXTS))
        if draft.experiment is None:
            draft.set(key, before)
    if draft.experiment is not None:
        assert draft_of(library, draft.experiment).experiment == draft.experiment


def test_a_key_is_answered_within_ten_milliseconds(draft: Draft) -> None:
    def typed(text: str) -> float:
        start = thread_time()
        draft.set("optimizer.lr", text)
        for group in draft.groups():
            for field in group.fields:
                draft.text(field.key), draft.problem(field.key), draft.is_changed(field.key)
        _ = draft.changes, draft.experiment
        return thread_time() - start

    # Of the processor, and the best of many: other processes do not count.
    assert min(typed(f"{number}e-4") for number in range(1, 20)) < 0.01


def test_a_draft_takes_settings_by_their_short_names(library: PresetLibrary) -> None:
    draft = draft_with(library, overrides=parse_overrides(["lr=0.5", "optimizer=sgd"]))
    assert draft.text("optimizer.lr") == "0.5"
    assert resolved(draft).optimizer.lr == 0.5
    with pytest.raises(TrainerError, match="lrr: no such setting"):
        draft_with(library, overrides=parse_overrides(["lrr=1"]))
