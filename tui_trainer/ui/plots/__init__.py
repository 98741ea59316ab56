"""From curves to the cells of a terminal: plotext, and what surrounds it."""
