"""`SampleMaker`: makes batches of samples of a map-style data set, in any process.

Layer: data. Before each sample torch, numpy and Python are seeded by (seed, purpose, epoch, index),
so random transforms give the same result in whichever process they run; afterwards the generators
are restored.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from tui_trainer.config.user_code import describe_user_error, is_of_user, place_of_users
from tui_trainer.config.user_code import described as described_error
from tui_trainer.data.base.random import derive_seeds, preserved_generators
from tui_trainer.data.batches.assembly import Assembly
from tui_trainer.data.batches.collation import STANDARD, Collation, CollationError
from tui_trainer.data.batches.sample_seeds import SampleSeeds
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.problem import SampleMismatch
from tui_trainer.text.clean import clean


@dataclass(frozen=True, slots=True)
class Failure:
    """Takes the place of a batch that cannot be made; is sent between processes."""

    message: str
    details: str = ""
    """The traceback."""


Origin = Callable[[], tuple[Any, Collation]]
"""Makes a data set and its collation again; can be sent to a worker, which they cannot."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleMaker:
    """Reads samples of a data set and collates them into batches."""

    dataset: Any
    """Has `__getitem__(index)`, and optionally `path(index)`, the file of a sample for messages."""
    seed: int
    purpose: str
    """Part of the seed; without it, samples of two splits would draw the same random numbers."""
    form: SampleSpec | None = None
    """The form every sample must have; None: any samples that can be batched together."""
    collation: Collation = STANDARD
    origin: Origin | None = None
    """For a worker to which the data set cannot be sent."""
    made_by: str = ""
    """The line of the function of the user's that made the data set."""
    seeds: SampleSeeds = field(default_factory=SampleSeeds)

    def remade(self) -> RemadeSampleMaker | None:
        """Return what makes the same batches where the data set is made again, if that can be."""
        if self.origin is None:
            return None
        return RemadeSampleMaker(
            self.origin, self.seed, self.purpose, self.form, proof_of(self), self.made_by
        )

    def make(self, epoch: int, indices: Sequence[int]) -> Batch | Failure:
        """Return the batch of these samples in this epoch, or a Failure that says what is wrong."""
        with one_thread():
            derive = partial(derive_seeds, self.seed, self.purpose, epoch)
            make = partial(self._make, indices)
            return self.seeds.make(self.dataset, indices, derive, make)

    def _make(self, indices: Sequence[int], seeded: Iterable[int]) -> Batch | Failure:
        """Return the batch of the samples; `seeded` are their indices, see `SampleSeeds.make`."""
        failure: Failure | None
        assembly = Assembly(self.collation, self.form)
        for index in seeded:
            try:
                raw = self.dataset[index]
            except (Exception, SystemExit) as error:
                failure = self._failure(index, error)
                return self._add(assembly, indices) or failure
            if not assembly.defer(raw) and (failure := self._add(assembly, indices, raw)):
                return failure
        if failure := self._add(assembly, indices):
            return failure
        several = f"{_join_indices(indices)} of the data set"
        try:
            return assembly.batch()
        except (CollationError, SampleMismatch) as error:
            return Failure(f"{self._place()}{several}: {error}")
        except (Exception, SystemExit) as error:
            return Failure(unreadable(several, error, self._place()), traceback.format_exc())

    def _add(self, assembly: Assembly, indices: Sequence[int], *raw: Any) -> Failure | None:
        """Add the samples that wait and another one; return a Failure if one is wrong."""
        try:
            assembly.settle()
            for one in raw:
                assembly.add(one)
        except SampleMismatch as error:
            index = indices[assembly.count]
            sample = f"sample {index} of the data set{self._describe_path(index)}"
            return Failure(f"{self._place()}{sample}: {error}")
        except (Exception, SystemExit) as error:
            return self._failure(indices[assembly.count], error)
        return None

    def _failure(self, index: int, error: BaseException) -> Failure:
        sample = f"sample {index} of the data set{self._describe_path(index)}"
        return Failure(unreadable(sample, error, self._place()), traceback.format_exc())

    def _place(self) -> str:
        return place_of_samples(self.dataset, self.collation, "__getitem__", self.made_by)

    def _describe_path(self, index: int) -> str:
        path_of = getattr(self.dataset, "path", None)
        if not callable(path_of):
            return ""
        try:
            return f" ({clean(str(path_of(index)), 200)})"
        except Exception:
            # This only adds to a message about another error, which must not be lost.
            return ""


@dataclass(slots=True, eq=False)
class RemadeSampleMaker:
    """Makes batches of a data set that is made again in this process, when it is first needed."""

    origin: Origin
    seed: int
    purpose: str
    form: SampleSpec | None
    proof: tuple[str, ...]
    """What `proof_of` returned for the data set in the training process."""
    made_by: str = ""
    """The line of the function of the user's that made the data set."""
    _maker: SampleMaker | None = None

    def remade(self) -> RemadeSampleMaker:
        return self

    def make(self, epoch: int, indices: Sequence[int]) -> Batch | Failure:
        """Return a batch as `SampleMaker.make`; a Failure if this data set is another one."""
        if self._maker is None:
            try:
                dataset, collation = self.origin()
            except (Exception, SystemExit) as error:
                return Failure(
                    unreadable("the data set", error) + " in a worker", traceback.format_exc()
                )
            maker = SampleMaker(
                dataset, self.seed, self.purpose, self.form, collation, made_by=self.made_by
            )
            proof = proof_of(maker)
            if proof != self.proof:
                differs = next(
                    f"{mine} here, {theirs} in training"
                    for mine, theirs in zip(proof, self.proof, strict=True)
                    if mine != theirs
                )
                return Failure(
                    "the data set that its function made in a worker differs from that of the "
                    f"training process: {differs}; return the same data at each call, or data "
                    "that can be pickled, without lambdas and local classes"
                )
            self._maker = maker
        return self._maker.make(epoch, indices)


def proof_of(maker: SampleMaker) -> tuple[str, ...]:
    """Return facts that differ if a data set is another one: its size and its first sample."""
    count = len(maker.dataset)
    first = maker.make(0, [0])
    if isinstance(first, Failure):
        return f"{count:,} samples", first.message
    digest = hashlib.sha256()
    for name, values in sorted(first.items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.contiguous().numpy().tobytes())
    return f"{count:,} samples", f"a first sample with the sum {digest.hexdigest()[:12]}"


@contextmanager
def worker_conditions() -> Iterator[None]:
    """Compute with one thread, as a worker does, and restore the global generators afterwards."""
    with one_thread(), preserved_generators():
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, as a worker does.

    A sum over many numbers differs in its last bits with another number of threads.
    """
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)


def place_of_samples(dataset: Any, collation: Collation, method: str, made_by: str = "") -> str:
    """Return the line of the user's function that samples come from, as the start of a message.

    Empty if it is not known.

    Args:
        dataset: gives the samples.
        collation: of the samples, maybe by a function of the user's.
        method: that of the data set which returns them.
        made_by: the line to name if none of these is the user's, as for a list of samples.
    """
    functions = (collation.function, getattr(dataset, "read", None))
    own_method = getattr(type(dataset), method, None)
    place = place_of_users(*filter(callable, functions), own_method, unreadable)
    place = place if is_of_user(place) else made_by
    return f"{clean(place, 300)}: " if place else ""


def unreadable(sample: str, error: BaseException, place: str = "") -> str:
    """Say that a sample cannot be read, with the line of the user's code first if it is known.

    Args:
        sample: which one it is.
        error: what was raised.
        place: from `place_of_samples`, for an error that was raised elsewhere.
    """
    if text := describe_user_error(error):
        return f"{text}; {sample} cannot be read"
    return f"{place}{sample} cannot be read: {described_error(error)}"


def _join_indices(indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return f"sample {indices[0]}"
    shown = "samples " + ", ".join(map(str, indices[:8]))
    return shown if len(indices) <= 8 else f"{shown} and {len(indices) - 8} more"
