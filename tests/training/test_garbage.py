"""On a GPU no garbage is collected during steps, and all is as it was after a training."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from tui_trainer.training.garbage import Uncollected, frozen_garbage

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the collector as it was, whatever a test did to it."""
    yield
    gc.unfreeze()
    gc.enable()


def test_steps_are_not_collected_on_a_gpu_and_a_border_is() -> None:
    uncollected = Uncollected(CUDA)
    for _ in range(2):
        with uncollected:
            assert not gc.isenabled()
        assert gc.isenabled()
    with pytest.raises(KeyError), uncollected:
        raise KeyError
    assert gc.isenabled()
    with Uncollected(CPU):
        assert gc.isenabled()


def test_a_collector_that_a_caller_switched_off_stays_off() -> None:
    gc.disable()
    with Uncollected(CUDA):
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_what_is_frozen_for_a_training_is_released_at_its_end() -> None:
    gc.unfreeze()
    with frozen_garbage(CUDA):
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    with pytest.raises(KeyError), frozen_garbage(CUDA):
        raise KeyError
    assert gc.get_freeze_count() == 0
    with frozen_garbage(CPU):
        assert gc.get_freeze_count() == 0
    gc.freeze()
    count = gc.get_freeze_count()
    with frozen_garbage(CUDA):
        assert gc.get_freeze_count() <= count
    # What a caller has frozen stays so.
    assert gc.get_freeze_count() > count / 2
