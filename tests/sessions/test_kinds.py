"""Every kind of data set from a user's own files, as far as the first step and no further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.sections.losses import CrossEntropySection
from tui_trainer.config.tree import Place, Tree
from tui_trainer.sessions.preview import preview
from tui_trainer.text.errors import BadInput, ExitCode

KINDS = ("table", "pixels", "sequences", "forecast", "text", "text_folders")


def dataset(kind: str, folder: Path) -> dict[str, Any]:
    """A small data set of a kind."""
    words = ["no", "yes"]
    if kind == "table":
        rows = [f"{n},{n % 5},{words[n % 2]}" for n in range(40)]
        (folder / "t.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
        return {"path": "t.csv", "target": "y"}
    if kind == "pixels":
        rows = [f"{n % 9},1,2,3,{n % 2}" for n in range(40)]
        (folder / "p.csv").write_text("\n".join(rows) + "\n")
        return {"path": "p.csv", "shape": [1, 2, 2], "max_value": 9}
    if kind == "sequences":
        rows = [f"{n},{t},{n + t},{words[n % 2]}" for n in range(40) for t in range(n % 3 + 1)]
        (folder / "s.csv").write_text("id,t,a,y\n" + "\n".join(rows) + "\n")
        return {"path": "s.csv", "sequence": "id", "step": "t", "target": "y"}
    if kind == "forecast":
        (folder / "f.csv").write_text("a\n" + "\n".join(str(n % 7) for n in range(80)) + "\n")
        return {"path": "f.csv", "target": "a", "window": 4, "horizon": 2}
    for number in range(24):
        below = folder / words[number % 2]
        below.mkdir(exist_ok=True)
        (below / f"{number}.txt").write_text(f"{words[number % 2]} line {number}\n" * 3)
    return {"path": ".", **({"sequence_length": 8} if kind == "text" else {})}


def experiment(kind: str, folder: Path, **training: Any) -> Experiment:
    model = {"type": "rnn", "hidden": 8} if kind[:2] in ("se", "fo", "te") else {"type": "linear"}
    values = {
        "dataset": {"type": kind, **dataset(kind, folder)},
        "model": model,
        "optimizer": {"type": "adamw"},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"epochs": 1, "batch_size": 4, "device": "cpu", **training},
    }
    return resolve(Tree(values, {(): Place("test", folder=folder)}), "small")


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_tells_sizes_steps_and_memory(kind: str, tmp_path: Path) -> None:
    sizes = preview(experiment(kind, tmp_path), tmp_path)
    assert min(sizes.samples) >= 1
    assert sizes.steps_per_epoch >= 1
    assert sizes.memory_bytes > 0
    assert sizes.layers[-1].name == "head"
    assert sizes.to_dict()["classes"] == sizes.classes


@pytest.mark.parametrize("kind", KINDS)
def test_fault_21_a_batch_larger_than_the_data_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        preview(experiment(kind, tmp_path, batch_size=5000, drop_last=True), tmp_path)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert "training.batch_size 5000" in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "text"])
def test_a_batch_of_all_samples_is_one_step(kind: str, tmp_path: Path) -> None:
    assert preview(experiment(kind, tmp_path, batch_size=5000), tmp_path).steps_per_epoch == 1


@pytest.mark.parametrize("kind", KINDS)
def test_workers_that_a_kind_of_data_does_not_use_are_told_of(kind: str, tmp_path: Path) -> None:
    plain = experiment(kind, tmp_path)
    words = "loader.num_workers=2 is not used for the training data: "
    asked = replace(plain, loader=plain.loader.model_copy(update={"num_workers": 2}))
    notes = [note for note in preview(asked, tmp_path).notes if note.startswith(words)]
    assert len(notes) == (kind == "text")
    assert not any(note.startswith("loader") for note in preview(plain, tmp_path).notes)


def test_a_loss_for_classes_on_numbers_says_how_they_become_classes(tmp_path: Path) -> None:
    plain = experiment("table", tmp_path)
    rows = [f"{n},{n % 5},{n % 3}" for n in range(40)]
    (tmp_path / "t.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    loss = CrossEntropySection(type="cross_entropy")
    monitor = plain.checkpoint.model_copy(update={"monitor": "accuracy"})
    for asked in (replace(plain, loss=loss), replace(plain, checkpoint=monitor)):
        with pytest.raises(BadInput, match=r"problem=classification treats them as classes"):
            preview(asked, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_cannot_be_read_blame_their_path(kind: str, tmp_path: Path) -> None:
    asked = experiment(kind, tmp_path)
    gone = asked.dataset.model_copy(update={"path": str(tmp_path / "gone")})
    with pytest.raises(BadInput) as caught:
        preview(replace(asked, dataset=gone), tmp_path)
    assert caught.value.key == "dataset.path"


def test_a_device_that_is_not_there_is_blamed(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        preview(experiment("table", tmp_path, device="cuda:999"), tmp_path)
    assert caught.value.key == "training.device"


def test_initial_weights_are_looked_for_among_the_runs_of_the_folder(tmp_path: Path) -> None:
    runs = tmp_path / "elsewhere"
    with pytest.raises(BadInput, match=f"no run 'mine' in {runs}"):
        preview(experiment("table", tmp_path, init_from=str(tmp_path / "mine")), runs)
