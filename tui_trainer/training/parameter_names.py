"""Patterns for the names of parameters and of the layers around them.

Layer: training. A pattern is that of a shell, and matches whole names: `blocks.*` or `*.bias`.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import ConfigError, Problem

_MOST_NAMED = 8


def names_matching(patterns: Iterable[str], names: Iterable[str], key: str) -> set[str]:
    """Return the names that a pattern matches, and those inside a layer that a pattern matches.

    Raises:
        ConfigError: a pattern matches nothing; the problem is reported for `key`.
    """
    known = list(names)
    matching: set[str] = set()
    for pattern in patterns:
        matched = [name for name in known if _matches(pattern, name)]
        if not matched:
            layers = list(dict.fromkeys(part for name in known for part in _layers(name)))
            hint = suggest(pattern, layers) or suggest(pattern.strip("*?."), layers)
            shown = ", ".join(layers[:_MOST_NAMED]) + (", ..." if layers[_MOST_NAMED:] else "")
            message = f"no layer {clean(repr(pattern), 80)}{hint}"
            raise ConfigError([Problem(f"{message}; available: {shown}", key)])
        matching.update(matched)
    return matching


def _layers(name: str) -> list[str]:
    """Return the names of the layers around a parameter, outermost first, and its own name."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _matches(pattern: str, name: str) -> bool:
    return any(fnmatchcase(layer, pattern) for layer in _layers(name))
