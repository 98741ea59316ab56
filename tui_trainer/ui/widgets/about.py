"""The line below a form: what is wrong with the field that has the focus, or else what it is.

Layer: ui. A pure function; the line is always there, so that a problem moves no other row.
"""

from __future__ import annotations

from textual.content import Content

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.drafts.fields import Field, FieldGroup
from tui_trainer.text.clean import clean
from tui_trainer.ui.widgets.group import blame_of


def about(field: Field, group: FieldGroup, draft: Draft, width: int) -> Content:
    """A field of a group in one line of that width."""
    if problem := draft.problem(field.key):
        return _wrong(f"{clean(field.key, 80)}  ", clean(problem, 400), width)
    if blamed := blame_of(group, draft):
        return _wrong("", "  ✗ ".join(blamed), width)
    return _described(field, draft.text(field.key), width)


def _wrong(key: str, problem: str, width: int) -> Content:
    """Of a problem that is too long its middle goes: what may be meant stands at the end."""
    text, found, meant = f"✗ {problem}".partition(" (did you mean")
    room = width - len(key) - len(found + meant)
    if len(text) > room:
        text = f"{text[: max(room - 1, 0)]}…"
    return Content.assemble((key, "$text-primary"), (text + found + meant, "$text-error"))


def _described(field: Field, chosen: str, width: int) -> Content:
    """Key and bounds whole, the description (of what is chosen) as far as there is room."""
    ends = ", ".join(part for part in (field.bounds, "live" if field.live else "") if part)
    rest = width - len(field.key) - len(ends) - 4
    of_choices = dict(zip(field.choices, field.choice_texts, strict=True))
    text = clean(of_choices.get(chosen) or field.description, 200)
    if len(text) > rest:
        text = f"{text[: rest - 1]}…" if rest > 8 else ""
    parts = [(clean(field.key, 80), "$text-primary")]
    parts += [(f"  {part}", "$foreground 60%") for part in (text, ends) if part]
    return Content.assemble(*parts)
