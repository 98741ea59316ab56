"""Free text in a table: bytes for models of sequences, or counts of words beside other columns."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.data.splits import tensors
from tests.data.test_column_kinds import new_inputs
from tests.data.test_table import all_inputs, loaded, refusal, table
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.sources.hashed_columns import hash_of
from tui_trainer.data.sources.new_samples import read_unseen
from tui_trainer.text.errors import BadInput, ConfigError


def review(n: int) -> str:
    return f"number {n} is a {['good', 'bad'][n % 2]} film that I saw"


def reviews(count: int = 60) -> list[str]:
    return [f'"{review(n)}",{["pos", "neg"][n % 2]}' for n in range(count)]


def test_a_free_text_alone_is_read_as_bytes(tmp_path: Path) -> None:
    data = loaded(tmp_path, table(reviews(), "text,y"))
    longest = len(review(10))
    assert (data.signature.kind, data.signature.vocabulary) == ("tokens", 256)
    assert data.input_shape == (longest,)
    assert data.preprocessing["inputs"]["text"] == {"kind": "text", "max_bytes": longest}
    train = tensors(data.train)
    assert train.lengths is not None
    for tokens, length, row in zip(train.inputs, train.lengths, train.rows, strict=True):
        assert bytes(tokens[:length].tolist()).decode() == review(int(row))
        assert not tokens[length:].any()
    assert data.augment is None
    assert any("text: free text, and the only input" in note for note in data.notes)
    # A row number beside it is no input.
    rows = [f"{n},{row}" for n, row in enumerate(reviews())]
    assert loaded(tmp_path, table(rows, "id,text,y")).signature.kind == "tokens"
    kept = loaded(tmp_path, table(reviews(), "text,y"), categorical=["text"])
    assert kept.signature.kind == "features"


def test_new_texts_are_cut_to_the_longest_of_training(tmp_path: Path) -> None:
    data = loaded(tmp_path, table(reviews(), "text,y"), max_text_bytes=10)
    assert data.input_shape == (10,)
    assert "text: 60 of 60 texts cut off after 10 bytes" in data.notes
    new = tmp_path / "new.csv"
    new.write_text("text\nhello\n" + 50 * "x" + "\n")
    section = TableSection(type="table", path="gone.csv", target="y")
    unseen = read_unseen(section, data.preprocessing, str(new), data.info)
    assert unseen.lengths is not None
    assert (unseen.inputs.shape, unseen.lengths.tolist()) == ((2, 10), [5, 10])
    assert unseen.places == ("line 2", "line 3")
    new.write_text('text\nhello\n""\n')
    with pytest.raises(BadInput, match=r"new\.csv:3: column 'text' has no value"):
        read_unseen(section, data.preprocessing, str(new), data.info)


def test_names_alone_are_read_as_bytes_too(tmp_path: Path) -> None:
    rows = [f"{'aeiou'[n % 5]}name{n},{n % 2}x" for n in range(40)]
    assert loaded(tmp_path, table(rows, "name,y")).signature.kind == "tokens"


def test_a_missing_text_alone_is_refused_dropped_or_a_zero(tmp_path: Path) -> None:
    content = table([*reviews(), ",pos", ",neg", ",pos"], "text,y")
    assert "table.csv:62: column 'text' has no value" in refusal(tmp_path, content)
    assert len(all_inputs(loaded(tmp_path, content, missing="drop"))) == 60
    filled = loaded(tmp_path, content, missing="mean")
    assert not all_inputs(filled)[60:].any()
    assert "text: 3 missing texts as a single zero byte" in filled.notes


def test_noise_on_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.noise: is for numbers"):
        loaded(tmp_path, table(reviews(), "text,y"), noise=0.5)


def test_a_text_beside_numbers_is_counts_of_its_words(tmp_path: Path) -> None:
    rows = [f'{n % 7},"{review(n)}",{n % 2}x' for n in range(60)]
    content = table(rows, "a,text,y")
    data = loaded(tmp_path, content, word_buckets=512)
    assert data.input_shape == (1 + 512,)
    assert data.preprocessing["layout"]["column text"] == "words"
    assert any("text: free text, read as counts of its words" in note for note in data.notes)
    inputs = all_inputs(data)[:, 1:]
    torch.testing.assert_close(inputs.norm(dim=1), torch.ones(60))
    new = new_inputs(tmp_path, data, 'a,text\n1,"Good, good; BAD"\n2,!?\n')[:, 1:]
    weights = {"good": 1 + math.log(2), "bad": 1.0}
    length = math.hypot(*weights.values())
    expected = torch.zeros(512)
    for word, weight in weights.items():
        sign = 1 if hash_of(word) >= 2**63 else -1
        expected[hash_of(word) % 512] += sign * weight / length
    torch.testing.assert_close(new[0], expected)
    assert not new[1].any()
    resumed = loaded(tmp_path, content, fitted=data.preprocessing, record=data.split_record)
    assert torch.equal(all_inputs(resumed), all_inputs(data))
    stated = loaded(tmp_path, table([f"{n % 7},uv w{n % 9},{n % 2}x" for n in range(60)]))
    assert stated.preprocessing["layout"]["column b"] == "category"


def test_characters_without_spaces_between_are_words(tmp_path: Path) -> None:
    rows = [f"{n % 7},これは第{n}番目の映画です,{n % 2}x" for n in range(60)]
    data = loaded(tmp_path, table(rows, "a,text,y"))
    assert data.preprocessing["layout"]["column text"] == "words"


def test_gaps_among_texts_have_an_input_of_their_own(tmp_path: Path) -> None:
    rows = [f'{n % 7},"{review(n) if n % 3 else ""}",{n % 2}x' for n in range(60)]
    data = loaded(tmp_path, table(rows, "a,text,y"), missing="mean", word_buckets=64)
    inputs = all_inputs(data)[:, 1:]
    assert inputs[:, 64].tolist() == [float(n % 3 == 0) for n in range(60)]
    assert not inputs[::3, :64].any()
    assert inputs[1::3, :64].any(dim=1).all()


def test_inputs_that_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    rows = [f"{n % 7},w{n % 9} and w{n % 4},{n % 2}x" for n in range(60_000)]
    told = refusal(tmp_path, table(rows), kinds={"b": "text"}, word_buckets=65_536)
    assert "60,000 rows of 65,537 inputs take 16 GB; 65,536 are of the column 'b'" in told


def test_a_text_is_stated_and_short_ones_stay_categories(tmp_path: Path) -> None:
    rows = [f"{n % 7},w{n % 9} and w{n % 4},{n % 2}x" for n in range(60)]
    assert loaded(tmp_path, table(rows)).preprocessing["layout"]["column b"] == "category"
    stated = loaded(tmp_path, table(rows), kinds={"b": "text"}, word_buckets=16)
    assert stated.input_shape == (1 + 16,)
    alone = loaded(tmp_path, table(rows), kinds={"b": "text"}, drop=["a"])
    assert alone.signature.kind == "tokens"


def test_a_free_text_alone_may_be_read_as_words(tmp_path: Path) -> None:
    data = loaded(tmp_path, table(reviews(), "text,y"), tokenizer="words", vocabulary=9)
    fitted = data.preprocessing["inputs"]["text"]
    assert data.signature.vocabulary == 11
    assert set(fitted["tokenizer"]["known"]) >= {"number", "film", "good", "bad"}
    assert data.preprocessing["layout"]["tokenizer"] == "words"
    assert any("text: " in note and "(dataset.vocabulary)" in note for note in data.notes)
    new = tmp_path / "new.csv"
    new.write_text("text\ngood film\n" + "film " * 50 + "\n")
    section = TableSection(type="table", path="gone.csv", target="y", tokenizer="words")
    unseen = read_unseen(section, data.preprocessing, str(new), data.info)
    assert unseen.lengths is not None
    assert unseen.lengths.tolist() == [2, fitted["max_tokens"]]
    place = {word: n for n, word in enumerate(fitted["tokenizer"]["known"], 2)}
    assert unseen.inputs[0, :2].tolist() == [place["good"], place["film"]]
    words = loaded(tmp_path, table(reviews(), "text,y"), tokenizer="words")
    assert words.fingerprint != loaded(tmp_path, table(reviews(), "text,y")).fingerprint
    # Where no text is read token by token, the setting changes nothing.
    rows = [f"{n % 7},{row}" for n, row in enumerate(reviews())]
    beside = loaded(tmp_path, table(rows, "n,text,y"), tokenizer="words")
    assert beside.signature.kind == "features"
    assert beside.fingerprint == loaded(tmp_path, table(rows, "n,text,y")).fingerprint
