"""A person's own data, from the key that opens the picker to the result, by the keyboard alone.

Each walk has real services: the real picker, reader, trainer and disk.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot

from tests.plugins import loaded
from tests.ui.composing import shown, until
from tests.ui.test_plugin_types import PLUGIN
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.events import RunEnded
from tui_trainer.sessions.loader import Loader
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.app_setup import AppArguments, ComposeRequest, assemble
from tui_trainer.ui.compose.data_picker import DataPicker
from tui_trainer.ui.compose.entry_list import EntryList
from tui_trainer.ui.compose.screen import ComposeScreen
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.terminal.terminal import Terminal

ROWS = 160
KINDS = ("ash", "birch", "cedar")


@dataclass(frozen=True)
class Walk:
    """Data of one form, the keys that choose them, and what is said of them."""

    name: str
    write: Callable[[], object]
    """Writes them into the current directory."""
    keys: tuple[str, ...]
    """The keys that go to them in the picker; its cursor is on the first entry."""
    found: str
    """What the picker says of them."""
    target: str = ""
    """The column that is typed as the target."""
    setting: tuple[str, ...] = ()
    """A setting of the form: the words to search it by, and the keys that change it."""
    metric: str = "accuracy"
    baseline: str = "majority_class"
    size: tuple[int, int] = (120, 40)


def numbers(seed: int = 0) -> list[tuple[int, float, float]]:
    """Rows of a class, and two numbers that depend on it."""
    draw = random.Random(seed)
    rows = [(row % 3, draw.gauss(row % 3, 0.2), draw.gauss(-row % 3, 0.5)) for row in range(ROWS)]
    draw.shuffle(rows)
    return rows


def write_german() -> None:
    """Semicolons, decimal commas, a BOM, and cells without a value."""
    lines = ["Höhe;Breite;Art"]
    for row, (kind, high, wide) in enumerate(numbers()):
        cell = "" if row % 17 == 3 else f"{wide:.2f}".replace(".", ",")
        lines.append(f"{high:.3f}".replace(".", ",") + f";{cell};{KINDS[kind]}")
    Path("bäume.csv").write_text("\n".join(lines) + "\n", "utf-8-sig")


def write_tabs() -> None:
    """Tabs, compressed; the number to predict is in the first column."""
    lines = ["price\tarea\tday"]
    for row, (_, high, wide) in enumerate(numbers(1)):
        day = f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}"
        lines.append(f"{3 * high + wide:.3f}\t{high:.3f}\t{day}")
    Path("flats.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def write_json_lines() -> None:
    """Numbers, truth values and texts by name; the class is a text."""
    with Path("trees.jsonl").open("w") as file:
        for kind, high, wide in numbers(2):
            row = {"high": high, "wide": wide, "old": high > 1, "kind": KINDS[kind]}
            file.write(json.dumps(row) + "\n")


def write_parquet() -> None:
    """A column of dictionary-encoded texts among the inputs, and a whole number as the class."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = numbers(3)
    columns = {
        "high": [high for _, high, _ in rows],
        "place": pa.array([("hill", "lake")[int(wide > 0)] for *_, wide in rows]),
        "kind": [kind for kind, *_ in rows],
    }
    parquet.write_table(pa.table(columns), "trees.parquet")


def write_tags() -> None:
    """Several labels in a cell."""
    lines = ["high,wide,tags"]
    for _, high, wide in numbers(4):
        tags = [name for name, has in (("tall", high > 1), ("flat", wide > 0)) if has]
        lines.append(f"{high:.3f},{wide:.3f},{'|'.join(tags or ['none'])}")
    Path("tagged.csv").write_text("\n".join(lines) + "\n")


def write_pictures() -> None:
    """A folder of pictures for each class, in several modes."""
    draw = np.random.default_rng(0)
    for row in range(90):
        pixels = draw.integers(0, 90, (12, 12, 3), dtype=np.uint8)
        left = row % 2 * 6
        pixels[:, left : left + 6] += 140
        folder = Path("photos", ("left", "right")[1 - row % 2])
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels)
        picture = picture.convert("L") if row % 5 == 0 else picture
        picture.save(folder / f"{row:03}.{'jpg' if row % 3 == 0 else 'png'}")


def write_texts() -> None:
    """A folder of texts for each class, a file each."""
    draw = random.Random(5)
    words = {"good": ["fine", "bright", "warm"], "bad": ["dull", "cold", "broken"]}
    for row in range(120):
        kind = ("good", "bad")[row % 2]
        folder = Path("reviews", kind)
        folder.mkdir(parents=True, exist_ok=True)
        filler = ["the", "film", "was", "and", "place"]
        text = " ".join(
            draw.choice(words[kind]) if n % 2 else draw.choice(filler) for n in range(12)
        )
        (folder / f"{row:03}.txt").write_text(f"{text}.\n")


def write_arrays() -> None:
    """Pictures and their classes as arrays, in one file."""
    draw = np.random.default_rng(1)
    classes = np.arange(ROWS) % 3
    pictures = draw.integers(0, 60, (ROWS, 9, 9), dtype=np.uint8)
    for row, kind in enumerate(classes):
        pictures[row, 3 * kind : 3 * kind + 3] += 180
    np.savez("rings.npz", x=pictures, y=classes)


WALKS = (
    Walk(
        "pictures",
        write_pictures,
        # Into the folder, and then the folder as a whole.
        ("enter", "home", "down"),
        "90 pictures",
        size=(80, 24),
    ),
    Walk("texts", write_texts, ("slash", *"revi", "tab", "enter", "k"), "120 files"),
    Walk("arrays", write_arrays, ("end",), "pictures of 1x9x9", size=(200, 50)),
    Walk("semicolons", write_german, ("end",), "separator ';', 2.1 % of the cells empty"),
    Walk(
        "tabs",
        write_tabs,
        ("end",),
        "price (numbers from",
        target="price",
        metric="mae",
        baseline="mean",
    ),
    Walk("json lines", write_json_lines, ("j", "k"), "kind (the last column", size=(100, 30)),
    Walk(
        "parquet",
        write_parquet,
        ("home", "end"),
        "kind is predicted as a number",
        setting=("problem", "enter", "down", "enter"),
    ),
    Walk(
        "labels",
        write_tags,
        (),
        "3 classes: tall|flat",
        setting=("label separator", "|"),
        metric="f1",
        baseline="label_rates",
        size=(80, 24),
    ),
)


async def choose(app: TrainerApp, pilot: Pilot[int], walk: Walk) -> None:
    """Open the picker, go to the data, see what is said of them, and take them."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.screen, DataPicker))
    entries = app.screen.query_one(EntryList)
    for key in walk.keys:
        # A folder is listed in a thread.
        await until(pilot, lambda: bool(entries.option_count))
        await pilot.press(key)
        await pilot.pause(0.05 if key in ("enter", "tab") else 0)
    if walk.target:
        await pilot.press("t", *walk.target, "enter")
    if walk.name not in FOLDERS:
        await until(pilot, lambda: walk.found in flat(app))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
    if walk.name in FOLDERS:
        # They are read when they are chosen, and then it is said.
        await until(pilot, lambda: any(walk.found in it.message for it in app._notifications))


def flat(app: TrainerApp) -> str:
    """Return the text of the preview without its line breaks."""
    rows = (line.partition("│")[2].rpartition("│")[0] for line in shown(app).splitlines())
    return " ".join(" ".join(row.rpartition("│")[2] for row in rows).split())


async def change(pilot: Pilot[int], setting: tuple[str, ...]) -> None:
    """Search for a field, go to it and change it."""
    words, *keys = setting
    await pilot.press("f3", *("space" if sign == " " else sign for sign in words), "enter")
    await pilot.press(*keys, "escape")


FOLDERS = ("pictures", "texts")


def ended(
    folder: Path,
    compose: Callable[[TrainerApp, Pilot[int]], Awaitable[None]],
    size: tuple[int, int],
    plugin: Path | None = None,
) -> RunEnded:
    """Compose an experiment in the app, train two epochs of it, and return how that ended."""
    live, loader = CurrentRun(), Loader()
    asked = AppArguments(
        PresetLibrary([builtin_dir()]),
        folder,
        Preferences(fps=10.0),
        ["tui-trainer"],
        () if plugin is None else (plugin,),
    )
    app = TrainerApp(lambda: assemble(asked, ComposeRequest(), Terminal(), live, loader, []), live)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: loader.stage == "" and isinstance(app.screen, ComposeScreen))
            await compose(app, pilot)
            await pilot.press("f5")
            await until(pilot, lambda: isinstance(app.screen, RunScreen))
            await until(pilot, lambda: live.session is not None and live.session.ended)
            await until(pilot, lambda: "finished" in shown(app))
            await pilot.press("q")

    try:
        asyncio.run(run())
    finally:
        if live.session is not None:
            live.session.join()
        loader.close()
    assert live.session is not None
    ending = live.session.view.ending
    assert ending is not None
    assert (ending.state, ending.epoch, live.exit_code) == ("finished", 2, 0)
    return ending


def is_better(ending: RunEnded, metric: str, baseline: str) -> bool:
    """Whether the test is better than a baseline that knows nothing of the inputs."""
    assert ending.test is not None
    assert ending.baseline is not None
    result, nothing = ending.test[metric], ending.baseline[baseline][metric]
    return result < nothing if metric == "mae" else result > nothing


@pytest.mark.full
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.name)
def test_own_data_are_trained_by_the_keyboard_alone(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    walk.write()

    async def compose(app: TrainerApp, pilot: Pilot[int]) -> None:
        await choose(app, pilot, walk)
        # The cursor is in the field for the number of epochs.
        await pilot.press("ctrl+u", "2")
        if walk.setting:
            await change(pilot, walk.setting)

    ending = ended(tmp_path / "runs", compose, walk.size)
    assert is_better(ending, walk.metric, walk.baseline)


@pytest.mark.full
def test_the_data_of_a_plugin_are_trained_and_its_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "clouds.py"
    file.write_text(PLUGIN)

    async def compose(app: TrainerApp, pilot: Pilot[int]) -> None:
        # From the experiments to the data sets, of which the first is that of the plugin.
        await pilot.press("tab", "home", "enter")
        await until(pilot, lambda: "Experiment clouds (clouds.py)" in shown(app))
        for field, text in (("count", "400"), ("epochs", "2")):
            await pilot.press("f3", *field, "enter", "ctrl+u", *text, "escape")

    with loaded(file):
        ending = ended(tmp_path / "runs", compose, (80, 24), file)
    assert is_better(ending, "accuracy", "majority_class")
    assert ending.run_dir is not None
    (copy,) = Path(ending.run_dir, "plugins").glob("clouds-*.py")
    assert copy.read_text() == PLUGIN
