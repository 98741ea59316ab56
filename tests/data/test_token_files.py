"""Files of token numbers: mapped and not copied, cut in three or one per split, checked first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.tokenizer_files import TEXTS, bpe_file
from tui_trainer.config.sections.text_datasets import TokensSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Order
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.load import load
from tui_trainer.data.recognition import recognise
from tui_trainer.data.sources.tokens import read_tokens_to_measure
from tui_trainer.data.tokenizers.tokenizer_choice import read_tokenizer
from tui_trainer.text.errors import BadInput, CheckpointUnusable


def section(path: Path, **settings: Any) -> TokensSection:
    values = {"type": "tokens", "path": str(path), "sequence_length": 8, **settings}
    return TokensSection.model_validate(values)


def write(path: Path, tokens: Any, dtype: str = "<u2") -> Path:
    path.parent.mkdir(exist_ok=True)
    np.array(tokens).astype(dtype).tofile(path)
    return path


def splits(dataset: Dataset) -> list[list[int]]:
    found = []
    for split in (dataset.train, dataset.val, dataset.test):
        assert isinstance(split, TextSplit)
        found.append(split.data.tolist() if split.rows else [])
    return found


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(path, **settings))
    return str(caught.value)


def test_a_file_is_mapped_and_cut_in_three(tmp_path: Path) -> None:
    tokens = [n % 60_000 for n in range(1000)]
    path = write(tmp_path / "a.bin", [*tokens[:-1], 65_535])
    dataset = load(section(path))
    train, val, test = splits(dataset)
    assert [*train, *val, *test] == [*tokens[:-1], 65_535]
    assert list(map(len, (train, val, test))) == [902, 48, 50]
    assert dataset.signature.vocabulary == dataset.outputs == 65_536
    assert "a vocabulary of 65,536 tokens, because the largest in the files is 65,535" in "".join(
        dataset.notes
    )
    assert isinstance(dataset.train, TextSplit)
    assert dataset.train.nbytes == 0
    assert dataset.train.to("cpu") is dataset.train
    # Written to the file, a token is seen at once: there is no copy.
    with path.open("r+b") as file:
        file.write(b"\7\0")
    assert dataset.train.data[0] == 7


@pytest.mark.parametrize("stateful", [True, False])
def test_training_reads_rows_of_the_file_and_the_token_after_each(
    tmp_path: Path, stateful: bool
) -> None:
    dataset = load(section(write(tmp_path / "a.bin", range(300))))
    batches = dataset.train.shuffled(Order(4, seed=1, stateful=stateful))
    whole = list(batches.epoch(2))
    for batch in whole:
        assert batch["input"].dtype == batch["target"].dtype == torch.int64
        assert batch["target"].equal(batch["input"] + 1)
    for start in range(len(whole)):
        again = next(batches.epoch(2, start))
        assert again["input"].equal(whole[start]["input"])


def test_evaluation_predicts_every_token_but_the_first_and_the_last(tmp_path: Path) -> None:
    dataset = load(section(write(tmp_path / "a.bin", range(1000))))
    predicted = torch.cat([batch["target"].flatten() for batch in dataset.val.in_order(3)])
    assert sorted(predicted[predicted >= 0].tolist()) == list(range(903, 949))


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    write(tmp_path / "train.bin", range(100))
    write(tmp_path / "val.bin", range(100, 130))
    dataset = load(section(tmp_path))
    assert splits(dataset) == [list(range(100)), list(range(100, 130)), []]
    assert "no test.bin in the folder, so there is no test" in dataset.notes
    before = dataset.fingerprint
    write(tmp_path / "test.bin", range(130, 150))
    dataset = load(section(tmp_path))
    assert splits(dataset)[2] == list(range(130, 150))
    assert dataset.fingerprint != before
    assert dataset.split_summary == "split by file"
    (tmp_path / "val.bin").unlink()
    assert "there is no val.bin beside train.bin" in refusal(tmp_path)
    assert splits(load(section(tmp_path, val_fraction=0)))[1] == []
    (tmp_path / "train.bin").unlink()
    assert "there is no train.bin in this folder" in refusal(tmp_path)


def test_the_tokens_to_measure_on_are_bounded_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", range(1000))
    dataset = load(section(path, val_tokens=10, test_tokens=20))
    assert splits(dataset)[1:] == [list(range(902, 912)), list(range(950, 970))]
    note = "validation uses 10 of the 48 tokens held out for it (dataset.val_tokens)"
    assert note in dataset.notes


def test_tokens_of_32_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", range(100_000, 101_000), "<u4")
    dataset = load(section(path, token_dtype="uint32", vocabulary=200_000))
    assert splits(dataset)[0] == list(range(100_000, 100_902))
    assert dataset.signature.vocabulary == 200_000
    assert recognise(str(path), {}).settings["token_dtype"] == "uint32"
    assert recognise(str(write(tmp_path / "b.bin", range(900))), {}).settings == {
        "type": "tokens",
        "path": str(tmp_path / "b.bin"),
        "token_dtype": "uint16",
    }
    write(tmp_path / "gpt" / "train.bin", range(900))
    assert recognise(str(tmp_path / "gpt"), {}).type == "tokens"
    huge = write(tmp_path / "c.bin", [2**32 - 1] * 100, "<u4")
    assert "token 4,294,967,295 is too large" in refusal(huge, token_dtype="uint32")


def test_what_is_wrong_is_named_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", [*range(300), 999, *range(300)])
    message = refusal(path, vocabulary=300)
    assert "token 999 at position 300 (byte 600) is not below the vocabulary of 300" in message
    (tmp_path / "odd.bin").write_bytes(b"123")
    assert "3 bytes are not a multiple of the 2 of a token" in refusal(tmp_path / "odd.bin")
    (tmp_path / "empty.bin").touch()
    assert "the file is empty" in refusal(tmp_path / "empty.bin")
    assert "too few to be cut" in refusal(write(tmp_path / "few.bin", range(5)))
    short = refusal(write(tmp_path / "short.bin", range(100)), sequence_length=500)
    assert "less than one row of dataset.sequence_length 500" in short
    assert "no such file" in refusal(tmp_path / "gone.bin")


def test_a_run_keeps_its_places_when_the_file_grows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", range(1000))
    fresh = load(section(path))
    write(path, [*range(1000), *range(500)])
    again = load(section(path), fresh.preprocessing)
    assert splits(again) == splits(fresh)
    assert again.fingerprint != fresh.fingerprint
    write(path, [*range(1000), 1000])
    with pytest.raises(BadInput, match="token 1,000 at position 1,000"):
        load(section(path), fresh.preprocessing)
    write(path, range(900))
    with pytest.raises(CheckpointUnusable, match=r"900 tokens, .* trained on 1,000"):
        load(section(path), fresh.preprocessing)


def test_a_file_that_becomes_shorter_ends_the_run_with_a_message(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", range(1000))
    batches = load(section(path)).train.shuffled(Order(4, seed=1))
    epoch = batches.epoch(0)
    next(epoch)
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(BadInput, match="became shorter while it was used"):
        next(epoch)


def test_with_a_tokenizer_the_bytes_are_known(tmp_path: Path) -> None:
    file = bpe_file(tmp_path / "bpe.json")
    text = "".join(TEXTS) * 20
    tokens = read_tokenizer(str(file)).encode([text.encode()])[0].tolist()
    path = write(tmp_path / "a.bin", tokens)
    dataset = load(section(path, tokenizer=str(file)))
    assert dataset.signature.vocabulary == 293, "no token is added"
    file.unlink()
    again = load(section(path, tokenizer=str(file)), dataset.preprocessing)
    fitted = dataset.preprocessing
    split = read_tokens_to_measure(section(path), fitted, str(path), dataset.info).split
    for one in (again.val, again.test, split):
        assert isinstance(one, TextSplit)
        assert one.bytes_per_token == pytest.approx(len(text.encode()) / len(tokens), rel=0.2)
    plain = load(section(path)).val
    assert isinstance(plain, TextSplit)
    assert math.isnan(plain.bytes_per_token)
