"""Cleans what the app paints, below all widgets: only Textual's own sequences reach the terminal.

Layer: ui. Widgets clean what they show; this keeps a field that one of them forgets from steering
the terminal. The text keeps its width in cells, because everything is laid out by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from textual._compositor import ChopsUpdate, InlineUpdate, LayoutUpdate
from textual.strip import Strip

from tui_trainer.text.clean import masked


def harmless_update(renderable: RenderableType | None, console: Console) -> RenderableType | None:
    """Return the update that is about to be written to the terminal, with its text cleaned."""
    match renderable:
        case None:
            return None
        case LayoutUpdate():
            renderable.strips = [[harmless_strip(it) for it in line] for line in renderable.strips]
            return renderable
        case InlineUpdate():
            renderable.strips = [harmless_strip(strip) for strip in renderable.strips]
            return renderable
        case ChopsUpdate():
            renderable.chops = [
                {x: strip if strip is None else harmless_strip(strip) for x, strip in line.items()}
                for line in renderable.chops
            ]
            return renderable
        case _:
            return Segments(map(_harmless_segment, console.render(renderable)))


def harmless_strip(strip: Strip) -> Strip:
    """Return a strip with its text cleaned, or the strip itself if it is clean."""
    if strip._render_cache is not None:
        # It has been painted before, and was checked then.
        return strip
    if _are_harmless(strip._segments):
        return strip
    return Strip(map(_harmless_segment, strip._segments), strip.cell_length)


def _are_harmless(segments: Iterable[Segment]) -> bool:
    texts = []
    for text, style, _ in segments:
        if style is not None and style._link:
            # A link is the only text inside a style; none of our widgets makes one.
            return False
        texts.append(text)
    return "".join(texts).isprintable()


def _harmless_segment(segment: Segment) -> Segment:
    style = segment.style
    if style is not None and style._link:
        style = style.update_link(None)
    return Segment(harmless_cells(segment.text), style)


@lru_cache(1024)
def harmless_cells(text: str) -> str:
    """Return the text without anything that could steer a terminal, as wide in cells as before.

    Unsafe characters without a width are left out; the others become a replacement character.
    """
    shown = "".join(
        sign
        for char, sign in zip(text, masked(text), strict=True)
        if sign == char or get_character_cell_size(char)
    )
    return set_cell_size(shown, cell_len(text))
