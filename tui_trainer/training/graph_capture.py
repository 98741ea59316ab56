"""`CudaCapture`: records the work of a step on a GPU once, and replays it as one CUDA graph.

Layer: training. The only module that names torch's graphs. What is recorded reads and writes the
same places in memory at each replay, so whoever calls it keeps its tensors where they are. Written
from torch's documentation, and not yet run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

_REHEARSALS = 3
"""As torch's documentation of CUDA graphs has it."""

Work = Callable[[], None]


class CaptureFailed(Exception):
    """The work of a step cannot be recorded; the text says why, as torch does."""


class Capture(Protocol):
    """A way to record work and replay it."""

    is_recording: bool
    """Whether work is being recorded now."""

    def rehearse(self, work: Work) -> None:
        """Do the work as it will be recorded, so that whatever is made once is there."""
        ...

    def record(self, work: Work) -> Work:
        """Return a function that does the work again; it may not be done while it is recorded.

        Raises:
            CaptureFailed: it waits for the device, or does anything else that cannot be recorded.
        """
        ...

    def finish(self) -> None:
        """Wait until no replay is under way, before what it uses is freed."""
        ...


class CudaCapture:
    """Records on a stream of its own, as capturing needs; replays on the current one."""

    def __init__(self, device: torch.device) -> None:
        self.is_recording = False
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def rehearse(self, work: Work) -> None:
        """Do the work a few times on the stream of the recording, in turn with the loop's stream.

        Libraries make their handles and workspaces by stream, and autograd notes on which stream a
        gradient is added.
        """
        loop = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(loop)
        with torch.cuda.stream(self._stream):
            for _ in range(_REHEARSALS):
                work()
        loop.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        self.is_recording = True
        try:
            # The outer context goes back to the loop's stream even if the recording breaks off,
            # which the inner one does not. Other threads may use the device meanwhile: the writer
            # waits for copies.
            with (
                torch.cuda.stream(self._stream),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
            ):
                work()
        except torch.OutOfMemoryError:
            # No fault of the model: `failures` gives the advice on memory.
            raise
        except Exception as error:
            raise CaptureFailed(str(error)) from error
        finally:
            self.is_recording = False
        return graph.replay

    def finish(self) -> None:
        torch.cuda.synchronize(self._device)
