"""Copies on the host share no memory with anything that is still in use."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tui_trainer.training.host_copies import HostCopies, copies_from


def tensors() -> list[Tensor]:
    """Large ones of one size and of others, in several types and layouts, and a small one."""
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn((64, 32, 3, 3), generator=generator)
    return [
        torch.randn((200, 200), generator=generator),
        torch.randn((200, 200), generator=generator),
        kernel.contiguous(memory_format=torch.channels_last),
        torch.randn((300, 200), generator=generator).bfloat16(),
        torch.randn((200, 200), generator=generator).T,
        torch.randn((400, 200), generator=generator)[::2],
        torch.arange(40_000),
        torch.randn(3, generator=generator),
        torch.tensor(2.0),
    ]


def made(copies: HostCopies, sources: Sequence[Tensor]) -> list[Tensor]:
    copied = [copies.copy(source) for source in sources]
    copies.finish()()
    return copied


def test_copies_equal_their_sources_and_stay_as_they_are() -> None:
    copies, sources = HostCopies(), tensors()
    first = made(copies, sources)
    for source, copied in zip(sources, first, strict=True):
        assert copied.equal(source)
        assert copied.dtype == source.dtype
        source.add_(1)
    second = made(copies, sources)
    for source, before, after in zip(sources, first, second, strict=True):
        assert after.equal(source)
        assert not before.equal(source)


def test_memory_is_used_again_only_when_no_view_of_it_is_left() -> None:
    copies, source = HostCopies(), torch.zeros(100_000)
    (copied,) = made(copies, [source])
    place = copied.data_ptr()
    part = copied[5:7]
    del copied
    assert made(copies, [source + 1])[0].data_ptr() != place
    assert part.tolist() == [0, 0]
    del part
    (again,) = made(copies, [source + 2])
    assert again.data_ptr() == place
    assert again.equal(source + 2)


def test_memory_of_more_copies_than_are_usual_is_given_back() -> None:
    copies, source = HostCopies(), torch.zeros(100_000)
    several = [copies.copy(source) for _ in range(4)]
    copies.finish()()
    del several
    copies.copy(source)
    copies.finish()()
    assert [len(blocks) for blocks in copies._blocks.values()] == [1]


def test_copies_by_name_are_in_the_order_of_their_sources() -> None:
    sources = dict(zip("cabdefghi", tensors(), strict=True))
    host = HostCopies()
    copies = host.copy_all(sources, late={"c", "b"})
    host.finish()()
    assert list(copies) == list(sources)
    assert all(copies[name].equal(source) for name, source in sources.items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_copies_of_a_gpu_are_as_it_was_although_it_goes_on_at_once() -> None:
    copies = copies_from(torch.device("cuda", 0))
    on_device = {str(place): tensor.cuda() for place, tensor in enumerate(tensors())}
    on_device["gaps"] = torch.ones((400, 200), device="cuda")[::2]
    large = {"large": torch.zeros(1 << 27, device="cuda")}
    for number in range(3):
        wanted = {name: tensor.cpu() for name, tensor in on_device.items()}
        copied = copies.copy_all(on_device | large, late=("large", "0", "2"))
        finished = copies.finish()
        for name, tensor in on_device.items():
            if name not in ("0", "2"):
                # As a forward pass may do before the late ones are there.
                tensor.add_(1)
        copies.let_change()
        for tensor in (large["large"], on_device["0"], on_device["2"]):
            tensor.add_(1)
        finished()
        copies.look()
        assert all(copied[name].equal(tensor) for name, tensor in wanted.items())
        assert copied["large"].eq(number).all()
        assert all(tensor.is_pinned() for tensor in copied.values())
