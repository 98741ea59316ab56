"""The split by identity: rows are known by what they are, and none moves when others come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tui_trainer.config.experiment  # noqa: F401  # adds the data sets of texts to DATASETS
from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import (
    DATASETS,
    DatasetSection,
    PixelsSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.config.sections.text_datasets import TextSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.columns import Column, NumberColumn, TextColumn
from tui_trainer.data.load import load
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL, split_identities
from tui_trainer.data.splits.position import Ints, shares_of
from tui_trainer.data.splits.record import RowChanges, SplitRecord
from tui_trainer.data.splits.row_keys import numbered, row_keys, text_key
from tui_trainer.data.splits.strata import Strata
from tui_trainer.text.errors import BadInput, CheckpointUnusable

PINNED_KEYS = [0x9342899C3150F9CB, 0xE8B216BA9B51C5D2, 0xCE4D1ABBE33919CD]
PINNED_TEST = [4, 5, 12, 17, 20, 21, 23, 25]
PINNED_VAL = [16, 22, 26, 41, 46, 48, 53, 57]


def write(folder: Path, lines: Sequence[str], header: str = "a,b,y") -> str:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def table(folder: Path, lines: Sequence[str], header: str = "a,b,y", **settings: object) -> Dataset:
    path = write(folder, lines, header)
    values = {"type": "table", "path": path, "target": "y", **settings}
    return load(TableSection.model_validate(values))


def lines(count: int, first: int = 0) -> list[str]:
    return [f"{n * 1.5},{'xyz'[n % 3]},{'uvw'[n * n % 7 % 3]}" for n in range(first, first + count)]


def sides(dataset: Dataset, path: Path) -> dict[str, str]:
    """The split of each line of the file."""
    written = (path / "table.csv").read_text().splitlines()[1:]
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    return {
        written[row]: name for name, part in parts.items() for row in tensors(part).rows.tolist()
    }


def test_the_key_of_a_row_is_pinned_for_all_time() -> None:
    columns: dict[str, Column] = {
        "a": NumberColumn(np.array([1.5, -0.0, np.nan])),
        "b": TextColumn(np.array([1, 0, -1]), ("é", "x")),
    }
    assert [int(key) for key in row_keys(columns)] == PINNED_KEYS
    again: dict[str, Column] = {
        "b": TextColumn(np.array([0, 2, -1]), ("x", "unused", "e\u0301")),
        "a": NumberColumn(np.array([1.5, 0.0, -np.nan])),
    }
    assert [int(key) for key in row_keys(again)] == PINNED_KEYS
    assert row_keys({"a": columns["a"]})[0] != row_keys({"c": columns["a"]})[0]
    assert int(text_key("é")) == int(text_key("e\u0301"))


def test_the_rows_of_the_built_in_split_stay_the_same_for_good() -> None:
    dataset = load(PixelsSection(type="pixels", path="builtin:digits.csv.gz", max_value=16))

    assert tensors(dataset.test).rows[:8].tolist() == PINNED_TEST
    assert tensors(dataset.val).rows[:8].tolist() == PINNED_VAL


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.integers(0, 2**63 - 1),
    st.floats(0.2, 0.8),
    st.floats(0.01, 0.5),
)
def test_small_strata_are_split_as_exactly_as_by_position(
    sizes: list[int], seed: int, test: float, val: float
) -> None:
    strata = np.repeat(np.arange(len(sizes)), sizes)
    keys = numbered(np.zeros(len(strata), dtype=np.uint64))
    named = Strata(strata, tuple(map(str, range(len(sizes)))))
    parts, cuts = split_identities(keys, keys, named, seed, test, val)

    tests, vals = shares_of(np.array(sizes), test, val)
    assert counts(strata, parts == TEST) == tests.tolist()
    assert counts(strata, parts == VAL) == vals.tolist()
    # Rows that come later go by the same cut points, and these are among them.
    assert (cuts.sides(keys, keys, named, seed) == parts).all()


def counts(strata: Ints, chosen: object) -> list[int]:
    return np.bincount(strata[chosen], minlength=int(strata.max()) + 1).tolist()  # type: ignore[call-overload, no-any-return]


def test_the_order_of_the_rows_and_of_the_columns_does_not_matter(tmp_path: Path) -> None:
    rows = [*lines(80), *lines(20)]
    before = sides(table(tmp_path, rows), tmp_path)
    assert sides(table(tmp_path, rows[::-1]), tmp_path) == before
    swapped = [",".join(reversed(row.split(","))) for row in rows]
    after = sides(table(tmp_path, swapped, "y,b,a"), tmp_path)
    assert {",".join(reversed(row.split(","))): side for row, side in after.items()} == before


def test_rows_that_come_later_go_by_the_cut_points_in_the_shares_that_were_asked_for() -> None:
    keys = numbered(np.zeros(40_000, dtype=np.uint64))
    strata = Strata(np.arange(40_000) % 2, ("a", "b"))
    old, new = slice(0, 400), slice(400, None)
    first = replace(strata, of_rows=strata.of_rows[old])
    _, cuts = split_identities(keys[old], keys[old], first, 0, 0.2, 0.15)
    later = replace(strata, of_rows=strata.of_rows[new], names=("a", "unknown"))
    parts = cuts.sides(keys[new], keys[new], later, 0)
    shares = [float((parts == side).mean()) for side in (TRAIN, VAL, TEST)]
    assert shares == pytest.approx([0.68, 0.12, 0.2], abs=0.02)


def test_a_run_keeps_its_rows_in_their_order_when_the_file_grows_or_is_sorted(
    tmp_path: Path,
) -> None:
    rows = lines(90)
    first = table(tmp_path, rows)
    grown = [*lines(30, 500), *rows[::-1], "7,new,other", rows[5]]
    section = TableSection(type="table", path=write(tmp_path, grown), target="y")
    again = load(section, first.preprocessing, record=first.split_record)
    for part in ("train", "val", "test"):
        one, other = tensors(getattr(first, part)), tensors(getattr(again, part))
        assert one.inputs.equal(other.inputs)
        assert one.targets.equal(other.targets)
    assert again.classes == first.classes
    assert again.changes is not None
    # The last is a copy of a row: it is left out like others that are new.
    assert (again.changes.gone, again.changes.new) == (0, 32)
    from_scratch = load(section, record=first.split_record)
    assert from_scratch.preprocessing == first.preprocessing


def test_rows_that_are_gone_or_changed_are_counted(tmp_path: Path) -> None:
    rows = lines(90)
    first = table(tmp_path, rows)
    changed = [*rows[2:50], rows[50].replace(rows[50][-1], "u" if rows[50][-1] != "u" else "v")]
    path = write(tmp_path, [*changed, *rows[51:]])
    section = TableSection(type="table", path=path, target="y")
    again = load(section, first.preprocessing, record=first.split_record)
    assert again.changes is not None
    # One of them is known by its inputs, and is used with its new target.
    assert (again.changes.gone, again.changes.new) == (3, 0)
    assert sum(map(len, (again.train, again.val, again.test))) == 88


def test_a_checkpoint_whose_record_is_missing_is_refused(tmp_path: Path) -> None:
    first = table(tmp_path, lines(90))
    section = TableSection(type="table", path=str(tmp_path / "table.csv"), target="y")
    with pytest.raises(CheckpointUnusable, match="file splits, which says what rows"):
        load(section, first.preprocessing)


def test_a_group_is_on_one_side_and_stays_there(tmp_path: Path) -> None:
    rows = [f"{n},p{n // 6},{'uv'[n % 2]}" for n in range(120)]
    dataset = table(tmp_path, rows, group="b")
    whole = sides(dataset, tmp_path)
    of_groups = {row.split(",")[1]: set[str]() for row in rows}
    for row, side in whole.items():
        of_groups[row.split(",")[1]].add(side)
    assert {len(found) for found in of_groups.values()} == {1}
    assert dataset.split_summary == "split by group, the column b, stratified"


def test_a_column_says_the_split_and_is_no_input(tmp_path: Path) -> None:
    words = ["train", "Validation", "test", "train"]
    rows = [f"{n},{words[n % 4]},{'uv'[n % 3 % 2]}" for n in range(60)]
    dataset = table(tmp_path, rows, split="b")
    assert {row.split(",")[1]: side for row, side in sides(dataset, tmp_path).items()} == {
        "train": "train",
        "Validation": "val",
        "test": "test",
    }
    assert [*dataset.preprocessing["inputs"]] == ["a"]
    with pytest.raises(BadInput, match=r"table.csv:3: column 'b' has 'tset', but should have"):
        table(tmp_path, [rows[0], rows[1].replace("Validation", "tset"), *rows[2:]], split="b")
    no_test = [row.replace("test", "train") for row in rows]
    with pytest.raises(
        BadInput, match=r"'b'; dataset\.test_fraction=0 trains without a test; leave"
    ):
        table(tmp_path, no_test, split="b")
    without = table(tmp_path, no_test, split="b", test_fraction=0)
    assert (len(without.val), len(without.test)) == (15, 0)
    assert len(table(tmp_path, ["1,train,u", "2,train,v"] * 20, split="b", test_fraction=0).val) > 2


@pytest.mark.parametrize(
    ("key", "said"), [("group", "only 2 groups in it, and"), ("time", "only 2 different times in")]
)
def test_too_few_groups_or_times_are_told(tmp_path: Path, key: str, said: str) -> None:
    rows = [f"{n},{n // 3 % 2},{'uv'[n % 2]}" for n in range(60)]
    with pytest.raises(BadInput, match=said):
        table(tmp_path, rows, **{key: "b"})


@pytest.mark.parametrize(
    "form", ["{0}", "2024-01-{0:02}", "2024-01-01T00:{0:02}:00Z", "{0:02}/01/2024"]
)
def test_the_latest_rows_are_the_test_and_equal_times_stay_together(
    tmp_path: Path, form: str
) -> None:
    times = [1 + n * 7 % 20 for n in range(100)]
    rows = [f"{n},{form.format(time)},{'uv'[n % 2]}" for n, time in enumerate(times)]
    dataset = table(tmp_path, rows, time="b", test_fraction=0.25)
    found = sides(dataset, tmp_path)
    by_time = {row.split(",")[1]: side for row, side in found.items()}
    assert [side for _, side in sorted(by_time.items(), key=lambda pair: times_of(pair[0]))] == [
        *["train"] * 13,
        *["val"] * 2,
        *["test"] * 5,
    ]
    assert [*dataset.preprocessing["inputs"]] == ["a"]
    with pytest.raises(
        BadInput, match=r"table.csv:4: column 'b' has 'soon', which is not a date|among numbers"
    ):
        table(tmp_path, [*rows[:2], "1,soon,u", *rows[3:]], time="b")


def times_of(text: str) -> str:
    return text.zfill(2)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"split_by": "column"}, "needs a column: dataset.split=NAME"),
        ({"split_by": "files"}, "table can be split by identity, column, group, time or position"),
        ({"split": "b", "time": "a"}, "dataset.split and dataset.time ask for different splits"),
        ({"split_by": "identity", "group": "b"}, "dataset.group is not used by dataset.split_by"),
        ({"time": "y"}, "is the target; name another column"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    rows = [f"{row},1" for row in lines(60)]
    with pytest.raises(BadInput, match=told):
        table(tmp_path, rows, "a,b,y,c", **settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"group": "b"}, {"time": "a"}, {"split": "w"}, {"stratify": False}],
    ids=str,
)
def test_another_run_takes_the_split_over_for_rows_that_it_knows(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    def rows(count: int) -> list[str]:
        words = ["train", "test", "train"]
        return [f"{n % 97},p{n // 5},{words[n // 5 % 3]},{'uv'[n % 2]}" for n in range(count)]

    other = settings == {"split": "w"}
    header = "a,b,w,y" if other else "a,b,z,y"
    values = {} if other else {"drop": ["z"]}
    first = table(tmp_path, rows(100), header, **settings, **values)
    before = sides(first, tmp_path)
    grown = rows(400)[::-1]
    path = write(tmp_path, grown, header)
    section = TableSection.model_validate(
        {"type": "table", "path": path, "target": "y", "split_seed": 5, **settings, **values}
    )
    assert first.split_record is not None
    second = load(section, record=replace(first.split_record, is_of_another_run=True))

    after = sides(second, tmp_path)
    assert len(after) == 400
    assert {row: after[row] for row in before} == before
    assert second.split_record is not None
    assert not second.split_record.is_of_another_run
    others = section.model_copy(update={"drop": ("b",)})
    unknown = load(others, record=replace(first.split_record, is_of_another_run=True)).notes
    known = any(
        note.endswith("dataset.drop and the target have to be the same") for note in unknown
    )
    assert known == ("group" not in settings)
    shares = [len(split) / 400 for split in (second.train, second.val, second.test)]
    assert min(shares) > 0.02
    again = load(section, second.preprocessing, record=second.split_record)
    assert sides(again, tmp_path) == after
    if settings == {"group": "b"}:
        assert len({(row.split(",")[1], side) for row, side in after.items()}) == 80


def test_a_split_of_another_rule_or_by_position_is_not_taken_over(tmp_path: Path) -> None:
    rows = lines(60)
    for settings, told in (
        ({"split_by": "position"}, "split by position, which says nothing about other rows"),
        ({"group": "a"}, "was split by group, and these settings split by identity"),
    ):
        record = table(tmp_path, rows, **settings).split_record
        assert record is not None
        section = TableSection(type="table", path=str(tmp_path / "table.csv"), target="y")
        with pytest.raises(BadInput, match=rf"dataset.split_from: .*{told}"):
            load(section, record=replace(record, is_of_another_run=True))


def record_of(count: int) -> SplitRecord:
    keys = numbered(np.zeros(count, dtype=np.uint64))
    strata = Strata(np.arange(count) % 3, ("a\n", "é", "c"), (0.5, 1e300))
    parts, cuts = split_identities(keys, keys, strata, 5, 0.3, 0.2)
    return SplitRecord("identity", 5, keys, keys, parts, cuts, are_numbered=True)


def test_a_record_is_read_as_it_was_written() -> None:
    record = record_of(50)
    again = SplitRecord.from_bytes(record.to_bytes())
    assert again.to_bytes() == record.to_bytes()
    assert (again.sides == record.sides).all()
    assert again.cuts == record.cuts


def test_no_flipped_bit_and_no_cut_of_a_record_goes_unnoticed() -> None:
    whole = record_of(3).to_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"damaged|not written by a run|a later version"):
            SplitRecord.from_bytes(bytes(flipped))
        with pytest.raises(ValueError, match=r"damaged|not written by a run|a later version"):
            SplitRecord.from_bytes(whole[:place])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rows": 3', b'"rows": 4'),
        (b'"rows": 3', b'"rows": -1'),
        (b'"rows": 3', b'"rows": true'),
        (b'"seed": 5', b'"seed": 5.5'),
        (b'"identity"', b'"anything"'),
        (b'"edges": [0.5', b'"edges": [NaN'),
        (b'"test": [', b'"test": [-1, '),
        (b'"strata": [', b'"strata": [["x"], '),
        (b'"extents": []', b'"extents": [1]'),
        (b'"seed": 5', b'"seed": 5, "more": 1'),
        (b'{"rule"', b'[{"rule"'),
    ],
)
def test_a_record_with_a_right_sum_and_an_odd_header_is_refused(old: bytes, new: bytes) -> None:
    from hashlib import sha256

    body = record_of(3).to_bytes().split(b"\n", 1)[1]
    assert old in body
    odd = body.replace(old, new, 1)
    head = b"tui-trainer splits 1 " + sha256(odd).hexdigest().encode()
    with pytest.raises(ValueError, match="not written by a run"):
        SplitRecord.from_bytes(head + b"\n" + odd)
    with pytest.raises(ValueError, match="a later version wrote it"):
        SplitRecord.from_bytes(head.replace(b" 1 ", b" 2 ") + b"\n" + odd)


@pytest.mark.further
def test_a_million_rows_are_split_and_recorded_in_seconds() -> None:
    count = 1_000_000
    columns = {f"c{n}": NumberColumn(np.arange(float(count)) * (n + 0.5)) for n in range(4)}
    began = time.process_time()
    keys = row_keys(columns)
    strata = Strata(np.arange(count) % 10, tuple("abcdefghij"))
    parts, cuts = split_identities(keys, keys, strata, 0, 0.2, 0.15)
    record = SplitRecord("identity", 0, keys, numbered(keys), parts, cuts)
    SplitRecord.from_bytes(record.to_bytes())
    assert len(np.unique(keys)) == count
    assert time.process_time() - began < 10


def test_longer_sequences_that_come_later_do_not_make_those_of_the_run_longer(
    tmp_path: Path,
) -> None:
    def write_sequences(count: int, longest: int) -> SequencesSection:
        rows = [
            f"s{number},{step * number % 7},{'uv'[number % 2]}"
            for number in range(count)
            for step in range(3 if number < 40 else longest)
        ]
        path = write(tmp_path, rows, "id,x,y")
        return SequencesSection(type="sequences", path=path, sequence="id", target="y")

    first = load(write_sequences(40, 3))
    section = write_sequences(45, 9)
    again = load(section, first.preprocessing, record=first.split_record)
    assert tensors(again.train).inputs.equal(tensors(first.train).inputs)
    assert again.changes is not None
    assert (again.changes.gone, again.changes.new) == (0, 5)
    assert first.split_summary == "split by the id in id, stratified"


@pytest.mark.parametrize("kind", ["text", "text_folders"])
def test_files_that_come_later_leave_the_split_of_the_others(tmp_path: Path, kind: str) -> None:
    def write_files(first: int, count: int) -> None:
        for number in range(first, first + count):
            folder = tmp_path / "texts" / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            lines = [f"{number} line {line} of a text\n" for line in range(40)]
            (folder / f"{number * 37 % 100:02}.txt").write_text("".join(lines))

    values: dict[str, object] = {"type": kind, "path": str(tmp_path / "texts")}
    values |= {"sequence_length": 10} if kind == "text" else {"max_passages_class": 20}
    section = DATASETS.find(kind).params.model_validate(values)  # type: ignore[union-attr]
    assert isinstance(section, DatasetSection)
    write_files(0, 40)
    first = load(section)
    write_files(40, 20)
    again = load(section, first.preprocessing, record=first.split_record)
    for part in ("train", "val", "test"):
        one, other = getattr(first, part), getattr(again, part)
        batches = zip(one.in_order(50), other.in_order(50), strict=True)
        assert all(batch[name].equal(same[name]) for batch, same in batches for name in batch)
    assert again.changes is not None
    assert again.changes.gone == 0
    assert again.changes.new > 0


def test_what_is_added_to_a_single_text_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {number}\n" for number in range(300)))
    section = TextSection(type="text", path=str(path), sequence_length=10)
    first = load(section)
    path.write_text(path.read_text() + "more\n" * 200)
    again = load(section, first.preprocessing, record=first.split_record)
    assert [len(split) for split in (again.train, again.val, again.test)] == [
        len(split) for split in (first.train, first.val, first.test)
    ]
    assert again.changes == RowChanges(0, 1, 3)
    path.write_text("L" + path.read_text()[1:])
    changed = load(section, first.preprocessing, record=first.split_record)
    assert changed.changes == RowChanges(1, 1, 3)


def told(dataset: Dataset, words: str) -> bool:
    return any(words in note for note in dataset.notes)


def test_who_is_measured_several_times_is_noticed_by_the_name_of_a_column(tmp_path: Path) -> None:
    visits = [f"{n * 7 % 101},P{n // 4},{'uv'[n % 2]}" for n in range(90)]
    assert told(table(tmp_path, visits, "a,Patient,y"), "Patient: 23 different values in 90 rows")
    assert not told(table(tmp_path, visits, "a,impatient,y"), "impatient: 23 different")


def test_classes_that_are_one_word_in_two_cases_are_noticed(tmp_path: Path) -> None:
    rows = [f"{n},{n % 7},{['Yes', 'yes', 'no', 'a', 'A'][n % 5]}" for n in range(100)]
    note = "upper and lower case only: Yes, yes; if they are one, write them in one way"
    assert told(table(tmp_path, rows), note)


def test_what_looks_like_a_split_an_id_or_a_copy_is_noticed(tmp_path: Path) -> None:
    words = ["train", "val", "test"]
    rows = [f"{n / 7:.9g},{words[n % 3]},{n % 5},{n // 4},{n % 3},{'uv'[n % 2]}" for n in range(90)]
    rows += [f"{n / 7:.9g},{words[n % 3]},{n % 5},{n // 4},{n % 3},u" for n in range(6)]
    rows += [
        f"{n / 7 * (1 + 1e-8):.9g},{words[n % 3]},{n % 5},{n // 4},{n % 3},u" for n in range(1, 4)
    ]
    dataset = table(tmp_path, rows, "a,part,fold,visit_id,type_id,y")

    assert told(dataset, "part is an input, and has only train, val, test: dataset.split=part")
    assert told(dataset, "fold is an input, and may be a split: dataset.split=fold")
    assert told(dataset, "visit_id: 23 different values in 99 rows; dataset.group=visit_id keeps")
    assert told(dataset, "3 rows nearly equal to another row, to 6 digits")
    assert told(dataset, "6 rows with the inputs of another row, in the same split")
    assert not told(dataset, "type_id")
    section = TableSection(type="table", path=str(tmp_path / "table.csv"), target="y")
    again = load(section, dataset.preprocessing, record=dataset.split_record)
    assert not told(again, "is an input")


def test_rare_classes_and_one_that_most_rows_have_are_noticed(tmp_path: Path) -> None:
    rows = [f"{n},{n % 7},{'rare' if n % 45 == 1 else 'no'}" for n in range(180)]
    dataset = table(tmp_path, rows)
    assert told(dataset, "classes with few rows to train on: rare (2); loss=cross_entropy")
    assert told(dataset, "98% of the rows to train on are no, so that accuracy says little")
    balanced = table(tmp_path, lines(90))
    assert not told(balanced, "rows to train on")


@pytest.mark.parametrize("kind", ["text", "text_folders", "single"])
@pytest.mark.parametrize("shares", [(0.0, 0.2), (0.2, 0.0), (0.0, 0.0)], ids=str)
def test_texts_may_have_no_validation_and_no_test(
    tmp_path: Path, kind: str, shares: tuple[float, float]
) -> None:
    for number in range(30):
        folder = tmp_path / "texts" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{number} line {line} of a text\n" for line in range(40)]
        (folder / f"{number}.txt").write_text("".join(lines))
    path = folder / "29.txt" if kind == "single" else tmp_path / "texts"
    values: dict[str, object] = {"val_fraction": shares[0], "test_fraction": shares[1]}
    values |= {"type": "text" if kind == "single" else kind, "path": str(path)}
    values |= {} if kind == "text_folders" else {"sequence_length": 10}
    spec = DATASETS.find(str(values["type"]))
    assert spec is not None
    section = spec.params.model_validate(values)
    assert isinstance(section, DatasetSection)
    dataset = load(section)

    assert [len(dataset.val) > 0, len(dataset.test) > 0] == [share > 0 for share in shares]
    assert [bool(list(split.in_order(9))) for split in (dataset.val, dataset.test)] == [
        share > 0 for share in shares
    ]
    again = load(section, dataset.preprocessing, record=dataset.split_record)
    assert (len(again.val), len(again.test)) == (len(dataset.val), len(dataset.test))
