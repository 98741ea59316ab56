"""`WorkerPool`: runs and supervises the processes that make batches, through torch's DataLoader.

Layer: data. A signal to the process group must not kill the workers, so they inherit blocked
signals. torch reports a dead worker only to the main thread, and the trainer runs in another one,
so every wait for a batch is cut into short waits that check on the workers.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, TypeVar

import torch
from torch.utils.data import DataLoader

from tui_trainer.config.processes import worker_context
from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.split import BatchLost
from tui_trainer.data.batches.samples import Failure
from tui_trainer.data.batches.worker_process import (
    WAY_OUT,
    BatchBuilder,
    BatchRequest,
    BuilderDataset,
    block_signals,
    describe_death,
    end_with_parent,
    received,
)
from tui_trainer.problems.batch import Batch
from tui_trainer.text.clean import clean

Made = TypeVar("Made")
LOOK_S = 0.5
"""Seconds of waiting for a batch before checking whether the workers are alive."""
START_S = 60.0
"""Seconds that new workers may take, on top of loader.timeout_s, to start and do their imports."""


class WorkerPool:
    """Makes batches in `loader.num_workers` processes, or in this process if that is 0.

    Only one sequence of batches is active at a time. Starting another ends the previous one, whose
    owner sees that `BatchStream.is_current` is false and starts again at the batch it had reached.
    """

    def __init__(self, settings: LoaderSection, *, pin: bool = False) -> None:
        self.settings = settings
        self.interrupted: Callable[[], bool] = lambda: False
        """Whether a wait for a batch should be abandoned; called by the thread that waits."""
        self._makers: dict[str, BatchBuilder] = {}
        self._pin = pin
        self._plan = _Plan()
        self._loader: DataLoader[Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._workers: list[BaseProcess] = []
        self._current: BatchStream | None = None
        self._start_s = 0.0
        """Extra seconds allowed for the first batch of new workers; 0 once it has arrived."""

    def add(self, part: str, maker: BatchBuilder) -> None:
        """Register a part of the data; call it before any batch is drawn."""
        self._makers[part] = maker

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that are alive."""
        return [worker.pid for worker in self._workers if worker.pid and worker.is_alive()]

    def draw(self, keys: Iterator[BatchRequest]) -> BatchStream:
        """Return the batches of `keys`, in order; this ends the sequence drawn before."""
        if self.settings.num_workers > 0:
            # The old sequence is drained first: the workers must be idle when the next iterator
            # resets them, which waits for them only briefly.
            self._finish_current()
            self._plan.keys = keys
            # Starting workers may raise, and then no sequence is active.
            self._current = None
            self._start_iterator()
        self._current = BatchStream(self, keys)
        return self._current

    def is_current(self, stream: BatchStream) -> bool:
        return self._current is stream

    def make(self, keys: Iterator[BatchRequest]) -> Batch:
        """Make the next batch in this process."""
        key = next(keys)
        return _unwrap(self._makers[key.part].make(key.epoch, key.indices))

    def receive(self) -> Batch:
        """Return the next batch from the workers; StopIteration at the end.

        Raises:
            BatchLost: a worker died, none answers, or a stop was requested during the wait.
        """
        assert self._iterator is not None
        waited_s = 0.0
        while True:
            began_s = time.monotonic()
            try:
                result = next(self._iterator)
                self._start_s = 0.0
                return received(_unwrap(result))
            except (StopIteration, BatchLost):
                raise
            except Exception as error:
                # Capped, because the clock runs on while this process is suspended.
                waited_s += min(time.monotonic() - began_s, 2 * LOOK_S)
                self._check_workers(error, waited_s)

    def close(self) -> None:
        """End the workers; they are started again when another batch is drawn."""
        self._current = self._iterator = self._loader = None
        for worker in self._workers:
            # Dropping the iterator made torch end the workers, unless something still refers to it.
            worker.join(LOOK_S)
        self._kill()

    def _start_iterator(self) -> None:
        if self._loader is None or not self.settings.persistent_workers:
            self.close()
            self._loader = self._make_loader()
        try:
            self._iterator = self._make_iterator(self._loader)
        except _TooLate:
            # Idle workers answered too late, for example after a suspension. Whatever they send now
            # is of no use, so start new ones.
            self._kill()
            self.close()
            self._loader = self._make_loader()
            self._iterator = self._make_iterator(self._loader)

    def _make_loader(self) -> DataLoader[Any]:
        settings = self.settings
        with _ignore_core_warning():
            return DataLoader(
                BuilderDataset(self._makers, pin=self._pin),
                batch_size=None,
                sampler=self._plan,
                num_workers=settings.num_workers,
                collate_fn=_pass_through,
                pin_memory=self._pin,
                timeout=LOOK_S,
                worker_init_fn=end_with_parent,
                multiprocessing_context=worker_context(
                    settings.start_method, preload=BuilderDataset.__module__
                ),
                # Otherwise each iterator would draw its seed from the global generator, which would
                # change what the model draws.
                generator=torch.Generator().manual_seed(0),
                prefetch_factor=settings.prefetch_factor,
                persistent_workers=settings.persistent_workers,
            )

    def _make_iterator(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Return an iterator over the plan; the first one starts the workers.

        It is made in a new thread: the workers inherit that thread's signal mask, and outside the
        main thread torch installs no SIGCHLD handler, which could raise in the middle of other
        work.
        """
        outcomes: list[Iterator[Any] | Exception] = []

        def start() -> None:
            block_signals()
            try:
                with _ignore_core_warning():
                    outcomes.append(iter(loader))
            except Exception as error:
                outcomes.append(error)

        if not self._workers:
            self._start_s = START_S
        # torch does not publish its workers: they are the children that are new afterwards.
        before = set(multiprocessing.active_children())
        thread = threading.Thread(target=start, name="start of workers", daemon=True)
        thread.start()
        # Bounded, because a worker may hang while it imports the data set.
        longest_s = self.settings.timeout_s + START_S
        thread.join(longest_s)
        self._workers += [
            child for child in multiprocessing.active_children() if child not in before
        ]
        if not outcomes:
            self._fail(f"the workers did not start within {longest_s:g} s; {WAY_OUT}")
        result = outcomes[0]
        if isinstance(result, Exception):
            if _is_timeout(result) and all(worker.is_alive() for worker in self._workers):
                raise _TooLate
            self._fail_to_start(result)
        return result

    def _finish_current(self) -> None:
        """Receive and drop the batches that the workers still make for the previous sequence.

        Afterwards they are idle, and can start the next sequence immediately.
        """
        if self._iterator is None:
            return
        self._plan.keys = iter(())
        while True:
            try:
                self.receive()
            except StopIteration:
                return
            except BatchLost:
                # A bad batch does not matter here: its owner will request it again. Losing the
                # workers does.
                if self._iterator is None:
                    raise

    def _check_workers(self, error: Exception, waited_s: float) -> None:
        """Check on the workers after a failed wait.

        Returns if the wait should continue; otherwise ends the workers and raises BatchLost.
        """
        dead = [worker for worker in self._workers if not worker.is_alive()]
        if dead:
            self._fail(describe_death(dead[0], self.settings.num_workers))
        if not _is_timeout(error):
            # A dying worker closes its end of the connection before its process has ended, so wait
            # briefly for the exit code, which says why.
            ended = connection.wait([worker.sentinel for worker in self._workers], LOOK_S)
            dead = [worker for worker in self._workers if worker.sentinel in ended]
            if dead:
                dead[0].join(LOOK_S)
                self._fail(describe_death(dead[0], self.settings.num_workers))
            self._fail(f"a batch cannot be received: {clean(str(error), 300)}; {WAY_OUT}")
        if self.interrupted():
            self._fail("stopped while waiting for a batch")
        if waited_s >= self.settings.timeout_s + self._start_s:
            self._fail(
                f"no batch came from {self.settings.num_workers} workers for "
                f"{self.settings.timeout_s:g} s: the data set hangs, or is slow; "
                f"loader.timeout_s= sets a longer wait, {WAY_OUT}"
            )

    def _fail_to_start(self, error: Exception) -> NoReturn:
        dead = [worker for worker in self._workers if not worker.is_alive()]
        if dead:
            self._fail(describe_death(dead[0], self.settings.num_workers))
        text = clean(f"{type(error).__name__}: {error}", 300)
        self._fail(f"the workers cannot start: {text}; {WAY_OUT}")

    def _fail(self, message: str) -> NoReturn:
        # Killed first: closing would wait for a worker that hangs.
        self._kill()
        self.close()
        raise BatchLost(message) from None

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.is_alive():
                worker.kill()
        for worker in self._workers:
            worker.join(LOOK_S)
        self._workers.clear()


class BatchStream:
    """An iterator over one sequence of batches of a pool."""

    def __init__(self, pool: WorkerPool, keys: Iterator[BatchRequest]) -> None:
        self._pool = pool
        self._keys = keys

    @property
    def is_current(self) -> bool:
        """Whether the pool still works on this sequence."""
        return self._pool.is_current(self)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._pool.settings.num_workers == 0:
            return self._pool.make(self._keys)
        return self._pool.receive()


class _TooLate(Exception):
    """Idle workers did not answer in time."""


class _Plan:
    """The sampler of the pool's DataLoader; `keys` is set before each iteration."""

    def __init__(self) -> None:
        self.keys: Iterator[BatchRequest] = iter(())

    def __iter__(self) -> Iterator[BatchRequest]:
        # Read `self.keys` for every batch, so that requests not sent yet can be cancelled.
        while True:
            try:
                yield next(self.keys)
            except StopIteration:
                return


@contextmanager
def _ignore_core_warning() -> Iterator[None]:
    """Suppress the warning about more workers than cores, which is the user's choice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        yield


def _pass_through(batch: Any) -> Any:
    return batch


def _unwrap(result: Made | Failure) -> Made:
    if isinstance(result, Failure):
        raise BatchLost(result.message, result.details)
    return result


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "timed out" in str(error)
