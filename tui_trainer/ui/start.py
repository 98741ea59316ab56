"""`open_app`: opens the app for a command and reports on its runs when it closes.

Layer: ui. Nothing slow is imported here: everything the app works with is read after the first
paint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tui_trainer.config.garbage_collection import permanent_objects
from tui_trainer.sessions.loader import Loader
from tui_trainer.sessions.signals import leave_at_once
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream, output_stream
from tui_trainer.text.read_progress import print_progress
from tui_trainer.ui.process import CurrentRun, EventPrinter, run_app
from tui_trainer.ui.terminal.terminal import Terminal

if TYPE_CHECKING:
    from tui_trainer.runs.view import RunView
    from tui_trainer.sessions.attached import AttachedSession
    from tui_trainer.sessions.launcher import Tether
    from tui_trainer.sessions.local import LocalSession
    from tui_trainer.sessions.requests import RunRequest
    from tui_trainer.ui.app import TrainerApp
    from tui_trainer.ui.app_setup import AppArguments, AttachRequest, ComposeRequest
    from tui_trainer.ui.shared.services import Opening


def open_app(
    ask: Callable[[], tuple[AppArguments, ComposeRequest | RunRequest | AttachRequest]],
    make_printer: Callable[[], EventPrinter],
    *,
    starts: str = "",
    watches: str = "",
    experiments: Sequence[str] = (),
    tether: Tether | None = None,
    debug: bool = False,
) -> int:
    """Open the app and stay until it is left; return the exit status.

    `ask` is called in another thread, once the first screen is painted. `make_printer` makes the
    printer for a run that continues after the terminal is gone. Without a launcher, whose `tether`
    is passed in, a run cannot be detached from the app. `starts` names the run that begins at once,
    and `watches` the run that is shown at once; `experiments` are those to choose from.

    Raises:
        TrainerError: raised by `ask`; the app has been closed by then.
    """
    # The app shows it itself.
    print_progress(None)
    loader = Loader(extras=(_preload_run_screen,))
    launched: list[LocalSession | AttachedSession] = []
    apps: list[TrainerApp] = []

    def make_app(terminal: Terminal, live: CurrentRun) -> TrainerApp:
        with permanent_objects():
            from tui_trainer.ui.app import TrainerApp
            from tui_trainer.ui.shared.first import FirstScreen, first_title

        def opening() -> Opening:
            from tui_trainer.ui.app_setup import assemble

            return assemble(*ask(), terminal, live, loader, launched)

        first = FirstScreen(first_title(starts, watches), experiments)
        apps.append(TrainerApp(opening, live, terminal, first))
        return apps[0]

    try:
        status = run_app(make_app, make_printer, tether=tether, debug=debug)
        _leave_start(launched, status)
    finally:
        loader.close()
    for app in apps:
        if app.failure is not None:
            raise app.failure
    _tell_what_is_left(launched)
    return status


def _leave_start(launched: Sequence[LocalSession | AttachedSession], status: int) -> None:
    """End the process at once if a start was cancelled and is still in a stage.

    The loader and the run's thread may be importing torch or reading data, which takes as long as
    it takes.
    """
    from tui_trainer.sessions.local import LocalSession

    starts = [it for it in launched if isinstance(it, LocalSession) and it.is_cancelled]
    if not starts or starts[-1].ended:
        return
    starts[-1].undo_start()
    _tell_what_is_left(launched)
    leave_at_once(status)


def _preload_run_screen() -> None:
    import tui_trainer.sessions.local
    import tui_trainer.ui.run.screen  # noqa: F401
    from tui_trainer.ui.plots.figure import preload

    preload()


def _tell_what_is_left(launched: Sequence[LocalSession | AttachedSession]) -> None:
    """Print to the shell's screen how each run ended and where it is, or that it continues."""
    from tui_trainer.sessions.attached import AttachedSession

    for session in launched:
        if isinstance(session, AttachedSession):
            session.close()
        session.refresh()
    for view, is_elsewhere in one_per_run([(it.view, it.is_elsewhere) for it in launched]):
        _tell_end(view, is_elsewhere=is_elsewhere)


def one_per_run(views: Sequence[tuple[RunView, bool]]) -> list[tuple[RunView, bool]]:
    """Return the views of sessions, the newest for each run.

    A start that has not begun says nothing about a run that has another result here.
    """
    newest: dict[str, tuple[RunView, bool]] = {}
    for number, (view, is_elsewhere) in enumerate(views):
        run = view.run_dir or f"start {number}"
        if run not in newest or view.ending is None or view.ending.has_begun:
            newest.pop(run, None)
            newest[run] = view, is_elsewhere
    return list(newest.values())


def _tell_end(view: RunView, *, is_elsewhere: bool) -> None:
    """Print how a run ended and where it is, or that it continues elsewhere."""
    from tui_trainer.runs.describe import describe, left_line

    out = output_stream()
    if view.ending is None:
        if is_elsewhere:
            out.line(left_line(view))
        return
    if not view.ending.has_begun:
        error_stream().block(f"tui-trainer: {clean(view.reason, 2000, multiline=True)}")
        return
    out.line(f"{clean(view.name)}:")
    for line in describe(view.ending):
        out.line(f"  {line}")
