"""Sections and specs of the data sets of pictures in files.

Layer: config.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from tui_trainer.config.sections.datasets import HUB, ImagesSection, Side, as_sign
from tui_trainer.config.sections.section import Items, Spec, setting

Fit = Literal["crop", "pad", "stretch"]
Decode = Literal["auto", "once", "training"]


def _as_colour(value: Any) -> Any:
    """Return a colour with small letters, as the names of classes have them."""
    return value.lower() if isinstance(value, str) else value


def _checked_colour(name: str) -> str:
    if not re.fullmatch("#[0-9a-f]{6}", name):
        message = "should be a colour, such as #ff8000: red, green and blue"
        raise PydanticCustomError("no_colour", "{message}", {"message": message})
    return name


Colour = Annotated[str, BeforeValidator(_as_colour), AfterValidator(_checked_colour)]
TABLE_SETTINGS = ("picture", "target", "split", "label_separator")
"""The settings that are for tables of paths alone."""
_Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


def _as_size(value: Any) -> Any:
    """Return height and width for one number, which is both."""
    return (value, value) if type(value) is int else value


def _as_channels(value: Any) -> Any:
    """Return the word for a number of channels."""
    return {1: "grey", 3: "rgb"}.get(value, value) if type(value) is int else value


class PicturesSection(ImagesSection):
    """Pictures in files: a folder for each class, or a table of paths and labels."""

    type: Literal["pictures"]
    path: str = setting(
        ...,
        "folder with a sub-folder for each class, also below train, val and test; a table of paths "
        "and labels; or a data set of Hugging Face with pictures: its folder, or "
        f"{HUB}USER/NAME",
        path=True,
    )
    config: str | None = setting(
        None,
        "name of a configuration, if the data set of Hugging Face has several",
        min_length=1,
    )
    revision: str | None = setting(
        None, "commit, tag or branch of a data set on the hub; empty: the newest", min_length=1
    )
    layout: Literal["auto", "classes", "splits", "masks"] = setting(
        "auto",
        "what the folders are: classes; splits (train, val, test) with classes below; masks: the "
        "folders images and masks; auto: decided by their names",
    )
    size: Annotated[
        Items[Side], BeforeValidator(_as_size, json_schema_input_type=Side | _Sides)
    ] = setting(
        (64, 64),
        "height and width of the pictures, or one number for both; all are scaled to it",
        unit="pixels",
        min_length=2,
        max_length=2,
    )
    channels: Annotated[
        Literal["auto", "grey", "rgb"],
        BeforeValidator(_as_channels, json_schema_input_type=Literal["auto", "grey", "rgb", 1, 3]),
    ] = setting("auto", "grey: one channel, rgb: three; auto: grey if all pictures are grey")
    fit: Fit = setting(
        "crop",
        "how a picture of another shape gets the size: its middle is cropped, black is added at "
        "two sides, or it is stretched",
    )
    broken: Literal["skip", "error"] = setting(
        "skip",
        "files that cannot be read as pictures: leave them out and name them, also while training; "
        "or refuse them, and end a run that meets one",
    )
    decode: Decode = setting(
        "auto",
        "once: before the first step, and kept in the cache or another file; training: each time "
        "they are needed, by loader.num_workers; auto: once, if there is room for all",
    )
    mask_values: Literal["auto", "numbers", "colours"] = setting(
        "auto",
        "what the classes in masks are: numbers, as shades of grey or places in a palette; or "
        "colours; auto: decided by some of the masks",
    )
    mask_colours: Items[Colour] = setting(
        (),
        'the colours in masks that are classes, as ["#ff0000", "#00ff00"]; others are not '
        "measured; empty: all that are found",
    )
    void: Literal["auto", "none", "255"] | Colour = setting(
        "auto",
        "the number or the colour in masks of pixels that are not measured; auto: 255 if there are "
        "several classes without it, and no colour",
    )
    picture: str | None = setting(
        None,
        "the column of a table with the paths of the pictures; empty: found by its cells",
        min_length=1,
    )
    target: str | Items[str] | None = setting(
        None,
        "the column of a table to predict, or a list of several with numbers or 0 and 1; empty: "
        "found by its name",
        min_length=1,
    )
    label_separator: str | None = setting(
        None, "what separates labels in a cell of the target, such as | or bar; empty: one class"
    )
    split: str | None = setting(
        None, "a column of a table with train, val or test; empty: none", min_length=1
    )

    @field_validator("label_separator")
    @classmethod
    def _as_sign(cls, value: str | None) -> str | None:
        return as_sign(value)


PICTURE_DATASETS = (Spec("pictures", "pictures in files, one folder per class", PicturesSection),)
