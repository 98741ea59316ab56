"""`ColourNumbers`: the numbers that stand for the colours in masks.

Layer: data. A colour is red, green and blue in one number, and its name is `#rrggbb`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

NOT_MEASURED = 255
"""The number of colours that are no classes."""


def colour_name(colour: int) -> str:
    """Return the name of a colour, as `#ff8000`."""
    return f"#{colour:06x}"


def colour_of(name: str) -> int:
    """Return the colour of a name as `colour_name` makes it."""
    return int(name[1:], 16)


class TooManyColours(ValueError):
    """There are more colours than numbers for them."""


class ColourNumbers:
    """The number of each colour, in the order in which they were found."""

    def __init__(self, known: Iterable[int] = (), *, has_all: bool = False) -> None:
        """Number some colours from 0; if that `has_all`, others are NOT_MEASURED."""
        self._numbers = {colour: number for number, colour in enumerate(known)}
        self._has_all = has_all

    @property
    def colours(self) -> tuple[int, ...]:
        """The colours by their numbers."""
        return tuple(self._numbers)

    def of(self, colours: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return the numbers of colours, in their shape, and number those that are new.

        Raises:
            TooManyColours: there are more than 255.
        """
        different, places = np.unique(colours, return_inverse=True)
        for colour in different.tolist():
            if colour not in self._numbers and not self._has_all:
                if len(self._numbers) == NOT_MEASURED:
                    raise TooManyColours
                self._numbers[colour] = len(self._numbers)
        numbers = [self._numbers.get(colour, NOT_MEASURED) for colour in different.tolist()]
        return np.array(numbers, dtype=np.uint8)[places].reshape(colours.shape)
