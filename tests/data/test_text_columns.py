"""Free text in a table: tokens, alone, several or beside numbers, or counts of words."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.data.splits import tensors
from tests.data.test_column_kinds import new_inputs, new_samples
from tests.data.test_table import all_inputs, all_numbers, loaded, refusal, table
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.hashed_columns import hash_of
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
    assert any("60 of 60 texts cut off after 10 bytes, the most" in note for note in data.notes)
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


def beside(count: int = 60, text: str = "{}") -> str:
    """A number, a boolean and a text in each row."""
    cells = [
        f'{n % 7},{["yes", "no"][n // 3 % 2]},"{text.format(review(n))}"' for n in range(count)
    ]
    return table([f"{row},{n % 2}x" for n, row in enumerate(cells)], "a,b,text,y")


def test_a_text_beside_numbers_is_tokens_with_the_numbers(tmp_path: Path) -> None:
    data = loaded(tmp_path, beside())
    assert (data.signature.kind, data.signature.numbers) == ("tokens", 2)
    assert data.info.names == ("input", "numbers")
    assert data.info == type(data.info).from_dict(data.info.to_dict())
    alone = loaded(tmp_path, beside(), drop=["a", "b"])
    without = loaded(tmp_path, beside(), drop=["text"])
    assert torch.equal(all_inputs(data), all_inputs(alone))
    numbers = all_numbers(data)
    assert numbers is not None
    assert numbers[:, 1].tolist() == [float(n // 3 % 2 == 0) for n in range(60)]
    assert (without.info.fields, alone.info.fields) == ((), ())
    (batch,) = data.test.in_order(60)
    assert {*batch} == {"input", "lengths", "numbers", "target"}
    assert batch["input"].dtype == torch.int64
    (note,) = [note for note in data.notes if note.startswith("text: ")]
    assert note == (
        "text: free text: read byte by byte, or by dataset.tokenizer, for models of sequences, "
        "with the other inputs as numbers beside it; dataset.kinds={text: words} takes "
        "counts of words instead, dataset.categorical=[text] categories"
    )
    # Only what is beside it can be changed at random.
    assert data.augment is None
    noisy = loaded(tmp_path, beside(), noise=1.0)
    assert noisy.augment is not None
    changed = noisy.augment(batch, torch.Generator().manual_seed(1))
    assert torch.equal(changed["input"], batch["input"])
    assert (changed["numbers"] != batch["numbers"]).any(dim=0).tolist() == [True, False]
    with pytest.raises(ConfigError, match=r"dataset\.mixup: .*kinds=\{text: words\} makes numbers"):
        loaded(tmp_path, beside(), mixup=0.5)


def test_several_texts_follow_each_other(tmp_path: Path) -> None:
    rows = [
        f'"{review(n)}",{n % 5},"{"so " * (n % 9)}it is film {n} of us",{n % 2}x' for n in range(60)
    ]
    content = table(rows, "first,a,second,y")
    data = loaded(tmp_path, content)
    train = tensors(data.train)
    assert train.lengths is not None
    longest = 0
    for tokens, length, row in zip(train.inputs, train.lengths, train.rows, strict=True):
        n = int(row)
        expected = f"{review(n)}\0{'so ' * (n % 9)}it is film {n} of us"
        assert bytes(tokens[:length].tolist()).decode() == expected
        assert not tokens[length:].any()
        longest = max(longest, len(expected))
    assert data.input_shape == (longest,)
    assert data.signature.numbers == 1
    assert any("one after the other, with the other inputs" in note for note in data.notes)
    # Words have one vocabulary for all texts, of training rows alone, which is kept once.
    words = loaded(tmp_path, content, tokenizer="words")
    first, second = (words.preprocessing["inputs"][name] for name in ("first", "second"))
    assert {"good", "us"} < {*first["tokenizer"]["known"]}
    assert "tokenizer" not in second
    more = table([*rows, f'{"x " * 400},3,"{"unseen word " * 99}",0x'], "first,a,second,y")
    resumed = loaded(
        tmp_path, more, tokenizer="words", fitted=words.preprocessing, record=words.split_record
    )
    assert torch.equal(all_inputs(resumed), all_inputs(words))
    # A gap is the token before a text, and what is too long is cut off.
    unseen = new_samples(
        tmp_path, data, f"second,first,a\n,{'f' * 999},1\nxy,,2\nuv,w,3\n", missing="mean"
    )
    assert unseen.lengths is not None
    most = data.preprocessing["inputs"]["first"]["max_bytes"]
    texts = [
        bytes(row[:length].tolist())
        for row, length in zip(unseen.inputs, unseen.lengths, strict=True)
    ]
    assert texts == [b"f" * most + b"\0\0", b"\0\0xy", b"w\0uv"]
    assert "second: 1 missing text as a single zero byte" in unseen.notes


def test_a_run_that_counted_words_still_does(tmp_path: Path) -> None:
    old = loaded(tmp_path, beside(), kinds={"text": "words"}, word_buckets=64)
    fitted, record = old.preprocessing, old.split_record
    # Its settings do not say so: a text beside other columns was always read like this.
    resumed = loaded(tmp_path, beside(), word_buckets=64, fitted=fitted, record=record)
    assert resumed.input_shape == old.input_shape == (2 + 64,)
    assert torch.equal(all_inputs(resumed), all_inputs(old))
    assert resumed.info == old.info


def test_words_are_counted_where_that_is_stated(tmp_path: Path) -> None:
    rows = [f'{n % 7},"{review(n)}",{n % 2}x' for n in range(60)]
    content = table(rows, "a,text,y")
    data = loaded(tmp_path, content, kinds={"text": "words"}, word_buckets=512)
    assert data.input_shape == (1 + 512,)
    assert data.preprocessing["layout"]["column text"] == "words"
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
    assert data.preprocessing["layout"]["column text"] == "text"


def test_gaps_among_texts_have_an_input_of_their_own(tmp_path: Path) -> None:
    rows = [f'{n % 7},"{review(n) if n % 3 else ""}",{n % 2}x' for n in range(60)]
    kinds = {"text": "words"}
    data = loaded(tmp_path, table(rows, "a,text,y"), missing="mean", kinds=kinds, word_buckets=64)
    inputs = all_inputs(data)[:, 1:]
    assert inputs[:, 64].tolist() == [float(n % 3 == 0) for n in range(60)]
    assert not inputs[::3, :64].any()
    assert inputs[1::3, :64].any(dim=1).all()


def test_inputs_that_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    rows = [f"{n % 7},w{n % 9} and w{n % 4},{n % 2}x" for n in range(60_000)]
    told = refusal(tmp_path, table(rows), kinds={"b": "words"}, word_buckets=65_536)
    assert "60,000 rows of 65,537 inputs take 16 GB; 65,536 are of the column 'b'" in told


def test_a_text_is_stated_and_short_ones_stay_categories(tmp_path: Path) -> None:
    rows = [f"{n % 7},w{n % 9} and w{n % 4},{n % 2}x" for n in range(60)]
    assert loaded(tmp_path, table(rows)).preprocessing["layout"]["column b"] == "category"
    stated = loaded(tmp_path, table(rows), kinds={"b": "text"})
    assert (stated.signature.kind, stated.signature.numbers) == ("tokens", 1)
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
    kinds = {"text": "words"}
    counted = loaded(tmp_path, table(rows, "n,text,y"), kinds=kinds, tokenizer="words")
    assert counted.signature.kind == "features"
    assert counted.fingerprint == loaded(tmp_path, table(rows, "n,text,y"), kinds=kinds).fingerprint
