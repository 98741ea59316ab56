from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.data.base.split import Order
from tui_trainer.data.batches.text_rows import PIECE_TOKENS, LaneBatches, TextSplit, pack_rows
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.text.errors import BadInput


def some_texts(count: int = 12, seed: int = 0) -> list[bytes]:
    dice = random.Random(seed)
    return [
        bytes(dice.randrange(1, 256) for _ in range(dice.randrange(1, 90))) for _ in range(count)
    ]


def split_of(texts: list[bytes], width: int = 7) -> TextSplit:
    return TextSplit.from_texts(texts, [10 + number for number in range(len(texts))], width)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        a["input"].equal(b["input"]) and a["target"].equal(b["target"])
        for a, b in zip(one, other, strict=True)
    )


def read_back(split: TextSplit, batch_size: int) -> list[bytes]:
    """The texts as the rows of `in_order` predict them, checked on the way."""
    any_is_long = any(len(text) > PIECE_TOKENS - split.sequence_length for text in split.texts())
    done: list[bytes] = []
    reading: dict[int, bytearray] = {}
    for batch in split.in_order(batch_size):
        assert "fresh" in batch
        assert batch["input"].shape == batch["target"].shape
        assert batch["fresh"].shape == (len(batch["input"]),)
        for row, (inputs, targets) in enumerate(zip(batch["input"], batch["target"], strict=True)):
            known = targets[targets != IGNORED].tolist()
            if batch["fresh"][row]:
                done.append(bytes(reading.pop(row, b"")))
                reading[row] = bytearray()
                # A piece of a long text begins behind the byte before it.
                before = int(inputs[0]) if any_is_long else 0
            else:
                before = reading[row][-1]
            if known:
                assert targets[: len(known)].tolist() == known, "padding is at the end"
                assert inputs[: len(known)].tolist() == [before, *known[:-1]]
            assert not inputs[len(known) :].any()
            reading[row] += bytes(known)
    done += map(bytes, reading.values())
    return [text for text in done if text]


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12),
    st.integers(2, 20),
    st.integers(1, 9),
)
@settings(max_examples=60)
def test_in_order_predicts_every_byte_once_each_text_from_its_own_start(
    texts: list[bytes], width: int, batch_size: int
) -> None:
    split = split_of(texts, width)
    assert sorted(read_back(split, batch_size)) == sorted(texts)
    assert split.count(batch_size) == len(list(split.in_order(batch_size)))
    assert all(len(batch["input"]) <= batch_size for batch in split.in_order(batch_size))
    assert list(split.texts()) == texts


def test_a_long_text_is_measured_in_pieces_side_by_side() -> None:
    text = random.Random(0).randbytes(3 * PIECE_TOKENS).replace(b"\0", b"x")
    split = split_of([text], 64)
    pieces = read_back(split, 8)
    assert sorted(map(len, pieces)) == [PIECE_TOKENS] * 3
    assert b"".join(sorted(pieces, key=text.find)) == text
    assert split.count(8) == PIECE_TOKENS // 64


def test_the_size_of_a_batch_changes_no_prediction() -> None:
    split = split_of([*some_texts(), random.Random(1).randbytes(50_000).replace(b"\0", b"x")])
    assert sorted(read_back(split, 3)) == sorted(read_back(split, 100))


def test_packing_leaves_little_padding() -> None:
    lengths = [random.Random(n).randrange(1, 60) for n in range(300)]
    for most in (1, 7, 64, 1000):
        lanes = pack_rows(lengths, most)
        longest = max(sum(lengths[item] for item in lane) for lane in lanes)
        assert sorted(item for lane in lanes for item in lane) == list(range(300))
        assert len(lanes) <= most
        assert longest * len(lanes) <= 1.05 * sum(lengths) + 60


def test_rows_of_a_stateful_model_go_on_from_batch_to_batch_through_all_texts() -> None:
    texts = some_texts(20)
    split = split_of(texts)
    batches = split.shuffled(Order(4, seed=3, stateful=True))
    assert isinstance(batches, LaneBatches)
    for epoch in (0, 1):
        got = list(batches.epoch(epoch))
        assert len(got) == batches.per_epoch
        assert {tuple(batch["input"].shape) for batch in got} == {(4, 7)}
        assert all("fresh" not in batch for batch in got)
        inputs = torch.cat([batch["input"] for batch in got], dim=1)
        targets = torch.cat([batch["target"] for batch in got], dim=1)
        assert targets[:, :-1].equal(inputs[:, 1:])
        stream = bytes(split.data[:-1].tolist())
        assert sum(map(len, texts)) + 20 == len(stream)
        # Whole texts in the lanes are those of the split, each behind a NUL byte.
        for lane in inputs.tolist():
            whole = bytes(lane).split(b"\0")[1:-1]
            assert all(text in texts for text in whole)
    first, second = (next(iter(batches.epoch(epoch)))["input"] for epoch in (0, 1))
    assert not first.equal(second)


def test_the_texts_of_a_batch_are_named_by_their_numbers() -> None:
    texts = [bytes([65 + n]) * 30 for n in range(12)]
    for stateful in (True, False):
        batches = split_of(texts).shuffled(Order(3, seed=1, stateful=stateful))
        for epoch in (0, 1):
            for index, batch in enumerate(batches.epoch(epoch)):
                there = {10 + value - 65 for value in batch["input"].flatten().tolist() if value}
                named = set(batches.rows(epoch, index))
                assert there <= named
                # A row may end on the NUL before a text.
                assert len(named - there) <= 3


def test_windows_cover_the_texts_and_move_with_each_epoch() -> None:
    split = split_of(some_texts(20))
    batches = split.shuffled(Order(4, seed=3))
    stream = split.data.tolist()
    starts = []
    for epoch in range(8):
        got = list(batches.epoch(epoch))
        assert len(got) == batches.per_epoch
        assert sum(len(batch["input"]) for batch in got) == batches.samples == len(split)
        assert [len(batch["input"]) for batch in got] == list(map(batches.size, range(len(got))))
        rows = torch.cat(
            [torch.cat([b["input"], b["target"][:, -1:]], dim=1) for b in got]
        ).tolist()
        text = bytes(stream)
        places = sorted(text.find(bytes(row)) for row in rows)
        assert places[0] >= 0
        assert {b - a for a, b in pairwise(places)} == {7}
        starts.append(places[0])
    assert len(set(starts)) > 2


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_an_epoch_from_the_middle_is_the_tail_of_the_epoch(stateful: bool, drop_last: bool) -> None:
    batches = split_of(some_texts(20)).shuffled(
        Order(3, seed=2, stateful=stateful, drop_last=drop_last)
    )
    before = torch.get_rng_state()
    for epoch in (0, 5):
        whole = list(batches.epoch(epoch))
        for start in range(batches.per_epoch + 1):
            assert same(list(batches.epoch(epoch, start)), whole[start:])
    assert before.equal(torch.get_rng_state())


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("world", [2, 3])
def test_the_batches_of_ranks_together_are_those_of_one(stateful: bool, world: int) -> None:
    split = split_of(some_texts(20))
    whole = list(split.shuffled(Order(5, seed=2, stateful=stateful)).epoch(1))
    parts = [
        list(split.shuffled(Order(5, 2, rank=rank, world=world, stateful=stateful)).epoch(1))
        for rank in range(world)
    ]
    joined = [
        {name: torch.cat([batch[name] for batch in each]) for name in ("input", "target")}
        for each in zip(*parts, strict=True)
    ]
    assert same(joined, whole)


def test_fault_21_a_text_too_short_for_a_batch_is_refused_with_the_numbers() -> None:
    split = split_of([b"a" * 40], 10)
    assert split.shuffled(Order(4, 0, stateful=True)).per_epoch == 1
    with pytest.raises(BadInput, match=r"the 41 bytes .* training.batch_size 5 rows of .* 10"):
        split.shuffled(Order(5, 0, stateful=True))
    with pytest.raises(BadInput, match=r"the 5 bytes .* a row of dataset.sequence_length 10"):
        split_of([b"abcd"], 10).shuffled(Order(1, 0))
    # More rows asked for than there are, and dropped: the task refuses a data set of no batch.
    assert split.shuffled(Order(5, 0, drop_last=True)).per_epoch == 0
    assert split.shuffled(Order(5, 0)).per_epoch == 1


@pytest.mark.parametrize("size", range(7, 30))
def test_every_length_from_one_row_on_can_be_trained_on(size: int) -> None:
    split = split_of([b"x" * (size - 1)])
    for epoch in range(10):
        for batch in split.shuffled(Order(2, 0)).epoch(epoch):
            assert batch["input"].shape[1] == batch["target"].shape[1] == 7
