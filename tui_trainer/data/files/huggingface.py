"""`open_dataset`: a data set of Hugging Face's library as one table in memory.

Layer: data. A folder is read with pyarrow alone; the library itself is imported only for a name on
the hub, which it downloads into its cache. No script and no pickle of a data set is ever loaded.
The splits of the data set are a column of the table.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.config.sections.datasets import HUB
from tui_trainer.config.sections.huggingface import HuggingFaceSection
from tui_trainer.data.files.arrow import text_array, why_no_arrow
from tui_trainer.data.files.disk import MAX_BYTES, DataFile, NoSuchData, reason_of, similar_name
from tui_trainer.data.files.hub_columns import (
    describe_unread,
    features_in,
    labels_missing,
    plain_columns,
)
from tui_trainer.data.files.hub_files import read_files
from tui_trainer.data.files.split_names import SplitName, split_name
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

SPLIT = "split"
"""The column of the splits, unless the data have one of that name."""
_MARKERS = (("dataset_dict.json",), ("state.json", "dataset_info.json"))
_ENDINGS = ((".parquet",), (".arrow",), (".jsonl", ".ndjson", ".json"), (".csv",))
"""Of the files in a folder, those of the first of these kinds are read."""
_FILES = (".parquet", ".arrow")
"""The files whose types and features say more than a table does."""
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_MOST_FILES = 10_000
_MOST_LOOKED_AT = 1_000
_MOST_JSON_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """A data set as a table in the memory."""

    file: DataFile
    split: str
    """The column of its splits; empty if it has none that are used."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HubSplit:
    """The files of a split."""

    files: Sequence[Path]
    features: Mapping[str, Any]
    roots: tuple[str, ...] = ()
    """The folders of the library's cache, in which files may lie that its cells name."""


def is_dataset_folder(where: str) -> bool:
    """Whether a folder is a data set that the library wrote, or has Parquet files as on the hub."""
    folder = Path(where)
    if any(all((folder / name).is_file() for name in names) for names in _MARKERS):
        return True
    try:
        with os.scandir(folder) as entries:
            first = list(islice(entries, _MOST_LOOKED_AT))
        inner = [entry.path for entry in first if entry.is_dir()]
        return _has_parquet(first) or any(_has_parquet_in(path) for path in inner)
    except OSError:
        return False


def _has_parquet(entries: Iterable[os.DirEntry[str]]) -> bool:
    return any(entry.name.endswith(".parquet") for entry in entries)


def _has_parquet_in(path: str) -> bool:
    with os.scandir(path) as entries:
        # A folder of pictures may have a million of them.
        return _has_parquet(islice(entries, _MOST_LOOKED_AT))


def is_other_table(path: str) -> bool:
    """Whether a path names a file that is read as any other table."""
    return os.path.isfile(path) and not path.endswith(_FILES)


def open_dataset(section: HuggingFaceSection, *, with_splits: bool = True) -> OpenDataset:
    """Open the data set of a section.

    Raises:
        BadInput: it cannot be read, or has nothing that could be trained on.
    """
    if why := why_no_arrow():
        raise BadInput(
            f"a data set of Hugging Face needs pyarrow, which cannot be imported ({why})"
        )
    path, name = section.path, clean(section.path, 200)
    if path.startswith(HUB):
        parts = parts_on_hub(path, section.config, section.revision)
    elif os.path.isdir(path):
        parts = parts_in(Path(path), section.config, name)
    elif path.endswith(_FILES) and os.path.exists(path):
        parts = {"all": HubSplit([Path(path)], {})}
    elif os.path.exists(path):
        raise BadInput(f"{name}: is a file; name the folder of the data set, or dataset.type=table")
    else:
        raise NoSuchData(f"{name}: no such folder{similar_name(path)}")
    wanted = with_splits and section.split_by in ("auto", "column") and section.split is None
    wanted = wanted and section.group is None and section.time is None
    return _joined(parts, name, section.drop, with_splits=wanted)


def _joined(
    parts: Mapping[str, HubSplit], name: str, dropped: Sequence[str], *, with_splits: bool
) -> OpenDataset:
    """Return all splits as one table, and what was done to it."""
    import pyarrow as pa
    from pyarrow import parquet

    notes: list[str] = []
    digest = hashlib.sha256()
    tables: dict[str, pa.Table] = {}
    for split, part in parts.items():
        table = read_files(part.files, name, digest)
        features = part.features or features_in(table.schema)
        if column := labels_missing(table, features):
            shown = clean(column, 80)
            notes.append(f"split {clean(split, 40)}: no row has a class in '{shown}'; left out")
            continue
        plain = plain_columns(table, features, name, dropped)
        notes += [*plain.notes, *describe_unread(plain.unread)]
        tables[split] = plain.table
    if not tables:
        raise BadInput(f"{name}: has no rows with a class")
    words, more = split_words(tables) if with_splits else ({}, [])
    notes += more
    column = ""
    if words:
        names = {*next(iter(tables.values())).schema.names}
        column = next(one for one in (SPLIT, "hf_split", "hf_split_of_rows") if one not in names)
        tables = {split: _with_word(tables[split], column, word) for split, word in words.items()}
    try:
        whole = pa.concat_tables(tables.values(), promote_options="permissive")
    except pa.ArrowException as error:
        reason = clean(str(error), 200)
        raise BadInput(f"{name}: its splits have different columns ({reason})") from error
    if len(whole.schema.names) - bool(column) < 2 and notes:
        # Nothing is left to predict from, or to predict.
        said = "; ".join(dict.fromkeys(notes))
        raise BadInput(f"{name}: too few columns have numbers or texts: {said}")
    if whole.nbytes > MAX_BYTES:
        raise BadInput(f"{name}: more than 4 GiB, too much to hold in memory")
    sink = pa.BufferOutputStream()
    parquet.write_table(whole, sink)
    content = sink.getvalue().to_pybytes()
    return OpenDataset(
        DataFile(name, content, digest.hexdigest()), column, tuple(dict.fromkeys(notes))
    )


def split_words(splits: Mapping[str, Sized]) -> tuple[dict[str, str], list[str]]:
    """Return what the rows of each split are for, and notes; {} if they are to be divided by us."""
    names: dict[SplitName, str] = {}
    for name, table in splits.items():
        side = split_name(name)
        if side is not None and len(table):
            names.setdefault(side, name)
    if "train" not in names or len(names) < 2:
        return {}, []
    notes = []
    if "test" not in names:
        names["test"] = names.pop("val")
        notes.append(
            f"there is no split test: {clean(names['test'], 40)} is the test, and a part of train "
            "is for validation; dataset.split_by=identity draws all of them"
        )
    words: dict[str, str] = {name: side for side, name in names.items()}
    others = [clean(name, 40) for name in splits if name not in words]
    if others:
        notes.append(f"splits that are left out: {', '.join(others)}")
    return words, notes


def _with_word(table: pa.Table, column: str, word: str) -> pa.Table:
    import pyarrow as pa

    words = pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), len(table), [None, pa.py_buffer(bytes(4 * len(table)))]),
        text_array([word]),
    )
    return table.add_column(0, column, words.dictionary_decode())


def parts_in(folder: Path, config: str | None, name: str) -> dict[str, HubSplit]:
    """Return the splits in a folder, by what the library or the hub wrote there."""
    try:
        if (folder / "dataset_dict.json").is_file():
            splits = _json(folder / "dataset_dict.json", name).get("splits")
            if not isinstance(splits, list) or not all(_is_plain_name(one) for one in splits):
                raise BadInput(f"{name}: its dataset_dict.json names no splits; write it again")
            return {split: _saved_part(folder / split, name) for split in splits}
        if (folder / "state.json").is_file():
            return {"all": _saved_part(folder, name)}
        return _parts_of_files(folder, config, name)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {reason_of(error)}") from error


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and os.path.basename(name) == name


def _json(file: Path, name: str) -> dict[str, Any]:
    shown = f"{name}: {clean(file.name, 80)}"
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(_MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{shown} is damaged; write the data set again") from error
    if not isinstance(found, dict):
        raise BadInput(f"{shown} is damaged; write the data set again")
    return found


def _saved_part(folder: Path, name: str) -> HubSplit:
    """Return the split that `save_to_disk` wrote into a folder."""
    if not (folder / "state.json").is_file():
        raise BadInput(f"{name}: no state.json in {clean(folder.name, 80)}; write it again")
    entries = _json(folder / "state.json", name).get("_data_files")
    names = [one.get("filename") for one in entries or () if isinstance(one, dict)]
    if not names or not all(_is_plain_name(one) for one in names):
        raise BadInput(f"{name}: the state.json in {clean(folder.name, 80)} names no data files")
    info = folder / "dataset_info.json"
    features = _json(info, name).get("features") if info.is_file() else None
    return HubSplit(
        [folder / str(one) for one in names], features if isinstance(features, dict) else {}
    )


def _parts_of_files(folder: Path, config: str | None, name: str) -> dict[str, HubSplit]:
    """Return the splits of a folder of files, which their names tell."""
    files = [
        file
        for file in sorted(folder.rglob("*"))[:_MOST_FILES]
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(folder).parts)
    ]
    kinds = [[file for file in files if file.suffix.lower() in ends] for ends in _ENDINGS]
    found = next((files for files in kinds if files), [])
    if not found:
        raise BadInput(
            f"{name}: no data set (a folder that save_to_disk wrote, or one of .parquet, .arrow, "
            ".jsonl or .csv files)"
        )
    groups: dict[str, list[Path]] = {}
    for file in found:
        groups.setdefault(_config_of(file.relative_to(folder)), []).append(file)
    if config is not None and config not in groups:
        raise BadInput(
            f"{name}: no configuration {clean(config, 80)}{clean(suggest(config, groups), 80)}; "
            f"available: {clean(', '.join(groups) or 'none', 200)}"
        )
    if config is None and len(groups) > 1:
        shown = clean(", ".join(one or "files of the folder itself" for one in groups), 200)
        raise BadInput(
            f"{name}: has several configurations ({shown}); choose one: dataset.config=NAME"
        )
    chosen = groups[config] if config is not None else found
    by_split: dict[str, list[Path]] = {}
    for file in chosen:
        by_split.setdefault(_split_of(file.relative_to(folder)), []).append(file)
    if len(by_split) > 1 and "" in by_split:
        by_split["others"] = by_split.pop("")
    return {split or "all": HubSplit(one, {}) for split, one in by_split.items()}


def _words_of(part: str) -> list[str]:
    return re.split(r"[-_.]", part.lower())


def _split_of(file: Path) -> str:
    """Return the split that a path names, as train for data/train-00000-of-00002.parquet."""
    for part in reversed(file.parts):
        for word in _words_of(part):
            if split_name(word) is not None:
                return word
    return ""


def _config_of(file: Path) -> str:
    """Return the folders of a file that are neither `data` nor a split."""
    parts = [one for one in file.parent.parts if one != "data" and split_name(one) is None]
    return "/".join(parts)


@lru_cache(maxsize=4)
def parts_on_hub(path: str, config: str | None, revision: str | None) -> dict[str, HubSplit]:
    """Return the splits of a data set on the hub, from the cache of the library.

    They are kept, because the library asks the hub each time, and what is found first is what all
    of a run has to be.

    Raises:
        BadInput: the library is missing, or cannot load it.
    """
    name = clean(path, 200)
    wanted = path.removeprefix(HUB)
    if not _HUB_NAME.fullmatch(wanted):
        raise BadInput(f"{name}: is not a name on the hub; write {HUB}USER/NAME")
    try:
        import datasets
    except ImportError as error:
        raise BadInput(
            f"{name}: a data set on the hub needs the package datasets, which cannot be imported "
            f"({clean(str(error), 200)}); pip install 'tui-trainer[datasets]'"
        ) from error
    if os.path.exists(wanted):
        raise BadInput(
            f"{name}: there is a folder {clean(wanted, 200)} here, which the library would take; "
            "name it without hf:, or start the program elsewhere"
        )
    datasets.disable_progress_bars()
    # It tells of every attempt to reach the hub; the last one is an error, which we tell of.
    for library in ("datasets", "huggingface_hub"):
        getLogger(library).setLevel(ERROR)
    try:
        loaded = datasets.load_dataset(wanted, config, revision=revision)
    except Exception as error:
        reason = clean(f"{type(error).__name__}: {error}", 300)
        raise BadInput(
            f"{name}: cannot be loaded from the hub ({reason}); check the name, dataset.config and "
            "dataset.revision; without a network, only data sets in the cache of the library can "
            "be read"
        ) from error
    if not isinstance(loaded, datasets.DatasetDict):
        raise BadInput(f"{name}: is a stream, which cannot be trained on")
    roots = _cache_folders(datasets)
    return {
        str(split): HubSplit(
            [Path(one["filename"]) for one in part.cache_files], part.features.to_dict(), roots
        )
        for split, part in loaded.items()
    }


def _cache_folders(library: Any) -> tuple[str, ...]:
    """Return the folders into which the library downloads files."""
    known = getattr(library, "config", None)
    names = ("HF_CACHE_HOME", "HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH")
    found = [str(getattr(known, name)) for name in names if getattr(known, name, None)]
    if hub := os.environ.get("HF_HUB_CACHE"):
        found.append(os.path.expanduser(hub))
    return tuple(dict.fromkeys(os.path.realpath(folder) for folder in found))
