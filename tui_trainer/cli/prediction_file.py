"""`predict --out FILE`: the rows of the files with their predictions beside them, as CSV or JSON.

Layer: cli. Cells of the input are written as they are. Numbers are written as Python's `repr` has
them, so that they read back as the same bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from unicodedata import normalize

from tui_trainer.cli.output_file import check_free, make_folder, written_beside
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.strict_json import Literal, strict_json

if TYPE_CHECKING:
    from tui_trainer.problems.dataset_info import DatasetInfo
    from tui_trainer.problems.problem import Prediction
    from tui_trainer.training.prediction import PredictedRows, Predictor

SUFFIXES = (".csv", ".jsonl")
Value = str | float | list[Any]

_QUOTE = '"'
_SPECIAL = re.compile(r'[,"\r\n]')


@dataclass(frozen=True, slots=True)
class Column:
    """A column of predictions."""

    name: str
    value: Callable[[Prediction], Value]


@dataclass(frozen=True, slots=True)
class Written:
    """The facts about a file of predictions that was written."""

    rows: int
    columns: tuple[str, ...]
    """The names of the columns that were added."""
    notes: tuple[str, ...]


def write_predictions(
    predictor: Predictor,
    files: Sequence[str],
    out: Path,
    *,
    probabilities: bool = False,
    force: bool = False,
) -> Written:
    """Predict every row of the files, and write all of them to one file.

    Raises:
        BadInput: a file cannot be predicted or has other columns than the first, or the file to
            write exists; nothing is written.
        CannotWrite: it cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise BadInput(
            f"--out {clean(str(out), 200)}: name a .csv or a .jsonl file; the suffix decides how "
            "the predictions are written"
        )
    check_free(out, files, force=force)
    columns = columns_of(
        predictor.outline, probabilities=probabilities, are_own=predictor.has_own_values
    )
    separator = predictor.label_separator
    is_json = out.suffix.lower() == ".jsonl"
    if separator is not None and not is_json:
        _check_labels(predictor.outline.classes, separator)
    # Before the file: a table that cannot be read is the more likely error.
    first = predictor.rows(files[0])
    is_named = len(files) > 1 or not first.is_table
    wanted = [*(["file"] if is_named else []), *(column.name for column in columns)]
    names = free_names(first.header, wanted)
    notes = _notes_on_names(wanted, names)
    make_folder(out.parent)
    count = 0
    with (
        written_beside(out) as temporary,
        temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        header = [*first.header, *names]
        rows = JsonRows(stream, header) if is_json else CsvRows(stream, header, separator)
        for path, predicted in _in_turn(predictor, files, first):
            notes += predicted.notes
            place = [path] if is_named else []
            for cells, prediction in predicted.rows:
                rows.add([*cells, *place, *(column.value(prediction) for column in columns)])
                count += 1
    return Written(count, tuple(names), tuple(notes))


def _in_turn(
    predictor: Predictor, files: Sequence[str], first: PredictedRows
) -> Iterator[tuple[str, PredictedRows]]:
    """Yield each file with its predictions, of which those of the first are there already.

    Raises:
        BadInput: a file has other columns than the first.
    """
    yield files[0], first
    for path in files[1:]:
        predicted = predictor.rows(path)
        if predicted.header != first.header:
            raise BadInput(
                f"{clean(path, 200)}: its columns differ from those of {clean(files[0], 200)}; "
                "write the predictions of the two to separate files"
            )
        yield path, predicted


def _notes_on_names(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    return [
        f"the input has a column '{clean(name, 80)}', so the new one is '{clean(free, 80)}'"
        for name, free in zip(wanted, names, strict=True)
        if name != free
    ]


def free_names(header: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return names for new columns: with _2, _3 and so on where the name is taken."""
    taken = {normalize("NFC", name.strip()) for name in header}
    names: list[str] = []
    for name in wanted:
        free, number = name, 1
        while normalize("NFC", free.strip()) in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(normalize("NFC", free.strip()))
        names.append(free)
    return names


def columns_of(info: DatasetInfo, *, probabilities: bool, are_own: bool = False) -> list[Column]:
    """Return the columns for the predictions of a problem, with those of every class if asked.

    There is one for what a plugin's code says, which `are_own` stands for.

    Raises:
        BadInput: its predictions have no probabilities.
    """
    is_one = info.signature.places == "one" and not are_own
    if probabilities and not (is_one and info.classes):
        raise BadInput(f"--probabilities: {info.problem.replace('_', ' ')} has none")
    if are_own:
        return [Column("prediction", _own_value)]
    if info.base == "regression" and info.signature.outputs > 1:
        return _numbers(info.target_names, info.signature.outputs)
    columns = [Column("prediction", _value)]
    if info.base == "classification":
        columns.append(
            Column("probability", lambda prediction: prediction.shares[_text(prediction)])
        )
    if probabilities:
        columns += [Column(f"probability_{name}", partial(_share, name)) for name in info.classes]
    return columns


def _numbers(names: Sequence[str], count: int) -> list[Column]:
    """Return a column for each of several numbers, by its name or else its place."""
    if names:
        return [Column(f"prediction_{name}", partial(_item, name)) for name in names]
    return [Column(f"prediction_{place + 1}", partial(_item, place)) for place in range(count)]


def _item(key: Any, prediction: Prediction) -> float:
    values: Any = prediction.value
    return float(values[key])


def _share(name: str, prediction: Prediction) -> float:
    return prediction.shares[name]


def _own_value(prediction: Prediction) -> Value:
    """Return what the code of a plugin predicts; BadInput for a picture, which is no cell."""
    if prediction.mask is not None or prediction.picture is not None:
        raise BadInput("the predictions are pictures; --out must name a folder for them")
    value = prediction.value
    return strict_json(value) if isinstance(value, dict) else value


def _value(prediction: Prediction) -> Value:
    assert not isinstance(prediction.value, dict), "several numbers have a column each"
    return prediction.value


def _text(prediction: Prediction) -> str:
    assert isinstance(prediction.value, str), "a classification predicts a class"
    return prediction.value


def _check_labels(labels: Sequence[str], separator: str) -> None:
    """Raise BadInput if labels in one cell could not be told apart."""
    for label in labels:
        if separator in label:
            raise BadInput(
                f"the label '{clean(label, 80)}' contains '{clean(separator, 20)}', which "
                "separates labels; write a .jsonl file, where they are a list"
            )


class CsvRows:
    """Writes rows as CSV: separated by commas, with quotes where they are needed (RFC 4180)."""

    def __init__(self, stream: IO[str], header: Sequence[str], separator: str | None) -> None:
        """Write the header; `separator` stands between labels, other lists are JSON."""
        self._stream = stream
        self._separator = separator
        self.add(header)

    def add(self, cells: Sequence[Value]) -> None:
        self._stream.write(",".join(map(self._cell, cells)) + "\n")

    def _cell(self, value: Value) -> str:
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, list):
            has_labels = self._separator is not None
            value = str(self._separator).join(value) if has_labels else strict_json(value)
        return f'"{value.replace(_QUOTE, _QUOTE * 2)}"' if _SPECIAL.search(value) else value


class JsonRows:
    """Writes rows as JSON lines, an object each; cells of Parquet and JSON keep their types."""

    def __init__(self, stream: IO[str], header: Sequence[str]) -> None:
        self._stream = stream
        self._header = header

    def add(self, cells: Sequence[Value]) -> None:
        values = (cell.value if isinstance(cell, Literal) else cell for cell in cells)
        self._stream.write(strict_json(dict(zip(self._header, values, strict=True))) + "\n")
