"""The layout of the compose screen: how many rows each part gets on which size of terminal.

Layer: ui. The CSS classes come from the screen's breakpoints, in columns and in rows.
"""

WIDTHS = [(0, "-narrow"), (76, "-normal"), (110, "-wide"), (170, "-vast")]
HEIGHTS = [(0, "-tiny"), (15, "-low"), (23, "-medium"), (34, "-tall"), (46, "-high")]

LISTS = {"-tiny": 4, "-low": 5, "-medium": 6, "-tall": 11, "-high": 14}
"""The rows of the lists of presets, by the height of the terminal."""
OUTCOME = {"-tiny": 0, "-low": 2, "-medium": 4, "-tall": 9, "-high": 14}
"""The rows of the summary and the schedule."""
FEWEST_LINES, LINES = 3, 6
"""The other lines of the screen: the heading, the start and the keys; with those that a tiny
terminal has no room for, the changes, the hint and the command."""

_HEIGHTS_CSS = "".join(
    f"ComposeScreen.{name} {part} {{ height: {rows}; }}\n"
    for part, heights in (("#lists", LISTS), ("#outcome", OUTCOME))
    for name, rows in heights.items()
)
COMPOSE_CSS = f"""
ComposeScreen {{ layout: vertical; overflow: hidden; }}
ComposeScreen Form {{ height: 1fr; min-height: 3; }}
{_HEIGHTS_CSS}
ComposeScreen ScheduleSketch {{ width: 28; height: 1fr; }}
ComposeScreen.-searching #hint {{ display: none; }}
ComposeScreen.-narrow ScheduleSketch {{ display: none; }}
ComposeScreen.-wide #details, ComposeScreen.-vast #details {{ display: block; }}
ComposeScreen.-wide #hint.-in-details {{ visibility: hidden; }}
ComposeScreen.-vast #hint.-in-details {{ visibility: hidden; }}
ComposeScreen.-wide ScheduleSketch {{ width: 45; }}
ComposeScreen.-vast ScheduleSketch {{ width: 80; }}
ComposeScreen.-vast #details {{ width: 80; }}
ComposeScreen.-tiny #outcome, ComposeScreen.-tiny #command {{ display: none; }}
ComposeScreen.-tiny #changes, ComposeScreen.-tiny #hint {{ display: none; }}
"""


def size_classes(width: int, height: int) -> list[str]:
    """Return the classes that the breakpoints assign to a terminal of that size."""
    return [_class_of(width, WIDTHS), _class_of(height, HEIGHTS)]


def _class_of(length: int, breakpoints: list[tuple[int, str]]) -> str:
    return max((least, name) for least, name in breakpoints if least <= length)[1]


def rows_of_form(height: int) -> int:
    """Return how many rows a terminal of that height has for the form."""
    name = _class_of(height, HEIGHTS)
    lines = FEWEST_LINES if name == "-tiny" else LINES
    return height - LISTS[name] - OUTCOME[name] - lines
