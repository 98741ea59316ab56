"""What the app paints, cleaned below all widgets: no segment has a sequence that is not Textual's.

Layer: ui. Widgets clean what they show; a field that one of them forgets cannot steer the terminal
all the same. What is cleaned here keeps its cells, as everything is laid out by then.
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
    """Return what is about to be written to the terminal with its text cleaned."""
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
    """Return a strip with its text cleaned: itself, where nothing is to be done."""
    if strip._render_cache is not None:
        # It has been painted before, and was looked at then.
        return strip
    if _are_harmless(strip._segments):
        return strip
    return Strip(map(_harmless_segment, strip._segments), strip.cell_length)


def _are_harmless(segments: Iterable[Segment]) -> bool:
    texts = []
    for text, style, _ in segments:
        if style is not None and style._link:
            # The one text that a style has; none of our widgets makes any.
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
    """Return the text in as many cells without what could steer a terminal.

    What takes no cell is left out, and a replacement character stands for the rest.
    """
    shown = "".join(
        sign
        for char, sign in zip(text, masked(text), strict=True)
        if sign == char or get_character_cell_size(char)
    )
    return set_cell_size(shown, cell_len(text))
