"""`Loader`: a thread that imports torch while the first screen is up, and then does slow work.

Layer: sessions. It leaves torch's generator, the thread count and the environment as they are.
While a run is alive in this process it does nothing, because then the generator is the run's.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.garbage_collection import permanent_objects
from tui_trainer.config.user_code import describe_user_error
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream
from tui_trainer.text.errors import TrainerError
from tui_trainer.text.read_progress import progress_words

MOMENT_S = 0.04
LONGEST_PAINT_S = 2.0

Deliver = Callable[[Callable[[], None]], object]
Done = Callable[[Any | TrainerError], None]

# Parts of torch that load without Python; each depends on those before it.
_LIBRARIES = ("libtorch_global_deps.so", "libc10.so", "libtorch_cpu.so", "libtorch.so")


class Unforeseen(TrainerError):
    """An unexpected exception, as one line."""


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Callable[[], Any]
    done: Done


class Loader:
    """Does pieces of work one after another, and only the newest of each kind.

    `extras` are called after the import of torch, to load what else is slow. `first` replaces that
    import.
    """

    def __init__(
        self,
        extras: Sequence[Callable[[], object]] = (),
        *,
        first: Callable[[Callable[[str], None]], None] | None = None,
    ) -> None:
        self._extras = tuple(extras)
        self._first = first or import_torch
        self._deliver: Deliver | None = None
        self._pieces: OrderedDict[str, _Piece] = OrderedDict()
        self._changed = threading.Condition()
        self._holds = 0
        self._busy = False
        self._closing = False
        self._failure: TrainerError | None = None
        self._stage = "waiting for the screen"
        self._thread = threading.Thread(target=self._work, name="loader")

    @property
    def stage(self) -> str:
        """The current stage of loading, such as `importing torch`, or of reading a large file.

        Empty when it is ready.
        """
        return self._stage or progress_words()

    def start(self, deliver: Deliver) -> None:
        """Begin; `deliver` runs a callable in the UI thread, as `loop.call_soon_threadsafe` does.

        To be called once, when the first screen has been painted.
        """
        with self._changed:
            self._deliver = deliver
            self._busy = True
        self._thread.start()

    def submit(self, kind: str, work: Callable[[], Any], done: Done) -> None:
        """Do `work` in its turn, and pass its result or error to `done` in the UI thread.

        Of the waiting pieces of one kind, only the newest is done.
        """
        with self._changed:
            self._pieces[kind] = _Piece(work, done)
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back all work for as long as a run lasts; entered in the run's thread.

        The piece in hand is finished first.
        """
        with self._changed:
            self._holds += 1
            self._changed.wait_for(lambda: not self._busy)
        try:
            yield
        finally:
            with self._changed:
                self._holds -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Finish the piece in hand and end; waits, because an import cannot be interrupted.

        Pieces that still wait are not done, and nothing is delivered any more.
        """
        with self._changed:
            self._closing = True
            self._pieces.clear()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        self._prepare()
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closing or (self._pieces and not self._holds))
                if self._closing:
                    return
                _, piece = self._pieces.popitem(last=False)
                self._busy = True
            self._hand_over(piece.done, self._result(piece.work))

    def _prepare(self) -> None:
        _await_rest(threading.main_thread())
        try:
            self._first(self._say)
            for extra in self._extras:
                if self._closing:
                    return
                extra()
        except ImportError as error:
            text = clean(str(error), 400)
            hint = "tui-trainer doctor says what is missing"
            self._failure = Unforeseen(f"torch cannot be imported: {text}; {hint}")
        except BaseException as error:
            # Also exceptions that end a thread, or the callers would wait for ever.
            self._failure = _as_error(error)
        finally:
            self._stage = ""

    def _say(self, stage: str) -> None:
        self._stage = stage
        if self._closing:
            raise Unforeseen("closed while loading")

    def _result(self, work: Callable[[], Any]) -> Any | TrainerError:
        if self._failure is not None:
            return self._failure
        try:
            return work()
        except BaseException as error:
            return _as_error(error)

    def _hand_over(self, done: Done, result: Any | TrainerError) -> None:
        deliver = self._deliver
        if self._closing or deliver is None:
            return
        try:
            deliver(lambda: done(result))
        except RuntimeError:
            # The event loop was closed in between, so the result has no taker.
            self._closing = True


def _await_rest(thread: threading.Thread) -> None:
    """Wait until a thread has been idle for a moment, which means that the screen is painted.

    An import at the same time would delay the first screen by as long as the import takes.
    """
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None:
        return
    clock = time.pthread_getcpuclockid(thread.ident)
    until_s = time.monotonic() + LONGEST_PAINT_S
    spent_s = time.clock_gettime(clock)
    while time.monotonic() < until_s:
        time.sleep(MOMENT_S)
        before_s, spent_s = spent_s, time.clock_gettime(clock)
        if spent_s - before_s < MOMENT_S / 10:
            return


def import_torch(say: Callable[[str], None]) -> None:
    """Import torch and take the first optimizer step, while hardly holding up the other threads.

    Full garbage collections during the import would stop every thread, and so would loading the
    libraries while holding the interpreter's lock. `say` is called with each stage, and may raise
    to end the import there.
    """
    say("importing torch")
    _open_libraries()
    with permanent_objects():
        import torch  # noqa: F401

        say("warming up torch")
        from tui_trainer.training.task import warm_up

        warm_up()
        say("loading the rest")
        import tui_trainer.models.summary
        import tui_trainer.training.loop  # noqa: F401


def _open_libraries() -> None:
    """Load torch's libraries by a call that lets other threads run; failures do not matter."""
    if not sys.platform.startswith("linux") or "torch" in sys.modules:
        return
    spec = importlib.util.find_spec("torch")
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        return
    try:
        # Unlike ctypes' own loading, a foreign function runs without the interpreter's lock.
        dlopen = ctypes.CDLL(None).dlopen
    except (OSError, AttributeError):
        return
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = (ctypes.c_char_p, ctypes.c_int)
    for name in _LIBRARIES:
        mode = os.RTLD_GLOBAL if name == _LIBRARIES[0] else os.RTLD_LOCAL
        # The import loads what does not load here, or fails with the reason.
        dlopen(os.fsencode(Path(places[0]) / "lib" / name), mode | os.RTLD_NOW)


def _as_error(error: BaseException) -> TrainerError:
    if isinstance(error, TrainerError):
        return error
    users = describe_user_error(error)
    # While the app is open, printed text goes into its log.
    error_stream().block("".join(traceback.format_exception(error)))
    if users:
        return Unforeseen(f"{users}; the log has the traceback")
    text = f"{type(error).__name__}: {clean(str(error), 400)}"
    return Unforeseen(f"{text}; this is a bug, the log shows where")
