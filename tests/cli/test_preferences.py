"""`tui-trainer config`: what is in force, in columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.cli.preferences import print_preferences
from tui_trainer.config.keys import ACTIONS
from tui_trainer.config.remembered_choices import choices_path, write_choices


@pytest.mark.parametrize("keys", ["s", "s,f9,f10,f11,f12,ctrl+t,ctrl+y"])
def test_what_each_key_does_stands_in_one_column(
    keys: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"keymap: {{run.stop: '{keys}'}}\n", encoding="utf-8")
    assert print_preferences(path) == 0
    _, _, listed = capsys.readouterr().out.partition("keys\n")
    rows = listed.splitlines()
    starts = {row.rindex(a.text) for row, a in zip(rows, ACTIONS, strict=True)}
    assert len(starts) == 1
    (start,) = starts
    assert all(row[start - 2 : start] == "  " for row in rows)


def test_values_are_shown_as_the_file_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mouse: false\n", encoding="utf-8")
    assert print_preferences(path) == 0
    settings = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:6])
    assert settings["mouse"] == "false"
    assert settings["markers"] == "auto"


def test_what_was_chosen_in_the_app_is_shown_with_what_takes_precedence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("theme: dracula\n", encoding="utf-8")
    write_choices(choices_path(), {"theme": "nord", "smoothing": 0.0, "log_axes": ["loss", "lr"]})
    assert print_preferences(path) == 0
    _, _, chosen = capsys.readouterr().out.partition("chosen in the app, ")
    lines = chosen.partition("keys\n")[0].splitlines()
    assert lines[0] == f"kept in {choices_path()}"
    assert [line.split() for line in lines[1:]] == [
        ["theme", "nord", *["the", "setting", "above", "takes", "precedence"]],
        ["smoothing", "0.0"],
        ["log_axes", "loss,", "lr"],
    ]
