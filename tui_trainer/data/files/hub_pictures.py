"""`HubPictures`: the pictures inside the files of a Hugging Face data set, and what is beside them.

Layer: data. The files are read with pyarrow alone: those of `save_to_disk` are mapped, and of
Parquet files a group of rows at a time is in memory. No code of a data set runs.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, Any

from tui_trainer.config.sections.datasets import HUB
from tui_trainer.data.files.arrow import why_no_arrow
from tui_trainer.data.files.disk import reason_of
from tui_trainer.data.files.folders import ListedFile
from tui_trainer.data.files.hub_columns import features_in, is_list, names_of, stored_values
from tui_trainer.data.files.huggingface import HubSplit, is_dataset_folder, parts_in, parts_on_hub
from tui_trainer.data.files.picture_opener import NotAPicture, open_regular
from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

_GROUPS_KEPT = 2
_CELL = frozenset({"bytes", "path"})


@dataclass(frozen=True, slots=True)
class Shard:
    """A file with some rows of a split."""

    path: str
    rows: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class HubColumns:
    """The columns of a data set with pictures."""

    name: str
    """Of the folder, cleaned for messages."""
    parts: Mapping[str, HubSplit]
    """By split."""
    names: tuple[str, ...]
    pictures: tuple[str, ...]
    """Of these, the columns of pictures."""
    lists: tuple[str, ...]
    """Of these, the columns of lists."""
    features: Mapping[str, Any]


def hub_columns(
    path: str, config: str | None = None, revision: str | None = None
) -> HubColumns | None:
    """Return the columns of a folder, or of a name on the hub, if it is a data set with pictures.

    Raises:
        BadInput: it is a data set that cannot be read.
    """
    name = clean(path, 200)
    if path.startswith(HUB) and not why_no_arrow():
        parts = parts_on_hub(path, config, revision)
    elif not os.path.isdir(path) or why_no_arrow() or not is_dataset_folder(path):
        return None
    else:
        parts = parts_in(Path(path), config, name)
    for part in parts.values():
        for file in part.files:
            schema = _schema(file, name)
            features = part.features or features_in(schema)
            pictures = [
                column
                for column in schema.names
                if _is_picture(schema.field(column).type, features.get(column))
            ]
            if not pictures:
                return None
            lists = [column for column in schema.names if is_list(schema.field(column).type)]
            return HubColumns(
                name, parts, tuple(schema.names), tuple(pictures), tuple(lists), features
            )
    return None


def read_labels(columns: HubColumns, split: str, column: str) -> list[list[str]]:
    """Return the labels of each row of a split, as texts: one, several in a list, or none.

    Raises:
        BadInput: a file cannot be read, or has no such column.
    """
    import pyarrow as pa

    feature, labels = columns.features.get(column), []
    while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        # That of the values in a list.
        feature = feature["feature"]
    names = names_of(feature) if isinstance(feature, dict) else []
    for file in columns.parts[split].files:
        try:
            values = stored_values(_table(file, [column]).column(column))
            cells = values.to_pylist()
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise _unreadable(columns.name, file, error) from error
        labels += [_texts_of(cell, names, columns.name, column) for cell in cells]
    return labels


def _texts_of(cell: Any, names: Sequence[str], file: str, column: str) -> list[str]:
    """Return the texts of a cell; BadInput for the number of a class that has no name."""
    values = cell if isinstance(cell, list) else [cell]
    texts = []
    for value in values:
        if value is None or (names and value == -1):
            continue
        if names and isinstance(value, int):
            if value >= len(names):
                shown = clean(column, 80)
                raise BadInput(
                    f"{file}: column '{shown}' has class {value} of {len(names)} classes"
                )
            texts.append(names[value])
        elif isinstance(value, bool | int | float | str):
            texts.append(str(value))
        else:
            raise BadInput(
                f"{file}: column '{clean(column, 80)}' has values of the type "
                f"{type(value).__name__}, which are neither classes nor numbers; name another one: "
                "--target COLUMN"
            )
    return texts


def shards_of(columns: HubColumns) -> dict[str, tuple[Shard, ...]]:
    """Return the files of each split with their rows; BadInput if one cannot be read."""
    import pyarrow as pa

    shards: dict[str, tuple[Shard, ...]] = {}
    for split, part in columns.parts.items():
        found = []
        for file in part.files:
            try:
                status = file.stat()
                found.append(
                    Shard(str(file.absolute()), _rows(file), status.st_size, status.st_mtime_ns)
                )
            except (pa.ArrowException, OSError, ValueError) as error:
                raise _unreadable(columns.name, file, error) from error
        shards[split] = tuple(found)
    return shards


def listed_pictures(
    shards: Mapping[str, Sequence[Shard]], rows: Mapping[str, Sequence[int]], column: str
) -> list[ListedFile]:
    """Return the pictures in some rows of each split; their sizes are those of the mean."""
    listed = []
    for split, chosen in rows.items():
        begin, ends = 0, []
        for shard in shards[split]:
            begin += shard.rows
            ends.append(begin)
        place = 0
        for row in chosen:
            while row >= ends[place]:
                place += 1
            shard = shards[split][place]
            name = f"{split}/{row:06}/{column}"
            listed.append(ListedFile(name, shard.size // max(shard.rows, 1), shard.mtime_ns))
    return listed


def sample_of(path: str, columns: HubColumns, count: int) -> PictureFiles:
    """Return about so many of the pictures of a data set, those at its beginning."""
    shards = shards_of(columns)
    rows = {
        split: range(min(count, sum(shard.rows for shard in own))) for split, own in shards.items()
    }
    contents = contents_of(path, columns, shards)
    listed = listed_pictures(shards, rows, columns.pictures[0])[:count]
    return PictureFiles("", listed, contents=contents)


def place_of_data(path: str) -> str:
    """Return the absolute path of a folder, or the name of a data set on the hub as it is."""
    return path if path.startswith(HUB) else os.path.abspath(path)


def contents_of(
    path: str, columns: HubColumns, shards: Mapping[str, Sequence[Shard]]
) -> HubPictures:
    """Return the reader of the pictures of a data set."""
    roots = {root for part in columns.parts.values() for root in part.roots}
    return HubPictures(place_of_data(path), shards, sorted(roots))


class HubPictures:
    """The bytes of the pictures in a data set; implements `Contents`, for any thread.

    It is sent to workers without what it has open.
    """

    def __init__(
        self, folder: str, shards: Mapping[str, Sequence[Shard]], roots: Sequence[str] = ()
    ) -> None:
        """Read from a folder; cells may name files in it, and in the folders `roots`."""
        self._folder = folder
        self._roots = tuple(roots)
        self._shards = dict(shards)
        self._set_up()

    def _set_up(self) -> None:
        self._lock = Lock()
        self._mapped: dict[tuple[str, str], pa.ChunkedArray] = {}
        self._groups: OrderedDict[tuple[str, str, int], pa.ChunkedArray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder, "shards": self._shards, "roots": self._roots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._folder, self._shards = state["folder"], state["shards"]
        self._roots = state["roots"]
        self._set_up()

    def content(self, name: str) -> bytes:
        """Return the bytes of a picture of `listed_pictures`.

        Raises:
            OSError: its file cannot be read.
            NotAPicture: there are none, or its file is damaged or was changed.
        """
        import pyarrow as pa

        split, number, column = name.split("/", 2)
        row = int(number)
        for shard in self._shards[split]:
            if row < shard.rows:
                break
            row -= shard.rows
        status = os.stat(shard.path)
        if (status.st_size, status.st_mtime_ns) != (shard.size, shard.mtime_ns):
            raise NotAPicture("its file was changed")
        try:
            values, place = self._values(shard, column, row)
            cell = values[place].as_py()
        except (pa.ArrowException, ValueError, KeyError, IndexError) as error:
            raise NotAPicture(f"cannot be read ({clean(str(error), 120)})") from error
        return self._bytes_of(cell)

    def _values(self, shard: Shard, column: str, row: int) -> tuple[pa.ChunkedArray, int]:
        """Return the values that hold a row of a file, and its place among them."""
        if not _is_parquet(shard.path):
            with self._lock:
                key = (shard.path, column)
                if key not in self._mapped:
                    table = _table(Path(shard.path), [column])
                    self._mapped[key] = stored_values(table.column(column))
            return self._mapped[key], row
        from pyarrow import parquet

        with self._lock, parquet.ParquetFile(shard.path) as file:
            group = 0
            while row >= (count := file.metadata.row_group(group).num_rows):
                row, group = row - count, group + 1
            found = (shard.path, column, group)
            if found not in self._groups:
                table = file.read_row_group(group, columns=[column], use_threads=False)
                self._groups[found] = stored_values(table.column(column))
                if len(self._groups) > _GROUPS_KEPT:
                    self._groups.popitem(last=False)
            return self._groups[found], row

    def _bytes_of(self, cell: Any) -> bytes:
        if isinstance(cell, bytes):
            return cell
        if cell is None:
            raise NotAPicture("there is no picture in this row")
        if (content := cell.get("bytes")) is not None:
            return bytes(content)
        path = PurePosixPath(cell.get("path") or "")
        real = os.path.realpath(path)
        if path.is_absolute() and any(real.startswith(root + os.sep) for root in self._roots):
            # The library keeps downloaded files as links to their contents.
            with open_regular(real) as file:
                return file.read()
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise NotAPicture("its bytes are not in the data set")
        with open_regular(os.path.join(self._folder, path)) as file:
            return file.read()


def _is_picture(kind: pa.DataType, feature: Any) -> bool:
    """Whether a column has pictures, by its feature, or by its type if it has none."""
    import pyarrow as pa

    if isinstance(feature, dict) and feature.get("_type"):
        return bool(feature["_type"] == "Image")
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return bool(pa.types.is_struct(kind)) and {field.name for field in kind.fields} == _CELL


def _is_parquet(path: str) -> bool:
    return path.lower().endswith(".parquet")


def _schema(file: Path, name: str) -> pa.Schema:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if _is_parquet(file.name):
            return parquet.read_schema(str(file))
        if file.suffix.lower() != ".arrow":
            return pa.schema([])
        with pa.memory_map(str(file)) as source:
            return _opened(source).schema
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(name, file, error) from error


def _opened(source: pa.MemoryMappedFile) -> Any:
    import pyarrow as pa

    head = source.read(6)
    source.seek(0)
    return pa.ipc.open_file(source) if head == b"ARROW1" else pa.ipc.open_stream(source)


def _table(file: Path, columns: Sequence[str]) -> pa.Table:
    """Return some columns of a file: of an Arrow file they are mapped, not read."""
    import pyarrow as pa
    from pyarrow import parquet

    if _is_parquet(file.name):
        return parquet.read_table(str(file), columns=[*columns], use_threads=False)
    with pa.memory_map(str(file)) as source:
        return _opened(source).read_all().select([*columns])


def _rows(file: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    if _is_parquet(file.name):
        return int(parquet.read_metadata(str(file)).num_rows)
    with pa.memory_map(str(file)) as source:
        opened = _opened(source)
        return int(opened.read_all().num_rows)


def _unreadable(name: str, file: Path, error: Exception) -> BadInput:
    reason = reason_of(error) if isinstance(error, OSError) else clean(str(error), 200)
    return BadInput(
        f"{name}: {clean(file.name, 80)} cannot be read ({reason}); write or download it again"
    )
