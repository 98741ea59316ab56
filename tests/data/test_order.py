"""The order of an epoch by length: a function of seed and epoch, with little padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tui_trainer.data.base.split import Order
from tui_trainer.data.batches.order import epoch_order
from tui_trainer.data.batches.tensors import TensorSplit


def some_lengths(count: int = 1000) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 200, (count,), generator=generator)


def padded(order: Tensor, lengths: Tensor, size: int) -> int:
    """The steps of all batches, with padding."""
    return sum(len(part) * int(lengths[part].max()) for part in torch.split(order, size))


def test_batches_are_of_similar_lengths_and_each_sample_is_in_one() -> None:
    lengths = some_lengths()
    order = Order(16, seed=3, group_by_length=True)
    grouped = epoch_order(order, 1000, 2, lengths)
    assert sorted(grouped.tolist()) == list(range(1000))
    drawn = epoch_order(Order(16, seed=3), 1000, 2, lengths)
    total = int(lengths.sum())
    assert padded(grouped, lengths, 16) < 1.1 * total < 1.7 * total < padded(drawn, lengths, 16)
    # The last batch, which is smaller, has the samples that were drawn last.
    assert grouped[-8:].equal(drawn[-8:])
    longest = [int(lengths[part].max()) for part in torch.split(grouped, 16)]
    assert longest != sorted(longest) != longest[::-1], "short and long batches alternate"


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = some_lengths()
    before = torch.get_rng_state()

    def order_of(seed: int, epoch: int) -> list[int]:
        order = Order(16, seed=seed, group_by_length=True)
        return epoch_order(order, 1000, epoch, lengths).tolist()

    assert order_of(1, 5) == order_of(1, 5)
    assert len({tuple(order_of(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    sets = [{*order_of(1, epoch)[:16]} for epoch in range(6)]
    assert all(one != sets[0] for one in sets[1:]), "not the same samples meet in every epoch"
    assert before.equal(torch.get_rng_state())


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("world", [1, 2])
def test_batches_from_the_middle_of_an_epoch_are_its_tail(drop_last: bool, world: int) -> None:
    lengths = some_lengths(53)
    inputs = torch.arange(53)[:, None].expand(53, 200).to(torch.uint8)
    split = TensorSplit(inputs, torch.arange(53), torch.arange(53), lengths)
    for rank in range(world):
        order = Order(8, 4, drop_last, group_by_length=True, rank=rank, world=world)
        batches = split.shuffled(order)
        whole = list(batches.epoch(3))
        assert len(whole) == batches.per_epoch
        for start in range(batches.per_epoch):
            tail = list(batches.epoch(3, start))
            assert [b["target"].tolist() for b in tail] == [
                b["target"].tolist() for b in whole[start:]
            ]
        for index, batch in enumerate(whole):
            assert {*batch["target"].tolist()} <= {*batches.rows(3, index)}
            assert batch["input"].shape[1] == int(batch["lengths"].max())
