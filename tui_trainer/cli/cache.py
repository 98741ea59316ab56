"""`tui-trainer cache`: the tables that were read from large files and kept; list, clear.

Layer: cli.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_json, print_line
from tui_trainer.text.errors import CannotWrite, ExitCode
from tui_trainer.text.format import counted, size_text


def list_tables(arguments: argparse.Namespace) -> int:
    """Print the tables in the cache, with the files they are from; those used last come last."""
    tables = _tables()
    if arguments.json:
        print_json(tables)
        return ExitCode.OK
    for table in tables:
        used = datetime.fromtimestamp(table["used_s"]).strftime("%Y-%m-%d %H:%M")
        print_line(f"{size_text(table['size']):>7}  {used}  {table['path'] or 'damaged'}")
    total = size_text(sum(table["size"] for table in tables))
    print_line(f"{counted(len(tables), 'table')}, {total}, in {_where()}")
    return ExitCode.OK


def clear(arguments: argparse.Namespace) -> int:
    """Remove everything from the cache, and print what that was."""
    from tui_trainer.data.files.cache_store import clear_cache, reason

    try:
        tables, size = clear_cache()
    except OSError as error:
        raise CannotWrite(f"the cache in {_where()} cannot be cleared: {reason(error)}") from error
    print_line(f"removed {counted(tables, 'table')}, {size_text(size)}, from {_where()}")
    return ExitCode.OK


def _where() -> str:
    from tui_trainer.data.files.cache_store import VARIABLE, cache_folder

    folder = cache_folder()
    return f"no folder ({VARIABLE}=off)" if folder is None else clean(str(folder), 200)


def _tables() -> list[dict[str, Any]]:
    """Return the path, size and time of use of each table; no path if it cannot be read."""
    from tui_trainer.data.files.cache_store import TABLE, entries, open_cache
    from tui_trainer.data.files.table_cache import path_of

    tables: list[dict[str, Any]] = []
    try:
        with open_cache() as folder:
            for entry in entries(folder):
                if not entry.name.endswith(TABLE):
                    continue
                path = clean(path_of(folder, entry.name), 400)
                tables.append({"path": path, "size": entry.size, "used_s": entry.used_s})
    except OSError:
        # There is none yet, or it is not ours.
        return []
    return tables
