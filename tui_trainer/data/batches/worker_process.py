"""A worker process: `BuilderDataset`, which is sent to it and makes its batches, and why it died.

Layer: data. A worker inherits blocked signals from the thread that starts it, and ends as soon as
the trainer does. `workers.py` starts the workers and waits for their batches. Out of memory is a
guess: the kernel kills with SIGKILL, and names no reason.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tui_trainer.config.plugin_loader import LOADED
from tui_trainer.config.processes import start_resource_tracker
from tui_trainer.config.user_code import describe_user_error, described
from tui_trainer.data.batches.samples import Failure
from tui_trainer.problems.batch import Batch
from tui_trainer.text.format import size_text

BLOCKED = frozenset({signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGUSR1, signal.SIGUSR2})
"""Signals that workers do not receive. SIGTERM is not blocked, so a worker can be ended by it."""
SHARED_MEMORY = Path("/dev/shm")
WAY_OUT = "loader.num_workers=0 runs without workers"
_SMALL_BYTES = 2**13
"""The size up to which a field is sent through the pipe itself."""
SentField = Tensor | NDArray[Any]
SentBatch = dict[str, SentField]
"""A batch as a worker sends it: a small field as an array, the others in shared memory."""


class BatchRequest(NamedTuple):
    """Identifies a batch: the part of the data, the epoch, and the indices of its samples."""

    part: str
    epoch: int
    indices: Sequence[int]


class BatchBuilder(Protocol):
    """Makes the batches of one part of the data; is sent to every worker."""

    def make(self, epoch: int, indices: Sequence[int]) -> Batch | Failure: ...

    def remade(self) -> BatchBuilder | None:
        """Return a builder that makes its data set anew in a worker; None if that is impossible."""
        ...


class BuilderDataset(Dataset[Any]):
    """The data set sent to the workers: it holds the makers, and `self[key]` makes a batch.

    A batch that cannot be made is returned as a Failure.
    """

    def __init__(self, makers: Mapping[str, BatchBuilder], *, pin: bool = False) -> None:
        self._makers = dict(makers)
        self._pin = pin
        self._packed: Tensor | None = None

    def __getitem__(self, key: BatchRequest) -> SentBatch | Failure:
        batch = self._makers[key.part].make(key.epoch, key.indices)
        if isinstance(batch, Failure):
            return batch
        try:
            # A background thread sends the batch, and would drop it silently on an error; moving
            # it to shared memory first raises the error here.
            return {name: self._sent(field) for name, field in batch.items()}
        except RuntimeError as error:
            return Failure(
                f"no shared memory for a batch: {free_shared_memory()} ({error}); {WAY_OUT}"
            )

    def _sent(self, field: Tensor) -> SentField:
        # To open shared memory takes the trainer longer than to read some labels from a pipe; but
        # torch pins tensors only, and an array would arrive in another layout unless it is plain.
        is_plain = field.is_cpu and field.is_contiguous()
        if is_plain and field.nbytes <= _SMALL_BYTES and not self._pin:
            return field.numpy()
        return cast(Tensor, field.share_memory_())  # type: ignore[no-untyped-call]

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker started by spawn reads this from a pipe of which its parent holds both ends: if
        # it died while a large data set is being written, the parent would block forever. So only
        # a handle goes through the pipe, and the bytes go through shared memory.
        # The plugins come first, because the makers may use classes that they define.
        plugins = list(LOADED.values())
        try:
            data = bytearray(ForkingPickler.dumps((plugins, self._makers)))
        except (pickle.PicklingError, AttributeError, TypeError):
            # A lambda or a local class: the worker calls the function of the data set itself.
            remade = {part: maker.remade() for part, maker in self._makers.items()}
            if None in remade.values():
                raise
            data = bytearray(ForkingPickler.dumps((plugins, remade)))
        self._packed = torch.frombuffer(data, dtype=torch.uint8).clone()
        self._packed.share_memory_()  # type: ignore[no-untyped-call]
        return _unpack, (self._packed, self._pin)


class BrokenDataset(Dataset[Any]):
    """Takes the place of a data set that cannot be set up in a worker; every batch is a Failure.

    An exception would end the worker with a traceback on the terminal, and the trainer would know
    only that it is dead.
    """

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    def __getitem__(self, key: BatchRequest) -> Failure:
        return self._failure


def received(batch: SentBatch) -> Batch:
    """Return a batch as the trainer uses it."""
    return {
        name: field if isinstance(field, Tensor) else torch.from_numpy(field)
        for name, field in batch.items()
    }


def _unpack(packed: Tensor, pin: bool) -> BuilderDataset | BrokenDataset:
    try:
        _, makers = ForkingPickler.loads(packed.numpy().tobytes())
    except (Exception, SystemExit) as error:
        text = describe_user_error(error) or described(error)
        message = f"{text}; the data set cannot be set up in a worker; {WAY_OUT}"
        return BrokenDataset(Failure(message, traceback.format_exc()))
    return BuilderDataset(makers, pin=pin)


def block_signals() -> None:
    """Block the signals in BLOCKED, in this thread and in the processes it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    # Starting the resource tracker unblocks SIGINT, so start it now and block the signals again.
    start_resource_tracker()
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)


def end_with_parent(worker: int) -> None:
    """Start a thread that ends this worker as soon as the trainer is killed.

    torch watches the parent process, but that is the fork server, which lives until its last
    worker has ended.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        watch = threading.Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True)
        watch.start()


def _wait_and_end(sentinel: int) -> None:
    connection.wait([sentinel])
    # sys.exit would end only this thread.
    os._exit(1)


def describe_death(worker: BaseProcess, workers: int) -> str:
    """Describe how one of `workers` workers died, and the remedy."""
    code = worker.exitcode
    name = f"worker {worker.pid} of the data loader"
    if code == -signal.SIGBUS:
        return f"{name} was killed by SIGBUS: {free_shared_memory()}; {WAY_OUT}"
    if code == -signal.SIGKILL:
        fewer = "fewer workers (loader.num_workers=) need less, " if workers > 1 else ""
        return f"{name} was killed by SIGKILL: out of memory? {fewer or 'If so, '}{WAY_OUT}"
    if code is not None and code < 0:
        return f"{name} was killed by {_signal_name(-code)}; {WAY_OUT}"
    return f"{name} ended with status {code}; {WAY_OUT}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def free_shared_memory() -> str:
    """Describe the free shared memory, which may be too small."""
    try:
        usage = shutil.disk_usage(SHARED_MEMORY)
    except OSError:
        return "shared memory may be too small"
    return (
        f"{SHARED_MEMORY} has {size_text(usage.free)} of {size_text(usage.total)} free and "
        "may be too small (docker: --shm-size)"
    )
