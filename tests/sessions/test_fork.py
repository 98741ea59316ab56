"""A fork has the past of its origin up to a checkpoint, and a future of its own."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.config_file import flat, read_config_file, settings_of
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Event, RunEnded, StageStarted
from tui_trainer.runs.lookup import run_names
from tui_trainer.runs.paths import remove_tree
from tui_trainer.sessions.fork import prepare_fork
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.new_run import prepare_new
from tui_trainer.sessions.preview import preview
from tui_trainer.sessions.requested_run import prepare as prepare_request
from tui_trainer.sessions.requests import ForkRun, NewRun, ResumeRun, planned_name
from tui_trainer.sessions.resume import prepare_resume
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.errors import BadInput, CannotWrite, CheckpointUnusable, TrainerError
from tui_trainer.training.checkpoints import Checkpoint
from tui_trainer.training.split_file import read_record

WORDS = ["training.epochs=4", "checkpoint.every_steps=8", "checkpoint.keep_last=9"]
TIMES = ("elapsed_s", "samples_per_s")


def ran(session: LocalSession) -> RunDirectory:
    """Train to the end; where it was."""
    session.start()
    session.join()
    ended = session.events(0)[0][-1]
    assert isinstance(ended, RunEnded)
    assert ended.state == "finished", ended.reason
    assert ended.run_dir is not None
    return RunDirectory(Path(ended.run_dir))


def an_origin(folder: Path) -> RunDirectory:
    experiment = PresetLibrary([builtin_dir()]).experiment("penguins-mlp", parse_overrides(WORDS))
    return ran(LocalSession(partial(prepare_new, experiment, folder, "origin", ["test"])))


def forked(origin: RunDirectory, which: str, *words: str) -> RunDirectory:
    request = ForkRun(origin.path, tuple(parse_overrides(words)), which, name="fork")
    return ran(LocalSession(partial(prepare_fork, origin, origin.path.parent, request, ["test"])))


def numbers(run: RunDirectory) -> list[dict[str, Any]]:
    """The lines of metrics without what a clock says."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{key: line[key] for key in line if key not in TIMES} for line in lines]


def files(run: RunDirectory) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(run.path.rglob("*")) if p.is_file()}


def test_a_fork_without_changes_equals_its_origin_which_stays_as_it_is(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    before = files(origin)
    fork = forked(origin, "16")
    assert numbers(fork) == numbers(origin)
    assert files(origin) == before
    assert fork.path.name.startswith("fork-")
    assert fork.config.read_bytes() == origin.config.read_bytes()
    earlier = json.loads(fork.provenance.read_text())["earlier"]
    assert earlier == [{"forked_from": str(origin.path), "step": 16}]


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_fork_that_fails_removes_its_own_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    origin = an_origin(tmp_path)
    startup = Startup()

    def fail(origin: RunDirectory, run: RunDirectory, checkpoint: Checkpoint) -> None:
        if is_cancelled:
            startup.cancel()
            assert startup.undo()
            # Somebody else takes the name, which is free again.
            make_skeleton(run)
        raise OSError("no such file")

    monkeypatch.setattr("tui_trainer.sessions.fork._copy_until", fail)
    with pytest.raises(CannotWrite):
        prepare_fork(origin, tmp_path, ForkRun(origin.path, name="fork"), ["test"], startup)
    assert len(list(tmp_path.glob("fork-*"))) == is_cancelled


def test_each_start_keeps_the_settings_of_its_configuration(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    fork = forked(origin, "16", "optimizer.lr=0.5")
    for run in (origin, fork):
        kept = json.loads(run.provenance.read_text())["settings"]
        assert kept == flat(read_config_file(run).data)
        assert kept["training.epochs"] == 4
    assert settings_of(fork)["optimizer.lr"] == 0.5, "an edit, which is not in config.yaml"


def test_a_resume_keeps_the_settings_of_a_configuration_edited_since(tmp_path: Path) -> None:
    run = an_origin(tmp_path)
    run.config.write_text(run.config.read_text().replace("epochs: 4", "epochs: 5"))
    assert settings_of(run)["training.epochs"] == 5
    ran(LocalSession(partial(prepare_resume, run, ResumeRun(run.path), ["test"])))
    assert json.loads(run.provenance.read_text())["settings"]["training.epochs"] == 5


def test_changes_of_a_fork_hold_from_its_checkpoint_on(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    fork = forked(origin, "16", "lr=0.5")
    assert numbers(fork)[:16] == numbers(origin)[:16]
    assert numbers(fork)[16] != numbers(origin)[16]
    (edit,) = map(json.loads, fork.edits.read_text().splitlines())
    assert (edit["apply_at_step"], edit["key"], edit["new"]) == (16, "optimizer.lr", 0.5)
    assert edit["origin"] == "fork"
    assert not origin.edits.exists()
    again = forked(fork, "24")
    assert numbers(again) == numbers(fork), "a fork of a fork keeps its edits"


@pytest.mark.parametrize(
    ("which", "words", "error", "said"),
    [
        ("17", (), TrainerError, "no checkpoint of that step"),
        ("last", ("model.dropout=0.5",), BadInput, "cannot be edited"),
        ("last", ("optimizer.lrr=1",), BadInput, "did you mean"),
        ("last", ("learning_rate=1",), BadInput, "did you mean 'optimizer.lr'"),
    ],
)
def test_a_fork_that_cannot_be_leaves_no_run_behind(
    tmp_path: Path, which: str, words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    origin = an_origin(tmp_path)
    request = ForkRun(origin.path, tuple(parse_overrides(words)), which)
    with pytest.raises(error, match=said):
        prepare_fork(origin, tmp_path, request, ["test"])
    assert run_names(tmp_path) == [origin.path.name]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("word", ["model.dropout=0.5", "optimizer=sgd", "seed=3"])
def test_a_setting_that_cannot_change_names_a_new_run_before_anything_is_read(
    tmp_path: Path, word: str
) -> None:
    origin = an_origin(tmp_path)
    for path in origin.checkpoints.glob("*.pt"):
        path.unlink()  # They are not read before the refusal.
    key = {"seed": "training.seed"}.get(word.partition("=")[0], word.partition("=")[0])
    words = f"train {origin.config} training.init_from={origin.path} {key}=..."
    overrides = tuple(parse_overrides([word]))
    for prepare in (
        partial(prepare_fork, origin, tmp_path, ForkRun(origin.path, overrides)),
        partial(prepare_resume, origin, ResumeRun(origin.path, overrides)),
    ):
        startup = Startup()
        with pytest.raises(BadInput, match=f"^{key} cannot be edited while training") as refused:
            prepare(["test"], startup)
        assert str(refused.value).endswith(
            f"; start a new run from its weights to change it: tui-trainer {words}"
        )
        assert startup.stage is None


@pytest.mark.parametrize("kind", [ForkRun, ResumeRun])
def test_a_value_that_is_refused_is_not_blamed_on_a_stage_of_the_start(
    tmp_path: Path, kind: type[ForkRun | ResumeRun]
) -> None:
    origin = an_origin(tmp_path)

    def prepare(startup: Startup, *words: str) -> None:
        request = kind(origin.path, tuple(parse_overrides(words)))
        prepare_request(request, tmp_path, ["test"], PresetLibrary([builtin_dir()]), startup)

    startup = Startup()
    with pytest.raises(BadInput, match=r"^optimizer\.lr=-5: should be above 0$"):
        prepare(startup, "lr=-5")
    assert startup.stage is None, "it is refused before anything is read"
    stages: list[Event] = []
    startup = Startup(stages.append)
    with pytest.raises(BadInput, match=r"grad_clip_norm, not both$"):
        prepare(startup, "training.grad_clip_norm=1", "training.grad_clip_value=1")
    assert any(isinstance(e, StageStarted) and e.stage == "build the model" for e in stages)
    assert not startup.words


def test_a_damaged_checkpoint_is_not_forked_from(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    for path in origin.checkpoints.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointUnusable):
        prepare_fork(origin, tmp_path, ForkRun(origin.path), ["test"])
    assert run_names(tmp_path) == [origin.path.name]


def test_without_a_checkpoint_there_is_nothing_to_fork(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    for path in origin.checkpoints.iterdir():
        path.unlink()
    with pytest.raises(CheckpointUnusable, match="no checkpoint to fork from"):
        prepare_fork(origin, tmp_path, ForkRun(origin.path), ["test"])


def test_fault_53_what_a_link_leads_to_is_not_copied(tmp_path: Path) -> None:
    origin = an_origin(tmp_path / "runs")
    secret = tmp_path / "secret"
    secret.write_text("SECRET\n" * 300)
    origin.metrics.unlink()
    origin.metrics.symlink_to(secret)

    with pytest.raises(TrainerError, match=r"metrics\.jsonl is a symbolic link"):
        prepare_fork(origin, tmp_path / "runs", ForkRun(origin.path), ["test"])
    assert run_names(tmp_path / "runs") == [origin.path.name]


def test_the_name_of_a_fork_is_known_before_it_begins(tmp_path: Path) -> None:
    origin, library = an_origin(tmp_path), PresetLibrary([builtin_dir()])
    for name, stem in (("", "penguins-mlp"), ("Other name", "other-name")):
        fork = ForkRun(origin.path, tuple(parse_overrides(["training.epochs=5"])), name=name)
        planned = planned_name(fork, tmp_path)
        run = ran(LocalSession(partial(prepare_request, fork, tmp_path, ["test"], library)))
        assert run.path.name == planned
        assert planned.startswith(f"{stem}-")


def test_a_new_run_takes_the_split_of_another_run_by_its_name(tmp_path: Path) -> None:
    origin = an_origin(tmp_path)
    library = PresetLibrary([builtin_dir()])

    def experiment(*words: str) -> Experiment:
        return library.experiment("penguins-mlp", parse_overrides([*WORDS, *words]))

    words = ["dataset.split_from=origin", "dataset.split_seed=7"]
    shown = preview(experiment(*words), tmp_path)
    run = ran(LocalSession(partial(prepare_new, experiment(*words), tmp_path, "own", ["test"])))

    record, other = read_record(run.splits), read_record(origin.splits)
    assert record is not None
    assert other is not None
    assert (record.sides == other.sides).all()
    assert (record.contents == other.contents).all()
    assert any("344 of 344 rows are split as in the run" in note for note in shown.notes)
    # Killed before it had a record, it takes the same split again.
    killed = RunDirectory(tmp_path / "killed")
    make_skeleton(killed)
    shutil.copy(run.config, killed.config)
    prepare_resume(killed, ResumeRun(killed.path), ["test"]).lock.release()
    assert killed.splits.read_bytes() == run.splits.read_bytes()
    # From here on it has a record of its own.
    remove_tree(origin.path)
    longer = ResumeRun(run.path, tuple(parse_overrides(["training.epochs=5"])))
    ran(LocalSession(partial(prepare_resume, run, longer, ["t"])))
    run.splits.unlink()
    with pytest.raises(BadInput, match=r"split_from: own.* is of an older version"):
        preview(experiment(f"dataset.split_from={run.path}"), tmp_path)
    with pytest.raises(BadInput, match=r"dataset.split_from: no file .*no run 'nothing'"):
        preview(experiment("dataset.split_from=nothing"), tmp_path)


def test_a_new_run_from_the_configuration_of_an_older_one_says_that_its_test_is_another(
    tmp_path: Path,
) -> None:
    origin = an_origin(tmp_path)
    library = PresetLibrary([builtin_dir()])

    def warnings(*words: str) -> str:
        experiment = library.experiment(str(origin.config), parse_overrides(list(words)))
        request = NewRun(experiment, base=str(origin.config))
        prepared = prepare_request(request, tmp_path, ["test"], library, Startup())
        prepared.lock.release()
        return " ".join(prepared.warnings)

    assert "split" not in warnings()
    origin.splits.unlink()
    assert "origin" in warnings()
    assert "was split by position, and this run is split again" in warnings()
    assert "split" not in warnings("dataset.split_by=position")
