"""Previews of a recipe: pictures or text that it makes after a validation, kept in the run.

Layer: training. A preview draws its random numbers from its own generator, so it changes nothing.
"""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.data.files.png import picture_of
from tui_trainer.problems.batch import describe
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import cannot_write, write_atomically
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.paths import exists, names_in
from tui_trainer.text.errors import BadInput, CannotWrite
from tui_trainer.training.forward import Forward
from tui_trainer.training.own_recipe import OwnRecipe
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recipe_step import in_precision
from tui_trainer.training.step_context import StepContext
from tui_trainer.training.task import Task

MOST_PREVIEWS = 100
"""The newest previews of a run are kept."""
MOST_PICTURES = 64
_MOST_LETTERS = 10_000
_GAP = 1
"""Pixels between two pictures."""


def check_preview(made: Any, recipe: OwnRecipe) -> str | Tensor:
    """Return a preview: text, or pictures (N, C, H, W) of 1 or 3 channels; else raise BadInput."""
    if isinstance(made, str):
        return made[:_MOST_LETTERS]
    is_pictures = isinstance(made, Tensor) and made.dim() == 4 and made.shape[1] in (1, 3)
    if not is_pictures or not made.numel():
        found = describe(made) if isinstance(made, Tensor) else f"a {type(made).__name__}"
        raise BadInput(
            f"{recipe.place}: preview of {recipe.name} returned {found}; it should be a text, or "
            "pictures (N, C, H, W) from 0 to 1 with 1 or 3 channels"
        )
    pictures: Tensor = made[:MOST_PICTURES].detach().float().cpu()
    return pictures


def in_one(pictures: Tensor) -> Tensor:
    """Return pictures (N, C, H, W) from 0 to 1 beside and below each other, (C, H, W) uint8."""
    count, channels, height, width = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    size = (channels, rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP)
    sheet = torch.zeros(size, dtype=torch.uint8)
    whole = (pictures.nan_to_num(0.0).clamp(0, 1) * 255).round().byte()
    for number, picture in enumerate(whole):
        row, column = divmod(number, columns)
        top, left = row * (height + _GAP), column * (width + _GAP)
        sheet[:, top : top + height, left : left + width] = picture
    return sheet


class Previews(Part):
    """Keeps what a recipe shows after each validation in the folder `previews` of the run."""

    def __init__(self, shared: Shared, task: Task, run: RunDirectory, measured: Forward) -> None:
        super().__init__(shared)
        self._task = task
        self._folder = run.previews
        self._measured = measured
        self._is_broken = False
        """Whether one failed: then this was said, and there are no more."""

    def keep(self) -> None:
        """Make the preview of this step and write it; a failure is noted, and ends nothing."""
        recipe = self._task.recipe
        if recipe is None or not recipe.has_preview or self._is_broken:
            return
        try:
            name, content = self._made(recipe)
            write_preview(self._folder, name, content)
        except CannotWrite as error:
            # The disk may have room again at the next validation.
            self._events.note(f"no preview: {error}", "warning")
        except Exception as error:
            # The user's code would fail at each of them, and it is no reason to end a run.
            self._is_broken = True
            self._events.note(f"no more previews: {recipe.describe(error)}", "warning")

    def _made(self, recipe: OwnRecipe) -> tuple[str, bytes]:
        """Return the name of the file, and what is in it."""
        model, training = self._measured.model, self._task.experiment.training
        context = StepContext(self._measured.device, training.seed, "preview", ())
        was_training = model.training
        model.eval()
        try:
            with torch.inference_mode(), in_precision(training.precision, self._measured.device):
                made = check_preview(recipe.preview(model, context), recipe)
        finally:
            model.train(was_training)
        stem = f"step-{self._progress.step:08d}"
        if isinstance(made, str):
            return f"{stem}.txt", made.encode("utf-8", "replace")
        return f"{stem}.png", png_of(in_one(made))


def png_of(sheet: Tensor) -> bytes:
    """Return a picture (C, H, W) uint8 as a PNG file."""
    file = io.BytesIO()
    picture_of(sheet).save(file, format="PNG")
    return file.getvalue()


def write_preview(folder: Path, name: str, content: bytes) -> None:
    """Write a preview, and remove the oldest ones; CannotWrite if it cannot be written."""
    try:
        if not exists(folder):
            with open_folder(folder.parent, writing=True) as parent:
                parent.make(folder.name)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_atomically(folder / name, content)
    # Their names have the step in eight digits, so they sort by it.
    old = sorted(one for one in names_in(folder) if one.startswith("step-"))[:-MOST_PREVIEWS]
    with contextlib.suppress(OSError), open_folder(folder, writing=True) as opened:
        for one in old:
            opened.remove(one)
