"""`Omissions`: what was left out of a data set and why, counted, as notes of one line each.

Layer: data.
"""

from __future__ import annotations

from tui_trainer.text.clean import clean


class Omissions:
    """Things left out by reason, each reason with the first of them."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, reason: str, name: str) -> None:
        """Count a thing; the reason begins with its noun, as `file that is empty`."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self._firsts.setdefault(reason, clean(name, 80))

    def update(self, other: Omissions) -> None:
        """Add what another one counted."""
        for reason, count in other._counts.items():
            self._counts[reason] = self._counts.get(reason, 0) + count
            self._firsts.setdefault(reason, other._firsts[reason])

    def notes(self) -> list[str]:
        """A line for each reason, as `2 left out: file that is empty (a.txt and others)`."""
        return [
            f"{count} left out: {reason} "
            f"({self._firsts[reason]}{' and others' if count > 1 else ''})"
            for reason, count in self._counts.items()
        ]
