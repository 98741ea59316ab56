"""`DetailsScreen`: a long text over the screen, to scroll; `Details`: one beside the lists.

Layer: ui. The text is a `Content` that was made from cleaned strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Change, Draft
from tui_trainer.config.drafts.fields import own_settings
from tui_trainer.config.sections.section import Spec, extra_of
from tui_trainer.config.yaml.scalars import to_flow
from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.catalogue import Entry
from tui_trainer.ui.compose.preset_list import MISFIT


class DetailsScreen(ModalScreen[None]):
    """Escape, enter, q and d close it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,d,f4", "close", "Close"),
        Binding("j", "scroll('down')", "Down", show=False),
        Binding("k", "scroll('up')", "Up", show=False),
    ]
    DEFAULT_CSS = """
    DetailsScreen { align: center middle; }
    DetailsScreen VerticalScroll {
        width: 90%; max-width: 110; height: auto; max-height: 90%;
        border: round $primary; border-title-color: $text-primary; padding: 0 1;
        background: $surface; scrollbar-size-vertical: 1;
    }
    DetailsScreen.-error VerticalScroll { border: round $error; }
    DetailsScreen Static { width: 100%; height: auto; }
    """

    def __init__(self, title: str, text: Content, *, is_error: bool = False) -> None:
        super().__init__(classes="-error" if is_error else "")
        self._title = clean(title, 100)
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "esc closes"
            yield Static(self._text)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        """Go back to the screen below."""
        self.dismiss(None)

    def action_scroll(self, where: str) -> None:
        """Scroll by one line."""
        box = self.query_one(VerticalScroll)
        (box.scroll_down if where == "down" else box.scroll_up)(animate=False)


# Everything known about a preset, and how a draft differs from the preset it began with. These
# texts come from files: they are cleaned, and never interpreted as markup.


NAME_WIDTH = 18


class Details(VerticalScroll, can_focus=False):
    """A text beside the lists, on terminals with enough room."""

    DEFAULT_CSS = """
    Details {
        width: 1fr; height: 1fr; padding: 0 1;
        border: round $foreground 30%; border-title-color: $text-muted;
        scrollbar-size-vertical: 1;
    }
    Details Static { width: 100%; height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown = Content("")
        self._make_text: Callable[[], Content] = Content
        # Made here, because a key may ask for another text before it is mounted.
        self._text = Static(self._shown)

    def compose(self) -> ComposeResult:
        yield self._text

    def show(self, title: str, make_text: Callable[[], Content]) -> None:
        """Show another text from its beginning; ignore a text that is shown already."""
        self.border_title = Content(clean(title, 60))
        self._make_text = make_text
        # While it is hidden, each key would make a text and have the screen laid out for nothing.
        if self.display:
            self._update_text()

    def on_show(self) -> None:
        """Catch up with what it was told while it was hidden."""
        self._update_text()

    def _update_text(self) -> None:
        text = self._make_text()
        if text != self._shown:
            self._shown = text
            self._text.update(text)
            self.scroll_home(animate=False)


def entry_text(entry: Entry, misfit: str = "") -> Content:
    """Describe a preset or a type: its problem, description, values and defaults, and file.

    `misfit` says why it does not fit the data, if that is so.
    """
    parts: list[Content] = []
    if entry.wrong:
        parts += [Content.styled(f"It cannot be used:\n{entry.wrong}", "$text-error"), Content("")]
    if misfit:
        told = f"{MISFIT} It does not fit the data:\n{clean(misfit, 2000)}"
        parts += [Content.styled(told, "$text-warning"), Content("")]
    if note := entry.note:
        parts += [Content.styled(note, "$text-warning"), Content("")]
    parts.append(Content.styled(entry.description or "no description", "bold"))
    if (spec := entry.spec) is not None:
        if spec.description != entry.description:
            what = f"{clean(spec.name, 60)}: {clean(spec.description, 300)}"
            parts.append(Content.styled(what, "$foreground-muted"))
        parts.append(Content(""))
        parts += _settings(spec, entry.data)
    else:
        parts.append(Content(""))
        for key, value in entry.data.items():
            if key != "description":
                parts += _section(key, value)
    parts += [Content(""), Content.styled(clean(entry.place, 300), "$foreground-muted")]
    return Content("\n").join(parts)


def beside_text(entry: Entry, draft: Draft, misfit: str = "") -> Content:
    """Describe an entry, followed by the draft's changes, for the panel beside the lists."""
    parts = [entry_text(entry, misfit)]
    if changes := draft.changes:
        heading = Content.styled(f"changed from {clean(draft.base, 60)}", "bold")
        parts += [Content(""), heading, changes_text(changes)]
    return Content("\n").join(parts)


def everything_text(
    entry: Entry | None,
    draft: Draft,
    command: str,
    more: Sequence[tuple[str, Sequence[Content]]],
    misfit: str = "",
) -> Content:
    """Describe an entry, the problems, the changes, the command line, and further titled parts."""
    parts = [entry_text(entry, misfit)] if entry is not None else []
    if problems := draft.problems:
        parts += [_title("needs attention"), problems_text(problems)]
    if changes := draft.changes:
        parts += [_title(f"changed from {draft.base}"), changes_text(changes)]
    parts += [_title("command line"), Content(clean(command, 5000))]
    for title, lines in more:
        parts += [_title(title), *lines]
    return Content("\n").join(parts)


def _title(text: str) -> Content:
    return Content.styled(f"\n{clean(text, 100)}", "bold $text-primary")


def problems_text(problems: Mapping[str, str]) -> Content:
    """Return every problem in full."""
    return Content("\n").join(
        Content.styled(f"✗ {clean(key, 80)}: {clean(text, 2000)}", "$text-error")
        for key, text in problems.items()
    )


def changes_text(changes: Sequence[Change]) -> Content:
    """Return every difference from the preset, one per line."""
    return Content("\n").join(
        Content.assemble(f"{clean(c.key):<{NAME_WIDTH}} ", (_arrow(c), "bold")) for c in changes
    )


def changes_line(changes: Iterable[Change]) -> str:
    """Return every difference from the preset on one line."""
    return ", ".join(f"{clean(change.key)} {_arrow(change)}" for change in changes)


def _arrow(change: Change) -> str:
    before, after = (clean(text, 80) or "empty" for text in (change.before, change.after))
    return f"{before} → {after}"


def _section(name: str, value: Any) -> list[Content]:
    """Return rows for a section of an experiment: its preset or type, then each setting."""
    if not isinstance(value, dict):
        return [_row(name, _value(value), "")]
    settings = dict(value)
    kind = settings.pop("preset", settings.pop("type", None))
    rows = [_row(name, "" if kind is None else _value(kind), "")]
    return rows + [_row(f"  {key}", _value(it), "") for key, it in settings.items()]


def _settings(spec: Spec, data: dict[str, Any]) -> list[Content]:
    rows = []
    fields = spec.params.model_fields
    own = own_settings(spec)
    for name in [*own, *(name for name in fields if name not in own)]:
        if name == "type":
            continue
        field = fields[name]
        unit = clean(str(extra_of(field).get("unit", "")), 20)
        is_given = name in data
        value = data[name] if is_given else None if field.is_required() else field.default
        note = unit if is_given else f"{unit} (default)".strip()
        rows.append(_row(name, _value(value), note))
    return rows


def _row(name: str, value: str, note: str) -> Content:
    return Content.assemble(
        (f"{clean(str(name), 60):<{NAME_WIDTH}} ", "$foreground-muted"),
        value,
        (f"  {note}", "$foreground-muted"),
    )


def _value(value: Any) -> str:
    """Return a value as YAML; a tuple, which may be a default, is written as a list."""
    if value in (None, ""):
        return "empty"
    return clean(to_flow(list(value) if isinstance(value, tuple) else value), 300)
