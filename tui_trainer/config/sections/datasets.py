"""Sections and specs of the data sets: the source of samples, their split and preparation.

Layer: config. `split_seed` is separate from `training.seed`, so changing the seed of training never
moves a sample from one split to another.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator
from pydantic.fields import FieldInfo

from tui_trainer.config.sections.section import (
    Items,
    Registry,
    Spec,
    TypedSection,
    extra_of,
    setting,
)

BUILTIN = "builtin:"
"""The prefix of a path that names a file shipped with the package."""
STDLIB = "stdlib:"
"""The path that stands for the source of Python's standard library."""
HUB = "hf:"
"""The prefix of a path that names a data set on Hugging Face's hub."""
NO_FILES = (BUILTIN, STDLIB, HUB)
"""Prefixes of paths that are not file names."""

TOKENIZERS = ("bytes", "characters", "words")
"""The values of `dataset.tokenizer` that are no path of a file."""

MEBIBYTE = 1 << 20

Side = Annotated[int, Field(ge=1, le=65536)]
Name = Annotated[str, Field(min_length=1)]

ColumnKind = Literal["number", "category", "boolean", "date", "text", "words", "hash"]
"""The kinds that a table's column can be stated to have."""


def _as_marks(value: Any) -> Any:
    """Return what is written for a missing value as texts: -1 is one, and a list of one."""
    given = value if isinstance(value, list | tuple) else [value]
    return tuple(str(mark) if type(mark) in (int, float) else mark for mark in given)


Marks = Annotated[tuple[str, ...], BeforeValidator(_as_marks), Field(min_length=1)]

Dates = Literal["auto", "day_first", "month_first"]
DATES: Any = setting(
    "auto", "what comes first in dates such as 03/04/2025; auto: decided by the other cells"
)

TOKENIZER: Any = setting(
    "bytes",
    "bytes, characters, words, or the path of a tokenizer.json of the package tokenizers",
    path=True,
    words=TOKENIZERS,
    min_length=1,
)
VOCABULARY: Any = setting(
    10_000,
    "largest number of tokens: the most frequent characters or words of the training texts",
    ge=1,
    le=1 << 20,
)

DATASETS = Registry("dataset")


def is_file_name(field: FieldInfo, value: str) -> bool:
    """Whether the value of a setting names a file, and not what is built in."""
    extra = extra_of(field)
    return (
        "path" in extra and not value.startswith(NO_FILES) and value not in extra.get("words", ())
    )


class DatasetSection(TypedSection):
    """Settings of every data set: its path, and a split that depends on nothing else."""

    path: str = setting(
        ...,
        "CSV file, also .gz or .zst; builtin:NAME for one that ships with the program",
        path=True,
    )
    split_by: Literal[
        "auto", "identity", "column", "files", "folders", "group", "time", "position"
    ] = setting(
        "auto",
        "what decides the split of a row; identity: its content, so that added rows move no other; "
        "auto: the column split, group or time if one is named, the file for texts, the folders "
        "train, val and test of pictures, else identity",
    )
    split_from: str | None = setting(
        None,
        "a run whose split is taken: its rows stay where they are, others go by its cut points",
        path=True,
    )
    split_seed: int = setting(0, "seed of the split, not training.seed", ge=0, lt=2**63)
    test_fraction: float = setting(
        0.2, "share of the rows held out for the test; 0: no test", ge=0, le=0.8
    )
    val_fraction: float = setting(
        0.15,
        "share of the remaining rows used for validation; 0: none, and no best step",
        ge=0,
        le=0.8,
    )
    _is_of_earlier_run: bool = PrivateAttr(default=False)

    @property
    def is_of_earlier_run(self) -> bool:
        """Whether a table is read by the rules of the versions that recorded none in a run."""
        return self._is_of_earlier_run

    def for_earlier_run(self) -> Self:
        """Return the same settings, by which tables are read as those versions read them."""
        section = self.model_copy()
        section._is_of_earlier_run = True
        return section


class RowsSection(DatasetSection):
    """Samples with one target each."""

    stratify: bool = setting(True, "keep the share of each class equal in all splits")


Separator = Literal["auto", "comma", "semicolon", "tab", "bar"]
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""The signs that separate fields, by the words that settings have for them."""


class DelimitedSection(RowsSection):
    """A table, and the way it is written."""

    path: str = setting(
        ...,
        "CSV, Parquet or JSON lines, also as .gz or .zst; builtin:NAME for one that ships",
        path=True,
    )
    separator: Separator = setting(
        "auto", "what separates the fields; auto: recognised by the first rows"
    )
    header: Literal["auto", "yes", "no"] = setting(
        "auto", "whether the first row has the names; auto: unless it has numbers like the others"
    )
    comment: str = setting(
        "auto",
        "leave out lines that begin with this, such as %; none: no lines; auto: # at the top",
        min_length=1,
    )
    encoding: str = setting(
        "auto", "name of the encoding; auto: UTF-8, or UTF-16 or UTF-32 with a byte order mark"
    )
    decimal: Literal["auto", "point", "comma"] = setting(
        "auto", "what separates decimals; auto: recognised by the cells of each column"
    )
    thousands: Literal["auto", "none", "comma", "point", "space"] = setting(
        "auto", "what separates thousands; auto: recognised by the cells of each column"
    )
    missing_values: Items[str] | None = setting(
        None, "texts that mean a missing value, such as [NA, -]; empty: NA, nan, ?, null"
    )


class NumbersSection(RowsSection):
    """Samples of numbers, all of one size."""

    noise: float = setting(
        0.0, "random noise on training inputs, in standard deviations", ge=0, le=10
    )
    mixup: float | None = setting(
        None,
        "mix pairs of training samples and their targets, by Beta(mixup, mixup); empty: off",
        ge=0.01,
        le=100,
    )


class ImagesSection(NumbersSection):
    """Images, changed at random for training."""

    shift_pixels: float = setting(
        0.0, "largest random shift of training images", unit="pixels", ge=0
    )
    rotate_degrees: float = setting(
        0.0, "largest random rotation of training images", unit="degrees", ge=0, le=180
    )
    flip_horizontal: bool = setting(False, "mirror half of the training images left to right")
    flip_vertical: bool = setting(False, "mirror half of the training images top to bottom")
    crop_padding: int = setting(
        0, "pad training images by this much and crop at random", unit="pixels", ge=0, le=65536
    )
    cutout_pixels: int = setting(
        0, "side of a square blanked out of training images", unit="pixels", ge=0, le=65536
    )

    @property
    def are_moved(self) -> bool:
        """Whether images are shifted or turned."""
        return self.shift_pixels > 0 or self.rotate_degrees > 0


class PixelsSection(ImagesSection):
    """Images as rows of a CSV file: the pixels, row by row, and the label."""

    type: Literal["pixels"]
    separator: Separator = setting(
        "auto", "what separates the fields; auto: recognised by the first rows"
    )
    header: Literal["auto", "yes", "no"] = setting(
        "auto", "whether the first row has names; auto: if it has text where the pixels would be"
    )
    label: str = setting(
        "auto",
        "the column of the label: first, last or its name; auto: by its name, else the last",
        min_length=1,
    )
    shape: Items[Side] = setting((1, 8, 8), "channels, height, width", min_length=3, max_length=3)
    max_value: float = setting(255.0, "the largest value of a pixel; inputs become 0..1", gt=0)


def as_sign(value: str | None) -> str | None:
    """Return the sign for a word such as `bar`, which `separator` takes too."""
    return value if value is None else SEPARATORS.get(value, value)


class TableSection(NumbersSection, DelimitedSection):
    """A table with a header: numbers and categories in; a class, labels or numbers out."""

    type: Literal["table"]
    target: str | Items[str] = setting(
        ..., "the column to predict, or a list of several with numbers or 0 and 1", min_length=1
    )
    label_separator: str | None = setting(
        None, "what separates labels in a cell of the target, such as | or bar; empty: one class"
    )
    categorical: Items[str] = setting(
        (), "numeric columns to be read as categories (text columns always are)"
    )
    kinds: dict[Name, ColumnKind] = setting(
        {},
        "kinds of columns that are recognised wrongly, as in {id: number}: "
        "number, category, boolean, date, text, words or hash",
    )
    dates: Dates = DATES
    buckets: int = setting(
        256, "inputs for each column with so many texts that they are hashed", ge=2, le=65536
    )
    word_buckets: int = setting(
        1024, "inputs for each column of kind words: its words, hashed and counted", ge=2, le=65536
    )
    max_text_bytes: int = setting(
        1024,
        "longest text that is read token by token; the rest is cut off",
        unit="bytes",
        ge=2,
        le=65536,
    )
    tokenizer: str = TOKENIZER
    vocabulary: int = VOCABULARY
    drop: Items[str] = setting((), "columns left out")
    group: str | None = setting(
        None,
        "a column, such as the patient; rows with the same value share a split; it is not an input",
        min_length=1,
    )
    split: str | None = setting(
        None,
        "a column with train, val or test, which is not an input; empty: none",
        min_length=1,
    )
    time: str | None = setting(
        None,
        "a column of dates or numbers, which is not an input; the latest rows are the test",
        min_length=1,
    )
    missing_values_by_column: dict[Name, Marks] = setting(
        {}, "more texts that mean a missing value, by column, as in {age: [-1, unknown]}"
    )
    missing: Literal["error", "drop", "mean"] = setting(
        "error", "missing values: refuse, drop the row, or fill in the mean (or a category for it)"
    )

    @field_validator("label_separator")
    @classmethod
    def _as_sign(cls, value: str | None) -> str | None:
        return as_sign(value)

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return (self.target,) if isinstance(self.target, str) else self.target


class SequencesSection(DelimitedSection):
    """Sequences of numbers in a CSV file with a header, one row per step of a sequence."""

    type: Literal["sequences"]
    sequence: str = setting(..., "the column with the id of a row's sequence", min_length=1)
    step: str | None = setting(
        None,
        "the column of numbers or dates that orders the steps; empty: the order of the file",
        min_length=1,
    )
    dates: Dates = DATES
    target: str = setting(
        ..., "the column to predict, the same in every row of a sequence", min_length=1
    )
    split: str | None = setting(
        None, "a column with train, val or test; empty: a random split", min_length=1
    )
    drop: Items[str] = setting((), "columns left out; all others are channels")
    missing: Literal["error", "drop", "mean"] = setting(
        "error", "missing values: refuse, drop the sequence, or fill in the channel's mean"
    )
    noise: float = setting(
        0.0, "random noise on training inputs, in standard deviations", ge=0, le=10
    )


class ForecastSection(DelimitedSection):
    """Time series in a CSV file with a header, one row per time; the next values are predicted."""

    type: Literal["forecast"]
    target: str | Items[str] = setting(
        ..., "the column to forecast, or a list of several", min_length=1
    )
    series: str | None = setting(
        None, "the column with the id of a row's series; empty: a single series", min_length=1
    )
    time: str | None = setting(
        None,
        "a column of dates or numbers that orders the rows; empty: as in the file",
        min_length=1,
    )
    dates: Dates = DATES
    window: int = setting(24, "past rows that a forecast is made from", unit="rows", ge=1, le=65536)
    horizon: int = setting(1, "rows that are forecast after them", unit="rows", ge=1, le=1024)
    stride: int = setting(1, "rows from one window to the next", unit="rows", ge=1, le=65536)
    test_fraction: float = setting(
        0.2, "share of the times, the last ones, held out for the test; 0: no test", ge=0, le=0.8
    )
    val_fraction: float = setting(
        0.15,
        "share of the remaining times, the last ones, used for validation; 0: none",
        ge=0,
        le=0.8,
    )
    drop: Items[str] = setting((), "columns left out; all others are forecast from")
    missing: Literal["error", "drop", "mean"] = setting(
        "error", "missing values: refuse, leave out such windows, or fill in the column's mean"
    )
    noise: float = setting(
        0.0, "random noise on training inputs, in standard deviations", ge=0, le=10
    )

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to forecast."""
        return (self.target,) if isinstance(self.target, str) else self.target


DATASETS.add(Spec("pixels", "images as rows of a CSV file", PixelsSection))
DATASETS.add(Spec("table", "a CSV table of numbers and categories", TableSection))
DATASETS.add(Spec("sequences", "a CSV table of sequences, one row per step", SequencesSection))
DATASETS.add(
    Spec(
        "forecast",
        "a CSV table of time series, of which the next values are predicted",
        ForecastSection,
    )
)
