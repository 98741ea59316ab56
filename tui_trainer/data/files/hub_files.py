"""`read_files`: the files of a data set of Hugging Face's library as one table, by pyarrow alone.

Layer: data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.data.files.disk import MAX_BYTES
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa


def read_files(files: Sequence[Path], name: str, digest: Any) -> pa.Table:
    """Return the rows of some files, and add their bytes to a sum."""
    import pyarrow as pa

    tables = []
    for file in files:
        shown = f"{name}: {clean(file.name, 80)}"
        try:
            if file.stat().st_size > MAX_BYTES:
                raise BadInput(f"{shown}: more than 4 GiB, too much to hold in memory")
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
            table = _READERS.get(file.suffix.lower(), _arrow)(file)
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BadInput(
                f"{shown} cannot be read ({clean(str(error), 200)}); write or download it again"
            ) from error
        tables.append(table)
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise BadInput(f"{name}: its files have different columns") from error


def _arrow(file: Path) -> pa.Table:
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        head = source.read(6)
        source.seek(0)
        is_file = head == b"ARROW1"
        opened = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        return opened.read_all()


def _parquet(file: Path) -> pa.Table:
    from pyarrow import parquet

    return parquet.ParquetFile(str(file)).read()


def _json_lines(file: Path) -> pa.Table:
    from pyarrow import json as arrow_json

    return arrow_json.read_json(str(file))


def _csv(file: Path) -> pa.Table:
    from pyarrow import csv

    return csv.read_csv(str(file))


_READERS: dict[str, Callable[[Path], Any]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json_lines),
}
