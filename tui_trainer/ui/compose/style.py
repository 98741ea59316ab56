"""The layout of the compose screen: how many rows each part gets on which size of terminal.

Layer: ui. The CSS classes come from the screen's breakpoints, in columns and in rows.
"""

WIDTHS = [(0, "-narrow"), (76, "-normal"), (110, "-wide"), (170, "-vast")]
HEIGHTS = [(0, "-tiny"), (15, "-low"), (23, "-medium"), (34, "-tall"), (46, "-high")]

COMPOSE_CSS = """
ComposeScreen { layout: vertical; overflow: hidden; }
ComposeScreen Form { height: 1fr; min-height: 3; }
ComposeScreen #outcome { height: 4; }
ComposeScreen ScheduleSketch { width: 28; height: 1fr; }
ComposeScreen.-searching #hint { display: none; }
ComposeScreen.-narrow ScheduleSketch { display: none; }
ComposeScreen.-wide #details, ComposeScreen.-vast #details { display: block; }
ComposeScreen.-wide #hint.-in-details { visibility: hidden; }
ComposeScreen.-vast #hint.-in-details { visibility: hidden; }
ComposeScreen.-wide ScheduleSketch { width: 45; }
ComposeScreen.-vast ScheduleSketch { width: 80; }
ComposeScreen.-vast #details { width: 80; }
ComposeScreen.-tiny #lists { height: 4; }
ComposeScreen.-tiny #outcome, ComposeScreen.-tiny #command { display: none; }
ComposeScreen.-tiny #changes, ComposeScreen.-tiny #hint { display: none; }
ComposeScreen.-low #lists { height: 5; }
ComposeScreen.-low #outcome { height: 2; }
ComposeScreen.-tall #lists { height: 11; }
ComposeScreen.-tall #outcome { height: 9; }
ComposeScreen.-high #lists { height: 14; }
ComposeScreen.-high #outcome { height: 14; }
"""


def size_classes(width: int, height: int) -> list[str]:
    """Return the classes that the breakpoints assign to a terminal of that size."""
    return [
        max((least, name) for least, name in breakpoints if least <= length)[1]
        for length, breakpoints in ((width, WIDTHS), (height, HEIGHTS))
    ]
