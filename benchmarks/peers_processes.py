"""The processes in which `peers.py` trains: one for each arm, forked where its library is loaded.

Importing torch takes longer than a training, and most libraries as long again. So a process
imports a library once, and those of its arms begin as copies of it.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from peers_arms import ARMS, Arm

_FORK = multiprocessing.get_context("fork")
_ENDS_WITHIN_S = 60.0


class Worker:
    """An arm in a process of its own, which trains whenever it is asked to."""

    def __init__(self, name: str, connection: Connection, log: Path) -> None:
        self.name = name
        self._connection = connection
        self._log = log

    def ask(self, **order: Any) -> dict[str, Any]:
        """Have it train, and return what it measured."""
        try:
            self._connection.send(order)
            answer: dict[str, Any] = self._connection.recv()
        except (EOFError, OSError):
            end = self._log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"peers: {self.name} ended:\n{end}") from None
        return answer

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._connection.close()


@contextlib.contextmanager
def workers(arms: Mapping[str, Arm], folder: Path) -> Iterator[dict[str, Worker]]:
    """Start the processes of some arms, which put files into a folder, and end them."""
    os.environ |= {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch"}
    _import_what_all_need()
    begun: dict[str, Worker] = {}
    processes: list[ForkProcess] = []
    ours: list[Connection] = []
    try:
        for library in dict.fromkeys(arm.imports for arm in arms.values()):
            pipes = {name: _FORK.Pipe() for name in arms if arms[name].imports == library}
            ours += [own for own, _ in pipes.values()]
            theirs = {name: end for name, (_, end) in pipes.items()}
            log = folder / f"{library}.log"
            process = _FORK.Process(target=_serve_all, args=(library, theirs, ours, folder, log))
            process.start()
            processes.append(process)
            for name, (own, end) in pipes.items():
                end.close()
                begun[name] = Worker(name, own, log)
        yield begun
    finally:
        for worker in begun.values():
            worker.end()
        for process in processes:
            process.join(_ENDS_WITHIN_S)


def _import_what_all_need() -> None:
    import peers_libraries  # noqa: F401
    import peers_torch  # noqa: F401
    import torch

    torch.set_num_threads(1)
    # Objects that no look for cycles goes through stay in memory that the copies share.
    gc.collect()
    gc.freeze()


def _serve_all(
    library: str,
    connections: Mapping[str, Connection],
    others: list[Connection],
    folder: Path,
    log: Path,
) -> None:
    """Import a library, and have a process for each of its arms; what they print goes to a file."""
    # Whoever waits for an answer must be the only one who could still hear one.
    for other in others:
        other.close()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import_module(library)
    if library != "torch":
        # Their optimizers bring it in; tui-trainer has none of torch's.
        import_module("torch._dynamo")
    gc.freeze()
    children = []
    for name, connection in connections.items():
        siblings = [other for other in connections.values() if other is not connection]
        child = _FORK.Process(target=_serve, args=(name, connection, siblings, folder))
        child.start()
        children.append(child)
    for connection in connections.values():
        connection.close()
    for child in children:
        child.join()


def _serve(name: str, connection: Connection, siblings: list[Connection], folder: Path) -> None:
    """Train an arm as often as it is asked for."""
    for sibling in siblings:
        sibling.close()
    module, function = ARMS[name].place.split(".")
    prepare = getattr(sys.modules[module], function)
    with contextlib.suppress(EOFError):
        while (order := connection.recv()) is not None:
            connection.send(_train(prepare, ARMS[name].settings, folder, **order))


def _train(
    prepare: Any, settings: Mapping[str, Any], folder: Path, *, epochs: int, counts: bool
) -> dict[str, Any]:
    """Train once from the beginning, and return what was measured."""
    from peers_work import Work, digest

    work = Work(epochs, folder)
    training = prepare(work, **settings)
    forwards = {"training": 0, "measuring": 0}

    def tell(trains: bool) -> None:
        forwards["training" if trains else "measuring"] += 1

    if counts:
        training.watch(tell)
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    training.start()
    cpu_s, wall_s = time.process_time() - begin_cpu_s, time.perf_counter() - begin_s
    weights = training.weights()
    return {
        "cpu_us": cpu_s / work.steps * 1e6,
        "wall_us": wall_s / work.steps * 1e6,
        "steps": work.steps,
        "forwards": forwards,
        "digest": digest(weights),
        "weights": [value.flatten()[:200].tolist() for value in weights],
    }
