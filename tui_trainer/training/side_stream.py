"""`SideStreamCopies`: copies from a GPU to the host that are made while the GPU goes on.

Layer: training. The host never waits here. Whoever reads a copy waits for it first, and the loop's
stream waits on the device before it changes what is still being copied. The copies lie in pinned
memory, which torch keeps for the process and uses again once no tensor has it and all copies into
it are done; it rounds sizes up to powers of two.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import torch
from torch import Tensor

from tui_trainer.training.flat_buffer import is_dense


class Copied:
    """The end of some copies, which any thread may wait for."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        # The thread that waits sleeps, because another one needs the processor.
        self.event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self.event.record(stream)
        self._is_known = False

    def __call__(self) -> None:
        """Wait until the copies are there."""
        if not self._is_known:
            self.event.synchronize()
            self._is_known = True

    def look(self) -> bool:
        """Whether the copies are there. Once they are, they outlive the device."""
        if not self._is_known:
            self._is_known = self.event.query()  # type: ignore[no-untyped-call]
        return self._is_known


class SideStreamCopies:
    """`HostCopies` for tensors of a GPU; belongs to the trainer thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._newest: Copied | None = None
        """The newest copies, if the loop's stream has not waited for them yet."""
        self._unfinished: list[Copied] = []

    def copy_all(self, tensors: Mapping[str, Tensor], late: Container[str]) -> dict[str, Tensor]:
        """Return copies by name; only those in `late` are taken while the loop's stream goes on.

        The others may be changed by the next forward pass, as the statistics of norm layers are, so
        these come first, and the device waits for them alone.
        """
        self._follow_loop()
        copies = {name: self.copy(tensor) for name, tensor in tensors.items() if name not in late}
        if copies:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return {
            name: copies[name] if name in copies else self.copy(tensor)
            for name, tensor in tensors.items()
        }

    def copy(self, tensor: Tensor) -> Tensor:
        """Return a copy on the host, to be read only after what `finish` returns was waited for."""
        source = tensor.detach()
        if source.device.type != "cuda":
            return source.to("cpu", copy=True)
        # The stream follows the loop's already, since `copy_all` is the first call of a set.
        with torch.cuda.stream(self._stream):
            host = _pinned_like(source).copy_(source, non_blocking=True)
        # If it is freed meanwhile, as by a pause, its memory is not given to others before.
        source.record_stream(self._stream)
        return host

    def finish(self) -> Copied:
        """End a set of copies."""
        self._newest = Copied(self._stream)
        self._unfinished.append(self._newest)
        return self._newest

    def look(self) -> None:
        """Notice which copies are there: a GPU that fails later cannot take them back."""
        self._unfinished = [copied for copied in self._unfinished if not copied.look()]

    def let_change(self) -> None:
        """Let the loop's stream wait until nothing that it may change is still being copied."""
        if self._newest is not None:
            torch.cuda.current_stream(self._device).wait_event(self._newest.event)
            self._newest = None

    def _follow_loop(self) -> None:
        """Copy what the loop's stream has computed so far."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))


def _pinned_like(tensor: Tensor) -> Tensor:
    """Return memory for a tensor without gaps.

    In the order in which the tensor lies, or from first to last: into any other, torch copies by
    way of memory that is not pinned, and the host waits for that.
    """
    size, dtype = tensor.size(), tensor.dtype
    if is_dense(tensor):
        return torch.empty_strided(size, tensor.stride(), dtype=dtype, pin_memory=True)
    return torch.empty(size, dtype=dtype, pin_memory=True)
