from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.tokenizer_files import bpe_file
from tui_trainer.config.sections.datasets import DelimitedSection
from tui_trainer.config.sections.text_datasets import TextSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.data.sources.text_table import find_only_text
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError


def section(path: Path | str, **settings: Any) -> TextSection:
    values = {"type": "text", "path": str(path), "sequence_length": 8, **settings}
    return TextSection.model_validate(values)


def write(folder: Path, count: int = 20, ending: str = "txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:02}.{ending}").write_text(f"text number {number}\n" * (number + 1))
    return folder


def texts(dataset: Dataset) -> list[list[bytes]]:
    splits = (dataset.train, dataset.val, dataset.test)
    assert all(isinstance(split, TextSplit) for split in splits)
    return [list(split.texts()) for split in splits if isinstance(split, TextSplit)]


def refusal(path: Path | str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(path, **settings))
    return str(caught.value)


def test_a_folder_is_split_by_file_and_every_file_is_in_one_split(tmp_path: Path) -> None:
    write(tmp_path / "here")
    write(tmp_path / "here" / "below", 10)
    for number in range(10):
        (tmp_path / "here" / "below" / f"{number:02}.txt").write_text(f"below {number}\n")
    dataset = load(section(tmp_path / "here"))

    train, val, test = texts(dataset)
    there = sorted(path.read_bytes() for path in (tmp_path / "here").rglob("*.txt"))
    assert sorted([*train, *val, *test]) == there
    assert (len(train), len(val), len(test)) == (20, 4, 6)
    assert dataset.problem == "language_modelling"
    assert dataset.signature.causal
    assert (dataset.signature.vocabulary, dataset.outputs, dataset.input_shape) == (256, 256, (8,))
    assert "in 20 files to train on" in dataset.notes[-1]


def test_a_single_file_is_cut_in_three_at_ends_of_lines(tmp_path: Path) -> None:
    content = "".join(f"line {n}\n" for n in range(200)).encode()
    (tmp_path / "one").write_bytes(content)
    dataset = load(section(tmp_path / "one"))

    (train,), (val,), (test,) = texts(dataset)
    assert train + val + test == content
    assert all(part.endswith(b"\n") for part in (train, val, test))
    assert len(test) == pytest.approx(0.2 * len(content), abs=10)
    assert len(val) == pytest.approx(0.15 * 0.8 * len(content), abs=20)
    assert any(
        "its first part is for training, its last for the test" in note for note in dataset.notes
    )


def test_a_single_file_without_lines_is_cut_too(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 1000)
    assert [len(part[0]) for part in texts(load(section(tmp_path / "one")))] == [680, 120, 200]
    (tmp_path / "tiny").write_bytes(b"xyz")
    assert "3 bytes are too few to be cut" in refusal(tmp_path / "tiny")


def test_the_split_of_a_folder_does_not_depend_on_its_place_or_its_other_files(
    tmp_path: Path,
) -> None:
    one, other = load(section(write(tmp_path / "a"))), load(section(write(tmp_path / "b")))
    assert texts(one) == texts(other)
    assert one.fingerprint == other.fingerprint
    (tmp_path / "b" / "picture.png").write_bytes(b"\0\1")
    assert load(section(tmp_path / "b")).fingerprint == one.fingerprint
    (tmp_path / "b" / "03.txt").write_text("changed")
    assert load(section(tmp_path / "b")).fingerprint != one.fingerprint
    assert load(section(tmp_path / "a", split_seed=1)).fingerprint != one.fingerprint
    assert texts(load(section(tmp_path / "a", split_seed=1))) != texts(one)


def test_preprocessing_goes_through_a_checkpoint(tmp_path: Path) -> None:
    fresh = load(section(write(tmp_path / "a")))
    file = io.BytesIO()
    torch.save(fresh.preprocessing, file)
    file.seek(0)
    fitted = torch.load(file, weights_only=True)
    assert texts(load(section(tmp_path / "a"), fitted, record=fresh.split_record)) == texts(fresh)
    with pytest.raises(CheckpointUnusable, match="source: table in the checkpoint, text"):
        load(section(tmp_path / "a"), {**fitted, "source": "table"})


def test_validation_is_bounded_and_the_test_never(tmp_path: Path) -> None:
    write(tmp_path / "a", 60)
    whole, bounded = (load(section(tmp_path / "a", val_bytes=most)) for most in (None, 500))
    assert sum(map(len, texts(bounded)[1])) == 500
    assert texts(bounded)[0] == texts(whole)[0]
    assert texts(bounded)[2] == texts(whole)[2]
    assert all(any(text.startswith(part) for text in texts(whole)[1]) for part in texts(bounded)[1])
    assert "validation uses 500 bytes of" in bounded.notes[-1]
    assert not any("val_bytes" in note for note in whole.notes)


def test_what_is_no_text_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    (folder / "empty.txt").touch()
    (folder / "nul.txt").write_bytes(b"a\0b")
    (folder / "nul2.txt").write_bytes(b"\0")
    (folder / "copy.txt").write_bytes((folder / "03.txt").read_bytes())
    (folder / "large.txt").write_bytes(b"x" * 5000)
    (folder / "latin.txt").write_bytes("é".encode("latin-1"))
    (folder / ".hidden.txt").write_text("hidden")
    (folder / "esc\x1b.txt").touch()
    dataset = load(section(folder, max_file_bytes=4000))

    notes = "\n".join(dataset.notes)
    assert sum(map(len, texts(dataset))) == 21
    assert "2 left out: file that is empty (empty.txt and others)" in notes
    assert "2 left out: file with NUL bytes, which is not UTF-8 text (nul.txt and others)" in notes
    assert "1 left out: copy of another file (copy.txt)" in notes
    assert "1 left out: file larger than dataset.max_file_bytes (large.txt)" in notes
    assert "1 kept: file is not UTF-8, its bytes are used as they are (latin.txt)" in notes
    assert "\x1b" not in notes


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    folder = write(tmp_path / "a" / "b")
    (tmp_path / "a" / "beside.txt").write_text("must not be read")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "far.txt").write_text("far away")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path / "a")
    (folder / "away").symlink_to(tmp_path / "far")
    (folder / "z.txt").symlink_to(folder / "01.txt")
    (folder / "dead.txt").symlink_to(tmp_path / "nothing")
    (folder / "self.txt").symlink_to(folder / "self.txt")
    os.mkfifo(folder / "pipe.txt")
    dataset = load(section(folder))

    there = [text for part in texts(dataset) for text in part]
    assert len(there) == 21
    assert b"far away" in there
    assert b"must not be read" not in there
    notes = "\n".join(dataset.notes)
    assert "2 left out: link that leads nowhere (dead.txt and others)" in notes
    assert "3 left out: link to a parent folder, or to something already read" in notes
    assert "1 left out: entry that is not a regular file (pipe.txt)" in notes


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_what_may_not_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    (folder / "01.txt").chmod(0)
    write(folder / "closed", 2).chmod(0)
    try:
        notes = "\n".join(load(section(folder)).notes)
    finally:
        (folder / "closed").chmod(0o700)
    assert "1 left out: file that cannot be read (Permission denied) (01.txt)" in notes
    assert "1 left out: folder that cannot be read (closed/)" in notes


def test_a_folder_of_too_much_text_is_thinned_out_by_the_seed(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 40)
    dataset = load(section(folder, max_bytes=4000))
    assert 3000 < sum(len(text) for part in texts(dataset) for text in part) <= 4000
    assert any("file beyond dataset.max_bytes" in note for note in dataset.notes)
    assert texts(load(section(folder, max_bytes=4000))) == texts(dataset)

    (tmp_path / "one").write_text("abcdefghi\n" * 100)
    cut = load(section(tmp_path / "one", max_bytes=500))
    assert sum(len(text) for part in texts(cut) for text in part) == 500
    assert "the last 500 bytes are left out (dataset.max_bytes)" in cut.notes


def test_patterns_choose_by_name_or_by_place(tmp_path: Path) -> None:
    write(tmp_path / "a", 5)
    write(tmp_path / "a" / "docs", 7, "md")
    assert sum(map(len, texts(load(section(tmp_path / "a"))))) == 5
    assert sum(map(len, texts(load(section(tmp_path / "a", patterns=["docs/*"]))))) == 7
    message = refusal(tmp_path / "a", patterns=["*.py"])
    assert message.endswith("no file matches dataset.patterns *.py; available: 7 *.md, 5 *.txt")


def test_wrong_places_and_too_little_text_are_refused(tmp_path: Path) -> None:
    assert "no such file or folder; say where the data are now: dataset.path=" in refusal(
        tmp_path / "nothing"
    )
    (tmp_path / "empty").touch()
    assert "the file is empty" in refusal(tmp_path / "empty")
    (tmp_path / "nul").write_bytes(b"one\ntwo\0")
    assert "nul:2: a NUL byte; is this a text?" in refusal(tmp_path / "nul")
    (tmp_path / "wide").write_bytes("one\ntwo".encode("utf-16"))
    assert "the file is UTF-16; save it as UTF-8, as iconv" in refusal(tmp_path / "wide")
    (tmp_path / "windows").mkdir()
    (tmp_path / "windows" / "a.txt").write_bytes("one".encode("utf-16"))
    assert "1 left out: file in UTF-16, which iconv" in refusal(tmp_path / "windows")
    (tmp_path / "folder").mkdir()
    assert "; the folder has no files" in refusal(tmp_path / "folder")
    assert "2 files cannot be split into three" in refusal(write(tmp_path / "two", 2))
    write(tmp_path / "hollow", 0)
    (tmp_path / "hollow" / "a.txt").touch()
    assert "no text is left; 1 left out: file that is empty" in refusal(tmp_path / "hollow")
    message = refusal(write(tmp_path / "three", 3), sequence_length=1000)
    assert "less than one row of dataset.sequence_length 1000" in message
    assert "nothing may follow stdlib:, got 'stdlib:json'" in refusal("stdlib:json")


def test_a_tokenizer_learns_from_the_training_texts_alone(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("abc abc\n" * 68 + "xyz \u4e2d\n" * 32)
    dataset = load(section(tmp_path / "one", tokenizer="characters"))
    assert dataset.preprocessing["tokenizer"] == {
        "type": "characters",
        "known": ["a", "b", "c", "\n", " "],
    }
    assert (dataset.signature.vocabulary, dataset.outputs, dataset.input_shape) == (7, 7, (8,))
    assert texts(dataset)[1][0].startswith(b"xyz"), "those to measure on are kept"
    assert isinstance(dataset.val, TextSplit)
    assert dataset.val.bytes_per_token == pytest.approx(8 / 6)
    notes = "\n".join(dataset.notes)
    assert "a vocabulary of 7 characters; 1 bytes per character in the training texts" in notes
    assert "of the validation split (67 %) have no token of their own" in notes
    limited = load(section(tmp_path / "one", tokenizer="words", vocabulary=2))
    assert limited.signature.vocabulary == 4
    assert limited.summary is not None
    assert limited.summary.target == "the next word"


def test_tokens_and_what_was_learned_go_through_a_checkpoint(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    file = bpe_file(tmp_path / "bpe.json")
    for tokenizer in ("words", str(file)):
        fresh = load(section(folder, tokenizer=tokenizer))
        assert isinstance(fresh.train, TextSplit)
        saved = io.BytesIO()
        torch.save(fresh.preprocessing, saved)
        saved.seek(0)
        fitted = torch.load(saved, weights_only=True)
        if tokenizer != "words":
            file.unlink()
        again = load(section(folder, tokenizer=tokenizer), fitted, record=fresh.split_record)
        assert isinstance(again.train, TextSplit)
        assert again.train.data.equal(fresh.train.data)
        assert again.fingerprint == fresh.fingerprint
        assert again.preprocessing == fresh.preprocessing
        with pytest.raises(CheckpointUnusable, match="tokenizer"):
            load(section(folder), fitted, record=fresh.split_record)


def test_the_tokenizer_is_in_the_fingerprint_and_the_place_of_its_file_is_not(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    files = [bpe_file(tmp_path / name) for name in ("one.json", "b/two.json")]
    other = bpe_file(tmp_path / "three.json", size=270)
    prints = [load(section(folder, tokenizer=str(file))).fingerprint for file in (*files, other)]
    assert prints[0] == prints[1] != prints[2]
    values = {
        load(section(folder, tokenizer=kind)).fingerprint.value for kind in ("bytes", "words")
    }
    assert len(values) == 2
    assert load(section(folder)).fingerprint.value in values


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_rows_of_a_column_are_texts_that_stay_on_their_side(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": n, "text": f"caf\u00e9 {n}\n" * (n + 1)} for n in range(40)
    ]
    odd: list[dict[str, Any]] = [{"text": None}, {"text": ""}, rows[3]]
    path = write_lines(tmp_path / "a.jsonl", [*rows, *odd])
    dataset = load(section(path, column="text"))
    parts = texts(dataset)
    found = [text for part in parts for text in part]
    assert sorted(found) == sorted(row["text"].strip().encode() for row in rows)
    notes = "\n".join(dataset.notes)
    assert "2 rows left out: without a text" in notes
    assert "1 row left out: copy of another row" in notes
    assert "in 27 rows to train on" in notes
    assert dataset.split_summary == "split by row, stratified by length"

    more = [{"text": f"new {n}\n" * 9} for n in range(10)]
    write_lines(path, [*more, *rows[5:]])
    again = load(section(path, column="text"), dataset.preprocessing, record=dataset.split_record)
    for part, before in zip(texts(again), parts, strict=True):
        assert {*part} <= {*before}, "no row moved, and the new ones are left out"
    assert again.changes is not None
    assert (again.changes.gone, again.changes.new) == (5, 10)


def test_the_column_of_texts_is_found_or_asked_for(tmp_path: Path) -> None:
    rows = [{"text": f"text {n} of many words\n" * 9} for n in range(30)]
    path = write_lines(tmp_path / "a.jsonl", rows)
    assert find_only_text(DelimitedSection(type="table", path=str(path))) == "text"
    numbers = write_lines(tmp_path / "n.jsonl", [{"n": n} for n in range(30)])
    assert find_only_text(DelimitedSection(type="table", path=str(numbers))) == ""
    stated = {"column": "text"}
    assert recognise(str(numbers), stated).type == "text"
    with pytest.raises(ConfigError, match="no column 'txt'"):
        load(section(path, column="txt"))
    few = load(section(path, column="text", max_bytes=2000))
    assert any("beyond dataset.max_bytes" in note for note in few.notes)


@pytest.mark.timeout(30)
def test_the_standard_library_is_found_and_read_without_its_tests() -> None:
    dataset = load(section("stdlib:", patterns=["*.py"], sequence_length=100))
    train, val, test = texts(dataset)

    assert "the standard library of Python" in dataset.notes[0]
    assert len(train) + len(val) + len(test) > 300
    assert sum(map(len, train)) > 3_000_000
    assert not {*train} & {*val, *test}
    source = Path(os.__file__).read_bytes()
    assert source in (*train, *val, *test)
    assert sum(map(len, val)) <= 1 << 20
    longest = dataset.test.count(64) * 64 * 100
    assert longest < 1.3 * sum(map(len, test)), "little of a batch is padding"
