"""Tokenizers: what they learn, that texts come back from tokens, and what a checkpoint keeps."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.tokenizer_files import bpe_file, unigram_file
from tui_trainer.data.tokenizers.learned import Kind, learn, split_words
from tui_trainer.data.tokenizers.token_rows import encode_rows, fit_rows
from tui_trainer.data.tokenizers.tokenizer import Tokenizer, continuation, count_unknown
from tui_trainer.data.tokenizers.tokenizer_choice import (
    BYTES,
    choose_tokenizer,
    tokenizer_of,
    unit_of,
)
from tui_trainer.text.errors import BadInput, CheckpointUnusable

TALK = "Hello, world and all\n\n  हिन्दी भाषा ไทย 中文字 abc中 it's naïve e\u0301a\u200db 👩‍🔬\tx"


@dataclass(frozen=True)
class Asked:
    """The settings of a section."""

    tokenizer: str
    vocabulary: int = 10_000


def through_a_checkpoint(tokenizer: Tokenizer) -> Tokenizer:
    file = io.BytesIO()
    torch.save(tokenizer.saved(), file)
    file.seek(0)
    return tokenizer_of(torch.load(file, weights_only=True))


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_a_text_of_known_tokens_comes_back_as_it_is(kind: Kind) -> None:
    content = TALK.encode()
    tokenizer = through_a_checkpoint(learn(kind, [content, content], 10_000))
    tokens = tokenizer.encode([content])[0]
    assert tokenizer.decode(tokens.tolist()) == TALK
    assert not count_unknown(tokenizer, tokens)
    assert tokens.max() < tokenizer.vocabulary
    assert tokens.dtype == np.uint8
    assert tokenizer.start not in tokens


@given(st.binary(max_size=40))
@settings(max_examples=60)
def test_no_bytes_are_lost_whatever_they_are(content: bytes) -> None:
    words = split_words(content)
    assert "".join(words).encode("utf-8", "surrogateescape") == content
    for kind in ("characters", "words"):
        tokenizer = through_a_checkpoint(learn(kind, [content, content], 1000))
        tokens = tokenizer.encode([content])[0].tolist()
        assert tokenizer.decode(tokens) == content.decode("utf-8", "replace")


def test_words_are_those_of_the_script() -> None:
    assert split_words(b"one two, three") == ["one ", "two", ",", " ", "three"]
    assert split_words("हिन्दी भाषा".encode()) == ["हिन्दी ", "भाषा"]
    assert split_words("中文 ab".encode()) == ["中", "文", " ", "ab"]
    assert split_words(b"a  b\r\n\n\tc") == ["a", "  ", "b", "\r", "\n", "\n", "\t", "c"]
    one = learn("words", [b"so it is so", b"it is"], 100)
    assert [text for text in one.known if text.strip()] == ["is", "it", "so"], "with no space"


def test_the_most_frequent_have_tokens_and_others_are_unknown() -> None:
    tokenizer = learn("characters", [b"aaab", b"bbcc", b"dde"], 3)
    # c and d are as frequent as each other; e occurs once.
    assert tokenizer.known == ("a", "b", "c")
    tokens = tokenizer.encode([b"abcdez"])[0]
    assert tokens.tolist() == [2, 3, 4, 1, 1, 1]
    assert count_unknown(tokenizer, tokens) == 3
    assert tokenizer.decode(tokens.tolist()) == "abc\ufffd\ufffd\ufffd"
    assert learn("characters", [b"aaab", b"bbcc", b"dde"], 99).known == ("a", "b", "c", "d")
    words = learn("words", [b"b b a a c c c, x"], 2)
    assert words.known == ("c", "a")
    assert words.decode(words.encode([b"c b a"])[0].tolist()) == "c \ufffd a"


def test_many_words_take_wider_numbers() -> None:
    text = b"\n".join(b"w%d w%d" % (n, n) for n in range(300))
    tokenizer = learn("words", [text], 100_000)
    assert tokenizer.encode([text])[0].dtype == np.int16
    assert tokenizer.vocabulary == 303


def test_a_continuation_has_the_space_after_the_prompt() -> None:
    tokenizer = learn("words", [b"the cat sat", b"the cat sat"], 100)
    the, cat = (int(tokenizer.encode([word])[0][0]) for word in (b"the", b"cat"))
    assert continuation(tokenizer, [the], [cat]) == " cat"
    assert continuation(tokenizer, [], [cat, the]) == "cat the"
    assert continuation(BYTES, list(b"\xc3"), list(b"\xa9a")) == "\ufffda"


def test_rows_are_cut_to_the_longest_of_training_and_never_empty() -> None:
    choice = choose_tokenizer(Asked("words"))
    fitted = fit_rows(choice, [b"a b", b"a b c a"])
    rows = encode_rows(fitted, [b"", b"a a b b a", b"a z"])
    assert rows.inputs.shape == (3, 4)
    assert rows.lengths.tolist() == [1, 4, 2]
    assert rows.inputs[0].tolist() == [0, 0, 0, 0]
    assert rows.notes() == [
        "1 of 3 texts cut off after 4 words, the most in training",
        "1 of 7 words (14 %) have no token of their own and are read as unknown "
        "(dataset.vocabulary)",
    ]


# Files of the package `tokenizers`.


def test_a_file_gives_texts_back_and_is_no_longer_needed(tmp_path: Path) -> None:
    file = bpe_file(tmp_path / "bpe.json")
    tokenizer = choose_tokenizer(Asked(str(file))).fit([])
    file.unlink()
    again = through_a_checkpoint(tokenizer)
    for text in (TALK, "hello world\n" * 3, ""):
        tokens = again.encode([text.encode()])[0]
        assert again.decode(tokens.tolist()) == text
        assert tokens.tolist() == tokenizer.encode([text.encode()])[0].tolist()
    assert len(again.encode([b"hello world"])[0]) < 6
    # None of its tokens stands between texts, so there is one more.
    assert again.start == again.vocabulary - 1 == 293
    assert again.decode([*again.encode([b"hello"])[0].tolist(), again.start]) == "hello\0"
    assert unit_of(tokenizer.saved()) == "token"


def test_a_file_says_what_stands_between_texts_and_what_is_unknown(tmp_path: Path) -> None:
    file = bpe_file(tmp_path / "bpe.json", ("<|endoftext|>",))
    tokenizer = choose_tokenizer(Asked(str(file))).fit([])
    assert (tokenizer.start, tokenizer.vocabulary, tokenizer.unknown) == (0, 294, None)
    unigram = choose_tokenizer(Asked(str(unigram_file(tmp_path / "uni.json")))).fit([])
    assert (unigram.start, unigram.unknown) == (1, 0)
    tokens = unigram.encode(["hello ☃".encode()])[0]
    assert count_unknown(unigram, tokens) == 1
    hello, world = (unigram.encode([text])[0].tolist() for text in (b"hello", b"world"))
    assert continuation(unigram, hello, world) == " world"


def test_a_long_text_is_encoded_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = choose_tokenizer(Asked(str(bpe_file(tmp_path / "bpe.json")))).fit([])
    text = b"hello world, this is text\n" * 20
    whole = tokenizer.encode([text])[0].tolist()
    monkeypatch.setattr("tui_trainer.data.tokenizers.tokenizer_file._AT_ONCE_BYTES", 60)
    assert tokenizer.encode([text])[0].tolist() == whole


def test_what_is_no_tokenizer_is_refused_with_the_fix(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    (tmp_path / "odd.json").write_text('{"a": 1}')
    (tmp_path / "latin.json").write_bytes(b'{"\xe9": 1}')
    for name, said in (
        ("odd.json", "odd.json: is not a tokenizer of the package tokenizers"),
        ("latin.json", "is not UTF-8, so it is not a tokenizer.json"),
        ("word", "no such file; a tokenizer is bytes, characters, words or a tokenizer.json"),
    ):
        with pytest.raises(BadInput, match=said):
            choose_tokenizer(Asked(str(tmp_path / name)))
    odd: list[dict[str, Any]] = [{}, {"type": "words"}, {"type": "words", "known": 3}]
    for saved in odd:
        with pytest.raises(CheckpointUnusable):
            tokenizer_of(saved)


def test_the_sum_of_the_data_covers_the_content_of_a_file(tmp_path: Path) -> None:
    one, same = (bpe_file(tmp_path / name) for name in ("a.json", "b.json"))
    other = bpe_file(tmp_path / "c.json", size=280)
    sums = [choose_tokenizer(Asked(str(file))).sum_with("s") for file in (one, same, other)]
    assert sums[0] == sums[1] != sums[2]
    assert choose_tokenizer(Asked("bytes")).sum_with("s") == "s"
    words, characters = (choose_tokenizer(Asked(kind)) for kind in ("words", "characters"))
    assert len({words.sum_with("s"), characters.sum_with("s"), "s"}) == 3
    # With the content in a checkpoint, the file may be another one now.
    saved = choose_tokenizer(Asked(str(one))).fit([]).saved()
    assert choose_tokenizer(Asked(str(other)), saved).sum_with("s") == sums[0]


WITHOUT = """
import sys
sys.modules["tokenizers"] = None
from tui_trainer.data.tokenizers.tokenizer_file import tokenizer_of_json
from tui_trainer.text.errors import BadInput
try:
    tokenizer_of_json("{}", "t.json")
except BadInput as error:
    print(error)
"""


def test_without_the_package_the_message_says_how_to_install_it() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.stdout.startswith("t.json: a tokenizer file needs the package tokenizers")
    assert "pip install 'tui-trainer[text]'" in done.stdout
