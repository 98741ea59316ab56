"""`Progress`: how far the run and its epoch are, and when it will be done.

Layer: ui. The bar is text of a fixed width: it moves with the steps, never by itself.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tui_trainer.runs.view import RunView
from tui_trainer.text.format import duration


def bar(share: float, width: int, *, plain: bool = False) -> tuple[str, str]:
    """The part that is done and the part that is left, together `width` cells."""
    done = min(max(round(share * width), 0), width)
    full, rest = ("#", ".") if plain else ("━", "─")
    return full * done, rest * (width - done)


def run_share(view: RunView) -> float | None:
    """The share of the run that is done; None where no one knows how long it will be."""
    if not view.total_steps:
        return None
    return min(view.step / view.total_steps, 1.0)


def epoch_share(view: RunView) -> float:
    """The share of the epoch that is done; a whole one right after its last step."""
    if not view.steps_per_epoch or not view.step:
        return 0.0
    return ((view.step - 1) % view.steps_per_epoch + 1) / view.steps_per_epoch


class Progress(Static):
    """One line: the bar of the epoch, the bar of the run, the time taken."""

    DEFAULT_CSS = """
    Progress { height: 1; padding: 0 1; }
    """

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id)
        self._plain = plain
        self._view = RunView()
        self._shown: tuple[object, ...] = ()

    def look(self, view: RunView) -> bool:
        """Show how far it is; whether anything changed."""
        self._view = view
        width = self.content_size.width
        share = run_share(view)
        percent = "      " if share is None else f"{share * 100:4.0f} %"
        shown = (view.step, view.elapsed_s, percent, width)
        if shown == self._shown:
            return False
        self._shown = shown
        epoch = min(20, max(width // 5, 4))
        tail = f" {percent}  {duration(view.elapsed_s):>8}"
        rest = max(width - epoch - len(tail) - len("epoch   run "), 4)
        done, left = bar(epoch_share(view), epoch, plain=self._plain)
        parts = [("epoch ", "$foreground-muted"), (done, "$accent"), (left, "$foreground-muted")]
        if share is not None:
            done, left = bar(share, rest, plain=self._plain)
            parts += [
                ("  run ", "$foreground-muted"),
                (done, "$primary"),
                (left, "$foreground-muted"),
            ]
        else:
            parts += [("  run has no last step".ljust(rest + 6)[: rest + 6], "$foreground-muted")]
        self.update(Content.assemble(*parts, tail), layout=False)
        return True

    def on_resize(self) -> None:
        self.look(self._view)
