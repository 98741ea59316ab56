"""Turns curves into the cells of a terminal: plotext, and everything around its canvas."""
