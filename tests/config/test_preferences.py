"""The user's settings file: defaults, problems with their places, keymaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.cli.preferences import write_preferences
from tui_trainer.config.keys import ACTIONS, SCREENS, keymap_problems, keys_in_force
from tui_trainer.config.preferences import Preferences, load_preferences, preferences_path
from tui_trainer.text.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_is_not_there_means_the_defaults(tmp_path: Path) -> None:
    assert load_preferences(tmp_path / "config.yaml") == Preferences()


def test_the_file_that_init_writes_is_the_defaults_with_or_without_its_signs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "config.yaml"
    assert write_preferences(path) == 0
    assert load_preferences(path) == Preferences()
    lines = path.read_text(encoding="utf-8").splitlines()
    settings = [line[2:] for line in lines if line.startswith("# ") and ": " in line]
    open_lines = [line for line in settings if line.split(":")[0] in Preferences.model_fields]
    keys = [line[2:] for line in lines if line.startswith("#   ")]
    written(tmp_path, "\n".join([*open_lines, "keymap:", *keys]))
    loaded = load_preferences(tmp_path / "config.yaml")
    assert loaded.model_copy(update={"keymap": {}}) == Preferences()
    assert keys_in_force(loaded.keymap) == keys_in_force({})


def test_values_are_taken_over(tmp_path: Path) -> None:
    path = written(tmp_path, "theme: nord\nfps: 4\nkeymap: {run.pause: 'space, f9'}\n")
    preferences = load_preferences(path)
    assert (preferences.theme, preferences.fps) == ("nord", 4.0)
    assert keys_in_force(preferences.keymap)["run.pause"] == ("space", "f9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fsp: 3\n", "config.yaml:1:1: fsp: unknown setting (did you mean 'fps'?)"),
        ("fps: 100\n", "config.yaml:1:1: fps: should be at most 30 (got 100)"),
        ("mouse: 'yes'\n", "config.yaml:1:1: mouse: should be true or false"),
        ("theme: textual-drak\n", "config.yaml:1:1: theme: no theme 'textual-drak' (did you mean"),
        ("keymap:\n  run.stopp: z\n", "no action 'run.stopp' (did you mean 'run.stop'?)"),
        ("keymap:\n  run.stop: foo\n", "config.yaml:2:3: keymap.run.stop: no key 'foo'"),
        ("keymap: all\n", "should be actions with their keys, such as {run.stop: s} (got 'all')"),
        (
            "keymap: {run.stop: [s, t]}\n",
            "should be one text with keys separated by commas, such as 's,f9'",
        ),
        ("theme: [nord]\n", "should be the name of one theme, such as nord (got ['nord'])"),
        ("keymap: {run.stop: p}\n", "p is also the key of run.pause, on the same screen"),
        ("keymap: {run.stop: '?'}\n", "question_mark is also the key of app.help"),
        ("- 1\n", "a list; expected"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_preferences(written(tmp_path, text))
    assert said in str(caught.value)


def test_what_is_wrong_is_said_from_the_first_line_to_the_last(tmp_path: Path) -> None:
    text = "keymap:\n  run.stopp: z\nmouse: 3\ntheme: nordd\nfps: 99\ncolour: 1\n"
    with pytest.raises(ConfigError) as caught:
        load_preferences(written(tmp_path, text))
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 6]


def test_one_key_may_serve_two_screens() -> None:
    assert keymap_problems({"compose.copy_command": "p"}) == {}


def test_no_two_actions_of_a_screen_share_a_key_by_default() -> None:
    in_force = keys_in_force({})
    for screen in SCREENS:
        used: dict[str, str] = {}
        for action in ACTIONS:
            if action.place in screen:
                for key in in_force[action.id]:
                    assert key not in used, f"{key}: {used[key]} and {action.id}"
                    used[key] = action.id


def test_the_place_of_the_file_can_be_given(tmp_path: Path) -> None:
    assert preferences_path({"TUI_TRAINER_CONFIG": "/a/b.yaml"}) == Path("/a/b.yaml")
    assert preferences_path({}).name == "config.yaml"
