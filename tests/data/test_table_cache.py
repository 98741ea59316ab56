"""Tables in the cache: the same bit for bit, or not used at all."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.test_csv_blocks import contents
from tui_trainer.cli.main import main
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files import cache_store
from tui_trainer.data.files.array_cache import keep_results, load_results
from tui_trainer.data.files.cache_store import (
    SETTLED_S,
    VARIABLE,
    entries,
    make_room,
    open_cache,
    write_entry,
)
from tui_trainer.data.files.columns import NumberColumn, Table, TextColumn
from tui_trainer.data.files.disk import DataFile, open_file
from tui_trainer.data.files.table_cache import TableKey, keep_table, load_table
from tui_trainer.data.files.table_reader import FROM_CACHE, read_table
from tui_trainer.data.files.tables import open_table
from tui_trainer.data.load import load
from tui_trainer.text.errors import CheckpointUnusable

LEAST_BYTES = 1 << 20
"""An eighth of what a file of the cache must have, so that tests write and read less."""
LINE = f"1.25,NA,{'word' * 250},é\n"


@pytest.fixture(autouse=True)
def least_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LEAST_BYTES < cache_store.LEAST_BYTES
    monkeypatch.setattr(cache_store, "LEAST_BYTES", LEAST_BYTES)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache" / "tables"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    write(path, LINE)
    return path


def write(path: Path, line: str, age_s: float = 60) -> None:
    """A file that is just large enough, and was changed a while ago."""
    path.write_text("a,b,c,y\n2,3,four,u\n" + line * (LEAST_BYTES // len(line.encode()) + 1))
    then = time.time() - age_s
    os.utime(path, (then, then))


def read(path: Path, **settings: object) -> tuple[Table, str]:
    """The table of a file, and its sum."""
    section = TableSection.model_validate(
        {"type": "table", "path": str(path), "target": "y", **settings}
    )
    opened = open_table(section)
    table = read_table(opened.file, opened.header, dict.fromkeys(opened.header, "auto"))
    return table, opened.file.sha256


def without_note(table: Table) -> object:
    columns, lines, notes = contents(table)
    return columns, lines, tuple(note for note in notes if note != FROM_CACHE)


def test_a_kept_table_equals_the_one_that_was_read(cache: Path, data: Path) -> None:
    first, digest = read(data)
    assert FROM_CACHE not in first.notes
    again, same = read(data)
    assert FROM_CACHE in again.notes
    assert without_note(again) == contents(first)
    assert same == digest == open_file(str(data)).sha256
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in cache.iterdir()} == {0o600}
    # Other settings are another table.
    other, _ = read(data, missing_values=["four"])
    assert FROM_CACHE not in other.notes
    assert FROM_CACHE in read(data, missing_values=["four"])[0].notes


def test_a_changed_file_is_read_again_and_one_just_changed_is_never_kept(
    cache: Path, data: Path
) -> None:
    first, digest = read(data)
    write(data, LINE.replace("word", "verb"), age_s=30)
    second, other = read(data)
    assert FROM_CACHE not in second.notes
    assert other != digest
    assert contents(second) != contents(first)
    kept = len([*cache.iterdir()])
    for age_s in (SETTLED_S / 2, -3600):
        write(data, LINE, age_s=age_s)
        for _ in range(2):
            assert FROM_CACHE not in read(data)[0].notes
    assert len([*cache.iterdir()]) == kept


def test_small_files_and_those_of_a_cache_that_is_off_are_not_kept(
    cache: Path, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small.csv"
    small.write_text("a,y\n1,2\n3,4\n")
    os.utime(small, (1, 1))
    read(small)
    monkeypatch.setenv(VARIABLE, "off")
    for _ in range(2):
        assert FROM_CACHE not in read(data)[0].notes
    assert not cache.exists()


def write_rows(path: Path) -> None:
    """Numbers, some rows twice and some nearly twice, beside a long text that fills the file."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(1_000, 2))
    numbers = np.arange(1_000) % 70
    for part in (rows, numbers):
        part[100:200] = part[:100]
        part[300:340] = part[200:240]
    rows[300:340] *= 1 + 1e-9
    lines = [
        f"{a!r},{b!r},{number},{'word' * 275},{'uvw'[place % 3]}"
        for place, (number, (a, b)) in enumerate(zip(numbers, rows.tolist(), strict=True))
    ]
    path.write_text("a,b,c,d,y\n" + "\n".join(lines) + "\n")
    os.utime(path, (time.time() - 60,) * 2)


def split_of(path: Path, **settings: object) -> tuple[object, ...]:
    """The sides, identities and contents of all rows, and the notes of a run on a file."""
    dataset = load(TableSection.model_validate({"type": "table", "path": str(path), **settings}))
    record = dataset.split_record
    assert record is not None
    arrays = (record.sides, record.identities, record.contents)
    notes = tuple(note for note in dataset.notes if note != FROM_CACHE)
    return (*(array.tobytes() for array in arrays), record.cuts, notes)


def test_rows_are_known_by_the_same_keys_with_and_without_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path)
    ways: list[dict[str, object]] = [
        {"target": "y"},
        {"target": "y", "split_seed": 1, "noise": 0.1},
        {"target": "b"},
        {"target": "y", "group": "c"},
        {"target": "y", "time": "c"},
        {"target": "y", "drop": ["a"]},
        {"target": "y", "missing_values_by_column": {"c": [69]}, "missing": "drop"},
        {"target": "y", "categorical": ["c"]},
    ]
    monkeypatch.setenv(VARIABLE, "off")
    plain = [split_of(path, **way) for way in ways]
    assert len({*plain}) == len(ways)
    assert any("40 rows nearly equal" in note for note in plain[0][-1])  # type: ignore[attr-defined]
    monkeypatch.setenv(VARIABLE, str(cache))
    counts = []
    for way, expected in zip(ways, plain, strict=True):
        assert split_of(path, **way) == expected, f"{way} when nothing of it is kept"
        counts.append(len([*cache.glob("*.arrays")]))
    for way, expected in zip(ways, plain, strict=True):
        assert split_of(path, **way) == expected, f"{way} from the cache"
    # Another seed is another split of the same rows; a group or time has no near copies.
    assert counts == [2, 2, 4, 5, 6, 8, 10, 12]
    assert len([*cache.glob("*.arrays")]) == counts[-1]
    # What is kept is used, and only as long as it is whole.
    for kept in cache.glob("*.arrays"):
        keys = load_results(kept.name)
        assert keys is not None
        keep_results(kept.name, {name: own ^ own.dtype.type(1) for name, own in keys.items()})
    assert split_of(path, **ways[0]) != plain[0]
    for kept in cache.glob("*.arrays"):
        kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    assert split_of(path, **ways[0]) == plain[0]


def key_of(path: Path) -> TableKey:
    state = open_file(str(path)).state
    assert state is not None
    return TableKey(state, "settings")


def small_table() -> Table:
    numbers = np.array([1.5, np.nan, -0.0, 5e-324])
    texts = TextColumn(np.array([0, -1, 1, 0]), ("é", 'with "quotes"'))
    lines = np.array([2, 3, 7, 9])
    return Table({"a": NumberColumn(numbers, "plain"), "é": texts}, lines, ("a note",))


@pytest.mark.parametrize("classes", [("NA", "u"), ("1", "2"), ("1.5", "7")], ids="".join)
def test_a_run_that_goes_on_takes_the_table_of_its_start(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: tuple[str, str]
) -> None:
    path = tmp_path / "mixed.csv"
    rows = [
        f"{n},{n * 7 % 13},2025-{n % 12 + 1:02}-03,{'yes' if n % 3 else 'no'},"
        f"{classes[n % 5 % 2]},{'word' * 275}"
        for n in range(1_000)
    ]
    path.write_text("id,a,when,b,y,long\n" + "\n".join(rows) + "\n")
    os.utime(path, (time.time() - 60,) * 2)
    values = {"type": "table", "path": str(path), "target": "y", "drop": ["long"]}
    section = TableSection.model_validate(values)
    first = load(section)
    kept = sorted(name for name in os.listdir(cache) if name.endswith(".table"))
    later = load(section, first.preprocessing, record=first.split_record)
    assert FROM_CACHE in later.notes
    assert sorted(name for name in os.listdir(cache) if name.endswith(".table")) == kept
    monkeypatch.setenv(VARIABLE, "off")
    read_again = load(section, first.preprocessing, record=first.split_record)
    assert [note for note in later.notes if note != FROM_CACHE] == [*read_again.notes]
    assert later.fingerprint == read_again.fingerprint
    for name in ("train", "val", "test"):
        one, other = getattr(later, name), getattr(read_again, name)
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
    # A column that is another one now is not taken from there.
    monkeypatch.setenv(VARIABLE, str(cache))
    changed = {
        **first.preprocessing,
        "layout": {**first.preprocessing["layout"], "column a": "category"},
    }
    with pytest.raises(CheckpointUnusable):
        load(section, changed, record=first.split_record)


def test_every_flipped_bit_and_every_cut_is_noticed(cache: Path, data: Path) -> None:
    key, table = key_of(data), small_table()
    assert keep_table(key, DataFile("t.csv", b"", "0" * 64), table) == []
    loaded = load_table(key)
    assert loaded is not None
    assert contents(loaded) == contents(table)
    path = cache / key.name
    whole = path.read_bytes()
    padding = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        read_back = load_table(key)
        if read_back is not None:
            # Between arrays there are some bytes that say nothing.
            padding += 1
            assert contents(read_back) == contents(table)
    assert padding < 200
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert load_table(key) is None
    path.write_bytes(whole + b"\0")
    assert load_table(key) is None


def of_header(change: Callable[[dict[str, object]], object], whole: bytes) -> bytes:
    """A file with another header and a right sum of it."""
    import zlib

    start = len(b"tui-trainer table\n")
    length = int.from_bytes(whole[start : start + 8], "little")
    header = json.loads(whole[start + 12 : start + 12 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) - length) % 64)
    sums = len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little")
    return whole[:start] + sums + text + whole[start + 12 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(rows=10**12),
        lambda header: header.update(rows=-1),
        lambda header: header.update(rows="4"),
        lambda header: header.update(first_line="x"),
        lambda header: header["columns"][1].update(texts=1),
        lambda header: header["columns"][0].update(form="hostile"),
        lambda header: header["columns"][0].update(name=["x"]),
        lambda header: header["arrays"][0].__setitem__(0, 10**15),
        lambda header: header["arrays"].clear(),
        lambda header: header.pop("columns"),
        lambda header: header.update(columns=[]),
        lambda header: header.update(notes=None),
    ],
)
def test_a_header_that_no_table_has_is_not_believed(
    cache: Path, data: Path, change: Callable[[dict[str, object]], object]
) -> None:
    key = key_of(data)
    keep_table(key, DataFile("t.csv", b"", "0" * 64), small_table())
    path = cache / key.name
    whole = path.read_bytes()
    path.write_bytes(of_header(lambda header: None, whole))
    assert load_table(key) is not None
    path.write_bytes(of_header(change, whole))
    assert load_table(key) is None


def test_links_and_odd_files_in_the_cache_are_not_followed(
    cache: Path, data: Path, tmp_path: Path
) -> None:
    first, _ = read(data)
    (kept,) = cache.glob("*.table")
    real = tmp_path / "elsewhere"
    kept.rename(real)
    kept.symlink_to(real)
    again, _ = read(data)
    assert FROM_CACHE not in again.notes
    assert contents(again) == contents(first)
    # It is replaced, and what it led to is as it was.
    assert not kept.is_symlink()
    assert FROM_CACHE in read(data)[0].notes
    kept.unlink()
    os.mkfifo(kept)
    assert FROM_CACHE not in read(data)[0].notes


def test_a_cache_that_cannot_be_written_costs_one_note(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "file").write_text("")
    for place in ("link", "file"):
        monkeypatch.setenv(VARIABLE, str(tmp_path / place))
        table, _ = read(data)
        said = [note for note in table.notes if "cannot be kept in the cache: " in note]
        assert len(said) == 1
        assert len(table.lines) > 600
    assert [*real.iterdir()] == []


def test_what_was_used_longest_ago_goes_first(cache: Path) -> None:
    with open_cache(writing=True) as folder:
        for number, name in enumerate(("a.table", "b.table", "c.sum", "other.txt")):
            write_entry(folder, name, [b"x" * 100])
            os.utime(cache / name, (1000 + number, 1000 + number))
        os.utime(cache / "a.table")
        write_entry(folder, "dead.1.new", [b"x"])
        os.utime(cache / "dead.1.new", (1, 1))
        make_room(folder, 100, most=350)
        assert [entry.name for entry in entries(folder)] == ["c.sum", "a.table"]
        make_room(folder, 300, most=350)
        assert [entry.name for entry in entries(folder)] == []
    assert (cache / "other.txt").exists()


def test_the_command_lists_and_clears(
    cache: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out.startswith("0 data sets, 0 kB, in ")
    read(data)
    assert main(["cache", "list", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert table["path"] == str(data)
    (cache / "bad.table").write_text("{")
    main(["cache", "list"])
    assert "damaged" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("removed 2 data sets, ")
    assert [*cache.iterdir()] == []
    assert FROM_CACHE not in read(data)[0].notes
