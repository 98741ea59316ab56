"""`why_no_arrow`: imports pyarrow, when a table that needs it is read.

Layer: data. It takes a tenth of a second, and nothing else in the program uses it.
"""

from __future__ import annotations

from functools import cache

from tui_trainer.text.clean import clean


@cache
def why_no_arrow() -> str:
    """Return why pyarrow cannot be imported, or an empty string."""
    try:
        import pyarrow.compute
        import pyarrow.csv  # noqa: F401
    except (ImportError, OSError) as error:
        return clean(str(error), 200) or type(error).__name__
    return ""
