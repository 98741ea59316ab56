"""`tui-trainer cache`: tables and pictures that took long to read and were kept; list, clear.

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


def list_entries(arguments: argparse.Namespace) -> int:
    """Print the data sets in the cache, with their files; those used last come last."""
    kept = _entries()
    if arguments.json:
        print_json(kept)
        return ExitCode.OK
    for entry in kept:
        used = datetime.fromtimestamp(entry["used_s"]).strftime("%Y-%m-%d %H:%M")
        print_line(f"{size_text(entry['size']):>7}  {used}  {entry['path'] or 'damaged'}")
    total = size_text(sum(entry["size"] for entry in kept))
    print_line(f"{counted(len(kept), 'data set')}, {total}, in {_where()}")
    return ExitCode.OK


def clear(arguments: argparse.Namespace) -> int:
    """Remove everything from the cache, and print what that was."""
    from tui_trainer.data.files.cache_store import clear_cache, reason

    try:
        data_sets, size = clear_cache()
    except OSError as error:
        raise CannotWrite(f"the cache in {_where()} cannot be cleared: {reason(error)}") from error
    print_line(f"removed {counted(data_sets, 'data set')}, {size_text(size)}, from {_where()}")
    return ExitCode.OK


def _where() -> str:
    from tui_trainer.data.files.cache_store import VARIABLE, cache_folder

    folder = cache_folder()
    return f"no folder ({VARIABLE}=off)" if folder is None else clean(str(folder), 200)


def _entries() -> list[dict[str, Any]]:
    """Return the path, size and time of use of each data set; no path if it cannot be read."""
    from tui_trainer.data.files import picture_store, table_cache
    from tui_trainer.data.files.cache_store import PICTURES, TABLE, entries, open_cache

    path_of = {TABLE: table_cache.path_of, PICTURES: picture_store.path_of}
    kept: list[dict[str, Any]] = []
    try:
        with open_cache() as folder:
            for entry in entries(folder):
                ending = entry.name[entry.name.rfind(".") :]
                if ending not in path_of:
                    continue
                path = clean(path_of[ending](folder, entry.name), 400)
                kept.append({"path": path, "size": entry.size, "used_s": entry.used_s})
    except OSError:
        # There is none yet, or it is not ours.
        return []
    return kept
