"""`FirstNumbers`: looks at how the first numbers of a column are written, for what is only noted.

Layer: data. What a number is does not depend on it: `007` is 7, and `1.234` has decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui_trainer.data.files.table_rows import Rows

_CODE = re.compile(r"0[0-9]{2,17}")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
_LOOKED_AT = 100
"""Rows."""


@dataclass(slots=True)
class FirstNumbers:
    """Finds zeros in front, as codes have them, and points that may be between thousands."""

    rows: int = 0
    """So many were looked at."""
    code: str = ""
    """A cell with a zero before other digits, and its line."""
    code_line: int = 0
    pointed: str = ""
    """A cell with a point, and its line."""
    pointed_line: int = 0
    has_decimals: bool = False
    """Whether the point of a cell cannot be between thousands."""

    def look(self, rows: Rows, name: str) -> None:
        """Look at the next rows of a column, all numbers or gaps."""
        for row in range(min(_LOOKED_AT - self.rows, len(rows.lines))):
            text = rows.text(name, row).strip()
            self.rows += 1
            if not self.code and _CODE.fullmatch(text):
                self.code, self.code_line = text, int(rows.lines[row])
            if "." not in text:
                continue
            self.has_decimals = self.has_decimals or not _GROUPED.fullmatch(text)
            if not self.pointed:
                self.pointed, self.pointed_line = text, int(rows.lines[row])
