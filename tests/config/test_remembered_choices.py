"""What is chosen in the app and kept: its file, damage to it, and who takes precedence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tui_trainer.config.remembered_choices import (
    Choices,
    RememberedChoices,
    choices_path,
    load_choices,
    write_choices,
)

ALL = Choices("nord", 0.9, "epoch", ("grad norm", "loss"), all_marks=True)


def keep(path: Path, **changes: Any) -> None:
    choices = RememberedChoices(path)
    choices.keep(**changes)
    choices.close()


def test_choices_are_there_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "state" / "app.json"
    assert load_choices(path) == (Choices(), "")
    keep(path, theme="nord", smoothing=0.9)
    keep(path, x="epoch", log_axes=("grad norm", "loss"), all_marks=True)
    assert load_choices(path) == (ALL, "")
    assert [file.name for file in path.parent.iterdir()] == ["app.json"]


def test_a_setting_of_the_config_file_takes_precedence_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    keep(path, theme="nord", smoothing=0.9, x="time")
    choices = RememberedChoices(path, {"theme", "fps"})
    assert choices.values == Choices(None, 0.9, "time")
    choices.keep(theme="dracula")
    choices.close()
    assert choices.values.theme == "dracula"


@pytest.mark.parametrize("text", ["", "{", "[1]", "nul", "[" * 10_000, " " * 70_000])
def test_a_damaged_file_is_told_of_and_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.json"
    path.write_text(text)
    choices, problem = load_choices(path)
    assert choices == Choices()
    assert problem == f"{path}: damaged; using the defaults, and the next choice replaces it"
    keep(path, theme="nord")
    assert load_choices(path) == (Choices("nord"), "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "no-such-theme"),
        ("theme", 3),
        ("smoothing", 1.0),
        ("smoothing", True),
        ("smoothing", float("nan")),
        ("x", "minute"),
        ("log_axes", "loss"),
        ("log_axes", [1]),
        ("all_marks", 1),
    ],
)
def test_a_value_that_cannot_be_is_told_of_and_left_out(
    tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "app.json"
    good = {"theme": "nord", "smoothing": 0.9, "x": "epoch"}
    path.write_text(json.dumps({**good, name: value}))
    choices, problem = load_choices(path)
    assert problem == f"{path}: {name}: not a valid choice; using the default"
    left = {key: it for key, it in good.items() if key != name}
    assert choices == Choices(**left)  # type: ignore[arg-type]


def test_apps_that_write_at_once_leave_a_whole_file_and_other_choices(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    write_choices(path, {"theme": "nord", "of_a_newer_version": 1})

    def write_all() -> None:
        for n in range(50):
            write_choices(path, {"smoothing": n / 100})

    threads = [Thread(target=write_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert load_choices(path)[1] == ""
    found = json.loads(path.read_text())
    assert found == {"theme": "nord", "of_a_newer_version": 1, "smoothing": 0.49}
    assert [file.name for file in tmp_path.iterdir()] == ["app.json"]


def test_a_place_that_cannot_be_written_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    told: list[str] = []
    choices = RememberedChoices(tmp_path / "state" / "app.json")
    assert "cannot be read" in choices.problem
    choices.complain = told.append
    for smoothing in (0.3, 0.6):
        choices.keep(smoothing=smoothing)
        choices.close()
    assert choices.values.smoothing == 0.6
    (line,) = told
    assert line.endswith("what you choose lasts until you quit")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_is_read_only_is_survived(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    keep(tmp_path / "state" / "app.json", theme="nord")
    tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


def test_the_place_of_the_file_follows_the_environment() -> None:
    assert choices_path({"XDG_STATE_HOME": "/a"}) == Path("/a/tui-trainer/app.json")
    assert choices_path({"XDG_STATE_HOME": "a"}) == choices_path({})
