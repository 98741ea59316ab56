"""The scripts beside the presets write the pictures that these are trained on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.preset_files import builtin_dir
from tui_trainer.config.presets import PresetLibrary
from tui_trainer.data.load import load
from tui_trainer.text.errors import BadInput

SCRIPTS = builtin_dir() / "data"
FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
GROUPS = Path("/usr/share/unicode/emoji/emoji-test.txt")


def written(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_digits_are_those_of_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    assert written("digits_png.py", folder) == f"1,797 pictures in {folder}\n"
    assert "CC BY 4.0" in (folder / "LICENSE").read_text()
    library = PresetLibrary([builtin_dir()])
    chosen = library.experiment("digits-png-cnn", parse_overrides([f"dataset.path={folder}"]))
    data = load(chosen.dataset)
    assert data.input_shape == (1, 32, 32)
    assert data.classes == tuple("0123456789")
    parts = (data.train, data.val, data.test)
    assert sum(map(len, parts)) == 1797
    table = load(library.experiment("digits-mlp").dataset)
    assert data.class_counts == pytest.approx(table.class_counts, abs=1)


@pytest.mark.further
@pytest.mark.skipif(
    not (FONT.is_file() and GROUPS.is_file()),
    reason="needs the packages fonts-noto-color-emoji and unicode-data",
)
def test_the_emoji_are_drawn_with_their_licences(tmp_path: Path) -> None:
    folder = tmp_path / "emoji"
    assert "pictures of 8 groups" in written("emoji.py", folder)
    assert "Open Font License" in (folder / "LICENSE.fonts-noto-color-emoji").read_text()
    assert len(list((folder / "food-drink").iterdir())) > 100


def test_a_folder_that_is_not_there_names_its_script(tmp_path: Path) -> None:
    (tmp_path / "some_data.py").touch()
    library = PresetLibrary([builtin_dir()])
    (tmp_path / "presets").mkdir()
    missing = tmp_path / "presets" / ".." / "some-data"
    chosen = library.experiment("digits-png-cnn", parse_overrides([f"dataset.path={missing}"]))
    with pytest.raises(BadInput, match=r"some-data: no such .*; python [^.]*some_data.py makes it"):
        load(chosen.dataset)
